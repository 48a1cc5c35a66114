//! Real components, damaged ones, and hostile ones.

use meshhost_core::{config::COMPONENT_BYTES_MAX, id::Digest};
use proptest::{prelude::*, test_runner::RngSeed};
use wasm_encoder::{CustomSection, Encode as _};

use super::*;
use crate::fixture::{HOST, component};

mod shipped;

const WEATHER: &str = "
package acme:weather@1.2.0;
interface api {
  resource station { name: func() -> string; }
  record reading { degrees: f32 }
  current: func(place: string) -> result<reading, string>;
  follow: func(s: borrow<station>);
}
world test {
  import wasi:clocks/wall-clock@0.2.3;
  import wasi:sockets/tcp@0.2.0;
  import wasi:clocks/monotonic-clock@0.3.0;
  import wasi:sockets/types@0.3.0;
  import wasi:keyvalue/store@0.2.0;
  import acme:other/things;
  import stray: func();
  export api;
  export say-hello: func(name: string) -> string;
  export exports: interface { init: func(); go: func(); }
}
package wasi:clocks@0.2.3 { interface wall-clock { now: func() -> u64; } }
package wasi:clocks@0.3.0 { interface monotonic-clock { now: func() -> u64; } }
package wasi:sockets@0.3.0 { interface types { open: func(); } }
package wasi:sockets@0.2.0 { interface tcp { open: func(); } }
package wasi:keyvalue@0.2.0 { interface store { get: func(); } }
package acme:other { interface things { f: func(); } }
";

fn with_section(mut component: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    component.push(0);
    CustomSection { name: name.into(), data: data.into() }.encode(&mut component);
    component
}

fn ids(inspection: &Inspection) -> Vec<(&str, &str)> {
    let ids = inspection.capabilities.iter();
    ids.map(|capability| (capability.id.as_str(), capability.long_id.as_str())).collect()
}

fn reason<'a>(inspection: &'a Inspection, export: &str) -> Option<&'a str> {
    let report = inspection.exports.iter().find(|report| report.name == export).unwrap();
    report.reason.as_deref()
}

fn refusal(bytes: &[u8]) -> InspectError {
    inspect(bytes, "plugin").unwrap_err()
}

#[test]
fn functions_become_capabilities_with_ids_and_versions() {
    let bytes = component(WEATHER);
    let inspection = inspect(&bytes, "my-plugin").unwrap();
    assert_eq!(
        ids(&inspection),
        [
            ("my_plugin.say_hello", "my_plugin.say_hello"),
            ("acme.weather.api.current", "acme.weather.api.current"),
            ("my_plugin.exports.go", "my_plugin.exports.go"),
        ]
    );
    let [hello, current, ..] = &inspection.capabilities[..] else { panic!("too few") };
    assert_eq!(current.version, semver::Version::new(1, 2, 0));
    assert_eq!(current.export.interface.as_deref(), Some("acme:weather/api@1.2.0"));
    assert_eq!(current.export.function, "current");
    assert_eq!(current.error_schema.as_ref().unwrap()["type"], "string");
    assert_eq!(hello.version, semver::Version::new(0, 0, 0));
    assert_eq!(hello.export.interface, None);
    assert!(reason(&inspection, "acme:weather/api@1.2.0#follow").unwrap().contains("`station`"));
    let method = reason(&inspection, "acme:weather/api@1.2.0#[method]station.name").unwrap();
    assert!(method.contains("belongs to the resource `station`"));
    assert_eq!(reason(&inspection, "exports#init"), Some("a toolchain exports it for itself"));
    assert_eq!(reason(&inspection, "say-hello"), None);
    assert!(inspection.reserved.is_empty() && !inspection.is_command);
}

#[test]
fn the_report_has_digest_sizes_producers_and_wit() {
    let bytes = component(WEATHER);
    let inspection = inspect(&bytes, "weather").unwrap();
    assert_eq!(inspection.digest, Digest::of(&bytes));
    assert_eq!(inspection.size_bytes, u64::try_from(bytes.len()).unwrap());
    assert!(inspection.wit.contains("export acme:weather/api@1.2.0;"), "{}", inspection.wit);
    assert!(inspection.wit.contains("record reading"));
    let tools: Vec<_> = inspection.producers.iter().map(|tool| tool.1.as_str()).collect();
    assert_eq!(tools, ["wit-component"]);
    let sections: u64 = inspection.section_bytes.iter().map(|section| section.1).sum();
    assert!(sections > 0 && sections <= inspection.size_bytes);
    assert!(inspection.section_bytes.is_sorted_by_key(|section| std::cmp::Reverse(section.1)));
    assert!(inspection.core_instances > 0);
    assert_eq!(inspection.manifest, None);
}

#[test]
fn every_import_is_classed() {
    let inspection = inspect(&component(WEATHER), "weather").unwrap();
    let class = |name: &str| {
        let import = inspection.imports.iter().find(|import| import.name == name);
        &import.unwrap_or_else(|| panic!("{name} is missing")).class
    };
    let clock = ImportClass::NeedsGrant { permissions: vec!["clock".into()] };
    assert_eq!(class("wasi:clocks/wall-clock@0.2.3"), &clock);
    assert_eq!(class("wasi:sockets/tcp@0.2.0"), &ImportClass::AlwaysDenied);
    assert_eq!(class("wasi:clocks/monotonic-clock@0.3.0"), &clock);
    let newer = class("wasi:sockets/types@0.3.0");
    assert!(matches!(newer, ImportClass::NotSupported { reason } if reason.contains("WASI 0.2")));
    let draft = ImportClass::VersionMismatch { provided: "0.2.0-draft".into() };
    assert_eq!(class("wasi:keyvalue/store@0.2.0"), &draft);
    let ImportClass::FromPlugin { links } = class("acme:other/things") else {
        panic!("{:?}", class("acme:other/things"));
    };
    assert_eq!(links[0].callee.capability.as_str(), "acme.other.things.f");
    assert!(links[0].callee.type_hash.is_some() && links[0].callee.version.is_none());
    assert_eq!(class("stray"), &ImportClass::Unknown);
}

#[test]
fn shipped_contracts_have_short_ids_and_other_names_of_ours_are_reserved() {
    let git = format!(
        "package meshhost:git@0.1.0; {HOST}
         interface repository {{
           use meshhost:blob/types@0.1.0.{{blob}};
           show-file: func(path: option<string>) -> blob;
         }}
         world test {{ export repository; }}"
    );
    let inspection = inspect(&component(&git), "git").unwrap();
    assert_eq!(ids(&inspection), [("git.show_file", "git.repository.show_file")]);
    assert!(inspection.reserved.is_empty());
    let blob = inspection.imports.iter().find(|import| import.name.starts_with("meshhost:blob"));
    assert_eq!(blob.unwrap().class, ImportClass::Provided);

    for wit in [
        "package meshhost:weather@0.1.0; interface api { f: func(); } world test { export api; }",
        "package meshhost:git@0.1.0; interface other { f: func(); } world test { export other; }",
        "package meshhost:mesh@0.1.0; interface invoke { f: func(); } world test { export invoke; }",
        "package chp:core; interface api { f: func(); } world test { export api; }",
    ] {
        assert_eq!(inspect(&component(wit), "p").unwrap().reserved.len(), 1, "{wit}");
    }
    let plain = "package a:b; world test { export f: func(); }";
    assert_eq!(inspect(&component(plain), "chp").unwrap().reserved.len(), 1);
}

#[test]
fn a_command_becomes_run() {
    let wit = |version: &str| {
        format!(
            "package a:b; world test {{ export wasi:cli/run@{version}; }}
             package wasi:cli@{version} {{ interface run {{ run: func() -> result; }} }}"
        )
    };
    for known in ["0.2.6", "0.3.0"] {
        let inspection = inspect(&component(&wit(known)), "jq").unwrap();
        assert!(inspection.is_command);
        assert_eq!(ids(&inspection), [("jq.run", "jq.run")]);
        assert!(inspection.capabilities[0].input_schema["properties"].get("stdin").is_some());
    }
    let inspection = inspect(&component(&wit("0.4.0")), "jq").unwrap();
    assert!(!inspection.is_command && inspection.capabilities.is_empty());
    let unknown = reason(&inspection, "wasi:cli/run@0.4.0#run");
    assert_eq!(unknown, Some("this release runs WASI 0.2 and 0.3"));
}

#[test]
fn two_exports_with_one_id_make_one_capability() {
    let wit = "package a:b; world test { export run: func(); export wasi:cli/run@0.2.0; }
               package wasi:cli@0.2.0 { interface run { run: func() -> result; } }";
    let inspection = inspect(&component(wit), "tool").unwrap();
    assert_eq!(inspection.capabilities.len(), 1);
    let refused = inspection.exports.iter().filter_map(|export| export.reason.as_deref());
    assert_eq!(refused.collect::<Vec<_>>(), ["another export has the id `tool.run` already"]);
}

#[test]
fn manifest_and_comments_are_read_from_their_sections() {
    let docs = serde_json::json!({
        "interfaces": {
            "acme:weather/api@1.2.0": {
                "functions": { "current": {
                    "docs": "Asks for the weather.", "parameters": { "place": "Where." },
                } },
                "types": { "reading": { "docs": "One reading.", "items": { "degrees": "Degrees." } } },
            },
            "acme:weather/absent@1.2.0": { "docs": "Not in the component." },
        },
        "world": { "functions": { "say-hello": { "docs": "Says hello." } } },
    });
    let bytes = with_section(component(WEATHER), "meshhost:manifest", b"name = \"weather\"");
    let bytes = with_section(bytes, "meshhost:docs", docs.to_string().as_bytes());
    let inspection = inspect(&bytes, "weather").unwrap();
    assert_eq!(inspection.manifest.as_deref(), Some("name = \"weather\""));
    let [hello, current, ..] = &inspection.capabilities[..] else { panic!("too few") };
    assert_eq!(current.description, "Asks for the weather.");
    assert_eq!(current.input_schema["properties"]["place"]["description"], "Where.");
    assert_eq!(current.output_schema["description"], "One reading.");
    assert_eq!(current.output_schema["properties"]["degrees"]["description"], "Degrees.");
    assert_eq!(hello.description, "Says hello.");
    assert!(inspection.wit.contains("/// Asks for the weather."));

    let twice = with_section(bytes.clone(), "meshhost:manifest", b"");
    assert!(refusal(&twice).message.contains("two sections `meshhost:manifest`"));
    let broken = with_section(component(WEATHER), "meshhost:docs", b"{");
    assert!(refusal(&broken).message.contains("meshhost:docs"));
    let not_text = with_section(component(WEATHER), "meshhost:manifest", b"\xff");
    assert!(refusal(&not_text).message.contains("not UTF-8"));
}

#[test]
fn what_is_no_component_is_refused_with_its_reason() {
    let module = wat::parse_str("(module)").unwrap();
    assert!(refusal(&module).message.contains("core module"));
    for bytes in [&b""[..], b"\0as", b"PK\x03\x04 a zip file", &[0xff; 4096]] {
        assert!(refusal(bytes).message.contains("not WebAssembly"));
    }
    let gc = "(component (core module (type (struct (field i32)))))";
    let error = refusal(&wat::parse_str(gc).unwrap());
    assert_eq!(error.code, Code::InvalidComponent);
    assert!(error.message.contains("at byte"), "{error}");
    for off in [
        "(component (core module (memory i64 1)))",
        "(component (core module (memory 1 1 shared)))",
        "(component (core module (memory 1) (memory 1)))",
        "(component (core module (tag)))",
        "(component (core module (func return_call 0)))",
        "(component (core module (func (param externref))))",
    ] {
        let error = refusal(&wat::parse_str(off).unwrap());
        assert_eq!(error.code, Code::InvalidComponent, "{off}");
    }
    let two = "(component (core module (memory 1)) (core module (memory 1)))";
    inspect(&wat::parse_str(two).unwrap(), "two").unwrap();
}

#[test]
fn every_truncation_is_refused() {
    let bytes = component(WEATHER);
    for length in 0..bytes.len() {
        // A cut exactly between two sections can leave a smaller valid component.
        if let Err(error) = inspect(&bytes[..length], "cut") {
            assert_eq!(error.code, Code::InvalidComponent);
        }
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    bytes.resize(COMPONENT_BYTES_MAX + 1, 0);
    assert_eq!(refusal(&bytes).code, Code::ComponentTooLarge);
}

#[test]
fn very_many_declarations_are_refused_before_they_are_read() {
    // One instance type with three million types in it, two bytes each.
    let mut section = vec![1_u8, 0x42];
    3_000_000_u32.encode(&mut section);
    section.extend([0x01, 0x7f].repeat(3_000_000));
    let mut bytes = b"\0asm\x0d\0\x01\0\x07".to_vec();
    section.as_slice().encode(&mut bytes);
    let error = refusal(&bytes);
    assert_eq!(error.code, Code::ComponentTooLarge);
    assert!(error.message.contains("declarations"), "{error}");
}

/// A component type section whose one type nests `depth` instance types, three bytes each.
fn nested_declarations(depth: usize) -> Vec<u8> {
    let mut section = vec![1_u8];
    for _ in 0..depth {
        section.extend([0x42, 0x01, 0x01]);
    }
    section.extend([0x42, 0x00]);
    let mut bytes = b"\0asm\x0d\0\x01\0\x07".to_vec();
    section.as_slice().encode(&mut bytes);
    bytes
}

#[test]
fn declarations_that_nest_deeply_do_not_overflow_the_stack() {
    inspect(&nested_declarations(3), "shallow").unwrap();
    let error = refusal(&nested_declarations(1_000_000));
    assert_eq!(error.code, Code::ComponentTooLarge);
}

#[test]
fn components_and_value_types_that_nest_deeply_are_refused() {
    let nested = |depth: usize| format!("{}{}", "(component ".repeat(depth), ")".repeat(depth));
    inspect(&wat::parse_str(nested(10)).unwrap(), "shallow").unwrap();
    assert_eq!(refusal(&wat::parse_str(nested(40)).unwrap()).code, Code::ComponentTooLarge);

    let mut chain = "(type (list u8))".to_owned();
    for level in 0..5_000 {
        chain.push_str(&format!("(type (list {level}))"));
    }
    let error = refusal(&wat::parse_str(format!("(component {chain})")).unwrap());
    assert_eq!(error.code, Code::InvalidComponent);
}

#[test]
fn core_instances_are_counted_through_nested_components() {
    // Each component instantiates the one before twice: 2^12 instances of one module.
    let mut text = "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
    for level in 1..=12 {
        let below = level - 1;
        text.push_str(&format!(
            "(component $c{level} (alias outer $root $c{below} (component $c))
               (instance (instantiate $c)) (instance (instantiate $c)))"
        ));
    }
    let twelve = format!("(component $root {text} (instance (instantiate $c12)))");
    let inspection = inspect(&wat::parse_str(twelve).unwrap(), "many").unwrap();
    assert_eq!(inspection.core_instances, 4096);
    let more = format!(
        "(component $root {text} (instance (instantiate $c12)) (instance (instantiate $c12))
           (instance (instantiate $c12)))"
    );
    assert_eq!(refusal(&wat::parse_str(more).unwrap()).code, Code::ComponentTooLarge);
    let unknown = "(component (import \"c\" (component $c)) (instance (instantiate $c)))";
    assert_eq!(refusal(&wat::parse_str(unknown).unwrap()).code, Code::ComponentTooLarge);
}

#[test]
fn the_engine_is_named_with_its_reasons() {
    let engine = |text: &str| {
        let text = format!("(component {text})");
        let inspection = inspect(&wat::parse_str(text).unwrap(), "new").unwrap();
        assert!(inspection.unsupported.is_empty());
        inspection.engine
    };
    let uses = |ty: &str| engine(&format!("(type $t {ty}) (import \"f\" (func (param \"x\" $t)))"));
    for plain in ["(list u8)", "(map string u8)"] {
        assert_eq!(uses(plain), EngineReport { kind: EngineKind::Plain, reasons: Vec::new() });
    }
    let fixed = uses("(list u8 4)");
    assert_eq!(fixed.kind, EngineKind::Concurrent);
    assert_eq!(fixed.reasons, ["lists of fixed length"]);
    for asynchronous in [uses("(stream u8)"), engine("(import \"f\" (func async))")] {
        assert_eq!(asynchronous.kind, EngineKind::Concurrent);
        assert!(asynchronous.reasons[0].contains("WASI 0.3"), "{asynchronous:?}");
    }
    let both = engine("(type (list u8 4)) (type (future u8))");
    assert_eq!(both.reasons.len(), 2);
}

#[test]
fn a_list_of_very_many_elements_is_inspected_at_once() {
    let text = "(component (type $t (list u64 1000000000)) (import \"f\" (func (param \"x\" $t))))";
    let inspection = inspect(&wat::parse_str(text).unwrap(), "long").unwrap();
    assert_eq!(inspection.engine.kind, EngineKind::Concurrent);
}

#[test]
fn what_no_engine_runs_is_named() {
    let text = "(component (type $t error-context) (import \"f\" (func (param \"x\" $t))))";
    let inspection = inspect(&wat::parse_str(text).unwrap(), "new").unwrap();
    assert_eq!(inspection.unsupported, ["error contexts"]);
}

#[test]
fn imports_that_wit_cannot_name_are_unknown() {
    let text = "(component (import \"m\" (core module)))";
    let inspection = inspect(&wat::parse_str(text).unwrap(), "odd").unwrap();
    assert_eq!(inspection.imports.len(), 1);
    assert_eq!(inspection.imports[0].class, ImportClass::Unknown);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        static GOOD: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| component(WEATHER));
        let mut bytes = GOOD.clone();
        for (place, byte) in changes {
            let length = bytes.len();
            bytes[place.index(length)] = byte;
        }
        if let Err(error) = inspect(&bytes, "changed") {
            prop_assert!(error.message.len() <= MESSAGE_BYTES_MAX + 8);
        }
    }

    #[test]
    fn random_bytes_after_the_header_never_panic(tail in prop::collection::vec(any::<u8>(), 0..512)) {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        bytes.extend(tail);
        let _ = inspect(&bytes, "random");
    }
}
