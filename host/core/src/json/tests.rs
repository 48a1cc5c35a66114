use proptest::prelude::*;
use serde_json::json;

use super::*;

const BOUNDS: Bounds = Bounds { bytes_max: 1 << 20, depth_max: 64, values_max: 10_000 };

fn problem(text: impl AsRef<[u8]>) -> JsonProblem {
    parse(text.as_ref(), BOUNDS).unwrap_err().problem
}

#[test]
fn plain_json_is_read_as_it_stands() {
    let text = br#" {"b": [1, -2, 0.5, "x\u00e9", null, true], "a": 18446744073709551615} "#;
    let value = parse(text, BOUNDS).unwrap();
    assert_eq!(value, json!({"b": [1, -2, 0.5, "xé", null, true], "a": u64::MAX}));
}

#[test]
fn integers_that_would_be_rounded_are_refused() {
    assert!(parse(b"-9223372036854775808", BOUNDS).is_ok());
    for bad in ["18446744073709551616", "-9223372036854775809", "[1, 100000000000000000000]"] {
        assert_eq!(problem(bad), JsonProblem::IntegerTooLarge, "{bad}");
    }
    assert_eq!(parse(b"[1, 100000000000000000000]", BOUNDS).unwrap_err().offset, 4);
}

#[test]
fn numbers_out_of_range_and_not_numbers_are_refused() {
    assert_eq!(problem("1e400"), JsonProblem::NumberOutOfRange);
    for bad in ["NaN", "Infinity", "-Infinity", "01", "1.", "+1", "-", "0x10", "1-2"] {
        assert!(matches!(problem(bad), JsonProblem::Syntax(_) | JsonProblem::Truncated), "{bad}");
    }
}

#[test]
fn duplicate_keys_are_refused_at_any_depth_and_shown_bounded() {
    assert_eq!(problem(r#"{"a": 1, "a": 2}"#), JsonProblem::DuplicateKey("a".into()));
    assert_eq!(problem(r#"[{"x": {"k": 1, "\u006b": 2}}]"#), JsonProblem::DuplicateKey("k".into()));
    let long = "k\\u001b".repeat(100);
    let JsonProblem::DuplicateKey(key) = problem(format!(r#"{{"{long}": 1, "{long}": 2}}"#)) else {
        panic!("not a duplicate key");
    };
    assert!(key.chars().count() == 64 && !key.contains('\u{1b}'));
}

#[test]
fn depth_is_bounded_without_recursion() {
    for open in ["[", "{\"a\":"] {
        let text = open.repeat(100_000);
        assert_eq!(problem(text), JsonProblem::TooDeep(64));
    }
    let deepest = format!("{}{}", "[".repeat(64), "]".repeat(64));
    assert!(parse(deepest.as_bytes(), BOUNDS).is_ok());
    let unbounded = Bounds { depth_max: usize::MAX, ..BOUNDS };
    let text = format!("{}{}", "[".repeat(127), "]".repeat(127));
    assert!(parse(text.as_bytes(), unbounded).is_ok());
    assert!(parse("[".repeat(128).as_bytes(), unbounded).is_err());
}

#[test]
fn brackets_and_digits_inside_strings_do_not_count() {
    let inside =
        format!(r#"["{}", "\"{}", "99999999999999999999999"]"#, "[".repeat(999), "{,".repeat(999));
    let bounds = Bounds { bytes_max: 10_000, depth_max: 1, values_max: 4 };
    assert!(parse(inside.as_bytes(), bounds).is_ok());
}

#[test]
fn length_and_number_of_values_are_bounded() {
    let bounds = Bounds { bytes_max: 10, depth_max: 2, values_max: 3 };
    assert!(parse(b"[1,2]", bounds).is_ok());
    assert_eq!(parse(b"[1,2,3]", bounds).unwrap_err().problem, JsonProblem::TooManyValues(3),);
    assert_eq!(parse(b"\"0123456789\"", bounds).unwrap_err().problem, JsonProblem::TooLong(10));
}

#[test]
fn the_place_is_named() {
    let error = parse(b"{\n  \"a\": 1,\n  \"a\": 2}", BOUNDS).unwrap_err();
    assert_eq!(error.line, 3);
    let error = parse(b"[\n1,\n xyz]", BOUNDS).unwrap_err();
    assert_eq!((error.line, error.column, error.offset), (3, 2, 6));
    assert_eq!(problem("[1, 2"), JsonProblem::Truncated);
    assert_eq!(problem("[1] 2"), JsonProblem::Syntax("trailing characters".into()));
    assert_eq!(problem(b"\"\xff\""), JsonProblem::NotUtf8);
    assert_eq!(problem(b"\xef\xbb\xbf1"), JsonProblem::Syntax("expected value".into()));
    assert!(matches!(problem(r#""\ud800""#), JsonProblem::Syntax(_) | JsonProblem::Truncated));
}

proptest! {
    #[test]
    fn any_bytes_give_a_value_or_a_place_inside(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        match parse(&bytes, BOUNDS) {
            Ok(value) => prop_assert_eq!(parse(value.to_string().as_bytes(), BOUNDS).unwrap(), value),
            Err(error) => prop_assert!(error.offset <= bytes.len()),
        }
    }

    #[test]
    fn what_looks_like_json_never_panics(text in r#"[\[\]{}",:0-9eE+.a\\u-]{0,80}"#) {
        if let Err(error) = parse(text.as_bytes(), BOUNDS) {
            prop_assert!(error.offset <= text.len());
        }
    }
}

#[test]
fn places_count_from_one() {
    for text in ["", "\n", "[1,\n", "[1,\n\n", "\"", "{\"a\":\n"] {
        let error = parse(text.as_bytes(), Bounds::SMALL).unwrap_err();
        assert!(error.line >= 1 && error.column >= 1, "{text:?}: {error}");
        assert!(error.offset <= text.len(), "{text:?}: {error}");
    }
}
