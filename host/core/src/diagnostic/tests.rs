use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[expect(dead_code, reason = "only parsing is looked at")]
    risk: Option<String>,
    #[expect(dead_code, reason = "only parsing is looked at")]
    timeout_ms: Option<u64>,
}

fn source(text: &str) -> Source<'_> {
    Source { code: Code::ManifestInvalid, file: "plugin.toml", text }
}

fn read(text: &str) -> Diagnostic {
    read_toml::<Sample>(&source(text), 1_000).unwrap_err()
}

#[test]
fn an_unknown_key_is_shown_with_its_line_and_the_nearest_name() {
    let found = read("timeout_ms = 3\nrsk = \"low\"\n");
    assert_eq!((found.line, found.column), (2, 1));
    assert_eq!(found.hint.as_deref(), Some("did you mean `risk`?"));
    let expected = "unknown field `rsk`, expected `risk` or `timeout_ms`\n \
                    --> plugin.toml:2:1\n  |\n2 | rsk = \"low\"\n  | ^\n  = hint: did you mean `risk`?\n";
    assert_eq!(found.render(), expected);
}

#[test]
fn a_refusal_takes_it_along() {
    let found = read("timeout_ms = 3\nrsk = \"low\"\n");
    let refusal = Refusal::from(found.clone());
    assert_eq!(refusal.message, found.to_string());
    assert_eq!(Diagnostic::of(&refusal), Some(found));
    let of_a_plugin = Refusal { code: Code::PluginFailure, ..refusal };
    assert_eq!(Diagnostic::of(&of_a_plugin), None, "a plugin's own data is shown as such");
    assert_eq!(Diagnostic::of(&Refusal::new(Code::ManifestInvalid, "x")), None);
}

#[test]
fn wrong_types_and_broken_toml_have_a_place() {
    for (text, line, column) in [
        ("timeout_ms = \"soon\"", 1, 14),
        ("risk = 3", 1, 8),
        ("\n\nrisk = ", 3, 8),
        ("risk", 1, 5),
        ("risk = \"a\"\nrisk = \"b\"", 2, 1),
    ] {
        let found = read(text);
        assert_eq!((found.line, found.column), (line, column), "{text:?}: {found}");
    }
}

#[test]
fn a_file_is_bounded_before_it_is_read() {
    let text = "#".repeat(1_001);
    assert!(read(&text).message.contains("larger than 1000 bytes"));
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let text = format!("risk = {}", "[".repeat(900));
    assert!(read_toml::<Sample>(&source(&text), 1_000).is_err());
    let text = format!("{} = 1", vec!["a"; 400].join("."));
    assert!(read_toml::<Sample>(&source(&text), 1_000).is_err());
}

#[test]
fn text_from_a_file_cannot_write_to_the_terminal() {
    let found = source("a = \"\u{1b}]0;x\u{7}\u{202e}\"").error(4..5, "bad \u{1b}[2J");
    let rendered = found.render();
    assert!(!rendered.contains('\u{1b}') && !rendered.contains('\u{202e}'), "{rendered:?}");
}

#[test]
fn a_long_line_is_cut_around_the_error() {
    let text = format!("{}X{}", "a".repeat(5_000), "b".repeat(5_000));
    let found = source(&text).error(5_000..5_001, "here");
    let rendered = found.render();
    let lines: Vec<&str> = rendered.lines().collect();
    assert!(rendered.len() < 1_000 && found.column == 5_001);
    assert_eq!(lines[3].find('X'), lines[4].find('^'));
}

#[test]
fn slips_have_a_nearest_name_and_strangers_have_none() {
    let known = ["risk", "read_only", "timeout_ms", "approval"];
    for (word, expected) in [
        ("rsk", Some("risk")),
        ("Risk", Some("risk")),
        ("read-only", Some("read_only")),
        ("timeout", None),
        ("timeout_m", Some("timeout_ms")),
        ("aproval", Some("approval")),
        ("colour", None),
        ("", None),
    ] {
        assert_eq!(nearest(word, known), expected, "{word}");
    }
    assert_eq!(nearest(&"a".repeat(65), ["a"]), None);
}

proptest! {
    #[test]
    fn no_range_and_no_text_panics(text in any::<String>(), start in 0usize..200, length in 0usize..50) {
        let found = source(&text).error(start..start + length, "x");
        prop_assert!(found.line >= 1 && found.column >= 1);
        prop_assert!(found.render().lines().count() <= 5);
    }

    #[test]
    fn no_toml_panics(text in any::<String>()) {
        let _ = read_toml::<Sample>(&source(&text), 1_000);
    }

    #[test]
    fn a_name_is_its_own_nearest(name in "[a-z_]{1,20}") {
        prop_assert_eq!(nearest(&name, ["zzzz9", &name]), Some(name.as_str()));
    }
}
