//! A hostile component for every limit, through the real binary: each ends with its own code, and
//! the node answers the next call as if nothing had happened.

use meshhost_core::code::Exit;

use crate::support::{Home, wat};

/// One hostile component: what it exports as `f`, and how a call of it must end.
struct Case {
    name: &'static str,
    text: String,
    exit: Exit,
    code: &'static str,
}

/// A component with one core module whose function `f` has this body.
fn body(code: &str) -> String {
    module(&format!("(memory (export \"mem\") 1) (func $f (export \"f\") {code})"))
}

/// A component with this core module, lifting its `f`.
fn module(fields: &str) -> String {
    format!(
        "(component
            (core module $m {fields})
            (core instance $i (instantiate $m))
            (func (export \"f\") (canon lift (core func $i \"f\"))))"
    )
}

const SPIN: &str = "(loop $again br $again)";
const GROW: &str = "(loop $again
    (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
    br $again)";

fn cases() -> Vec<Case> {
    let case = |name, text, exit, code| Case { name, text, exit, code };
    vec![
        case("spin", body(SPIN), Exit::Timeout, "deadline"),
        case(
            "spin-at-start",
            module(&format!("(func $s {SPIN}) (start $s) (func (export \"f\"))")),
            Exit::Timeout,
            "deadline",
        ),
        case("grow-memory", body(GROW), Exit::Limit, "limit-memory"),
        case(
            "many-memories",
            many_memories(),
            Exit::Limit,
            "limit-memory",
        ),
        case(
            "recurse",
            body("call $f"),
            Exit::Limit,
            "limit-recursion",
        ),
        case(
            "grow-table",
            module(
                "(table $t 1 funcref) (func (export \"f\") (loop $again
                    (if (i32.eq (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))
                        (then unreachable))
                    br $again))",
            ),
            Exit::Limit,
            "limit-table",
        ),
        case(
            "trap",
            body("unreachable"),
            Exit::Trap,
            "trap",
        ),
    ]
}

/// Four core instances, each with a memory of its own that it grows: the limit is their sum.
fn many_memories() -> String {
    let instances: String =
        (0..4).map(|index| format!("(core instance $i{index} (instantiate $m))")).collect();
    let calls: String = (0..4).map(|index| format!("(call $f{index})")).collect();
    let imports: String =
        (0..4).map(|index| format!("(import \"i{index}\" \"f\" (func $f{index}))")).collect();
    let arguments: String =
        (0..4).map(|index| format!("(with \"i{index}\" (instance $i{index}))")).collect();
    format!(
        "(component
            (core module $m (memory 1) (func (export \"f\")
                (drop (memory.grow (i32.const 1500)))
                (if (i32.lt_u (memory.size) (i32.const 1501)) (then unreachable))))
            {instances}
            (core module $all {imports} (func (export \"f\") {calls}))
            (core instance $a (instantiate $all {arguments}))
            (func (export \"f\") (canon lift (core func $a \"f\"))))"
    )
}

#[test]
fn every_limit_ends_its_call_with_its_own_code_and_the_node_serves_on() {
    let home = Home::new();
    let good = wat(&home, "good", &body(""));
    home.run(["plugin".as_ref(), "install".as_ref(), good.as_os_str()]).expect(0);
    let node = home.serve();
    for Case { name, text, exit, code } in cases() {
        let file = wat(&home, name, &text);
        home.run(["plugin".as_ref(), "install".as_ref(), file.as_os_str()]).expect(0);
        let call = home.run(["call", &format!("{name}.f"), "--timeout", "1s", "--json"]);
        let call = call.expect(i32::from(exit as u8));
        assert_eq!(call.json()["error"]["code"], code, "{name}");
        home.run(["call", "good.f"]).expect(0);
    }
    home.run(["audit", "verify"]).expect(0);
    assert_eq!(node.stop(), Some(0));
}
