//! The commonest words of languages that share a script: they tell what trigrams of a single sentence
//! do not.

use std::collections::BTreeMap;

/// Words that say as much as a text can: with fewer, confidence is less.
const WORDS_ENOUGH: f32 = 3.0;

/// Languages and words that hardly any of their sentences is without.
const WORDS: &[(&str, &str)] = &[
    (
        "af",
        "die nie het 'n is en van in wat ek hy sy ons julle hulle vir met om te was dit daar nog toe hoekom baie waar kan wil sal hom haar dan hierdie geen word ook",
    ),
    (
        "be",
        "і не на што я ты ён яна мы вы яны гэта як у з да але быў была каб калі пакуль яго яе вельмі",
    ),
    (
        "bg",
        "и не на че се да в за от с ще съм си е сме са беше това той тя ние вие те как но като докато много го му",
    ),
    (
        "ca",
        "el la els les de i que no és amb per una un en del al va ser perquè com més molt jo tu ell vaig vam fins",
    ),
    (
        "cs",
        "a se je na v že do s z to jsem jsme jsi byl byla bylo ale jako když pro by která který aby jak velmi není už až",
    ),
    (
        "da",
        "og i jeg det at en den til er som på de med han af for ikke der var mig har hvad hvorfor hvornår gik blev ved fra",
    ),
    (
        "de",
        "der die das und ist nicht ich du er sie wir ihr ein eine zu den dem mit auf von im in es wie was bis als auch war hat nach bei aus wenn aber nur noch sich für kann haben werden sind einem einen diese wo wer mein sehr bitte",
    ),
    (
        "en",
        "the of and to a in is it you that he was for on are with as i his they be at have this not do what why where we did until from by or an will would there their so if about who which when can like no just him know she her were been has had",
    ),
    (
        "es",
        "el la de que y en los se del las un por con no una su para es al lo como más pero sus le ya o fue hasta yo muy está cuando porque este ser tiene hay nos desde también",
    ),
    (
        "et",
        "ja on ei et see ma sa ta me te nad ning kui oli aga mis ka siis kuni väga oma mida ole olen",
    ),
    (
        "fi",
        "ja on ei että se hän minä sinä me te he oli joka mutta kun niin myös ovat olen kuin kunnes hyvin tämä mitä",
    ),
    (
        "fr",
        "le la les de des et un une est que qui dans il elle nous vous pour pas sur ce au avec ne se je tu plus par jusqu été sont mais ou où comme son sa ses était avait fait cette aux être",
    ),
    ("hi", "है हैं के में की से और का को पर यह वह कि नहीं ने था थी हो लिए तक एक भी हम"),
    (
        "hr",
        "i je u se na da su za od s bi sam smo što kao ali nije koji bio bila kako dok vrlo ili još samo",
    ),
    (
        "hu",
        "a az és hogy nem is egy van volt ez de csak meg még már mint aki amely lesz vagy én te ő mi amíg nagyon pedig ha azt ki fel miatt között",
    ),
    (
        "id",
        "yang dan di itu dengan untuk tidak ini dari dalam akan pada saya kami dia mereka ada ke karena adalah sampai sangat",
    ),
    (
        "it",
        "il la di che e è un una per non in con del della sono ma si mi lo gli le al anche come più fino io ho ha questo nel quando perché era stato nella alla hanno abbiamo ci",
    ),
    (
        "lt",
        "ir yra kad į su ne tai buvo iš aš tu jis ji mes jūs jie bet kaip nuo apie labai iki dar kai",
    ),
    (
        "lv",
        "un ir ka uz ar ne tas bija no es tu viņš viņa mēs jūs bet kā par ļoti līdz vēl lai nav",
    ),
    (
        "mk",
        "и не на да се во за од со ќе сум си е сме беше тоа тој таа ние вие тие како но додека многу го му што",
    ),
    ("mr", "आहे आणि मी ते तो ती हे नाही व या की काय होते"),
    ("ne", "छ र हो को मा यो त्यो थियो पनि म"),
    (
        "nl",
        "de het een en van ik je dat is niet in te zijn op met hij voor er maar om we naar heeft was waarom ook nog tot wij aan hoe kun me mij jij waar kan wil zal hem haar zij zien werd toen dan deze geen worden langs mensen",
    ),
    (
        "no",
        "og i jeg det er en den til som på de med han av for ikke var meg har hva hvorfor ble gikk vi etter fra ved å",
    ),
    (
        "pl",
        "i w się nie na z do to że jest jak za po co ale o był była było tak już aby żeby aż który ja ty on ona my bardzo jestem są przez kiedy tylko może dla ze tym",
    ),
    (
        "pt",
        "o a de que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele até eu muito está quando porque ser tem você nos das pela também",
    ),
    (
        "ro",
        "și de în a la cu un o nu este pe că care din mai se am fost sunt pentru dar ce el ea noi până foarte când să",
    ),
    (
        "ru",
        "и в не на что я с он она мы вы они это как по но из у за то же был была чтобы пока до очень его её а",
    ),
    (
        "sk",
        "a sa je na v že do s z to som sme si bol bola bolo ale ako keď pre by ktorá ktorý aby veľmi nie už až kým",
    ),
    (
        "sl",
        "in je v se na da so za od s bi sem smo kar kot ali ni ki bil bila kako dokler zelo še samo pa",
    ),
    (
        "sr",
        "и је у се на да су за од с би сам смо што као али није који био била како док врло или још само",
    ),
    (
        "sv",
        "och i jag det att en den till är som på de med han av för inte var mig har vad varför gick blev vi efter från när ska om hon skulle nu",
    ),
    (
        "tr",
        "ve bir bu da de için çok ile ne ben sen o biz siz onlar mi değil ama gibi daha kadar var yok olarak ki",
    ),
    (
        "uk",
        "і в не на що я з він вона ми ви вони це як по але із у за то ж був була щоб поки до дуже його її та",
    ),
    (
        "vi",
        "và là của không có một những được cho trong người với các đã này tôi chúng ta khi đến cũng rất",
    ),
];

/// What the words of a text say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Said {
    pub(super) language: &'static str,
    /// 0 to 1.
    pub(super) confidence: f32,
}

/// The language whose words stand in a text; nothing where none do.
pub(super) fn find(text: &str) -> Option<Said> {
    let lower = text.to_lowercase();
    let mut scores: BTreeMap<&'static str, f32> = BTreeMap::new();
    for word in lower.split(|letter: char| !letter.is_alphabetic() && letter != '\'') {
        let knows = |(_, words): &&(&'static str, &'static str)| {
            words.split(' ').any(|known| known == word)
        };
        let known: Vec<_> = WORDS.iter().filter(knows).collect();
        // A word of many languages says little.
        known.iter().for_each(|(language, _)| {
            *scores.entry(language).or_default() += 1.0 / known.len() as f32
        });
    }
    let mut ranked: Vec<_> = scores.into_iter().collect();
    ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let (language, best) = ranked.first().copied()?;
    let second = ranked.get(1).map_or(0.0, |(_, score)| *score);
    Some(Said { language, confidence: (best - second) / best * (best / WORDS_ENOUGH).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_neighbours_apart() {
        for (language, text) in [
            ("nl", "Ik weet niet waarom hij gisteren niet naar school is gegaan."),
            ("af", "Ek weet nie hoekom hy gister nie skool toe gegaan het nie."),
            ("no", "Jeg vet ikke hva han gikk etter i går, og hvorfor."),
            ("da", "Jeg ved ikke, hvornår han gik til mig, og hvorfor."),
            ("sk", "Nie je to tak, ako keď sme boli mladí, ale už som starý."),
            ("cs", "Není to tak, jako když jsme byli mladí, ale už jsem starý."),
        ] {
            let said = find(text).unwrap();
            assert_eq!(said.language, language, "{text}");
        }
        assert_eq!(find("xyzzy 42"), None);
    }

    #[test]
    fn a_word_of_many_languages_says_little() {
        assert!(find("de").unwrap().confidence < 0.1);
        assert!(find("until the").unwrap().confidence > 0.3);
    }
}
