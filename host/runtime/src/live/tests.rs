use std::{os::unix::fs::MetadataExt, path::Path};

use super::*;

fn grant(path: &Path, mode: FolderMode) -> FolderGrant {
    let metadata = std::fs::metadata(path).unwrap();
    FolderGrant {
        guest: "/data".to_owned(),
        host: path.to_str().unwrap().to_owned(),
        mode,
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

fn grants(folder: FolderGrant) -> EffectiveGrants {
    EffectiveGrants { folders: vec![folder], ..EffectiveGrants::default() }
}

fn identity(path: &Path) -> Excluded {
    let metadata = std::fs::metadata(path).unwrap();
    Excluded { device: metadata.dev(), inode: metadata.ino() }
}

#[test]
fn a_granted_folder_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let (live, left_out) =
        LiveGrants::open(&grants(grant(folder.path(), FolderMode::Ro)), Arc::new([]));
    assert!(left_out.is_empty());
    assert_eq!(live.rules().folders[0].guest(), "/data");
}

#[test]
fn another_inode_under_the_granted_path_is_left_out() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("notes");
    std::fs::create_dir(&path).unwrap();
    let granted = grant(&path, FolderMode::Ro);
    std::fs::rename(&path, above.path().join("moved")).unwrap();
    std::fs::create_dir(&path).unwrap();
    let (live, left_out) = LiveGrants::open(&grants(granted), Arc::new([]));
    assert_eq!(left_out, ["/data"]);
    assert!(live.rules().folders.is_empty());
}

#[test]
fn a_link_in_place_of_the_folder_is_left_out() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("notes");
    std::fs::create_dir(&path).unwrap();
    let granted = grant(&path, FolderMode::Ro);
    std::fs::rename(&path, above.path().join("moved")).unwrap();
    std::os::unix::fs::symlink("moved", &path).unwrap();
    assert_eq!(LiveGrants::open(&grants(granted), Arc::new([])).1, ["/data"]);
}

#[test]
fn the_nodes_own_folder_and_what_lies_in_it_are_left_out() {
    let data = tempfile::tempdir().unwrap();
    let inner = data.path().join("blobs");
    std::fs::create_dir(&inner).unwrap();
    let excluded: Arc<[Excluded]> = Arc::new([identity(data.path())]);
    for path in [data.path(), &inner] {
        let granted = grants(grant(path, FolderMode::Rw));
        assert_eq!(LiveGrants::open(&granted, Arc::clone(&excluded)).1, ["/data"]);
    }
}

#[test]
fn replacing_revokes_what_is_gone_and_keeps_what_stays() {
    let (kept, gone) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let both = EffectiveGrants {
        folders: vec![grant(kept.path(), FolderMode::Rw), grant(gone.path(), FolderMode::Rw)],
        ..EffectiveGrants::default()
    };
    let (live, _) = LiveGrants::open(&both, Arc::new([]));
    let before = live.rules();
    let (next, left_out) = live.open_next(&grants(grant(kept.path(), FolderMode::Rw)));
    assert!(left_out.is_empty());
    assert!(!before.folders[1].is_revoked(), "nothing holds before it replaces");
    live.replace(next);
    assert!(!before.folders[0].is_revoked() && before.folders[1].is_revoked());
    assert!(Arc::ptr_eq(&before.folders[0], &live.rules().folders[0]));
}

#[test]
fn a_narrower_mode_revokes_the_wider_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (live, _) = LiveGrants::open(&grants(grant(folder.path(), FolderMode::Rw)), Arc::new([]));
    let before = live.rules();
    live.replace(live.open_next(&grants(grant(folder.path(), FolderMode::Ro))).0);
    assert!(before.folders[0].is_revoked());
    assert_eq!(live.rules().folders[0].mode(), FolderMode::Ro);
}
