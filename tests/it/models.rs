//! Models: added, listed, checked and removed by the real program.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Stdio,
};

use meshhost_core::{code::Exit, id::Digest};
use serde_json::{Value, json};

use crate::{
    onnx,
    support::{Home, until},
};

/// A package of two models, one with a file beside it.
fn package(home: &Home) -> PathBuf {
    home.file("package/add.onnx", onnx::add(4));
    home.file("package/other.onnx", onnx::add(8));
    home.file("package/words.txt", "one\ntwo\n");
    describe(
        home,
        r#"
[[model]]
name = "sum-four"
file = "add.onnx"
files = ["words.txt"]
task = "tensors"
licence = "Apache-2.0"
source = "written by a test"

[[model]]
name = "sum-eight"
file = "other.onnx"
licence = "MIT"
batch_rows = 4
"#,
    );
    home.work().join("package")
}

fn describe(home: &Home, text: &str) {
    home.file("package/models.toml", text);
}

/// What lies in the folder of models.
fn files(home: &Home) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.data().join("models")).expect("a folder");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn stored(home: &Home, bytes: &[u8]) -> PathBuf {
    home.data().join("models").join(Digest::of(bytes).to_hex())
}

fn names(home: &Home) -> Vec<String> {
    let list = home.json(["model", "list"]);
    let models = list["models"].as_array().expect("models");
    models.iter().map(|model| model["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_package_is_added_listed_inspected_and_removed() {
    for serving in [false, true] {
        let home = Home::new();
        package(&home);
        let node = serving.then(|| home.serve());
        let said = home.run(["model", "add", "sum", "--from", "package"]).expect(0).stdout;
        for words in ["sum-four is added", "licence   Apache-2.0", "source    written by a test"] {
            assert!(said.contains(words), "{said}");
        }
        let list = home.run(["model", "list"]).expect(0).stdout;
        assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");
        assert!(list.contains("Apache-2.0") && list.contains("MIT"), "{list}");

        let four = home.json(["model", "inspect", "sum-four"]);
        let bytes = onnx::add(4);
        assert_eq!(four["schema"], "meshhost.model/1");
        assert_eq!(four["name"], "sum-four");
        assert_eq!(four["digest"], Digest::of(&bytes).to_string());
        assert_eq!(four["bytes"], bytes.len());
        assert_eq!((&four["task"], &four["batch_rows"]), (&json!("tensors"), &json!(1)));
        let words = Digest::of(b"one\ntwo\n").to_string();
        assert_eq!(four["files"], json!([{"name": "words.txt", "digest": words, "bytes": 8}]));
        let mode = fs::metadata(stored(&home, &bytes)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        assert_eq!(home.json(["model", "ps"])["worker"], "absent");
        home.run(["model", "remove", "sum-four"]).expect(0);
        home.run(["model", "remove", "sum-four"])
            .expect(Exit::NotFound as i32)
            .says("there is no model sum-four");
        assert_eq!(names(&home), ["sum-eight"]);
        assert_eq!(files(&home), [stored(&home, &onnx::add(8))]);
        if let Some(node) = node {
            node.stop_well();
        }
        assert_eq!(names(&home), ["sum-eight"], "the next start finds the same");
    }
}

#[test]
fn another_file_of_the_same_name_is_an_update_and_all_of_it_is_evidence() {
    let home = Home::new();
    let package = package(&home);
    let add = || home.json(["model", "add", "sum-four", "--from", "package"])["models"][0].clone();
    let first = add();
    assert_eq!((&first["change"], &first["replaced"]), (&json!("added"), &Value::Null));
    assert_eq!(add()["change"], "unchanged");
    fs::write(package.join("add.onnx"), onnx::add(5)).expect("a file");
    let second = add();
    assert_eq!(second["change"], "updated");
    assert_eq!(second["replaced"], first["digest"]);
    home.run(["model", "remove", "sum-four"]).expect(0);

    let head = home.json(["doctor"]);
    let checks = head["checks"].as_array().expect("checks");
    let host = checks.iter().find(|check| check["name"] == "host id").expect("a host id");
    let correlation = format!("host-lifecycle-{}", host["says"].as_str().expect("text"));
    let events = home.json(["audit", "replay", &correlation]);
    let events = events["events"].as_array().expect("events");
    let kinds: Vec<&str> =
        events.iter().map(|event| event["event_type"].as_str().expect("a type")).collect();
    let expected = ["model_added", "model_updated", "model_removed"];
    assert_eq!(kinds, expected.map(|kind| format!("dev.meshhost.{kind}")));
    let payload = &events[1]["payload"];
    assert_eq!((&payload["model"], &payload["digest"]), (&json!("sum-four"), &second["digest"]));
    assert!(!events.iter().any(|event| event.to_string().contains("written by a test")));
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn a_flipped_byte_is_found_and_adding_again_mends_it() {
    let home = Home::new();
    package(&home);
    home.run(["model", "add", "sum", "--from", "package"]).expect(0);
    let whole = home.json(["model", "verify"]);
    assert_eq!((&whole["files"], &whole["damaged"]), (&json!(3), &json!([])));
    let file = stored(&home, &onnx::add(4));
    let mut bytes = fs::read(&file).expect("a file");
    bytes[10] ^= 1;
    fs::write(&file, bytes).expect("a file");
    let ran = home.run_json(["model", "verify"]).expect(Exit::HostFault as i32);
    let damaged = &ran.json()["damaged"];
    assert_eq!(damaged[0]["model"], "sum-four");
    assert_eq!((&damaged[0]["file"], &damaged[0]["problem"]), (&Value::Null, &json!("changed")));
    home.run(["model", "verify", "sum-eight"]).expect(0);
    home.run(["model", "add", "sum-four", "--from", "package"]).expect(0);
    home.run(["model", "verify"]).expect(0);
}

#[test]
fn a_package_that_is_not_right_is_refused_and_leaves_nothing() {
    let home = Home::new();
    let package = package(&home);
    let add = || home.run(["model", "add", "sum", "--from", "package"]);
    let model = |file: &str, more: &str| {
        describe(
            &home,
            &format!(
                "[[model]]\nname = \"sum-a\"\nfile = \"add.onnx\"\nlicence = \"x\"\n\n\
                      [[model]]\nname = \"sum-b\"\nfile = {file:?}\nlicence = \"x\"\n{more}"
            ),
        );
    };
    model("../../escape.onnx", "");
    add().expect(Exit::Usage as i32).says("models.toml:8:8").says("not the plain name");
    model("other.onnx", "licens = \"x\"\n");
    add().expect(Exit::Usage as i32).says("models.toml:10:1").says("did you mean `licence`?");
    model("gone.onnx", "");
    add().expect(Exit::NotFound as i32).says("there is no file");
    symlink("/etc/passwd", package.join("link.onnx")).expect("a link");
    model("link.onnx", "");
    add().expect(Exit::Usage as i32).says("it is a link");
    let pipe = package.join("pipe.onnx");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).expect("a pipe");
    model("pipe.onnx", "");
    add().expect(Exit::Usage as i32).says("it is not a regular file");
    home.configure("[inference]\nmodel_bytes = 1_048_576\n");
    fs::File::create(package.join("huge.onnx"))
        .and_then(|file| file.set_len(1_048_577))
        .expect("a file");
    model("huge.onnx", "");
    add().expect(Exit::Usage as i32).says("is larger than 1048576 bytes");
    fs::remove_file(package.join("models.toml")).expect("a file");
    add().expect(Exit::Usage as i32).says("has no models.toml");
    assert!(names(&home).is_empty() && files(&home).is_empty());
}

#[test]
fn plain_files_are_added_by_name() {
    let home = Home::new();
    home.file("encoder_model.onnx", onnx::add(2));
    home.file("decoder.onnx", onnx::add(3));
    let one = home.json(["model", "add", "one", "--from", "decoder.onnx"]);
    assert_eq!(one["models"][0]["licence"], "unknown");
    let words = ["model", "add", "t5", "--from", "encoder_model.onnx", "decoder.onnx"];
    home.run(words).expect(Exit::Usage as i32).says("t5-decoder is the same file as the model one");
    home.run(["model", "remove", "one"]).expect(0);
    home.run(words).expect(0);
    assert_eq!(names(&home), ["t5-decoder", "t5-encoder-model"]);
}

#[test]
fn a_kill_during_an_add_leaves_all_or_nothing() {
    let home = Home::new();
    let package = package(&home);
    home.run(["model", "list"]).expect(0);
    // So large that the kill comes while it is copied.
    let large = fs::File::create(package.join("add.onnx"));
    large.and_then(|file| file.set_len(512 << 20)).expect("a file");
    let mut command = home.command(["model", "add", "sum", "--from", "package"]);
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command starts");
    let half: &Path = &home.data().join("models/.new");
    until("the copy begins", || half.exists().then_some(()));
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    assert!(half.exists(), "the kill came in the middle");
    assert!(names(&home).is_empty() && files(&home).is_empty());
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn the_engine_that_would_be_used_is_said_and_can_be_chosen() {
    let home = Home::new();
    package(&home);
    home.run(["model", "add", "sum", "--from", "package"]).expect(0);
    let fake = home.file("libonnxruntime.so", "this is no library");
    let library = fake.to_str().expect("a path that is text");
    home.configure(&format!("# mine\n[inference]\nlibrary = \"{library}\"\n"));
    let found = home.json(["runtime", "list"]);
    assert_eq!((&found["engines"], &found["provider"]), (&json!("any"), &json!("cpu")));
    let runtimes = found["runtimes"].as_array().expect("engines");
    assert_eq!(runtimes.len(), 2);
    assert_eq!((&runtimes[0]["library"], &runtimes[0]["used"]), (&json!(library), &json!(false)));
    assert!(runtimes[0]["problem"].as_str().is_some_and(|problem| !problem.is_empty()), "{found}");
    assert_eq!((&runtimes[1]["engine"], &runtimes[1]["used"]), (&json!("embedded"), &json!(true)));
    let doctor = home.run(["doctor"]).expect(0).stdout;
    assert!(doctor.contains("the embedded engine runs models on cpu"), "{doctor}");
    assert!(doctor.contains("sum-eight, sum-four"), "{doctor}");

    home.run(["runtime", "use", "onnx-runtime"]).expect(0);
    let text = fs::read_to_string(home.data().join("meshhost.toml")).expect("a file");
    assert!(
        text.starts_with("# mine\n") && text.contains("engines = \"onnx-runtime\"\n"),
        "{text}"
    );
    let found = home.json(["runtime", "list"]);
    let used = |runtime: &Value| runtime["used"] == true;
    assert!(!found["runtimes"].as_array().expect("engines").iter().any(used), "{found}");
    home.run(["doctor"]).expect(Exit::HostFault as i32);
    // The library would be ignored: that is refused, and the file stays.
    home.run(["runtime", "use", "embedded"]).expect(Exit::Usage as i32).says("has no library");
    assert_eq!(fs::read_to_string(home.data().join("meshhost.toml")).expect("a file"), text);
    home.run(["runtime", "use", "ort"]).expect(Exit::Usage as i32);
}
