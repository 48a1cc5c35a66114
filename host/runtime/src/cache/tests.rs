use std::{io::Read, os::unix::fs::symlink};

use super::*;

struct Fixture {
    _folder: tempfile::TempDir,
    cache: CodeCache,
    component: Digest,
    fingerprint: [u8; 32],
    path: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache { folder: folder.path().to_owned(), key: [7; 32] };
        let component = Digest::of(b"component");
        let fingerprint = engine::code_fingerprint(&engine::compiling(EngineKind::Plain).unwrap());
        let path = folder.path().join(file_name(&component, &fingerprint));
        cache.put(&component, EngineKind::Plain, &vec![3; SHARED_BYTES_MIN + 17]).unwrap();
        Self { _folder: folder, cache, component, fingerprint, path }
    }

    fn open(&self) -> Result<File, CacheMiss> {
        self.cache.open(&self.component, &self.fingerprint)
    }
}

#[test]
fn what_was_put_opens_at_its_start_and_nothing_else_is_left() {
    let fixture = Fixture::new();
    let again = b"again, over the old one";
    fixture.cache.put(&fixture.component, EngineKind::Plain, again).unwrap();
    let mut code = Vec::new();
    fixture.open().unwrap().read_to_end(&mut code).unwrap();
    assert_eq!(&code[..code.len() - TAG_BYTES], b"again, over the old one");
    assert_eq!(std::fs::read_dir(&fixture.cache.folder).unwrap().count(), 1);
}

#[test]
fn every_changed_byte_is_found() {
    let fixture = Fixture::new();
    let whole = std::fs::read(&fixture.path).unwrap();
    for place in [0, 1, SHARED_BYTES_MIN, whole.len() - TAG_BYTES - 1, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        std::fs::write(&fixture.path, changed).unwrap();
        assert!(matches!(fixture.open(), Err(CacheMiss::Unauthentic)), "byte {place}");
    }
}

#[test]
fn truncated_and_lengthened_files_are_refused() {
    let fixture = Fixture::new();
    let whole = std::fs::read(&fixture.path).unwrap();
    std::fs::write(&fixture.path, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(fixture.open(), Err(CacheMiss::Unauthentic)));
    std::fs::write(&fixture.path, &whole[..TAG_BYTES - 1]).unwrap();
    assert!(matches!(fixture.open(), Err(CacheMiss::Foreign)));
    std::fs::write(&fixture.path, [&whole[..], b"x"].concat()).unwrap();
    assert!(matches!(fixture.open(), Err(CacheMiss::Unauthentic)));
}

#[test]
fn only_a_plain_private_file_with_one_name_is_opened() {
    let fixture = Fixture::new();
    std::fs::set_permissions(&fixture.path, Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(fixture.open(), Err(CacheMiss::Foreign)), "mode");
    std::fs::set_permissions(&fixture.path, Permissions::from_mode(0o600)).unwrap();
    fixture.open().unwrap();

    let second = fixture.cache.folder.join("second");
    std::fs::hard_link(&fixture.path, &second).unwrap();
    assert!(matches!(fixture.open(), Err(CacheMiss::Foreign)), "two links");

    std::fs::remove_file(&fixture.path).unwrap();
    symlink(&second, &fixture.path).unwrap();
    assert!(matches!(fixture.open(), Err(CacheMiss::Unreadable(_))), "symlink");

    std::fs::remove_file(&fixture.path).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fixture.path,
        rustix::fs::FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    assert!(matches!(fixture.open(), Err(CacheMiss::Foreign)), "FIFO");
}

#[test]
fn code_is_bound_to_component_settings_and_node() {
    let fixture = Fixture::new();
    let other = Digest::of(b"other");
    let renamed = fixture.cache.folder.join(file_name(&other, &fixture.fingerprint));
    std::fs::copy(&fixture.path, renamed).unwrap();
    let result = fixture.cache.open(&other, &fixture.fingerprint);
    assert!(matches!(result, Err(CacheMiss::Unauthentic)), "another component");

    let renamed = fixture.cache.folder.join(file_name(&fixture.component, &[9; 32]));
    std::fs::copy(&fixture.path, renamed).unwrap();
    let result = fixture.cache.open(&fixture.component, &[9; 32]);
    assert!(matches!(result, Err(CacheMiss::Unauthentic)), "other settings");

    let stranger = CodeCache { key: [8; 32], ..fixture.cache.clone() };
    let result = stranger.open(&fixture.component, &fixture.fingerprint);
    assert!(matches!(result, Err(CacheMiss::Unauthentic)), "another node");
}
