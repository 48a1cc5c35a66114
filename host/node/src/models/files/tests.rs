use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// A folder of models and a file to copy.
fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("models");
    fs::create_dir(&folder).unwrap();
    let source = home.path().join("model.onnx");
    fs::write(&source, b"weights").unwrap();
    (home, folder, source)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_lies_under_its_digest_for_the_node_alone() {
    let (_home, folder, source) = folders();
    let (digest, bytes) = copy_in(&folder, &source, Links::Refuse, 7).unwrap();
    assert_eq!((digest, bytes), (Digest::of(b"weights"), 7));
    assert_eq!(names(&folder), [digest.to_hex()]);
    let file = path(&folder, &digest);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(problem(&folder, &digest, bytes), None);
    // What was damaged is whole again after it was added again.
    fs::write(&file, b"Weights").unwrap();
    assert_eq!(problem(&folder, &digest, bytes), Some("changed"));
    copy_in(&folder, &source, Links::Refuse, 7).unwrap();
    assert_eq!(problem(&folder, &digest, bytes), None);
    fs::write(&file, b"weights and more").unwrap();
    assert_eq!(problem(&folder, &digest, bytes), Some("changed"));
    fs::remove_file(&file).unwrap();
    assert_eq!(problem(&folder, &digest, bytes), Some("missing"));
}

#[test]
fn only_bounded_regular_files_are_copied() {
    let (home, folder, source) = folders();
    let code = |source: &Path, links, most| {
        copy_in(&folder, source, links, most).map(|_| ()).map_err(|refusal| refusal.code)
    };
    assert_eq!(code(&source, Links::Refuse, 6), Err(Code::ModelInvalid), "too large");
    assert_eq!(code(&home.path().join("absent"), Links::Refuse, 7), Err(Code::NotFound));
    assert_eq!(code(home.path(), Links::Follow, 7), Err(Code::ModelInvalid), "a folder");
    let link = home.path().join("link.onnx");
    symlink(&source, &link).unwrap();
    assert_eq!(code(&link, Links::Refuse, 7), Err(Code::ModelInvalid));
    assert_eq!(code(&link, Links::Follow, 7), Ok(()));
    let pipe = home.path().join("pipe.onnx");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    assert_eq!(code(&pipe, Links::Follow, 7), Err(Code::ModelInvalid), "it would wait for ever");
}

#[test]
fn what_nothing_names_is_swept() {
    let (_home, folder, source) = folders();
    let (digest, _) = copy_in(&folder, &source, Links::Refuse, 7).unwrap();
    fs::write(folder.join(TEMPORARY), "half").unwrap();
    fs::write(path(&folder, &Digest::of(b"old")), "old").unwrap();
    fs::create_dir(folder.join("own")).unwrap();
    sweep(&folder, &BTreeSet::from([digest])).unwrap();
    let mut left = vec![digest.to_hex(), "own".to_owned()];
    left.sort();
    assert_eq!(names(&folder), left);
}
