//! A node in the background: `meshhost up` and `meshhost down`.

use std::{fs, io::Write as _};

use meshhost_core::code::Exit;

use crate::support::{Home, guest, until};

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

#[test]
fn what_a_node_in_the_background_says_is_kept_in_two_files_of_so_many_bytes() {
    let up = Up(Home::new());
    let home = &up.0;
    home.json(["up", "--allow-root", "--log", "debug"]);
    let data = home.data();
    let (log, older) = (data.join("serve.log"), data.join("serve.log.1"));
    let fill = |with: u8| {
        let mut open = fs::OpenOptions::new().append(true).open(&log).expect("the log is there");
        open.write_all(&vec![with; 9 << 20]).expect("it is written to");
        until("the log begins anew", || {
            let begun = fs::metadata(&log).ok()?.len() < 1 << 20;
            fs::read(&older).ok().filter(|said| begun && said.contains(&with))
        });
    };
    for with in [b'a', b'b'] {
        fill(with);
    }
    home.run(["call", "no.such"]).expect(Exit::NotFound as i32);
    until("it is written on", || {
        fs::read_to_string(&log).ok().filter(|said| said.contains("denied"))
    });
    let logs = fs::read_dir(&data).expect("a folder").filter(|entry| {
        let name = entry.as_ref().map(|entry| entry.file_name().to_string_lossy().into_owned());
        name.is_ok_and(|name| name.starts_with("serve.log"))
    });
    assert_eq!(logs.count(), 2);
}
