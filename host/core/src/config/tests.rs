use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> NodeConfig {
    NodeConfig::parse("meshhost.toml", text).unwrap_or_else(|error| panic!("{}", error.render()))
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse(""), NodeConfig::DEFAULT);
    assert_eq!(
        parse("[ceiling]\n[limits]\n[compile]\n[inference]\n[mesh]\n[ceiling.risk]"),
        NodeConfig::DEFAULT
    );
}

#[test]
fn the_documentation_shows_the_defaults() {
    let page = include_str!("../../../../docs/configuration.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(parse(example.unwrap()), NodeConfig::DEFAULT);
}

#[test]
fn every_key_is_read() {
    let config = parse(
        r#"
durability = "power"
concurrency = 8
file_threads = 2
blob_bytes = 1_048_576
result_cache_bytes = 0
index_memory_bytes = 7
[limits]
deadline_ms = 1_000
[ceiling]
folders = "ro"
network = false
key_value_bytes = 5
index_bytes = 6
[ceiling.limits]
deadline_ms = 2_000
[ceiling.risk]
user = "medium"
plugin = "low"
[compile]
memory_bytes = 1_073_741_824
time_ms = 1_000
code_bytes = 1_048_576
component_bytes = 65_536
"#,
    );
    assert_eq!(config.durability, Durability::Power);
    assert_eq!((config.concurrency, config.file_threads), (8, 2));
    assert_eq!((config.blob_bytes, config.result_cache_bytes), (1_048_576, 0));
    assert_eq!((config.index_memory_bytes, config.ceiling.index_bytes), (7, 6));
    assert_eq!(config.ceiling.default_limits.deadline_ms, 1_000);
    assert_eq!(config.ceiling.limits.deadline_ms, 2_000);
    assert_eq!(config.ceiling.folders, Some(FolderMode::Ro));
    assert!(!config.ceiling.network && config.ceiling.key_value_bytes == 5);
    assert_eq!(config.risk, RiskCeilings { user: Risk::Medium, plugin: Risk::Low });
    assert_eq!(config.compile.time_ms, 1_000);
    assert_eq!(parse("[ceiling]\nfolders = \"none\"").ceiling.folders, None);
    let git = parse("[ceiling]\nfolders = \"git\"").ceiling.folders;
    assert_eq!(git, Some(FolderMode::Git));
}

#[test]
fn how_models_run_is_read() {
    let config = parse(
        r#"
[inference]
engines = "onnx-runtime"
library = "/opt/libonnxruntime.so"
provider = "cuda"
threads = 2
sessions = 3
memory_bytes = 1_073_741_824
output_bytes = 65_536
calls = 4
load_ms = 1_000
run_ms = 2_000
idle_ms = 3_000
store_bytes = 0
"#,
    );
    let expected = InferenceConfig {
        engines: InferenceEngines::OnnxRuntime,
        library: Some("/opt/libonnxruntime.so".into()),
        provider: InferenceProvider::Cuda,
        threads: Some(2),
        sessions: 3,
        memory_bytes: 1_073_741_824,
        // As much as the lowered memory allows.
        model_bytes: 1_073_741_824,
        output_bytes: 65_536,
        calls: 4,
        load_ms: 1_000,
        run_ms: 2_000,
        idle_ms: 3_000,
        store_bytes: 0,
    };
    assert_eq!(config.inference, expected);
}

#[test]
fn where_calls_run_is_read() {
    let config = parse(
        r#"
[mesh]
roles = ["inference", "storage"]
strategy = "scored"
local_first_below = 0.5
engine_floor = "48.0.1"
discovery = "lan"
"#,
    );
    let expected = MeshConfig {
        roles: vec!["inference".to_owned(), "storage".to_owned()],
        strategy: RoutingStrategy::Scored,
        local_first_below: 500,
        engine_floor: Some(semver::Version::new(48, 0, 1)),
        discovery: Discovery::Lan,
    };
    assert_eq!(config.mesh, expected);
    for (value, thousandths) in [("0", 0), ("0.0", 0), ("0.8", 800), ("0.999", 999), ("1", 1_000)] {
        let text = format!("[mesh]\nlocal_first_below = {value}");
        assert_eq!(parse(&text).mesh.local_first_below, thousandths, "{value}");
    }
}

#[test]
fn engines_are_named_as_the_configuration_writes_them() {
    for engines in InferenceEngines::ALL {
        assert_eq!(engines.name().parse(), Ok(engines));
        let text = format!("[inference]\nengines = \"{}\"", engines.name());
        assert_eq!(parse(&text).inference.engines, engines);
    }
    assert_eq!("ort".parse::<InferenceEngines>(), Err(UnknownEngines));
    for provider in InferenceProvider::ALL {
        assert_eq!(provider.name().parse(), Ok(provider));
    }
    assert_eq!("gpu".parse::<InferenceProvider>(), Err(UnknownProvider));
}

#[test]
fn a_lowered_ceiling_lowers_the_default() {
    let config = parse("[ceiling.limits]\nfuel = 5");
    assert_eq!(config.ceiling.default_limits.fuel, 5);
}

#[test]
fn wrong_values_are_refused_where_they_stand() {
    for (text, line, part, hint) in [
        ("concurency = 8", 1, "unknown field", Some("did you mean `concurrency`?")),
        ("concurrency = 0", 1, "`concurrency` is 0", Some("from 1 to 1024")),
        ("\nconcurrency = 9_000", 2, "`concurrency` is 9000", Some("from 1 to 1024")),
        ("concurrency = -1", 1, "invalid value", None),
        ("concurrency = \"8\"", 1, "invalid type", None),
        ("durability = \"always\"", 1, "unknown variant", None),
        ("[ceiling]\nfolders = \"all\"", 2, "unknown variant", None),
        ("[ceiling.risk]\nuser = \"critical\"", 2, "asked for each time", Some("high")),
        (
            "[ceiling.limits]\nmemory_bytes = 1_099_511_627_776",
            2,
            "`memory_bytes` is above",
            Some("or less"),
        ),
        ("[limits]\ndeadline_ms = 700_000", 2, "the node's ceiling", Some("600000 or less")),
        ("[limits]\ndeadlin_ms = 7", 2, "no limit", Some("did you mean `deadline_ms`?")),
        ("[compile]\nmemory_bytes = 1", 2, "`memory_bytes` is 1", Some("1073741824")),
        ("[inference]\nengine = \"any\"", 2, "unknown field", Some("did you mean `engines`?")),
        ("[inference]\nengines = \"ort\"", 2, "unknown variant", None),
        ("[inference]\nprovider = \"gpu\"", 2, "unknown variant", Some("cpu")),
        ("[inference]\nlibrary = \"lib.so\"", 2, "not an absolute path", Some("whole path")),
        ("[inference]\nthreads = 0", 2, "`threads` is 0", Some("from 1 to 1024")),
        (
            "[inference]\nmemory_bytes = 268_435_456\nmodel_bytes = 268_435_457",
            3,
            "`model_bytes` is",
            Some("to 268435456"),
        ),
        (
            "[inference]\nengines = \"embedded\"\nprovider = \"cuda\"",
            3,
            "on the processor alone",
            Some("provider = \"cpu\""),
        ),
        (
            "[inference]\nlibrary = \"/a\"\nengines = \"embedded\"",
            2,
            "has no library",
            Some("leave `library` out"),
        ),
        ("[mesh]\nstrategy = \"best\"", 2, "unknown variant", None),
        ("[mesh]\nlocal_first_below = 1.5", 2, "`local_first_below` is 1.5", Some("0 to 1")),
        ("[mesh]\nlocal_first_below = nan", 2, "`local_first_below` is NaN", Some("0 to 1")),
        ("[mesh]\nroles = [\"a\", \"b c\"]", 2, "not the name of a role", Some("letters")),
        ("[mesh]\nroles = [\"a\", \"a\"]", 2, "twice", Some("once")),
        ("[mesh]\nengine_floor = \"48\"", 2, "no version", Some("48.0.0")),
        ("[mesh]\ndiscovery = \"lam\"", 2, "unknown variant", Some("lan")),
    ] {
        let error = NodeConfig::parse("meshhost.toml", text).unwrap_err();
        assert_eq!((error.line, error.code), (line, Code::ConfigInvalid), "{}", error.render());
        assert!(error.message.contains(part), "{}", error.render());
        if let Some(hint) = hint {
            assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{}", error.render());
        }
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), key in "[a-z_.]{1,12}", value in "[ -~]{0,12}") {
        let _ = NodeConfig::parse("x", &text);
        let _ = NodeConfig::parse("x", &format!("{key} = {value}"));
    }
}
