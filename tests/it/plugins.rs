//! The plugin for files, and those that others could have written, installed and called as a person
//! does.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use meshhost_core::code::{Code, Exit};
use serde_json::{Value, json};

use crate::support::{Home, guest};

/// The error that a plugin answered with: its case.
#[track_caller]
fn case(home: &Home, words: &[&str]) -> String {
    let ran = home.run_json([&["call"], words].concat());
    let json = ran.json();
    ran.expect(Exit::PluginFailure as i32);
    json["error"]["details"]["tag"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
}

fn data(home: &Home, words: &[&str]) -> Value {
    home.json([&["call"], words].concat())["data"].clone()
}

fn paths(home: &Home, list: &Value, field: &str) -> Vec<String> {
    let root = format!("{}/", home.work().display());
    let all = list.as_array().unwrap_or_else(|| panic!("no list: {list}")).iter();
    let path = |one: &Value| if field.is_empty() { one.clone() } else { one[field].clone() };
    all.map(|one| path(one).as_str().expect("a path").replace(&root, "")).collect()
}

/// A home with the filesystem plugin, which may change the folder `shared`.
fn with_files() -> Home {
    let home = Home::new();
    home.file("shared/a.txt", "alpha\nbeta\ngamma\n");
    home.file("shared/deep/b.rs", "fn alpha() {}\n");
    home.file("shared/deep/.hidden", "alpha\n");
    home.file("outside/secret.txt", "secret");
    let grant = format!("fs:rw={}", home.work().join("shared").display());
    home.install(&guest("filesystem"), &["--grant", &grant]);
    home
}

#[test]
fn files_are_read_found_and_searched() {
    let home = with_files();
    let node = home.serve();
    let listed = data(&home, &["filesystem.list", "path=shared"]);
    assert_eq!(paths(&home, &listed["entries"], "path"), ["shared/a.txt", "shared/deep"]);
    let whole = data(&home, &["filesystem.read", "path=shared/a.txt"]);
    assert_eq!(whole["content"], json!({"tag": "text", "value": "alpha\nbeta\ngamma\n"}));
    let range = data(&home, &["filesystem.read", "path=shared/a.txt", "offset=6", "length=4"]);
    assert_eq!((&range["content"]["value"], &range["size"]), (&json!("beta"), &json!(17)));
    assert_eq!(case(&home, &["filesystem.read", "path=shared/a.txt", "offset=18"]), "invalid");
    let stat = data(&home, &["filesystem.stat", "path=shared/deep"]);
    assert_eq!(stat["kind"], "folder");
    let found = data(&home, &["filesystem.glob", "pattern=**/*.{rs,txt}", "path=shared"]);
    let mut found = paths(&home, &found["paths"], "");
    found.sort_unstable();
    assert_eq!(found, ["shared/a.txt", "shared/deep/b.rs"]);
    let lines =
        data(&home, &["filesystem.grep", "pattern=ALPHA", "path=shared", "ignore_case=true"]);
    assert_eq!(paths(&home, &lines["matches"], "path"), ["shared/a.txt", "shared/deep/b.rs"]);
    assert_eq!(lines["matches"][1]["column"], 4);
    // A large file comes as a blob, whole.
    let large: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    home.file("shared/large.bin", &large);
    let read = data(&home, &["filesystem.read", "path=shared/large.bin"]);
    let digest = read["content"]["value"]["blob"].as_str().expect("a blob").to_owned();
    home.run(["blob", "get", &digest, "copy.bin"]).expect(0);
    assert_eq!(fs::read(home.work().join("copy.bin")).expect("a file"), large);
    node.stop_well();
}

#[test]
fn files_are_written_moved_and_removed() {
    let home = with_files();
    let node = home.serve();
    let read = |path: &str| fs::read_to_string(home.work().join(path)).unwrap_or_default();
    data(&home, &["filesystem.write", "path=shared/new.txt", "text=one"]);
    data(&home, &["filesystem.append", "path=shared/new.txt", "text=two"]);
    assert_eq!(read("shared/new.txt"), "onetwo");
    let keep = ["filesystem.write", "path=shared/new.txt", "text=x", "existing=keep"];
    assert_eq!(case(&home, &keep), "already-exists");
    data(&home, &["filesystem.make_folder", "path=shared/x/y/z", "parents=true"]);
    data(&home, &["filesystem.move", "path=shared/new.txt", "destination=shared/x/y/z/moved.txt"]);
    assert_eq!(
        (read("shared/new.txt"), read("shared/x/y/z/moved.txt")),
        ("".into(), "onetwo".into())
    );
    assert_eq!(case(&home, &["filesystem.remove", "path=shared/x"]), "not-empty");
    assert_eq!(case(&home, &["filesystem.list", "path=shared/a.txt"]), "not-a-folder");
    assert_eq!(case(&home, &["filesystem.read", "path=shared/x"]), "is-a-folder");
    assert_eq!(case(&home, &["filesystem.stat", "path=shared/a.txt/b"]), "not-a-folder");
    data(&home, &["filesystem.remove", "path=shared/x", "recursive=true"]);
    assert!(!home.work().join("shared/x").exists());
    // From a file of the caller's, through a blob.
    let large = "y".repeat(300_000);
    home.file("large.txt", &large);
    data(&home, &["filesystem.write", "path=shared/copy.txt", "content=@large.txt"]);
    assert_eq!(read("shared/copy.txt"), large);
    node.stop_well();
}

#[test]
fn nothing_outside_a_granted_folder_is_reached() {
    let home = with_files();
    let work = home.work();
    symlink(work.join("outside"), work.join("shared/link")).expect("a link");
    symlink("../outside/secret.txt", work.join("shared/relative")).expect("a link");
    symlink("/proc/self/environ", work.join("shared/magic")).expect("a link");
    let node = home.serve();
    for path in [
        "shared/../outside/secret.txt",
        "outside/secret.txt",
        "/etc/passwd",
        "shared/link/secret.txt",
        "shared/relative",
        "shared/magic",
        "shared/deep/../../outside/secret.txt",
        "/proc/self/environ",
        "shared//../outside/secret.txt",
    ] {
        let written = format!("path={path}");
        // Past the command line, which makes paths absolute, as another program would say it.
        let raw = json!({"path": format!("{}/{path}", work.display())}).to_string();
        for words in [vec![written.as_str()], vec!["--input", raw.as_str()]] {
            let call = [vec!["filesystem.read"], words].concat();
            let case = case(&home, &call);
            assert!(["not-permitted", "not-found"].contains(&case.as_str()), "{path}: {case}");
        }
        let write = ["filesystem.write", written.as_str(), "text=mine"];
        home.run([&["call"], &write[..]].concat()).expect(Exit::PluginFailure as i32);
    }
    let secret = fs::read_to_string(work.join("outside/secret.txt")).expect("a file");
    assert_eq!(secret, "secret");
    let found = data(&home, &["filesystem.grep", "pattern=secret", "path=shared"]);
    assert_eq!(found["matches"], json!([]), "links are not followed");
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn names_through_which_others_execute_are_left_out_of_writing() {
    let home = with_files();
    let node = home.serve();
    for name in
        [".git/hooks/pre-commit", ".git/config", ".envrc", ".bashrc", ".ssh/authorized_keys"]
    {
        home.file(&format!("shared/{name}"), "theirs");
        let path = format!("path=shared/{name}");
        data(&home, &["filesystem.read", &path]);
        let write = case(&home, &["filesystem.write", &path, "text=mine"]);
        assert_eq!(write, "not-permitted", "{name}");
        let remove = case(&home, &["filesystem.remove", &path]);
        assert_eq!(remove, "not-permitted", "{name}");
        let content = fs::read_to_string(home.work().join("shared").join(name)).expect("a file");
        assert_eq!(content, "theirs");
    }
    let moved = ["filesystem.move", "path=shared/a.txt", "destination=shared/.zshrc"];
    assert_eq!(case(&home, &moved), "not-permitted");
    node.stop_well();
}

/// Runs the git program in `folder`, without the settings of this machine.
pub(crate) fn git(folder: &Path, words: &[&str]) -> String {
    let who = ["-c", "user.name=A U Thor", "-c", "user.email=author@example.org"];
    let mut git = Command::new("git");
    git.current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(["-c", "safe.directory=*", "-c", "init.defaultBranch=main"])
        .args(who)
        .args(words);
    let output = git.output().expect("the git program");
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A repository with a merge, a rename, a tag, packed references and an unusual name.
pub(crate) fn generated(home: &Home) -> std::path::PathBuf {
    let folder = home.work().join("made");
    fs::create_dir(&folder).expect("a folder");
    git(&folder, &["init", "-q"]);
    let commit = |file: &str, content: &str, message: &str| {
        fs::write(folder.join(file), content).expect("a file");
        git(&folder, &["add", "--all"]);
        git(&folder, &["commit", "-q", "-m", message]);
    };
    commit("one.txt", "1\n2\n3\n4\n5\n", "first");
    commit("näme with space", "x\n", "unusual name");
    git(&folder, &["checkout", "-q", "-b", "side"]);
    commit("one.txt", "1\n2\nthree\n4\n5\n", "side");
    git(&folder, &["checkout", "-q", "main"]);
    commit("two.txt", "other\n", "on main");
    git(&folder, &["merge", "-q", "--no-edit", "side"]);
    git(&folder, &["mv", "one.txt", "renamed.txt"]);
    commit("two.txt", "other\nmore\n", "rename\n\nwith a body");
    git(&folder, &["tag", "-a", "v1", "-m", "one"]);
    git(&folder, &["pack-refs", "--all"]);
    folder
}

#[test]
fn a_python_component_is_granted_limited_and_called() {
    let home = Home::new();
    let file = home.file("notes/a.txt", "from a file");
    home.install(&guest("python-echo"), &["--grant", "random"]);
    let node = home.serve();
    let echo = "fixture.python_echo.echo";
    let call = |function: &str, words: &[&str]| {
        let id = format!("{echo}.{function}");
        home.run_json([&["call", id.as_str()], words].concat())
    };
    assert_eq!(call("text", &["text=grüße \u{1f642}"]).expect(0).json()["data"], "grüße \u{1f642}");
    assert_eq!(call("sum", &["numbers=1", "numbers=2", "numbers=39"]).expect(0).json()["data"], 42);
    let person = json!({"person": {"name": "Ada", "age": 36, "aliases": ["A"], "email": null}});
    let older = call("birthday", &["--input", &person.to_string()]).expect(0).json();
    assert_eq!((&older["data"]["age"], &older["data"]["email"]), (&json!(37), &Value::Null));
    let people = json!({"people": [person["person"]]}).to_string();
    let greeted = call("greet", &["--input", &people]).expect(0).json();
    assert_eq!(greeted["data"], json!(["hello Ada"]));
    let nobody = call("greet", &["people:=[]"]);
    assert_eq!(
        nobody.json()["error"]["details"],
        json!({"tag": "refused", "value": "nobody to greet"})
    );
    let path = format!("path={}", file.display());
    assert_eq!(call("read", &[&path]).code, Exit::PluginFailure as i32);
    let folder = file.parent().expect("a folder").display();
    home.run(["plugin", "grant", "python-echo", &format!("fs:ro={folder}")]).expect(0);
    assert_eq!(call("read", &[&path]).expect(0).json()["data"], "from a file");
    let spin = call("spin", &["--timeout", "300ms"]);
    assert_eq!(spin.code_name(), Code::LimitDeadline.info().name);
    home.run(["plugin", "grant", "python-echo", "--limit", "fuel=50000000"]).expect(0);
    assert_eq!(call("spin", &[]).code_name(), Code::LimitFuel.info().name);
    call("sum", &["numbers=1"]).expect(0);
    home.run(["audit", "verify"]).expect(0);
    node.stop_well();
}

#[test]
fn a_component_written_as_text_is_limited_and_called() {
    let home = Home::new();
    home.install(&guest("wat-adder"), &["--limit", "fuel=1000000"]);
    assert_eq!(data(&home, &["wat-adder.add", "a=2", "b=40"]), 42);
    assert_eq!(home.run_json(["call", "wat_adder.spin"]).code_name(), Code::LimitFuel.info().name);
    // The shortest way there is: the component that is inside the program, where it is.
    let known = home.run_json(["plugin", "inspect", "filesystem"]);
    if known.code == Exit::NotFound as i32 {
        println!("skipped: the components inside the program, because it was built before them");
        return;
    }
    assert_eq!(known.json()["name"], "filesystem");
}
