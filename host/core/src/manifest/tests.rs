use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    capability::{Capability, ExportPath},
    limits::Limits,
};

const HEAD: &str =
    "[plugin]\nname = \"git\"\nversion = \"0.1.0\"\ndescription = \"Reads repositories.\"\n";
const RULES: &str = r#"
[[asks]]
permission = "fs:ro"
reason = "read the repositories that you choose"

[[asks]]
permission = "net=https://*.example.org"
reason = "fetch"
optional = true

[limits]
deadline_ms = 10_000

[capabilities."git.log"]
modes = ["sync"]
risk = "low"
read_only = true
idempotent = true
timeout_ms = 5_000
approval = "never"
placement = "any"
trust_level = "member"
path_parameters = ["repository"]
unknown_input = "ignore"
budget = { calls_per_correlation = 100, calls_per_day = 1_000 }

[[capabilities."git.log".invariants]]
id = "short-log"
parameter = "limit"
kind = "maximum"
value = 1_000

[capabilities.commit]
destructive = true
"#;

fn manifest(rest: &str) -> Manifest {
    let text = format!("{HEAD}{rest}");
    Manifest::parse("plugin.toml", &text).unwrap_or_else(|error| panic!("{}", error.render()))
}

fn refused(rest: &str) -> Diagnostic {
    let text = format!("{HEAD}{rest}");
    match Manifest::parse("plugin.toml", &text) {
        Ok(_) => panic!("must be refused: {rest}"),
        Err(error) => error,
    }
}

fn capability(id: &str, long_id: &str, parameters: &[&str]) -> Capability {
    let properties: serde_json::Map<String, Value> =
        parameters.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    Capability {
        id: id.parse().unwrap(),
        long_id: long_id.parse().unwrap(),
        version: semver::Version::new(0, 1, 0),
        description: String::new(),
        input_schema: json!({ "type": "object", "properties": properties }),
        output_schema: json!({}),
        error_schema: None,
        type_hash: None,
        function_type: None,
        export: ExportPath { interface: None, function: String::new() },
    }
}

#[test]
fn a_full_manifest_is_read() {
    let read = manifest(RULES);
    assert_eq!(read.asks.len(), 2);
    assert!(!read.asks[0].optional && read.asks[1].optional);
    assert_eq!(read.limits.deadline_ms, Some(10_000));
    let log = &read.capabilities["git.log"];
    assert_eq!((log.risk(), log.read_only, log.idempotent), (Risk::Low, true, true));
    assert_eq!((log.timeout_ms, log.trust_level), (Some(5_000), TrustLevel::Member));
    assert_eq!(log.unknown_input, UnknownInput::Ignore);
    assert_eq!(log.budget.calls_per_correlation, Some(100));
    assert_eq!(log.invariants[0].rule, InvariantRule::Maximum(Bound::Integer(1_000)));
    let commit = &read.capabilities["commit"];
    assert_eq!((commit.risk(), commit.modes.as_slice()), (Risk::Medium, &[Mode::Sync][..]));
    assert!(!commit.needs_approval());
}

#[test]
fn the_smallest_manifest_asks_for_nothing() {
    let read = manifest("");
    assert!(read.asks.is_empty() && read.capabilities.is_empty() && !read.stateful);
    assert_eq!(read.limits, LimitsWanted::default());
}

#[test]
fn wrong_manifests_are_refused_where_they_are_wrong() {
    for (rest, line, part) in [
        ("colour = 1", 5, "unknown field `colour`"),
        ("stateful = 1", 5, "boolean"),
        ("[[asks]]\npermission = \"fs:rx\"\nreason = \"x\"", 6, "no such kind"),
        ("[[asks]]\npermission = \"fs:ro\"", 5, "missing field `reason`"),
        ("[[asks]]\npermission = \"fs:ro\"\nreason = \" \"", 7, "`reason` has 1 to"),
        ("[[asks]]\npermission = \"fs:ro\"\nreason = \"a\\u202eb\"", 7, "invisible"),
        ("[[asks]]\npermission = \"fs:ro\"\nreason = \"a\\nb\"", 7, "on one line"),
        ("[[asks]]\npermission = \"fs:ro=notes\"\nreason = \"x\"", 6, "from the root"),
        ("[[asks]]\npermission = \"fs:ro=/a/../b\"\nreason = \"x\"", 6, "without `..`"),
        (
            "[[asks]]\npermission = \"clock\"\nreason = \"x\"\n[[asks]]\npermission = \"clock\"\nreason = \"y\"",
            9,
            "twice",
        ),
        ("[limits]\ndeadline = 5", 6, "there is no limit `deadline`"),
        ("[limits]\ndeadline_ms = 0", 6, "at least 1"),
        ("[limits]\ndeadline_ms = -5", 6, "invalid value"),
        ("[limits]\nhandles = 5_000_000_000", 6, "too large"),
        ("[capabilities.\"git/log\"]", 5, "capability id"),
        ("[capabilities.a-b]\n[capabilities.a_b]", 6, "described twice"),
        ("[capabilities.log]\nmodes = []", 6, "at least one mode"),
        ("[capabilities.log]\nmodes = [\"batch\"]", 6, "unknown variant `batch`"),
        ("[capabilities.log]\nrisk = \"none\"", 6, "unknown variant `none`"),
        ("[capabilities.log]\ndescription = \"x\"", 6, "unknown field `description`"),
        ("[capabilities.log]\ntimeout_ms = 0", 6, "at least 1"),
        ("[capabilities.log]\nbudget = { calls_per_day = 0 }", 6, "at least 1"),
        ("[capabilities.log]\nbudget = { per_day = 1 }", 6, "unknown field `per_day`"),
        ("[capabilities.log]\nread_only = true\ndestructive = true", 5, "both"),
        ("[capabilities.log]\nrisk = \"low\"\ndestructive = true", 6, "not of low risk"),
        ("[capabilities.log]\npath_parameters = [\"a b\"]", 6, "parameter names"),
        (
            "[[capabilities.log.invariants]]\nid = \"a\"\nparameter = \"b\"\nkind = \"is\"",
            8,
            "variant",
        ),
        (
            "[[capabilities.log.invariants]]\nid = \"a\"\nparameter = \"b\"\nkind = \"one-of\"\nvalue = []",
            9,
            "one-of",
        ),
        (
            "[[capabilities.log.invariants]]\nid = \"a\"\nparameter = \"b\"\nkind = \"maximum\"\nvalue = nan",
            9,
            "needs a number",
        ),
        (
            "[[capabilities.log.invariants]]\nid = \"a b\"\nparameter = \"b\"\nkind = \"required\"",
            6,
            "made of letters",
        ),
    ] {
        let error = refused(rest);
        assert_eq!(error.line, line, "{rest}\n{}", error.render());
        assert!(error.message.contains(part), "{rest}\n{}", error.render());
    }
    assert!(
        Manifest::parse("p", "[plugin]\nname = \"../x\"\nversion = \"1.0.0\"\ndescription = \"x\"")
            .is_err()
    );
    assert!(
        Manifest::parse("p", "[plugin]\nname = \"x\"\nversion = \"1\"\ndescription = \"x\"")
            .is_err()
    );
}

#[test]
fn the_manifests_of_the_shipped_plugins_are_right() {
    let plugins = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins");
    let mut read = 0;
    for folder in std::fs::read_dir(plugins).unwrap() {
        let file = folder.unwrap().path().join("plugin.toml");
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let found = Manifest::parse(&file.to_string_lossy(), &text);
        assert!(found.is_ok(), "{}", found.unwrap_err().render());
        read += 1;
    }
    assert!(read > 0, "there are no manifests in {plugins}");
}

#[test]
fn a_manifest_is_bounded() {
    let large = format!("# {}", "x".repeat(MANIFEST_BYTES_MAX));
    assert!(refused(&large).message.contains("larger than"));
    let mut many = String::new();
    for index in 0..=ASKS_MAX {
        many.push_str(&format!("[[asks]]\npermission = \"env=A{index}\"\nreason = \"x\"\n"));
    }
    assert!(refused(&many).message.contains("more than 64 asks"));
}

#[test]
fn keys_bind_to_capabilities_by_id_or_by_their_end() {
    let capabilities = [
        capability("git.log", "git.repository.log", &["repository", "limit"]),
        capability("git.commit", "git.repository.commit", &["message"]),
    ];
    let bound = manifest(RULES).bind(&capabilities).unwrap();
    assert!(bound[0].read_only && bound[1].destructive);
    for key in ["git.log", "git.repository.log", "repository.log", "log"] {
        let bound =
            manifest(&format!("[capabilities.\"{key}\"]\nread_only = true")).bind(&capabilities);
        assert!(bound.unwrap()[0].read_only, "{key}");
    }
}

#[test]
fn keys_that_do_not_fit_the_component_are_refused() {
    let capabilities = [
        capability("a.x.log", "a.x.log", &["file_name"]),
        capability("a.y.log", "a.y.log", &["file_name"]),
    ];
    for (rest, part) in [
        ("[capabilities.\"a.x.lgo\"]", "did you mean `a.x.log`?"),
        ("[capabilities.og]", "does not export"),
        ("[capabilities.log]", "several capabilities end so"),
        ("[capabilities.\"a.x.log\"]\n[capabilities.\"x.log\"]", "described twice"),
        ("[capabilities.\"x.log\"]\npath_parameters = [\"filename\"]", "did you mean `file_name`?"),
    ] {
        let error = manifest(rest).bind(&capabilities).unwrap_err();
        assert!(error.to_string().contains(part), "{rest}: {error}");
    }
    let dashed = "[capabilities.\"x.log\"]\npath_parameters = [\"file-name\"]";
    assert_eq!(manifest(dashed).bind(&capabilities).unwrap()[0].path_parameters, ["file_name"]);
}

#[test]
fn an_overlay_tightens() {
    let overlay = r#"
[limits]
deadline_ms = 2_000
[capabilities."git.log"]
risk = "high"
read_only = false
idempotent = false
timeout_ms = 1_000
approval = "each"
placement = "local"
trust_level = "anchor"
unknown_input = "refuse"
path_parameters = ["other"]
budget = { calls_per_correlation = 1 }
[[capabilities."git.log".invariants]]
id = "mine"
parameter = "limit"
kind = "required"
[capabilities.status]
risk = "critical"
"#;
    let tight = manifest(RULES).tightened("overlay.toml", overlay).unwrap();
    let log = &tight.capabilities["git.log"];
    assert_eq!(
        (log.risk(), log.timeout_ms, log.approval),
        (Risk::High, Some(1_000), Approval::Each)
    );
    assert_eq!(log.path_parameters, ["repository", "other"]);
    assert_eq!(log.budget.calls_per_correlation, Some(1));
    assert_eq!(log.budget.calls_per_day, Some(1_000), "what is not named stays");
    assert_eq!(log.invariants.len(), 2);
    assert!(log.needs_approval() && !log.read_only && !log.idempotent);
    assert_eq!(tight.capabilities["status"].risk(), Risk::Critical);
    assert_eq!(tight.limit_caps.deadline_ms, Some(2_000));
}

#[test]
fn an_overlay_that_loosens_is_refused_where_it_does() {
    let log = "[capabilities.\"git.log\"]\n";
    let base = "trust_level = \"member\"\nplacement = \"local\"\napproval = \"first\"\nrisk = \"medium\"\n\
                timeout_ms = 5\nbudget = { calls_per_day = 5 }\nmodes = [\"sync\"]";
    let manifest = manifest(&format!("[limits]\nfuel = 7\n{log}{base}"));
    for (overlay, line, part) in [
        (format!("{log}risk = \"low\""), 2, "`risk`"),
        (format!("{log}read_only = true"), 2, "`read_only`"),
        (format!("{log}idempotent = true"), 2, "`idempotent`"),
        (format!("{log}modes = [\"sync\", \"stream\"]"), 2, "`modes`"),
        (format!("{log}timeout_ms = 6"), 2, "`timeout_ms`"),
        (format!("{log}approval = \"never\""), 2, "`approval`"),
        (format!("{log}placement = \"any\""), 2, "`placement`"),
        (format!("{log}trust_level = \"unknown\""), 2, "`trust_level`"),
        (format!("{log}unknown_input = \"ignore\""), 2, "`unknown_input`"),
        (format!("{log}budget = {{ calls_per_day = 6 }}"), 2, "`calls_per_day`"),
        ("[limits]\nfuel = 8".to_owned(), 2, "`fuel`"),
        ("asks = []".to_owned(), 1, "unknown field `asks`"),
        ("name = \"x\"".to_owned(), 1, "unknown field `name`"),
    ] {
        let error = manifest.tightened("overlay.toml", &overlay).unwrap_err();
        assert_eq!((error.line, error.file.as_str()), (line, "overlay.toml"), "{}", error.render());
        assert!(error.message.contains(part), "{}", error.render());
    }
    let destructive = Manifest {
        capabilities: BTreeMap::from([(
            "log".to_owned(),
            CapabilityRules { destructive: true, ..CapabilityRules::default() },
        )]),
        ..manifest
    };
    let overlay = "[capabilities.log]\ndestructive = false";
    assert!(destructive.tightened("o", overlay).is_err());
}

fn invariant(rule: InvariantRule) -> [Invariant; 1] {
    [Invariant { id: "i".to_owned(), parameter: "max_size".to_owned(), rule }]
}

#[test]
fn invariants_hold_or_fail_by_value() {
    use InvariantRule as R;
    let texts = || R::OneOf(vec!["a".to_owned(), "b".to_owned()]);
    let glob = || R::MatchesGlob("/n/**".to_owned());
    for (rule, value, expected) in [
        (R::Required, json!(1), true),
        (R::Required, json!(null), false),
        (R::MaxLength(2), json!("éé"), true),
        (R::MaxLength(2), json!("abc"), false),
        (R::MaxLength(2), json!([1, 2]), true),
        (R::MaxLength(2), json!([1, 2, 3]), false),
        (R::MaxLength(2), json!({}), false),
        (R::MaxLength(2), json!(null), true),
        (texts(), json!("a"), true),
        (texts(), json!("c"), false),
        (texts(), json!(["a"]), false),
        (glob(), json!("/n/a"), true),
        (glob(), json!("/n/../a"), false),
        (glob(), json!(7), false),
        (R::Maximum(Bound::Integer(10)), json!(10), true),
        (R::Maximum(Bound::Integer(10)), json!(10.5), false),
        (R::Maximum(Bound::Integer(10)), json!("10"), true),
        (R::Maximum(Bound::Integer(10)), json!("11"), false),
        (R::Maximum(Bound::Integer(10)), json!("ten"), false),
        (R::Maximum(Bound::Integer(10)), json!("inf"), false),
        (R::Maximum(Bound::Integer(10)), json!(true), false),
        (R::Maximum(Bound::Integer(i64::MAX)), json!(u64::MAX), false),
        (R::Maximum(Bound::Integer(i64::MAX - 1)), json!(i64::MAX), false),
        (R::Maximum(Bound::Float(0.5)), json!(0.5), true),
        (R::Maximum(Bound::Float(0.5)), json!(1), false),
        (R::Minimum(Bound::Integer(-1)), json!(-1), true),
        (R::Minimum(Bound::Integer(-1)), json!(-2), false),
    ] {
        let rules = invariant(rule);
        let held = check_invariants(&rules, &json!({ "max_size": value })).is_ok();
        assert_eq!(held, expected, "{:?} {value}", rules[0].rule);
    }
}

#[test]
fn an_absent_parameter_fails_only_required_and_a_double_one_must_hold_twice() {
    let maximum = invariant(InvariantRule::Maximum(Bound::Integer(1)));
    assert!(check_invariants(&maximum, &json!({})).is_ok());
    assert!(check_invariants(&maximum, &json!({"max_size": 1, "max-size": 2})).is_err());
    let failure = check_invariants(&invariant(InvariantRule::Required), &json!([])).unwrap_err();
    assert_eq!(failure.to_string(), "the invariant `i` does not hold: `max_size` must be given");
}

#[test]
fn consent_binds_component_and_manifest() {
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    let all = [
        consent_digest(&one, None),
        consent_digest(&two, None),
        consent_digest(&one, Some("")),
        consent_digest(&one, Some("x")),
    ];
    for (index, digest) in all.iter().enumerate() {
        assert!(!all[..index].contains(digest));
    }
}

#[test]
fn wishes_do_not_pass_the_overlay() {
    let tight = manifest("[limits]\nfuel = 7").tightened("o", "[limits]\nfuel = 6").unwrap();
    assert_eq!(tight.limit_caps.over(Limits::CEILING).fuel, 6);
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), value in "[ -~\n]{0,200}") {
        let _ = Manifest::parse("x", &text);
        let _ = Manifest::parse("x", &format!("{HEAD}{value}"));
        let _ = manifest("").tightened("x", &value);
    }

    #[test]
    fn a_changed_manifest_never_panics(at in 0usize..900, byte in any::<char>()) {
        let mut text: Vec<char> = format!("{HEAD}{RULES}").chars().collect();
        let at = at % text.len();
        text[at] = byte;
        let _ = Manifest::parse("x", &text.into_iter().collect::<String>());
    }

    #[test]
    fn numbers_compare_exactly(bound in any::<i64>(), value in any::<i64>()) {
        let maximum = invariant(InvariantRule::Maximum(Bound::Integer(bound)));
        for shown in [json!(value), json!(value.to_string())] {
            let held = check_invariants(&maximum, &json!({ "max_size": shown })).is_ok();
            prop_assert_eq!(held, value <= bound);
        }
    }
}
