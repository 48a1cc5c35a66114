use std::os::unix::fs::{PermissionsExt as _, symlink};

use meshhost_core::id::Digest;

use super::*;
use crate::regular_file::Links;

/// A folder that holds these files.
fn folder(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        fs::write(folder.path().join(name), name).unwrap();
    }
    folder
}

fn refused(from: &Path, words: &str) {
    let refusal = source::find(from).unwrap_err();
    assert_eq!(refusal.code, Code::RuntimeInvalid, "{}", refusal.message);
    assert!(refusal.message.contains(words), "{}", refusal.message);
}

#[test]
fn a_folder_is_a_library_with_its_parts_and_its_terms_of_use() {
    let folder = folder(&[
        "libonnxruntime.so.1.31.1",
        "libonnxruntime_providers_shared.so",
        "LICENSE",
        "onnxruntime_pybind11_state.so",
        "__init__.py",
    ]);
    for link in ["libonnxruntime.so", "libonnxruntime.so.1"] {
        symlink("libonnxruntime.so.1.31.1", folder.path().join(link)).unwrap();
    }
    let found = source::find(folder.path()).unwrap();
    assert_eq!((&*found.version, &*found.library), ("1.31.1", "libonnxruntime.so.1.31.1"));
    let names: Vec<_> = found.files.iter().map(|(name, _)| name.as_str()).collect();
    let parts = ["LICENSE", "libonnxruntime.so.1.31.1", "libonnxruntime_providers_shared.so"];
    assert_eq!((names.as_slice(), found.links), (parts.as_slice(), Links::Refuse));
    // A link that a person names is the file that it leads to.
    let found = source::find(&folder.path().join("libonnxruntime.so")).unwrap();
    assert_eq!((&*found.version, found.files.len()), ("1.31.1", 1));
    assert_eq!(found.library, "libonnxruntime.so.1.31.1");
}

#[test]
fn what_is_no_library_is_refused_with_what_to_do() {
    refused(folder(&["LICENSE"]).path(), "holds no library");
    let two = folder(&["libonnxruntime.so.1.30.0", "libonnxruntime.so.1.31.1"]);
    refused(two.path(), "name the file that is meant");
    let nameless = folder(&["libonnxruntime.so"]);
    refused(nameless.path(), "says a version");
    let wheel = folder(&["onnxruntime-1.31.1-cp311-cp311-manylinux_2_28_x86_64.whl"]);
    let file = fs::read_dir(wheel.path()).unwrap().next().unwrap().unwrap().path();
    refused(&file, "unpack it");
    let names: Vec<String> =
        (0..20).map(|number| format!("libonnxruntime_providers_{number}.so")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    refused(folder(&names).path(), "more than 16 files");
    let absent = source::find(Path::new("/nowhere/libonnxruntime.so.1.31.1")).unwrap_err();
    assert_eq!(absent.code, Code::NotFound);
}

#[test]
fn a_version_is_replaced_in_one_step() {
    let home = folder(&[]);
    let installing = |text: &str| {
        remove(&home.path().join(TEMPORARY)).unwrap();
        fs::create_dir(home.path().join(TEMPORARY)).unwrap();
        fs::write(home.path().join(TEMPORARY).join("libonnxruntime.so.1.31.1"), text).unwrap();
        let own = RuntimeFile {
            name: "libonnxruntime.so.1.31.1".to_owned(),
            digest: Digest::of(text.as_bytes()),
            bytes: text.len() as u64,
        };
        let source = Source {
            version: "1.31.1".to_owned(),
            library: own.name.clone(),
            files: Vec::new(),
            links: Links::Refuse,
        };
        let described = described(home.path(), &source, vec![own]).unwrap();
        serve(home.path(), "1.31.1").unwrap();
        let there = home.path().join("1.31.1/libonnxruntime.so.1.31.1");
        assert_eq!(fs::read_to_string(there).unwrap(), text);
        (described.change, described.replaced)
    };
    assert_eq!(installing("one"), (RuntimeChange::Installed, None));
    assert_eq!(installing("one"), (RuntimeChange::Unchanged, None));
    assert_eq!(installing("two"), (RuntimeChange::Replaced, Some(Digest::of(b"one"))));
    // What somebody put there beside it is replaced as well.
    fs::write(home.path().join("1.31.1/more"), "more").unwrap();
    assert_eq!(installing("two"), (RuntimeChange::Replaced, Some(Digest::of(b"two"))));
    assert_eq!(fs::read_dir(home.path().join("1.31.1")).unwrap().count(), 1);
}

#[test]
fn what_is_there_in_place_of_the_temporary_folder_is_removed() {
    let home = folder(&["file"]);
    let path = home.path().join(TEMPORARY);
    remove(&path).unwrap();
    symlink(home.path().join("file"), &path).unwrap();
    remove(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("half"), "half").unwrap();
    fs::set_permissions(path.join("half"), fs::Permissions::from_mode(0o400)).unwrap();
    remove(&path).unwrap();
    assert!(!path.exists() && home.path().join("file").exists());
}
