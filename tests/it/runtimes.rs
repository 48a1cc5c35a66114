//! Libraries of ONNX Runtime: installed by the real program, which opens each in a child process first.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use meshhost_core::{code::Exit, id::Digest};
use serde_json::{Value, json};

use crate::{
    onnx,
    support::{Home, until},
};

/// The folder of installed versions.
fn folder(home: &Home) -> PathBuf {
    home.data().join("runtimes/onnxruntime")
}

/// What lies in it.
fn versions(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(folder(home)).into_iter().flatten();
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().expect("text")).collect();
    names.sort();
    names
}

/// Installs what must be refused, and leaves nothing.
#[track_caller]
fn refused(home: &Home, from: &Path, words: &str) {
    let from = from.to_str().expect("a path that is text");
    home.run(["runtime", "install", from]).expect(Exit::Usage as i32).says(words);
    assert!(versions(home).is_empty(), "{:?}", versions(home));
}

/// The events of the node itself.
fn lifecycle(home: &Home) -> Vec<Value> {
    let doctor = home.json(["doctor"]);
    let checks = doctor["checks"].as_array().expect("checks");
    let host = checks.iter().find(|check| check["name"] == "host id").expect("a host id");
    let correlation = format!("host-lifecycle-{}", host["says"].as_str().expect("text"));
    let events = home.json(["audit", "replay", &correlation]);
    events["events"].as_array().expect("events").clone()
}

#[test]
fn a_library_is_installed_listed_used_and_recorded() {
    let Some(library) = onnx::library() else {
        println!("skipped: no library of ONNX Runtime here, run cargo xtask models");
        return;
    };
    for serving in [false, true] {
        let home = Home::new();
        let node = serving.then(|| home.serve());
        let from = library.parent().and_then(Path::to_str).expect("a folder");
        let done = home.json(["runtime", "install", from]);
        assert_eq!(done["schema"], "meshhost.runtime-installed/1");
        assert_eq!((&done["change"], &done["replaced"]), (&json!("installed"), &Value::Null));
        let bytes = fs::read(&library).expect("the library");
        assert_eq!(done["digest"], Digest::of(&bytes).to_string());
        assert_eq!(done["bytes"], bytes.len());
        let version = done["version"].as_str().expect("a version").to_owned();
        assert_eq!(versions(&home), [version.as_str()]);
        let installed = done["library"].as_str().expect("a path");
        assert!(Path::new(installed).starts_with(folder(&home).join(&version)), "{installed}");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode();
        assert_eq!(mode(Path::new(installed)) & 0o777, 0o600);
        assert_eq!(mode(&folder(&home).join(&version)) & 0o777, 0o700);

        let found = home.json(["runtime", "list"]);
        let first = &found["runtimes"][0];
        assert_eq!((&first["library"], &first["used"]), (&json!(installed), &json!(true)));
        assert_eq!(first["version"], version);
        home.run(["runtime", "use", "onnx-runtime"]).expect(0);

        let again = home.run(["runtime", "install", from]).expect(0).stdout;
        assert!(again.contains("was here already"), "{again}");
        let kept = folder(&home).join(&version);
        let file = Path::new(installed).file_name().expect("a name");
        fs::write(kept.join(file), "damaged").expect("a file");
        let mended = home.json(["runtime", "install", library.to_str().expect("text")]);
        assert_eq!(mended["change"], "replaced");
        assert_eq!(mended["replaced"], Digest::of(b"damaged").to_string());
        assert_eq!(fs::read(installed).expect("the library"), bytes);
        assert_eq!(versions(&home), [version]);

        let events = lifecycle(&home);
        let installs: Vec<&Value> = events
            .iter()
            .filter(|event| event["event_type"] == "dev.meshhost.runtime_installed")
            .map(|event| &event["payload"])
            .collect();
        assert_eq!(installs.len(), 2, "an install that changes nothing is no event: {events:?}");
        assert_eq!(installs[0]["digest"], done["digest"]);
        assert_eq!(installs[1]["replaced"], mended["replaced"]);
        let text = serde_json::to_string(&installs).expect("text");
        assert!(!text.contains(home.data().to_str().expect("text")), "{text}");
        if let Some(node) = node {
            node.stop_well();
        }
        home.run(["audit", "verify"]).expect(0);
    }
}

#[test]
fn a_library_that_lacks_the_configured_device_is_not_used_and_says_why() {
    let Some(library) = onnx::library() else {
        println!("skipped: no library of ONNX Runtime here, run cargo xtask models");
        return;
    };
    let home = Home::new();
    // The one that the repository fetches is for the processor alone.
    home.configure("[inference]\nprovider = \"cuda\"\n");
    home.json(["runtime", "install", library.to_str().expect("a path that is text")]);
    let found = home.json(["runtime", "list"]);
    let first = &found["runtimes"][0];
    let problem = first["problem"].as_str().expect("a problem");
    assert_eq!(first["used"], false);
    assert!(problem.contains("`cuda` is not usable"), "{problem}");
    assert!(!problem.contains(home.data().to_str().expect("text")), "{problem}");
    let doctor = home.run(["doctor"]).expect(Exit::HostFault as i32).stdout;
    assert!(doctor.contains("no engine that is allowed can run models on cuda"), "{doctor}");
}

#[test]
fn what_is_no_usable_library_is_refused_and_leaves_nothing() {
    let home = Home::new();
    let text = home.file("text/libonnxruntime.so.1.31.1", "this is no library");
    refused(&home, &text, "libonnxruntime.so.1.31.1 cannot be used");
    refused(&home, text.parent().expect("a folder"), "cannot be used");
    let wheel = home.file("onnxruntime-1.31.1-cp311-linux_x86_64.whl", "PK");
    refused(&home, &wheel, "unpack it");
    refused(&home, &home.work(), "holds no library");
    let folder = home.file("pipe/LICENSE", "MIT").parent().expect("a folder").to_owned();
    let pipe = folder.join("libonnxruntime.so.1.31.1");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).expect("a pipe");
    refused(&home, &folder, "it is not a regular file");
    refused(&home, &pipe, "it is not a regular file");
    let linked = home.file("linked/LICENSE", "MIT").parent().expect("a folder").to_owned();
    symlink(&text, linked.join("libonnxruntime.so.1.31.1")).expect("a link");
    refused(&home, &linked, "holds no library");
    let huge = home.file("huge/libonnxruntime.so.1.31.1", "");
    let sparse = fs::OpenOptions::new().write(true).open(&huge).expect("a file");
    sparse.set_len(1 << 40).expect("a sparse file");
    refused(&home, &huge, "is larger than 4294967296 bytes");
    let absent = home.run(["runtime", "install", "absent"]);
    absent.expect(Exit::NotFound as i32).says("there is no");
    assert!(lifecycle(&home).is_empty(), "nothing was installed");
}

#[test]
fn a_library_of_something_else_and_one_that_is_cut_off_are_refused() {
    let home = Home::new();
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let system = maps.split_whitespace().find(|word| word.contains("/libc.so"));
    match system {
        Some(system) => {
            let bytes = fs::read(system).expect("the library of the system");
            let other = home.file("other/libonnxruntime.so.1.31.1", bytes);
            refused(&home, &other, "cannot be used");
        }
        None => println!("skipped: no shared library of the system is loaded here"),
    }
    match onnx::library() {
        Some(library) => {
            let bytes = fs::read(library).expect("the library");
            let half = home.file("half/libonnxruntime.so.1.31.1", &bytes[..bytes.len() / 2]);
            refused(&home, &half, "cannot be used");
        }
        None => println!("skipped: no library of ONNX Runtime here, run cargo xtask models"),
    }
}

#[test]
fn a_kill_during_an_install_leaves_nothing() {
    let home = Home::new();
    home.run(["runtime", "list"]).expect(0);
    let large = home.file("libonnxruntime.so.1.31.1", "");
    // So large that the kill comes while it is copied.
    let file = fs::OpenOptions::new().write(true).open(&large).expect("a file");
    file.set_len(512 << 20).expect("a sparse file");
    let from = large.to_str().expect("a path that is text");
    let mut command = home.command(["runtime", "install", from]);
    let quiet = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = quiet.spawn().expect("the command starts");
    let half = folder(&home).join(".new/libonnxruntime.so.1.31.1");
    until("the copy begins", || half.exists().then_some(()));
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    assert!(half.exists(), "the kill came in the middle");
    home.run(["runtime", "list"]).expect(0);
    assert!(versions(&home).is_empty(), "the next start removes it");
    home.run(["audit", "verify"]).expect(0);
}
