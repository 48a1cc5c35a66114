//! Names of languages: ISO 639 with two and three letters, and the names that models have for them.

/// Languages by the shortest code that ISO 639 has for them, with the longer ones that mean the same here.
/// Of several, the first one is what a model is asked for where it knows more than one.
const CODES: &[(&str, &[&str])] = &[
    ("af", &["afr_Latn", "afr"]),
    ("ak", &["aka_Latn", "aka"]),
    ("am", &["amh_Ethi", "amh"]),
    ("ar", &["arb_Arab", "ar_AR", "ara", "arb"]),
    ("as", &["asm_Beng", "asm"]),
    ("ast", &["ast_Latn"]),
    ("az", &["azj_Latn", "az_AZ", "aze", "azj"]),
    ("be", &["bel_Cyrl", "bel"]),
    ("bg", &["bul_Cyrl", "bul"]),
    ("bn", &["ben_Beng", "bn_IN", "ben"]),
    ("bs", &["bos_Latn", "bos"]),
    ("ca", &["cat_Latn", "cat"]),
    ("ceb", &["ceb_Latn"]),
    ("cs", &["ces_Latn", "cs_CZ", "ces"]),
    ("cy", &["cym_Latn", "cym"]),
    ("da", &["dan_Latn", "dan"]),
    ("de", &["deu_Latn", "de_DE", "deu"]),
    ("el", &["ell_Grek", "ell"]),
    ("en", &["eng_Latn", "en_XX", "eng"]),
    ("eo", &["epo_Latn", "epo"]),
    ("es", &["spa_Latn", "es_XX", "spa"]),
    ("et", &["est_Latn", "et_EE", "est", "ekk"]),
    ("eu", &["eus_Latn", "eus"]),
    ("fa", &["pes_Arab", "fa_IR", "fas", "pes"]),
    ("fi", &["fin_Latn", "fi_FI", "fin"]),
    ("fr", &["fra_Latn", "fr_XX", "fra"]),
    ("ga", &["gle_Latn", "gle"]),
    ("gd", &["gla_Latn", "gla"]),
    ("gl", &["glg_Latn", "gl_ES", "glg"]),
    ("gu", &["guj_Gujr", "gu_IN", "guj"]),
    ("ha", &["hau_Latn", "hau"]),
    ("he", &["heb_Hebr", "he_IL", "heb"]),
    ("hi", &["hin_Deva", "hi_IN", "hin"]),
    ("hr", &["hrv_Latn", "hr_HR", "hrv"]),
    ("ht", &["hat_Latn", "hat"]),
    ("hu", &["hun_Latn", "hun"]),
    ("hy", &["hye_Armn", "hye"]),
    ("id", &["ind_Latn", "id_ID", "ind"]),
    ("ig", &["ibo_Latn", "ibo"]),
    ("is", &["isl_Latn", "isl"]),
    ("it", &["ita_Latn", "it_IT", "ita"]),
    ("ja", &["jpn_Jpan", "ja_XX", "jpn"]),
    ("jv", &["jav_Latn", "jav"]),
    ("ka", &["kat_Geor", "ka_GE", "kat"]),
    ("kk", &["kaz_Cyrl", "kk_KZ", "kaz"]),
    ("km", &["khm_Khmr", "km_KH", "khm"]),
    ("kn", &["kan_Knda", "kan"]),
    ("ko", &["kor_Hang", "ko_KR", "kor"]),
    ("la", &["lat_Latn", "lat"]),
    ("lb", &["ltz_Latn", "ltz"]),
    ("lo", &["lao_Laoo", "lao"]),
    ("lt", &["lit_Latn", "lt_LT", "lit"]),
    ("lv", &["lvs_Latn", "lv_LV", "lav", "lvs"]),
    ("mg", &["plt_Latn", "mlg", "plt"]),
    ("mk", &["mkd_Cyrl", "mk_MK", "mkd"]),
    ("ml", &["mal_Mlym", "ml_IN", "mal"]),
    ("mn", &["khk_Cyrl", "mn_MN", "mon", "khk"]),
    ("mr", &["mar_Deva", "mr_IN", "mar"]),
    ("ms", &["zsm_Latn", "msa", "zsm"]),
    ("my", &["mya_Mymr", "my_MM", "mya"]),
    ("ne", &["npi_Deva", "ne_NP", "nep", "npi"]),
    ("nl", &["nld_Latn", "nl_XX", "nld"]),
    ("no", &["nob_Latn", "nor", "nob", "nb"]),
    ("or", &["ory_Orya", "ori", "ory"]),
    ("pa", &["pan_Guru", "pan"]),
    ("pl", &["pol_Latn", "pl_PL", "pol"]),
    ("ps", &["pbt_Arab", "ps_AF", "pus", "pbt"]),
    ("pt", &["por_Latn", "pt_XX", "por"]),
    ("ro", &["ron_Latn", "ro_RO", "ron"]),
    ("ru", &["rus_Cyrl", "ru_RU", "rus"]),
    ("sd", &["snd_Arab", "snd"]),
    ("si", &["sin_Sinh", "si_LK", "sin"]),
    ("sk", &["slk_Latn", "slk"]),
    ("sl", &["slv_Latn", "sl_SI", "slv"]),
    ("sn", &["sna_Latn", "sna"]),
    ("so", &["som_Latn", "som"]),
    ("sq", &["als_Latn", "sqi", "als"]),
    ("sr", &["srp_Cyrl", "srp"]),
    ("sv", &["swe_Latn", "sv_SE", "swe"]),
    ("sw", &["swh_Latn", "sw_KE", "swa", "swh"]),
    ("ta", &["tam_Taml", "ta_IN", "tam"]),
    ("te", &["tel_Telu", "te_IN", "tel"]),
    ("th", &["tha_Thai", "th_TH", "tha"]),
    ("tk", &["tuk_Latn", "tuk"]),
    ("tl", &["tgl_Latn", "tl_XX", "tgl", "fil"]),
    ("tr", &["tur_Latn", "tr_TR", "tur"]),
    ("uk", &["ukr_Cyrl", "uk_UA", "ukr"]),
    ("ur", &["urd_Arab", "ur_PK", "urd"]),
    ("uz", &["uzn_Latn", "uzb", "uzn"]),
    ("vi", &["vie_Latn", "vi_VN", "vie"]),
    ("xh", &["xho_Latn", "xh_ZA", "xho"]),
    ("yi", &["ydd_Hebr", "yid", "ydd"]),
    ("yo", &["yor_Latn", "yor"]),
    ("zh", &["zho_Hans", "zh_CN", "cmn_Hans", "zho", "cmn"]),
    ("zu", &["zul_Latn", "zul"]),
];

/// Languages that are written without spaces between sentences.
const WITHOUT_SPACES: &[&str] = &["ja", "km", "lo", "my", "th", "zh"];

/// The longest name that is looked at, in bytes.
const NAME_BYTES_MAX: usize = 16;

/// Whether the text can name a language.
pub(crate) fn is_name(text: &str) -> bool {
    let letters =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    (2..=NAME_BYTES_MAX).contains(&text.len()) && letters
}

/// The shortest code of a language, whatever it is named: `de` for `deu`, `deu_Latn` and `de-AT`.
pub(crate) fn short(name: &str) -> String {
    let base = name.split(['_', '-']).next().unwrap_or_default().to_ascii_lowercase();
    let is = |code: &str| code.split('_').next() == Some(base.as_str());
    let found =
        CODES.iter().find(|(code, others)| *code == base || others.iter().any(|other| is(other)));
    found.map_or(base, |(code, _)| (*code).to_owned())
}

/// Which of the names that a model knows means this language.
pub(crate) fn find<'a>(wanted: &str, known: &'a [String]) -> Option<&'a String> {
    let exact = known.iter().find(|name| name.replace('-', "_") == wanted.replace('-', "_"));
    if exact.is_some() {
        return exact;
    }
    let code = short(wanted);
    // Who names a script or a region means that one: there is none that stands for it.
    let same: Vec<&String> = known.iter().filter(|name| short(name) == code).collect();
    let others = CODES.iter().find(|(other, _)| *other == code).map(|(_, others)| *others);
    let preferred = others
        .into_iter()
        .flatten()
        .find_map(|other| same.iter().copied().find(|name| name.as_str() == *other));
    let plain = !wanted.contains(['_', '-']);
    preferred.or_else(|| same.first().copied()).filter(|_| plain || same.len() == 1)
}

/// Whether sentences of that language stand without a space between them.
pub(crate) fn is_without_spaces(name: &str) -> bool {
    WITHOUT_SPACES.contains(&short(name).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_language_is_found_under_any_of_its_names() {
        let nllb = known(&["arb_Arab", "deu_Latn", "eng_Latn", "zho_Hant", "zho_Hans", "pes_Arab"]);
        for (wanted, found) in [
            ("de", "deu_Latn"),
            ("deu", "deu_Latn"),
            ("deu_Latn", "deu_Latn"),
            ("DE", "deu_Latn"),
            ("zh", "zho_Hans"),
            ("cmn", "zho_Hans"),
            ("zho-Hant", "zho_Hant"),
            ("fa", "pes_Arab"),
        ] {
            assert_eq!(find(wanted, &nllb).map(String::as_str), Some(found), "{wanted}");
        }
        assert_eq!(find("de-AT", &known(&["de", "en"])).unwrap(), "de");
        assert_eq!(find("pt", &known(&["pt_XX"])).unwrap(), "pt_XX");
        assert_eq!(find("nb", &known(&["no"])).unwrap(), "no");
        for unknown in ["fr", "zz", "", "zho_Latn"] {
            assert_eq!(find(unknown, &nllb), None, "{unknown}");
        }
    }

    #[test]
    fn codes_are_sorted_and_none_means_two_languages() {
        assert!(CODES.is_sorted_by_key(|(code, _)| *code));
        for (code, others) in CODES {
            assert_eq!(short(code), *code);
            others.iter().for_each(|other| assert_eq!(short(other), *code, "{other}"));
        }
        assert_eq!(short("tlh"), "tlh");
    }

    #[test]
    fn names_are_short_and_plain() {
        assert!(is_name("de") && is_name("zho_Hans") && is_name("pt-BR"));
        assert!(!is_name("d") && !is_name("") && !is_name("de de") && !is_name(&"a".repeat(17)));
    }
}
