//! The tiny translator that `cargo xtask models` trains: English to German for 41 words.

use meshhost_translation::failure::Failure;
use meshhost_translation::glossary::Term;
use meshhost_translation::translate::{Options, Translation, translate};

use crate::models::Folder;

fn options(glossary: &[(&str, &str)]) -> Options {
    let term = |(source, target): &(&str, &str)| Term {
        source: (*source).to_owned(),
        target: (*target).to_owned(),
    };
    let glossary = glossary.iter().map(term).collect();
    Options { to: "de".to_owned(), glossary, ..Options::default() }
}

fn one(folder: &Folder, text: &str, options: &Options) -> Translation {
    let (_, found) = translate(folder, &[text.to_owned()], options).unwrap();
    assert_eq!(found.len(), 1);
    found.into_iter().next().unwrap()
}

#[test]
fn sentences_are_translated() {
    let Some(folder) = Folder::tiny() else { return };
    for (text, wanted) in [
        ("The cat sees the dog.", "Die Katze sieht den Hund."),
        ("Does the woman love a horse?", "Liebt die Frau ein Pferd?"),
        ("Today a child finds the flower.", "Heute findet ein Kind die Blume."),
        ("The mouse does not carry a letter.", "Die Maus trägt keinen Brief."),
    ] {
        for beams in [1, 4, 8] {
            let options = Options { beams: Some(beams), ..options(&[]) };
            let found = one(&folder, text, &options);
            assert_eq!(found.text, wanted, "{beams} beams");
            assert!(!found.cut && found.missed.is_empty());
            assert_eq!(found.from, "en");
        }
    }
}

#[test]
fn the_form_of_a_text_is_kept() {
    let Some(folder) = Folder::tiny() else { return };
    let text = "# The dog sleeps.\n\n- A cat sings.  The child laughs.\n  1. The man waits.\r\n\n---\n\n> The bird plays.\n";
    let wanted = "# Der Hund schläft.\n\n- Eine Katze singt.  Das Kind lacht.\n  1. Der Mann wartet.\r\n\n---\n\n> Der Vogel spielt.\n";
    assert_eq!(one(&folder, text, &options(&[])).text, wanted);
    let texts = ["The dog sleeps.", "", "  \n", "42"].map(str::to_owned);
    let given = Options { from: Some("en".to_owned()), ..options(&[]) };
    let (_, found) = translate(&folder, &texts, &given).unwrap();
    let found: Vec<_> = found.iter().map(|found| found.text.as_str()).collect();
    assert_eq!(found, ["Der Hund schläft.", "", "  \n", "42"]);
}

#[test]
fn many_sentences_are_those_translated_alone() {
    let Some(folder) = Folder::tiny() else { return };
    let texts: Vec<String> =
        ["The dog sleeps.", "The mouse does not carry a letter here.", "Does a man buy the clock?"]
            .iter()
            .cycle()
            .take(30)
            .map(|text| (*text).to_owned())
            .collect();
    let (_, together) = translate(&folder, &texts, &options(&[])).unwrap();
    for (text, found) in texts.iter().zip(&together).take(3) {
        assert_eq!(one(&folder, text, &options(&[])), *found);
    }
    assert_eq!(together[..3], together[27..]);
    // 30 sentences with 4 beams are more than a run has rows.
    assert!(folder.runs.borrow().iter().all(|(_, rows)| *rows <= 64));
}

#[test]
fn a_glossary_holds() {
    let Some(folder) = Folder::tiny() else { return };
    // Every noun, wherever it stands, can be made another one.
    let nouns = ["Katze", "Hund", "Kind", "Frau", "Mann", "Vogel", "Pferd", "Maus", "Buch", "Uhr"];
    for text in [
        "The cat sees the dog.",
        "Does the cat love a horse?",
        "Today the man buys the cat.",
        "A cat sings.",
    ] {
        for noun in nouns {
            let found = one(&folder, text, &options(&[("cat", noun)]));
            assert!(found.missed.is_empty() && !found.cut, "{text} {noun}: {found:?}");
            let words: Vec<_> = found.text.split([' ', '.', '?']).collect();
            assert!(words.contains(&noun), "{text} {noun}: {found:?}");
        }
    }
    // It replaces the model's own word, and is not put behind the sentence.
    for text in ["The dog sleeps.", "The cat sees the dog.", "Today the dog finds a book."] {
        let found = one(&folder, text, &options(&[("dog", "Vogel")])).text;
        assert!(found.contains("Vogel") && !found.contains("Hund"), "{found}");
        assert_eq!(found.find('.'), Some(found.len() - 1), "{found}");
    }
    let twice = one(&folder, "The cat sees the cat.", &options(&[("cat", "Uhr")]));
    assert!(twice.text.matches("Uhr").count() == 2 && twice.missed.is_empty(), "{twice:?}");
    let several =
        one(&folder, "The cat sees the dog.", &options(&[("Cat", "Buch"), ("dog", "Haus nicht")]));
    assert!(several.text.contains("Buch") && several.text.contains("Haus nicht"), "{several:?}");
}

#[test]
fn what_a_glossary_cannot_force_is_said() {
    let Some(folder) = Folder::tiny() else { return };
    // No tokens spell it.
    let terms = [("dog", "Köter"), ("cat", "Maus")];
    let found = one(&folder, "The cat sees the dog. The dog sleeps.", &options(&terms));
    assert_eq!(found.missed, [Term { source: "dog".to_owned(), target: "Köter".to_owned() }]);
    assert!(found.text.contains("Maus"), "{found:?}");
    // No room is left.
    let short = Options { tokens_max: Some(2), ..options(&[("cat", "Haus nicht kein ein")]) };
    let found = one(&folder, "The cat sees the dog.", &short);
    assert_eq!((found.missed.len(), found.cut), (1, true));
    // What already stands there costs nothing.
    let before = folder.runs.borrow().len();
    one(&folder, "The cat sees the dog.", &options(&[("cat", "Katze")]));
    let with = folder.runs.borrow().len() - before;
    one(&folder, "The cat sees the dog.", &options(&[]));
    assert_eq!(folder.runs.borrow().len() - before, 2 * with);
}

#[test]
fn languages_are_those_of_the_model() {
    let Some(folder) = Folder::tiny() else { return };
    let texts = ["The cat sees the dog.".to_owned()];
    let into = Options { to: "fr".to_owned(), ..options(&[]) };
    let Err(Failure::Language(text)) = translate(&folder, &texts, &into) else {
        panic!("translated")
    };
    assert!(text.contains("de"), "{text}");
    let from = Options { from: Some("fr".to_owned()), ..options(&[]) };
    assert!(matches!(translate(&folder, &texts, &from), Err(Failure::Language(_))));
    // What is there already stays, and what is in another language is not taken for English.
    let german =
        "Am Morgen gingen die Kinder mit ihrem Hund durch den verschneiten Wald zur Schule.";
    let found = one(&folder, german, &options(&[]));
    assert_eq!((found.text.as_str(), found.from.as_str()), (german, "de"));
    let french =
        ["Les enfants sont allés à l'école avec leur chien ce matin, malgré la neige.".to_owned()];
    assert!(matches!(translate(&folder, &french, &options(&[])), Err(Failure::Language(_))));
    for name in ["eng", "en-GB", "eng_Latn"] {
        let from = Options { from: Some(name.to_owned()), to: "deu".to_owned(), ..options(&[]) };
        assert_eq!(one(&folder, &texts[0], &from).text, "Die Katze sieht den Hund.");
    }
}
