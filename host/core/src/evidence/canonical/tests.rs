use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::json;

use super::*;

#[test]
fn values_are_spelt_one_way() {
    let cases = [
        (json!(null), "null"),
        (
            json!([true, false, 0, -7, u64::MAX, i64::MIN]),
            "[true, false, 0, -7, 18446744073709551615, -9223372036854775808]",
        ),
        (json!("grüße 🔒"), r#""gr\u00fc\u00dfe \ud83d\udd12""#),
        (
            json!("\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f} ~\u{7f}\u{80}\"\\/"),
            r#""\u0000\b\t\n\u000b\f\r\u001f ~\u007f\u0080\"\\/""#,
        ),
        (json!({}), "{}"),
        (json!([]), "[]"),
        (
            json!({"b": {"z": [], "a": {}}, "B": 1, "": 2}),
            r#"{"": 2, "B": 1, "b": {"a": {}, "z": []}}"#,
        ),
        // Sorted by code point: U+FB03 comes before U+1F600, which UTF-16 would turn round.
        (
            json!({"😀": 1, "ﬃ": 2, "é": 3, "z": 4}),
            r#"{"z": 4, "\u00e9": 3, "\ufb03": 2, "\ud83d\ude00": 1}"#,
        ),
    ];
    for (value, text) in cases {
        assert_eq!(to_string(&value).unwrap(), text);
    }
}

#[test]
fn fractions_are_refused_except_under_a_commitment() {
    for value in [json!(0.5), json!([1.0]), json!({"a": -0.0}), json!(1e300)] {
        assert_eq!(to_string(&value), Err(CanonicalError::Fraction));
    }
    assert_eq!(
        to_commit(&json!({"b": 0.5, "a": [1, 2.0]})).unwrap(),
        r#"{"a": [1, 2.0], "b": 0.5}"#
    );
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    assert!(to_string(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(to_string(&nested(DEPTH_MAX + 1)), Err(CanonicalError::TooDeep));
    assert_eq!(to_commit(&nested(DEPTH_MAX + 1)), Err(CanonicalError::TooDeep));
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[\\x00-\\x7f]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Runs a program that maps each line of its input to a line, when there is a Python.
pub(in crate::evidence) fn python(program: &str, lines: &[String]) -> Option<Vec<String>> {
    let mut command = Command::new("python3");
    command.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        println!("skipped: there is no python3");
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    let text = lines.join("\n");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

#[test]
fn python_spells_values_the_same() {
    let mut runner = TestRunner::deterministic();
    let values: Vec<Value> =
        (0..400).map(|_| values().new_tree(&mut runner).unwrap().current()).collect();
    let lines: Vec<String> = values.iter().map(Value::to_string).collect();
    let program = "import json, sys\nfor line in sys.stdin.buffer: print(json.dumps(json.loads(line), sort_keys=True))";
    let Some(spelt) = python(program, &lines) else { return };
    assert_eq!(spelt.len(), values.len());
    for (value, expected) in values.iter().zip(spelt) {
        assert_eq!(to_string(value).unwrap(), expected);
    }
}

proptest! {
    #[test]
    fn canonical_text_is_ascii_reads_back_and_is_its_own_canonical_text(value in values()) {
        let text = to_string(&value).unwrap();
        prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        let back: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&back, &value);
        prop_assert_eq!(to_string(&back).unwrap(), text);
    }
}
