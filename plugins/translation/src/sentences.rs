//! A line in sentences: Unicode's borders (UAX #29), but for those behind abbreviations.

use unicode_segmentation::UnicodeSegmentation;

use crate::languages;

/// Words that a sentence does not end with, although a full stop follows: mostly before names and numbers.
const ABBREVIATIONS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "dr", "prof", "st", "ca", "vs", "nr", "no", "tel", "vol", "max", "min", "inc", "fig",
            "bzw", "resp",
        ],
    ),
    (
        "de",
        &[
            "hr", "hrn", "fr", "frl", "dipl", "ing", "geb", "z.b", "d.h", "u.a", "o.ä", "v.a",
            "i.d.r", "abb", "abs", "art", "bd", "evtl", "ggf", "inkl", "jh", "sog", "str", "vgl",
            "zzgl", "mio", "mrd",
        ],
    ),
    (
        "en",
        &[
            "mr", "mrs", "ms", "messrs", "sr", "jr", "gen", "col", "capt", "lt", "sgt", "sen",
            "rep", "gov", "rev", "hon", "e.g", "i.e", "cf", "approx", "dept", "est", "figs", "pp",
            "eq", "sec", "al",
        ],
    ),
    ("es", &["sr", "sra", "srta", "dra", "ud", "uds", "av", "p.ej", "núm", "pág"]),
    ("fr", &["m", "mm", "mme", "mmes", "mlle", "me", "mgr", "p.ex", "env", "éd", "chap"]),
    ("it", &["sig", "sig.ra", "sigg", "dott", "ing", "avv", "on", "pag", "es"]),
    ("nl", &["dhr", "mevr", "mw", "drs", "ir", "bijv", "blz", "d.w.z", "o.a"]),
    ("pt", &["sr", "sra", "dra", "av", "exmo", "pág", "p.ex"]),
];

/// Languages that write ordinals as a number with a full stop.
const WITH_ORDINALS: &[&str] =
    &["cs", "da", "de", "et", "fi", "hr", "hu", "lv", "no", "pl", "sk", "sl", "sr"];

/// The sentences of a line, each with the spaces after it; together they are the line.
pub(crate) fn split<'a>(line: &'a str, language: &str) -> Vec<&'a str> {
    let language = languages::short(language);
    let (mut sentences, mut begin, mut end) = (Vec::new(), 0, 0);
    for piece in line.split_sentence_bounds() {
        end += piece.len();
        let sentence = line.get(begin..end).unwrap_or_default();
        if !goes_on(sentence, &language) {
            sentences.push(sentence);
            begin = end;
        }
    }
    sentences.extend(line.get(begin..).filter(|rest| !rest.is_empty()));
    sentences
}

/// Whether a sentence is not over, although Unicode says so.
fn goes_on(sentence: &str, language: &str) -> bool {
    let Some(text) = sentence.trim_end().strip_suffix('.') else { return false };
    let last = text.rsplit(char::is_whitespace).next().unwrap_or_default();
    let last = last.trim_start_matches(|letter: char| !letter.is_alphanumeric());
    let mut letters = last.chars();
    if let (Some(first), None) = (letters.next(), letters.next())
        && first.is_uppercase()
        && text.len() > last.len()
    {
        // An initial, as in "J. Smith"; a sentence does not often end with one.
        return first != 'I' || language != "en";
    }
    let ordinal = (1..=2).contains(&last.len()) && last.bytes().all(|byte| byte.is_ascii_digit());
    if ordinal && text.len() > last.len() {
        return WITH_ORDINALS.contains(&language);
    }
    let lower = last.to_lowercase();
    let lists = ABBREVIATIONS.iter().filter(|(of, _)| of.is_empty() || *of == language);
    lists.flat_map(|(_, words)| *words).any(|word| *word == lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_they_should() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("en", "One. Two? Three!", &["One. ", "Two? ", "Three!"]),
            (
                "en",
                "Mr. Smith met Dr. Jones. They spoke.",
                &["Mr. Smith met Dr. Jones. ", "They spoke."],
            ),
            ("en", "The cat (e.g. Tom) ran. It hid.", &["The cat (e.g. Tom) ran. ", "It hid."]),
            ("en", "It costs 3.50 today.", &["It costs 3.50 today."]),
            ("en", "He met J. R. R. Tolkien. Well.", &["He met J. R. R. Tolkien. ", "Well."]),
            (
                "en",
                "\u{201c}Is it?\u{201d} She laughed.",
                &["\u{201c}Is it?\u{201d} ", "She laughed."],
            ),
            ("en", "It was I. He left.", &["It was I. ", "He left."]),
            ("de", "Am 3. Mai kam Hr. Maier. Er ging.", &["Am 3. Mai kam Hr. Maier. ", "Er ging."]),
            ("en", "He was 12. She was not.", &["He was 12. ", "She was not."]),
            ("de", "Tiere, z.B. Katzen. Gut.", &["Tiere, z.B. Katzen. ", "Gut."]),
            ("fr", "M. Dupont arrive. Il rit.", &["M. Dupont arrive. ", "Il rit."]),
            ("zh", "你好。我是猫。", &["你好。", "我是猫。"]),
            ("hi", "यह घर है। वह बड़ा है।", &["यह घर है। ", "वह बड़ा है।"]),
            ("en", "No end", &["No end"]),
            ("en", "See Mr.", &["See Mr."]),
            ("en", "", &[]),
        ];
        for (language, line, sentences) in cases {
            assert_eq!(split(line, language), *sentences, "{line}");
        }
    }
}
