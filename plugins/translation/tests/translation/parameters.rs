//! What a caller may say and a model may do, over an engine that copies.

use meshhost_translation::failure::Failure;
use meshhost_translation::glossary::Term;
use meshhost_translation::translate::{BYTES_MAX, Options, TEXTS_MAX, Translation, translate};

use crate::stand_in::{Spoilt, StandIn, id};

const TEXT: &str = "The cat sees the dog.";

fn options() -> Options {
    Options { to: "de".to_owned(), from: Some("en".to_owned()), ..Options::default() }
}

fn run(engine: &StandIn, texts: &[&str], options: &Options) -> Result<Vec<Translation>, Failure> {
    let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
    translate(engine, &texts, options).map(|(_, found)| found)
}

fn one(engine: &StandIn, text: &str, options: &Options) -> Translation {
    run(engine, &[text], options).unwrap().remove(0)
}

#[test]
fn parameters_out_of_range_are_refused_before_a_model_is_asked() {
    let engine = StandIn::marian();
    let long = "a".repeat(BYTES_MAX + 1);
    assert!(matches!(run(&engine, &[], &options()), Err(Failure::Invalid(_))));
    assert!(matches!(run(&engine, &[TEXT; TEXTS_MAX + 1], &options()), Err(Failure::TooLarge(_))));
    assert!(matches!(run(&engine, &[&long], &options()), Err(Failure::TooLarge(_))));
    for (beams, tokens_max) in [(Some(0), None), (Some(9), None), (None, Some(0))] {
        let wrong = Options { beams, tokens_max, ..options() };
        assert!(matches!(run(&engine, &[TEXT], &wrong), Err(Failure::Invalid(_))));
    }
    for name in ["", "x", "de de", &"a".repeat(100)] {
        let wrong = Options { to: name.to_owned(), ..options() };
        assert!(matches!(run(&engine, &[TEXT], &wrong), Err(Failure::Invalid(_))), "{name:?}");
        let wrong = Options { from: Some(name.to_owned()), ..options() };
        assert!(matches!(run(&engine, &[TEXT], &wrong), Err(Failure::Invalid(_))), "{name:?}");
    }
    for model in [String::new(), "a".repeat(41)] {
        let wrong = Options { model: Some(model), ..options() };
        assert!(matches!(run(&engine, &[TEXT], &wrong), Err(Failure::Invalid(_))));
    }
    let terms = vec![Term { source: "a".to_owned(), target: String::new() }];
    let wrong = Options { glossary: terms, ..options() };
    assert!(matches!(run(&engine, &[TEXT], &wrong), Err(Failure::Invalid(_))));
    assert!(engine.asked.borrow().is_empty());
}

#[test]
fn the_cache_carries_what_was_said() {
    let engine = StandIn::marian();
    for beams in [1, 2, 8] {
        let options = Options { beams: Some(beams), ..options() };
        let texts = [TEXT, "A horse.", "letters and more letters and more and more"];
        let found = run(&engine, &texts, &options).unwrap();
        let found: Vec<_> = found.iter().map(|found| found.text.as_str()).collect();
        assert_eq!(found, texts);
    }
}

#[test]
fn what_the_models_answer_comes_through_at_once() {
    for failure in [
        Failure::Busy("the queue is full".to_owned()),
        Failure::Quota("used up".to_owned()),
        Failure::Unavailable("starting".to_owned()),
        Failure::Fault("cancelled".to_owned()),
    ] {
        let engine = StandIn { failure: Some((3, failure.clone())), ..StandIn::marian() };
        assert_eq!(run(&engine, &[TEXT; 3], &options()), Err(failure));
        // Nothing is tried again.
        assert_eq!(*engine.steps.borrow(), 3);
    }
}

#[test]
fn answers_that_make_no_sense_end_the_call() {
    for spoilt in [Spoilt::Rows, Spoilt::Without, Spoilt::Type] {
        let engine = StandIn { spoilt, ..StandIn::marian() };
        assert!(
            matches!(run(&engine, &[TEXT], &options()), Err(Failure::NoModel(_))),
            "{spoilt:?}"
        );
    }
    let engine = StandIn { spoilt: Spoilt::Numbers, ..StandIn::marian() };
    let found = one(&engine, TEXT, &options());
    assert!(found.cut && found.text.is_empty());
}

#[test]
fn translations_end_at_the_most_tokens() {
    let engine = StandIn { spoilt: Spoilt::Endless, ..StandIn::marian() };
    let few = Options { tokens_max: Some(5), beams: Some(1), ..options() };
    assert!(one(&engine, TEXT, &few).cut);
    assert_eq!(*engine.steps.borrow(), 5);
    let many = Options { tokens_max: Some(5_000), ..few };
    assert!(one(&engine, TEXT, &many).cut);
    // The model has 64 places.
    assert_eq!(*engine.steps.borrow(), 5 + 63);
}

#[test]
fn a_call_has_an_end() {
    // 3,000 sentences of 63 tokens each.
    let engine = StandIn { spoilt: Spoilt::Endless, ..StandIn::marian() };
    let text = "The cat.\n".repeat(3_000);
    let Err(Failure::TooLarge(text)) = run(&engine, &[&text], &options()) else { panic!("done") };
    assert!(text.contains("100000"), "{text}");
}

#[test]
fn long_sentences_are_cut_at_clauses_and_nothing_is_lost() {
    let engine = StandIn::marian();
    let clause = "the cat sees the dog and the dog sees the cat, ";
    let text = format!("{}and more.", clause.repeat(6));
    let found = one(&engine, &text, &options());
    assert_eq!(found.text, text);
    let asked = engine.asked.borrow();
    assert!(asked.len() > 1 && asked.iter().all(|ids| ids.len() <= 64), "{}", asked.len());
    let comma = id(",");
    assert!(asked.iter().rev().skip(1).all(|ids| ids.contains(&comma)));
    drop(asked);
    // Without clauses, and without words.
    for text in ["the cat ".repeat(40), "ab".repeat(200)] {
        let found = one(&StandIn::marian(), text.trim(), &options());
        assert_eq!(found.text.replace(' ', ""), text.replace(' ', ""));
    }
}

#[test]
fn runs_are_as_large_as_there_is_room() {
    // A token takes 3.6 MB in and out: one short sentence fills a run.
    let one_beam = Options { beams: Some(1), ..options() };
    let engine = StandIn { width: 300_000, ..StandIn::marian() };
    let found = run(&engine, &["A cat."; 3], &one_beam).unwrap();
    assert!(found.iter().all(|found| found.text == "A cat."));
    let steps = *engine.steps.borrow();
    let small = StandIn::marian();
    run(&small, &["A cat."; 3], &one_beam).unwrap();
    assert_eq!(steps, 3 * *small.steps.borrow());
    let vast = StandIn { width: 10_000_000, ..StandIn::marian() };
    assert!(matches!(run(&vast, &[TEXT], &options()), Err(Failure::TooLarge(_))));
}

#[test]
fn a_glossary_holds_or_is_said_to_be_missed() {
    let engine = StandIn::marian();
    let term =
        |source: &str, target: &str| Term { source: source.to_owned(), target: target.to_owned() };
    let with = |terms: &[Term]| Options { glossary: terms.to_vec(), ..options() };
    for target in ["mouse", "cat", "dog", "child", "bird"] {
        let found = one(&engine, "A horse and a house.", &with(&[term("HORSE", target)]));
        assert!(found.missed.is_empty() && !found.cut, "{found:?}");
        assert!(found.text.split(' ').any(|word| word.trim_matches('.') == target), "{found:?}");
    }
    // What stands there already needs no second decoding.
    let before = *engine.steps.borrow();
    one(&engine, "A horse and a house.", &options());
    let alone = *engine.steps.borrow() - before;
    one(&engine, "A horse and a house.", &with(&[term("horse", "house"), term("house", "horse")]));
    assert_eq!(*engine.steps.borrow() - before, 2 * alone);
    // The vocabulary cannot spell one; the other is said as often as it has to be, or has no room.
    let unknown = term("horse", "\u{4e2d}");
    let found = one(&engine, "A horse and a house.", &with(std::slice::from_ref(&unknown)));
    assert_eq!((found.missed, found.text.as_str()), (vec![unknown], "A horse and a house."));
    let long = term("the", "letters and more letters");
    let text = "the cat the dog the bird the mouse the child the house the clocks.";
    let found = one(&engine, text, &with(std::slice::from_ref(&long)));
    assert_eq!(
        (found.missed.len(), found.text.matches("letters and more letters").count()),
        (0, 7)
    );
    let short = Options { tokens_max: Some(6), ..with(std::slice::from_ref(&long)) };
    assert_eq!(one(&engine, text, &short).missed, [long]);
}

#[test]
fn a_model_is_told_languages_by_its_tokens() {
    let end = id("</s>");
    let config = format!(
        r#"{{"model_type": "m2m_100", "eos_token_id": {end}, "decoder_start_token_id": {end},
            "max_position_embeddings": 64, "num_beams": 2}}"#
    );
    let mut engine = StandIn::new(&config);
    let vocabulary = engine.beside.remove("vocab.json").unwrap();
    let spm = engine.beside.remove("source.spm").unwrap();
    let count = u32::try_from(
        serde_json::from_slice::<serde_json::Value>(&vocabulary)
            .unwrap()
            .as_object()
            .unwrap()
            .len(),
    )
    .unwrap();
    engine.beside.insert("sentencepiece.bpe.model".to_owned(), spm);
    engine.beside.insert("vocab.json".to_owned(), vocabulary);
    let special = r#"{"additional_special_tokens": ["__de__", "__en__", "__fr__"]}"#;
    engine.beside.insert("special_tokens_map.json".to_owned(), special.into());
    let into = Options { to: "fra".to_owned(), ..options() };
    assert_eq!(one(&engine, TEXT, &into).text, TEXT);
    let asked = engine.asked.borrow_mut().remove(0);
    assert_eq!((asked[0], *asked.last().unwrap()), (count + 1, end));
    let into = Options { to: "sv".to_owned(), ..options() };
    assert!(matches!(run(&engine, &[TEXT], &into), Err(Failure::Language(_))));
    // Without a language given, the text's own is found among the model's.
    let found = Options { from: None, to: "fr".to_owned(), ..options() };
    let text = "The children went through the snow with their dog this morning.";
    assert_eq!(one(&engine, text, &found).from, "en");
    assert_eq!(engine.asked.borrow()[0][0], count + 1);
    let german = "Die Kinder gingen heute Morgen mit ihrem Hund durch den Schnee.";
    assert_eq!(one(&engine, german, &found).from, "de");
    assert_eq!(engine.asked.borrow()[1][0], count);
}

#[test]
fn models_that_are_no_translators_are_refused() {
    for file in ["config.json", "source.spm", "target.spm", "vocab.json"] {
        let mut engine = StandIn::marian();
        engine.beside.remove(file);
        let Err(Failure::NoModel(text)) = run(&engine, &[TEXT], &options()) else {
            panic!("{file}")
        };
        assert!(text.contains(file), "{text}");
    }
    let bert =
        StandIn::new(r#"{"model_type": "bert", "eos_token_id": 0, "decoder_start_token_id": 0}"#);
    let Err(Failure::NoModel(text)) = run(&bert, &[TEXT], &options()) else { panic!("translated") };
    assert!(text.contains("bert"), "{text}");
    let other = Options { model: Some("other-with-past".to_owned()), ..options() };
    assert!(run(&StandIn::marian(), &[TEXT], &other).is_ok());
}
