use proptest::prelude::*;

use super::*;

fn code(result: Result<(), IndexError>) -> Option<IndexErrorCode> {
    result.err().map(|error| error.code)
}

const INVALID: Option<IndexErrorCode> = Some(IndexErrorCode::Invalid);
const TOO_LARGE: Option<IndexErrorCode> = Some(IndexErrorCode::TooLarge);

fn attributes(count: usize, name: usize, value: usize) -> Vec<Attribute> {
    vec![Attribute { name: "n".repeat(name), value: "v".repeat(value) }; count]
}

fn passage(text: usize, vector: Option<Vec<f32>>) -> Passage {
    Passage { text: "t".repeat(text), vector, attributes: Vec::new() }
}

fn document(passages: Vec<Passage>) -> Document {
    Document { key: "k".into(), version: String::new(), attributes: Vec::new(), passages }
}

#[test]
fn a_corpus_has_a_plain_name() {
    for name in ["a", "0", "notes", "a-b_c.d", "2026.11", &"a".repeat(64)] {
        assert_eq!(code(check_name(name)), None, "{name}");
    }
    let long = "a".repeat(65);
    for name in ["", ".", "..", "../a", "a/b", "-a", "_a", ".a", "A", "ä", "a b", "a\0", &long] {
        assert_eq!(code(check_name(name)), INVALID, "{name:?}");
    }
}

#[test]
fn settings_are_bounded() {
    let check =
        |dimensions, maker: usize| code(Settings { dimensions, maker: "m".repeat(maker) }.check());
    for dimensions in [None, Some(1), Some(DIMENSIONS_MAX)] {
        assert_eq!(check(dimensions, MAKER_BYTES_MAX), None);
    }
    assert_eq!(check(Some(0), 0), INVALID);
    assert_eq!(check(Some(DIMENSIONS_MAX + 1), 0), INVALID);
    assert_eq!(check(None, MAKER_BYTES_MAX + 1), TOO_LARGE);
}

/// Makes a document another one.
type Change = fn(&mut Document);

#[test]
fn every_bound_of_a_document_holds() {
    let good = document(vec![passage(TEXT_BYTES_MAX, Some(vec![0.0, -1.0]))]);
    let cases: [(Change, Option<IndexErrorCode>); 13] = [
        (|_| {}, None),
        (|one| one.key = "k".repeat(KEY_BYTES_MAX), None),
        (|one| one.key.clear(), INVALID),
        (|one| one.key = "k".repeat(KEY_BYTES_MAX + 1), INVALID),
        (|one| one.version = "v".repeat(VERSION_BYTES_MAX + 1), TOO_LARGE),
        (|one| one.passages = vec![passage(0, None); PASSAGES_MAX], None),
        (|one| one.passages = vec![passage(0, None); PASSAGES_MAX + 1], TOO_LARGE),
        (|one| one.passages = vec![passage(TEXT_BYTES_MAX, None); 129], TOO_LARGE),
        (|one| one.passages[0].text.push('t'), TOO_LARGE),
        (|one| one.attributes = attributes(17, 1, 1), TOO_LARGE),
        (|one| one.attributes = attributes(1, 65, 1), TOO_LARGE),
        (|one| one.passages[0].attributes = attributes(1, 1, 1_025), TOO_LARGE),
        (|one| one.passages[0].attributes = attributes(17, 0, 0), TOO_LARGE),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let mut changed = good.clone();
        change(&mut changed);
        assert_eq!(code(changed.check()), expected, "case {number}");
    }
    let numbers = document(vec![passage(0, Some(vec![1.0; 4_096])); 513]);
    assert_eq!(code(numbers.check()), TOO_LARGE, "four bytes for a number");
}

#[test]
fn a_vector_has_a_direction_and_fits_the_corpus() {
    for (vector, dimensions, expected) in [
        (&[1.0, 0.0][..], Some(2), None),
        (&[f32::MAX, f32::MIN_POSITIVE], Some(2), None),
        (&[1e-45, 0.0], Some(2), None),
        (&[1.0], Some(2), INVALID),
        (&[], Some(2), INVALID),
        (&[1.0, 0.0], None, INVALID),
        (&[0.0, -0.0], Some(2), INVALID),
        (&[f32::NAN, 1.0], Some(2), INVALID),
        (&[1.0, f32::INFINITY], Some(2), INVALID),
        (&[f32::NEG_INFINITY, 1.0], Some(2), INVALID),
    ] {
        assert_eq!(code(check_vector(vector, dimensions)), expected, "{vector:?}");
    }
    for wrong in [f32::NAN, f32::INFINITY] {
        assert_eq!(code(document(vec![passage(1, Some(vec![wrong]))]).check()), INVALID);
    }
    assert_eq!(code(document(vec![passage(1, Some(vec![]))]).check()), INVALID);
}

#[test]
fn keys_limits_and_filters_are_bounded() {
    assert_eq!(code(check_keys(&vec!["k".to_owned(); KEYS_MAX])), None);
    assert_eq!(code(check_keys(&vec!["k".to_owned(); KEYS_MAX + 1])), TOO_LARGE);
    assert_eq!(code(check_keys(&[String::new()])), INVALID);
    assert_eq!(code(check_limit(0, HITS_MAX)), INVALID);
    assert_eq!(code(check_limit(HITS_MAX, HITS_MAX)), None);
    assert_eq!(code(check_limit(HITS_MAX + 1, HITS_MAX)), TOO_LARGE);
    let filter = |prefix: usize, attributes| {
        code(Filter { key_prefix: Some("k".repeat(prefix)), attributes }.check())
    };
    assert_eq!(filter(1_024, attributes(8, 64, 1_024)), None);
    assert_eq!(filter(1_025, Vec::new()), INVALID);
    assert_eq!(filter(0, attributes(9, 1, 1)), INVALID);
    assert_eq!(filter(0, attributes(1, 65, 1)), TOO_LARGE);
}

#[test]
fn words_are_what_lies_between_everything_else() {
    for (text, expected) in [
        ("", &[][..]),
        ("  \"*():^- \u{301}", &[]),
        ("Hello, hello WORLD", &["hello", "world"]),
        ("a\"b OR c* NEAR(d)", &["a", "b", "or", "c", "near", "d"]),
        ("cafe\u{301} Größe 2½", &["cafe\u{301}", "größe", "2½"]),
        ("名前 имя", &["名前", "имя"]),
    ] {
        assert_eq!(words_of(text).unwrap(), expected, "{text:?}");
    }
    let many = |count: usize| (0..count).map(|one| format!("w{one} ")).collect::<String>();
    assert_eq!(words_of(&many(WORDS_MAX)).unwrap().len(), WORDS_MAX);
    assert_eq!(words_of(&many(WORDS_MAX + 1)).unwrap_err().code, IndexErrorCode::TooLarge);
    assert_eq!(words_of(&"a ".repeat(QUERY_BYTES_MAX / 2)).unwrap(), ["a"]);
    let long = "a".repeat(QUERY_BYTES_MAX + 1);
    assert_eq!(words_of(&long).unwrap_err().code, IndexErrorCode::TooLarge);
}

#[test]
fn a_message_is_bounded_and_printable() {
    let error = IndexError::no_corpus(&format!("\u{202e}{}", "x".repeat(9_999)));
    assert!(error.message.len() < 600 && !error.message.contains('\u{202e}'));
}

proptest! {
    /// Whatever a guest says, the answer is a word and no panic; what passes is within the bounds.
    #[test]
    fn whatever_is_said_is_judged(
        text in any::<String>(),
        numbers in prop::collection::vec(any::<f32>(), 0..9),
        dimensions in prop::option::of(0_u32..9),
    ) {
        if check_name(&text).is_ok() {
            prop_assert!(!text.contains('/') && !text.starts_with('.') && text.len() <= 64);
        }
        if check_vector(&numbers, dimensions).is_ok() {
            let length: f64 = numbers.iter().map(|&one| f64::from(one).powi(2)).sum();
            prop_assert!(length.is_finite() && length > 0.0);
        }
        if let Ok(words) = words_of(&text) {
            prop_assert!(words.iter().all(|word| !word.is_empty() && !word.contains(['"', ' ', '*'])));
        }
        let one = document(vec![Passage { text, vector: Some(numbers), attributes: Vec::new() }]);
        let _ = one.check();
        prop_assert!(one.charge() > one.bytes());
    }
}
