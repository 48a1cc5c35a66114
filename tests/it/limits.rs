//! A hostile component for every limit, through the real binary: each ends with its own code, and
//! the node answers the next call as if nothing had happened.

use meshhost_core::code::{Code, Exit};
use serde_json::json;

use crate::{
    components::{self, SPIN, body, module, with_clock},
    support::{Home, guest, wat},
};

/// One hostile component, the option with which it is installed, and how a call of its `f` ends.
struct Case {
    name: &'static str,
    text: String,
    option: &'static str,
    code: Code,
}

fn memory_cases() -> Vec<Case> {
    let case = |name, text, option, code| Case { name, text, option, code };
    let grow = "(loop $again
        (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
        br $again)";
    let grow_table = "(table $t 1 funcref) (func (export \"f\") (loop $again
        (if (i32.eq (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))
            (then unreachable))
        br $again))";
    let large_table = module("(table 101 funcref) (func (export \"f\"))");
    let eight = "--limit memory_bytes=8MiB";
    let recurse = "(func $f (export \"f\") (local $n i32) (call $f) (drop (local.get $n)))";
    vec![
        case("grow-memory", body(grow), eight, Code::LimitMemory),
        case("grow-to-the-default", body(grow), "", Code::LimitMemory),
        case("many-memories", components::many_memories(), "", Code::LimitMemory),
        case(
            "large-memory",
            module("(memory 200) (func (export \"f\"))"),
            eight,
            Code::LimitMemory,
        ),
        case("grow-table", module(grow_table), "", Code::LimitTable),
        case("large-table", large_table, "--limit table_elements=100", Code::LimitTable),
        case("recurse", module(recurse), "", Code::LimitRecursion),
        case(
            "start-traps",
            module("(func $s unreachable) (start $s) (func (export \"f\"))"),
            "",
            Code::Trap,
        ),
        case("trap", body("unreachable"), "", Code::Trap),
    ]
}

fn time_cases() -> Vec<Case> {
    let case = |name, text, option, code| Case { name, text, option, code };
    let repeat = |operation: &str| {
        module(&format!(
            "(memory 256) (table 1 funcref) (func (export \"f\")
                (loop $again {operation} br $again))"
        ))
    };
    let start = format!("(func $s {SPIN}) (start $s) (func (export \"f\"))");
    let soon = "--limit deadline_ms=100";
    let fuel = "--limit fuel=200000000";
    vec![
        case("spin", body(SPIN), soon, Code::LimitDeadline),
        case("spin-at-start", module(&start), soon, Code::LimitDeadline),
        case("sleep-in-the-host", components::sleeper(), soon, Code::LimitDeadline),
        case("fuel", body(SPIN), "--limit fuel=3000000", Code::LimitFuel),
        case("fuel-at-start", module(&start), "--limit fuel=3000000", Code::LimitFuel),
        case("fuel-of-grow", repeat("(drop (memory.grow (i32.const 0)))"), fuel, Code::LimitFuel),
        case(
            "fuel-of-fill",
            repeat("(memory.fill (i32.const 0) (i32.const 1) (i32.const 16777216))"),
            fuel,
            Code::LimitFuel,
        ),
        case(
            "fuel-of-copy",
            repeat("(memory.copy (i32.const 0) (i32.const 1) (i32.const 16777215))"),
            fuel,
            Code::LimitFuel,
        ),
    ]
}

fn host_cases() -> Vec<Case> {
    let case = |name, text, option, code| Case { name, text, option, code };
    let hoard = with_clock("(loop $again (drop (call $sleep (i64.const 0))) (br $again))");
    let pester = with_clock("(loop $again (drop (call $now)) (br $again))");
    let list = components::bytes;
    vec![
        case("hoard-handles", hoard, "--limit handles=16", Code::LimitHandles),
        case("pester-the-host", pester, "--limit host_calls=100", Code::LimitHostCalls),
        case("long-list", list(100_000), "--limit hostcall_fuel=1000000", Code::LimitHostMemory),
        case("list-for-a-blob", list(100_000), "", Code::LimitList),
        case("long-output", list(60_000), "--limit output_bytes=1000", Code::LimitOutput),
        case(
            "long-input-of-a-call",
            components::caller("nobody.f", 100_000),
            "--limit host_buffer_bytes=64KiB",
            Code::LimitHostMemory,
        ),
        case("random-bytes", components::random_hoarder(), "", Code::LimitHostMemory),
        case("key-values", components::key_value_hoarder(), "--grant kv=8KiB", Code::LimitKeyValue),
        case("blobs", components::blob_hoarder(), "--limit blob_bytes=1MiB", Code::LimitBlob),
        case(
            "deep",
            components::strict_caller("deep.f"),
            "--limit call_depth=1",
            Code::LimitCallDepth,
        ),
    ]
}

#[test]
fn every_limit_ends_its_call_with_its_own_code_and_the_node_serves_on() {
    let home = Home::new();
    let good = wat(&home, "good", &components::nothing());
    home.install(&good, &[]);
    let node = home.serve();
    let before = home.json(["plugin", "permissions", "good"]);
    for Case { name, text, option, code } in
        memory_cases().into_iter().chain(time_cases()).chain(host_cases())
    {
        let file = wat(&home, name, &text);
        home.install(&file, &option.split_whitespace().collect::<Vec<_>>());
        let call = home.run_json(["call", &format!("{name}.f")]);
        assert_eq!(call.code_name(), code.info().name, "{name}: {}", call.stdout);
        assert_eq!(call.json()["outcome"], "failure", "{name}");
        call.expect(i32::from(code.exit() as u8));
        home.run(["call", "good.f"]).expect(0);
        assert_eq!(home.json(["plugin", "permissions", "good"]), before, "{name}");
    }
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

/// Components that are too much before they run, the most that is not, and the code.
#[test]
fn what_no_instance_may_have_is_refused_at_install() {
    let home = Home::new();
    let memory = |count| components::many(count, "(memory 1)");
    let tables = |count| components::many(count, "(table 1 funcref) (table 1 funcref)");
    let in_one =
        |count| module(&format!("{} (func (export \"f\"))", "(table 1 funcref)".repeat(count)));
    let table = [
        ("instances", components::many_instances(65), Some(Code::LimitInstances)),
        ("most-instances", components::many_instances(64), None),
        ("memories", memory(9), Some(Code::ComponentTooLarge)),
        ("most-memories", memory(8), None),
        ("tables", tables(17), Some(Code::ComponentTooLarge)),
        ("most-tables", tables(16), None),
        ("tables-in-one-module", in_one(5), Some(Code::ComponentTooLarge)),
        ("most-in-one-module", in_one(4), None),
    ];
    let node = home.serve();
    for (name, text, code) in table {
        let file = wat(&home, name, &text);
        let install = home.run_json(["plugin", "install", file.to_str().expect("text")]);
        if let Some(code) = code {
            assert_eq!(install.code_name(), code.info().name, "{name}: {}", install.stdout);
            install.expect(i32::from(code.exit() as u8));
            home.run(["call", &format!("{name}.f")]).expect(Exit::NotFound as i32);
        } else {
            install.expect(0);
            home.run(["call", &format!("{name}.f")]).expect(0);
        }
    }
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn a_ceiling_of_the_node_is_not_passed() {
    let home = Home::new();
    home.configure("[ceiling.limits]\nfuel = 3_000_000\n");
    home.install(&wat(&home, "spin", &body(SPIN)), &["--limit", "fuel=1000000000000"]);
    let call = home.run_json(["call", "spin.f"]);
    assert_eq!(call.code_name(), Code::LimitFuel.info().name);
}

#[test]
fn text_above_its_limit_is_counted_and_dropped_or_ends_the_call() {
    let home = Home::new();
    let grants = ["--grant", "log=4KiB", "--grant", "stdout=4KiB"];
    home.install(&guest("command"), &grants);
    let node = home.serve();
    let run = |words: serde_json::Value| {
        home.run_json(["call", "command.run", &format!("arguments:={words}")])
    };
    let flood = run(json!(["complain", "1000000"])).expect(0).json();
    assert_eq!(flood["usage"]["log_bytes"], 1_000_000);
    assert!(flood["log"].to_string().len() < 8 * 1024, "the rest is dropped");
    run(json!(["shout", "4096"])).expect(0);
    let too_much = run(json!(["shout", "4097"]));
    assert_eq!(too_much.code_name(), Code::LimitOutput.info().name);
    home.run(["plugin", "revoke", "command", "--all"]).expect(0);
    let silent = run(json!(["shout", "1000000"])).expect(0).json();
    assert_eq!(silent["data"]["stdout"], "", "without the grant it is dropped");
    node.stop_well();
}

#[test]
fn what_a_call_writes_into_blobs_is_bounded() {
    let home = Home::new();
    home.file("shared/large", vec![b'x'; 64 * 1024]);
    let grant = format!("fs:ro={}", home.work().join("shared").display());
    home.install(&guest("filesystem"), &["--grant", &grant, "--limit", "blob_bytes=4KiB"]);
    let read = ["call", "filesystem.read", "path=shared/large", "form=blob"];
    // The interface has an error for it, which the plugin passes on.
    let too_large = home.run_json(read);
    assert!(too_large.stdout.contains("no more blob bytes"), "{}", too_large.stdout);
    too_large.expect(Exit::PluginFailure as i32);
    home.run([&read[..], &["length=4096"]].concat()).expect(0);
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn a_list_that_should_be_a_blob_is_refused_before_anything_runs() {
    let home = Home::new();
    home.install(&wat(&home, "swallow", &components::swallower()), &[]);
    // Base64: three bytes of each four letters.
    let call = |bytes: usize| {
        let input = json!({"bytes": "AAAA".repeat(bytes / 3)}).to_string();
        let file = home.file("input.json", input);
        home.run_json(["call", "swallow.f", "--input", &format!("@{}", file.display())])
    };
    call(64 * 1024 - 1).expect(0);
    let refused = call(64 * 1024 + 2);
    assert_eq!(refused.code_name(), Code::LimitList.info().name, "{}", refused.stdout);
    assert_eq!(refused.json()["outcome"], "denied", "nothing ran");
    refused.expect(Exit::Limit as i32);
    call(3).expect(0);
}

#[test]
fn key_values_stay_within_their_quota_and_a_larger_one_goes_on() {
    let home = Home::new();
    home.install(&wat(&home, "hoarder", &components::key_value_hoarder()), &["--grant", "kv=8KiB"]);
    let node = home.serve();
    for quota in ["kv=8KiB", "kv=16KiB"] {
        home.run(["plugin", "grant", "hoarder", quota]).expect(0);
        for _ in 0..2 {
            let call = home.run_json(["call", "hoarder.f"]);
            assert_eq!(call.code_name(), Code::LimitKeyValue.info().name, "{}", call.stdout);
            call.expect(Exit::Limit as i32);
        }
    }
    // Without the grant there is no store, and the way to grant it is named.
    home.run(["plugin", "revoke", "hoarder", "--all"]).expect(0);
    let denied = home.run_json(["call", "hoarder.f"]).expect(Exit::Trap as i32).json();
    let command = denied["denied"][0]["command"].as_str().unwrap_or_default();
    assert!(command.starts_with("meshhost plugin grant hoarder kv="), "{denied}");
    node.stop_well();
}

#[test]
fn the_blobs_of_the_node_are_bounded() {
    let home = Home::new();
    home.configure("blob_bytes = 1_048_576\n");
    home.install(&wat(&home, "hoarder", &components::blob_hoarder()), &[]);
    let fits = home.file("fits", vec![b'x'; 512 * 1024]);
    let large = home.file("large", vec![b'y'; 1024 * 1024 + 1]);
    let node = home.serve();
    let put = |file: &std::path::Path| home.run_json(["blob", "put", file.to_str().expect("text")]);
    let refused = put(&large);
    assert_eq!(refused.code_name(), Code::LimitBlob.info().name, "{}", refused.stdout);
    refused.expect(Exit::Limit as i32);
    let call = home.run_json(["call", "hoarder.f"]);
    assert_eq!(call.code_name(), Code::LimitBlob.info().name, "{}", call.stdout);
    call.expect(Exit::Limit as i32);
    // What was refused takes no space.
    put(&fits).expect(0);
    node.stop_well();
}

#[test]
fn compiling_is_bounded_in_bytes_of_component_and_of_code_and_in_time() {
    let home = Home::new();
    home.configure("[compile]\ncomponent_bytes = 65_536\ncode_bytes = 1_048_576\n");
    let install = |name: &str, functions: usize| {
        let file = wat(&home, name, &components::much_code(functions));
        home.run_json(["plugin", "install", file.to_str().expect("text")])
    };
    install("little", 1).expect(0);
    let large = install("large", 500);
    assert_eq!(large.code_name(), Code::ComponentTooLarge.info().name, "{}", large.stdout);
    large.expect(Exit::Usage as i32);
    home.configure("[compile]\ncode_bytes = 1_048_576\n");
    let code = install("code", 2_000);
    assert_eq!(code.code_name(), Code::CompileLimit.info().name, "{}", code.stdout);
    assert!(code.stdout.contains("more memory, time or space"), "at once: {}", code.stdout);
    code.expect(i32::from(Code::CompileLimit.exit() as u8));
    home.configure("[compile]\ntime_ms = 1_000\n");
    // Ten times what a fast machine compiles in a second.
    let time = install("time", 20_000);
    assert_eq!(time.code_name(), Code::CompileLimit.info().name, "{}", time.stdout);
    time.expect(i32::from(Code::CompileLimit.exit() as u8));
    assert_eq!(home.json(["plugin", "list"])["plugins"].as_array().map(Vec::len), Some(1));
    home.run(["call", "little.f"]).expect(0);
    home.run(["audit", "verify"]).expect(0);
}
