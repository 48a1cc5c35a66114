//! A node in the background: `meshhost up` and `meshhost down`.

use meshhost_core::code::Exit;

use crate::support::{Home, guest};

/// Ends the node also when the test fails.
struct Up(Home);

impl Drop for Up {
    fn drop(&mut self) {
        self.0.run(["down"]);
    }
}

#[test]
fn a_node_comes_up_once_serves_and_goes_down() {
    let up = Up(Home::new());
    let home = &up.0;
    let first = home.json(["up", "--allow-root"]);
    assert_eq!(first["already"], false, "{first}");
    let second = home.json(["up", "--allow-root"]);
    assert_eq!((&second["already"], &second["pid"]), (&true.into(), &first["pid"]), "{second}");
    home.install(&guest("conformance-echo"), &[]);
    let begun = home.json(["mesh", "init", "home", "--listen", "127.0.0.1:0"]);
    assert_eq!(begun["serves"], true, "the node in the background took part: {begun}");
    let answer = home.json(["call", "conformance_echo.echo", "message=hello"]);
    assert_eq!(answer["data"], "hello");
    assert_eq!(home.json(["down"])["pid"], first["pid"]);
    let again = home.json(["down"]);
    assert_eq!(again["pid"], serde_json::Value::Null, "{again}");
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn a_node_that_cannot_start_says_why() {
    let up = Up(Home::new());
    let home = &up.0;
    let file = home.file("node.toml", "[mesh]\nstrategy = \"guess\"\n");
    let config = file.to_str().expect("a name");
    let refused = home.run(["up", "--allow-root", "--config", config]);
    refused.expect(Exit::Unreachable as i32).says("the node did not start").says("node.toml");
    let none = home.run(["down"]).expect(0).stdout;
    assert!(none.contains("no node serves"), "{none}");
}
