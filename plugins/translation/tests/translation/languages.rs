//! The language of texts.

use meshhost_translation::detect::{SURE, find, find_among};

/// Sentences of everyday life, and one on each language's own country or letters.
const TEXTS: &[(&str, &str)] = &[
    ("en", "Yesterday we walked along the river until it became too dark to see the path."),
    ("de", "Gestern gingen wir am Fluss entlang, bis es zu dunkel wurde, um den Weg zu sehen."),
    ("fr", "Hier, nous avons marché le long de la rivière jusqu'à ce qu'il fasse trop sombre."),
    (
        "es",
        "Ayer caminamos por la orilla del río hasta que se hizo demasiado oscuro para ver el camino.",
    ),
    (
        "it",
        "Ieri abbiamo camminato lungo il fiume finché non è diventato troppo buio per vedere il sentiero.",
    ),
    ("pt", "Ontem caminhámos ao longo do rio até ficar escuro demais para ver o caminho."),
    ("nl", "Gisteren liepen we langs de rivier tot het te donker werd om het pad nog te zien."),
    ("sv", "Igår gick vi längs floden tills det blev för mörkt för att se stigen."),
    ("pl", "Wczoraj szliśmy wzdłuż rzeki, aż zrobiło się zbyt ciemno, żeby widzieć ścieżkę."),
    ("cs", "Včera jsme šli podél řeky, dokud nebyla příliš velká tma na to, abychom viděli cestu."),
    ("fi", "Eilen kävelimme joen vartta pitkin, kunnes tuli liian pimeää nähdä polkua."),
    (
        "hu",
        "Tegnap a folyó mentén sétáltunk, amíg túl sötét nem lett ahhoz, hogy lássuk az ösvényt.",
    ),
    ("tr", "Dün, yolu göremeyecek kadar karanlık olana kadar nehir boyunca yürüdük."),
    ("ru", "Вчера мы шли вдоль реки, пока не стало слишком темно, чтобы видеть тропинку."),
    ("uk", "Учора ми йшли вздовж річки, поки не стало надто темно, щоб бачити стежку."),
    (
        "el",
        "Χθες περπατήσαμε δίπλα στο ποτάμι μέχρι που σκοτείνιασε πολύ για να βλέπουμε το μονοπάτι.",
    ),
    ("he", "אתמול הלכנו לאורך הנהר עד שהחשיך מכדי לראות את השביל."),
    ("ar", "أمس مشينا على طول النهر حتى أصبح الظلام شديدا ولم نعد نرى الطريق."),
    ("hi", "कल हम नदी के किनारे चलते रहे जब तक कि रास्ता देखने के लिए बहुत अंधेरा नहीं हो गया।"),
    ("ja", "昨日、私たちは道が見えなくなるほど暗くなるまで川沿いを歩きました。"),
    ("zh", "昨天我们沿着河边散步，直到天黑得看不见路。"),
    ("ko", "어제 우리는 길이 보이지 않을 만큼 어두워질 때까지 강을 따라 걸었다."),
    ("th", "เมื่อวานเราเดินเลียบแม่น้ำจนมืดเกินกว่าจะมองเห็นทาง"),
    ("vi", "Hôm qua chúng tôi đi dọc bờ sông cho đến khi trời quá tối không nhìn thấy đường."),
];

/// Shorter ones, also of neighbours that are easily taken for each other.
const SHORTER: &[(&str, &str)] = &[
    ("nl", "De hond slaapt in het huis en de kat speelt met een bal."),
    ("nl", "Kun je me vertellen hoe laat de trein naar Amsterdam vertrekt?"),
    ("nl", "Nederland is een klein land aan de zee, maar er wonen veel mensen."),
    ("af", "Die hond slaap in die huis en die kat speel met 'n bal."),
    ("no", "Jeg vet ikke hvorfor han ikke kom på skolen i går."),
    ("da", "Jeg ved ikke, hvorfor han ikke kom i skole i går."),
    ("sk", "Včera sme išli popri rieke, kým nebolo príliš tma na to, aby sme videli chodník."),
    ("es", "Ayer no fui a la escuela porque estaba enfermo."),
    ("pt", "Ontem não fui à escola porque estava doente."),
    ("ca", "Ahir no vaig anar a l'escola perquè estava malalt."),
    ("en", "I do not know why he did not come to school yesterday."),
    ("hu", "A kutya a házban alszik, a macska pedig labdával játszik."),
    ("ru", "Собака спит в доме, а кошка играет с мячом."),
    ("uk", "Собака спить у будинку, а кішка грає з м'ячем."),
    ("id", "Kucing itu tidur di rumah dan anjing bermain dengan bola."),
    ("ro", "Câinele doarme în casă și pisica se joacă cu o minge."),
    ("sl", "Pes spi v hiši, mačka pa se igra z žogo in je zelo vesela."),
];

#[test]
fn shorter_sentences_and_neighbours_are_told_apart() {
    for (language, text) in SHORTER {
        let found = find(text).unwrap();
        assert_eq!(found.language, *language, "{text}: {}", found.confidence);
    }
}

#[test]
fn sentences_of_many_languages_are_told_apart() {
    for (language, text) in TEXTS {
        let found = find(text).unwrap();
        assert_eq!(found.language, *language, "{text}");
        assert!(
            found.confidence >= SURE && found.confidence <= 1.0,
            "{language}: {}",
            found.confidence
        );
    }
}

#[test]
fn short_and_mixed_texts_are_guesses() {
    let german = TEXTS[1].1;
    let sure = find(german).unwrap().confidence;
    for text in ["Hallo", "die", "No", "ok", "Taxi bar", "Ja ja"] {
        let found = find(text).map_or(0.0, |found| found.confidence);
        assert!(found < SURE, "{text}: {found}");
    }
    for other in ["en", "fr", "pl"] {
        let (_, other) = TEXTS.iter().find(|(language, _)| *language == other).unwrap();
        let mixed = find(&format!("{german} {other}")).unwrap().confidence;
        assert!(mixed < sure * 0.7, "{other}: {mixed}");
    }
    for text in ["", "   ", "42 + 7", "?!"] {
        assert_eq!(find(text), None, "{text}");
    }
}

#[test]
fn a_long_text_is_not_looked_at_to_its_end() {
    let long = format!("{}{}", TEXTS[0].1.repeat(60), TEXTS[13].1.repeat(10_000));
    assert_eq!(find(&long).unwrap().language, "en");
    // Cut within a character.
    assert_eq!(find(&"я знаю, что это ".repeat(2_000)).unwrap().language, "ru");
}

#[test]
fn a_guess_stays_within_what_is_known() {
    let known = ["eng_Latn", "deu_Latn"].map(str::to_owned);
    assert_eq!(find_among("die Katze", &known).as_deref(), Some("de"));
    assert_eq!(find_among("the cat", &known).as_deref(), Some("en"));
    assert_eq!(find_among("Кошка", &known), None);
    assert_eq!(find_among("the cat", &["tlh".to_owned()]), None);
}
