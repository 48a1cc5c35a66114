use proptest::prelude::*;

use super::*;

#[test]
fn stars_stay_in_their_segment_and_double_stars_do_not() {
    for (glob, text, expected) in [
        ("", "", true),
        ("a", "a", true),
        ("a", "b", false),
        ("a", "ab", false),
        ("ab", "a", false),
        ("*", "", true),
        ("*", "abc", true),
        ("*", "a/b", false),
        ("**", "a/b", true),
        ("**", "../x", true),
        ("/n/*", "/n/a", true),
        ("/n/*", "/n/a/b", false),
        ("/n/**", "/n/a/b", true),
        ("/n/**", "/n", false),
        ("/n/**", "/nx/a", false),
        ("/n/**", "/n/../etc/passwd", false),
        ("/n/**", "/n/./a", false),
        ("/n/**", "/n/..a", true),
        ("/n/*.md", "/n/a.md", true),
        ("/n/*.md", "/n/a.md.exe", false),
        ("/n/*a*b", "/n/xaybzb", true),
        ("/n/*a*b", "/n/xayb/b", false),
        ("/**/x/*", "/a/b/x/c", true),
        ("/**/x/*", "/a/x/c/x/d", true),
        ("/**/x/*", "/a/b/c", false),
        (r"/a\*", "/a*", true),
        (r"/a\*", "/ab", false),
        (r"a\ b", "a b", true),
        (r"a\\*", r"a\x", true),
        ("../x", "../x", true),
        ("é*", "ében", true),
    ] {
        assert_eq!(matches(glob, text), expected, "{glob} ~ {text}");
    }
}

#[test]
fn bounds_hold() {
    assert!(!matches("/n/*", &format!("/n/{}", "a".repeat(TEXT_BYTES_MAX))));
    assert!(!matches(&"*a".repeat(GLOB_BYTES_MAX), "a"));
    for bad in ["", "***", r"a\", "a\n", &"a".repeat(GLOB_BYTES_MAX + 1)] {
        assert_eq!(check(bad), Err(GlobError), "{bad:?}");
    }
    assert_eq!(check(r"a\\"), Ok(()));
}

#[test]
fn the_worst_glob_and_text_end_soon() {
    let glob = "**a".repeat(GLOB_BYTES_MAX / 3);
    let text = "a".repeat(TEXT_BYTES_MAX - 1) + "b";
    assert!(!matches(&glob, &text));
}

/// The same meaning, written as plainly as possible.
fn slow(glob: &[u8], text: &[u8]) -> bool {
    match glob {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|taken| slow(rest, &text[taken..])),
        [b'*', rest @ ..] => (0..=text.len())
            .take_while(|taken| !text[..*taken].contains(&b'/'))
            .any(|taken| slow(rest, &text[taken..])),
        [byte, rest @ ..] => text.first() == Some(byte) && slow(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn the_matcher_means_what_the_definition_says(glob in "[ab/*]{0,8}", text in "[ab/]{0,8}") {
        prop_assume!(!glob.contains("***"));
        prop_assert_eq!(matches(&glob, &text), slow(glob.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn a_glob_that_was_read_means_the_same(glob in r"[ab/.*\\]{0,8}", text in "[ab/.*]{0,8}") {
        prop_assert_eq!(Glob::new(&glob).matches(&text), matches(&glob, &text));
    }

    #[test]
    fn an_escaped_text_stands_for_itself_alone(text in "[ -~]{1,12}", other in "[ -~]{1,12}") {
        prop_assert!(matches(&escape(&text), &text));
        prop_assert_eq!(matches(&escape(&text), &other), text == other);
    }

    #[test]
    fn no_input_panics(glob in any::<String>(), text in any::<String>()) {
        let _ = (check(&glob), matches(&glob, &text), covers(&glob, &text));
    }
}
