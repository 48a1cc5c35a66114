//! Files as a guest meets them, through the interface's own functions.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use meshhost_core::{
    grant::{EffectiveGrants, FolderGrant},
    permission::FolderMode,
};
use rustix::fs::{FileType, Mode};
use wasmtime_wasi::p2::StreamError;

use super::{
    bindings::wasi::filesystem::{
        preopens::Host as _,
        types::{
            DescriptorFlags, DescriptorType, HostDescriptor, HostDirectoryEntryStream,
            NewTimestamp, OpenFlags, PathFlags,
        },
    },
    *,
};
use crate::{imports::testing::Setting, live::Excluded};

mod commits;
mod executed;

/// A granted folder `/data` beside a folder that is not granted.
struct Fixture {
    above: tempfile::TempDir,
    state: HostState,
    root: u32,
    nothing: u32,
}

fn folder_grant(path: &Path, mode: FolderMode) -> EffectiveGrants {
    let metadata = std::fs::metadata(path).unwrap();
    let folder = FolderGrant {
        guest: "/data".to_owned(),
        host: path.to_str().unwrap().to_owned(),
        mode,
        device: metadata.dev(),
        inode: metadata.ino(),
    };
    EffectiveGrants { folders: vec![folder], ..EffectiveGrants::default() }
}

impl Fixture {
    async fn new(mode: FolderMode) -> Self {
        Self::excluding(mode, |_| Vec::new()).await
    }

    async fn excluding(mode: FolderMode, excluded: impl Fn(&Path) -> Vec<PathBuf>) -> Self {
        let above = tempfile::tempdir().unwrap();
        let data = above.path().join("data");
        std::fs::create_dir_all(data.join("inner")).unwrap();
        std::fs::write(data.join("file"), "content").unwrap();
        std::fs::write(above.path().join("secret"), "secret").unwrap();
        let identity = |path: PathBuf| {
            if !path.exists() {
                std::fs::create_dir(&path).unwrap();
            }
            let metadata = std::fs::metadata(path).unwrap();
            Excluded { device: metadata.dev(), inode: metadata.ino() }
        };
        let excluded = excluded(&data).into_iter().map(identity).collect();
        let grants = folder_grant(&data, mode);
        let mut state = Setting { excluded, ..Setting::granted(grants) }.state();
        let directories = View::of(&mut state).get_directories().await.unwrap();
        assert_eq!(directories[0].1, "/data");
        assert_eq!(directories[1].1, "/");
        let (root, nothing) = (directories[0].0.rep(), directories[1].0.rep());
        Self { above, state, root, nothing }
    }

    fn host(&self, path: &str) -> PathBuf {
        self.above.path().join("data").join(path)
    }

    fn root(&self) -> Resource<Descriptor> {
        Resource::new_borrow(self.root)
    }

    fn view(&mut self) -> View<'_> {
        View::of(&mut self.state)
    }

    async fn open(
        &mut self,
        path: &str,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<u32, ErrorCode> {
        let root = self.root();
        let follow = PathFlags::SYMLINK_FOLLOW;
        let opened = self.view().open_at(root, follow, path.to_owned(), open, flags).await;
        code(opened).map(|descriptor| descriptor.rep())
    }

    async fn read(&mut self, path: &str) -> Result<String, ErrorCode> {
        let file = self.open(path, OpenFlags::empty(), DescriptorFlags::READ).await?;
        let (bytes, _) = code(self.view().read(Resource::new_borrow(file), 100, 0).await)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    async fn write(&mut self, path: &str) -> Result<(), ErrorCode> {
        let file = self.open(path, OpenFlags::CREATE, DescriptorFlags::WRITE).await?;
        let file = Resource::new_borrow(file);
        code(self.view().write(file, b"new".to_vec(), 0).await).map(|_| ())
    }

    async fn rename(&mut self, old: &str, new: &str) -> Result<(), ErrorCode> {
        let (from, onto) = (self.root(), self.root());
        code(self.view().rename_at(from, old.to_owned(), onto, new.to_owned()).await)
    }

    async fn link(&mut self, old: &str, new: &str) -> Result<(), ErrorCode> {
        let (from, onto) = (self.root(), self.root());
        let flags = PathFlags::empty();
        code(self.view().link_at(from, flags, old.to_owned(), onto, new.to_owned()).await)
    }

    async fn symlink(&mut self, target: &str, path: &str) -> Result<(), ErrorCode> {
        let root = self.root();
        code(self.view().symlink_at(root, target.to_owned(), path.to_owned()).await)
    }

    async fn unlink(&mut self, path: &str) -> Result<(), ErrorCode> {
        let root = self.root();
        code(self.view().unlink_file_at(root, path.to_owned()).await)
    }

    fn permissions(&self) -> Vec<String> {
        let denied = self.state.record().take().denied;
        denied.into_iter().filter_map(|denied| denied.permission).collect()
    }
}

fn code<T>(result: FileResult<T>) -> Result<T, ErrorCode> {
    result.map_err(|error| error.downcast().unwrap())
}

#[tokio::test]
async fn a_file_is_read_and_written() {
    let mut files = Fixture::new(FolderMode::Rw).await;
    assert_eq!(files.read("file").await.unwrap(), "content");
    assert_eq!(files.read("inner/../file").await.unwrap(), "content");
    files.write("inner/new").await.unwrap();
    assert_eq!(files.read("./inner//new").await.unwrap(), "new");
    assert!(!files.state.record().effect_in_flight());
    assert!(files.permissions().is_empty());
}

#[tokio::test]
async fn no_path_leads_out() {
    let mut files = Fixture::new(FolderMode::Rw).await;
    let secret = files.above.path().join("secret");
    symlink(&secret, files.host("absolute")).unwrap();
    symlink("../secret", files.host("upwards")).unwrap();
    symlink("inner/../../secret", files.host("around")).unwrap();
    symlink("..", files.host("above")).unwrap();
    symlink("/proc/self/root", files.host("magic")).unwrap();
    for path in [
        "../secret",
        "inner/../../secret",
        "/etc/passwd",
        "//etc/passwd",
        "absolute",
        "upwards",
        "around",
        "above/secret",
        "magic/etc/passwd",
        "..",
        "inner/../..",
        "file\0",
        "",
        &"x/".repeat(40_000),
        &"a".repeat(5_000),
    ] {
        let result = files.read(path).await;
        assert!(result.is_err(), "{:.40} gave {result:?}", path);
        let written = files.write(path).await;
        assert!(written.is_err(), "{:.40} was written", path);
    }
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "secret");
}

#[tokio::test]
async fn what_is_outside_is_recorded_with_the_permission_for_it() {
    let mut files = Fixture::new(FolderMode::Ro).await;
    assert_eq!(files.read("../other/x").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.read("../other/x").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.permissions(), ["fs:ro=/other/x"]);
}

#[tokio::test]
async fn links_inside_are_followed_up_to_forty() {
    let mut files = Fixture::new(FolderMode::Ro).await;
    symlink("file", files.host("link0")).unwrap();
    for number in 1..41 {
        symlink(format!("link{}", number - 1), files.host(&format!("link{number}"))).unwrap();
    }
    assert_eq!(files.read("link39").await.unwrap(), "content");
    assert_eq!(files.read("link40").await, Err(ErrorCode::Loop));
    symlink("self", files.host("self")).unwrap();
    assert_eq!(files.read("self/x").await, Err(ErrorCode::Loop));
}

#[tokio::test]
async fn pipes_sockets_and_devices_are_never_opened() {
    let mut files = Fixture::new(FolderMode::Rw).await;
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(rustix::fs::CWD, files.host("pipe"), FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(files.host("socket")).unwrap();
    for path in ["pipe", "socket"] {
        assert_eq!(files.read(path).await, Err(ErrorCode::NotPermitted), "{path}");
        assert_eq!(files.write(path).await, Err(ErrorCode::NotPermitted), "{path}");
    }
}

#[tokio::test]
async fn a_read_only_folder_is_not_changed() {
    let mut files = Fixture::new(FolderMode::Ro).await;
    let read = DescriptorFlags::READ;
    let truncated = files.open("file", OpenFlags::TRUNCATE, read).await;
    assert_eq!(truncated, Err(ErrorCode::NotPermitted));
    assert_eq!(files.write("new").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.write("file").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.unlink("file").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.rename("file", "other").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.link("file", "other").await, Err(ErrorCode::NotPermitted));
    assert_eq!(files.symlink("file", "other").await, Err(ErrorCode::NotPermitted));
    let file = files.open("file", OpenFlags::empty(), read).await.unwrap();
    let file = || Resource::new_borrow(file);
    let now = NewTimestamp::Now;
    assert!(code(files.view().set_size(file(), 0).await).is_err());
    assert!(code(files.view().set_times(file(), now, now).await).is_err());
    assert!(code(files.view().write_via_stream(file(), 0).await).is_err());
    assert_eq!(std::fs::read_to_string(files.host("file")).unwrap(), "content");
    assert_eq!(files.permissions(), ["fs:rw=/data"]);
}

#[tokio::test]
async fn execute_bits_are_never_set() {
    let mut files = Fixture::new(FolderMode::RwExec).await;
    files.write("script").await.unwrap();
    let mode = std::fs::metadata(files.host("script")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0);
}

#[tokio::test]
async fn links_that_lead_out_are_not_made() {
    let mut files = Fixture::new(FolderMode::Rw).await;
    for target in ["/etc/passwd", "../secret", "inner/../../secret"] {
        assert_eq!(files.symlink(target, "link").await, Err(ErrorCode::NotPermitted), "{target}");
    }
    files.symlink("../file", "inner/link").await.unwrap();
    assert_eq!(files.read("inner/link").await.unwrap(), "content");
    let root = files.root();
    let text = code(files.view().readlink_at(root, "inner/link".to_owned()).await);
    assert_eq!(text.unwrap(), "../file");
    symlink("/home/somebody", files.host("foreign")).unwrap();
    let root = files.root();
    assert!(files.view().readlink_at(root, "foreign".to_owned()).await.is_err());
}

#[tokio::test]
async fn the_nodes_own_data_is_out_of_reach() {
    let excluded = |data: &Path| vec![data.join("node"), data.join("file")];
    let mut files = Fixture::excluding(FolderMode::RwExec, excluded).await;
    std::fs::write(files.host("node/key"), "key").unwrap();
    symlink("node", files.host("way")).unwrap();
    std::fs::hard_link(files.host("file"), files.host("second")).unwrap();
    for path in ["node/key", "way/key", "file", "second", "node/../inner/x"] {
        assert_eq!(files.read(path).await, Err(ErrorCode::Access), "{path}");
        assert_eq!(files.write(path).await, Err(ErrorCode::Access), "{path}");
    }
    for path in ["node", "file", "second"] {
        assert_eq!(files.rename(path, "elsewhere").await, Err(ErrorCode::Access), "{path}");
        assert_eq!(files.link(path, "elsewhere").await, Err(ErrorCode::Access), "{path}");
        assert_eq!(files.unlink(path).await, Err(ErrorCode::Access), "{path}");
    }
    assert!(files.permissions().is_empty(), "no permission reaches it");
}

#[tokio::test]
async fn hostile_times_and_sizes_are_errors() {
    use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
    let mut files = Fixture::new(FolderMode::Rw).await;
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = files.open("file", OpenFlags::empty(), flags).await.unwrap();
    let file = || Resource::new_borrow(file);
    for (seconds, nanoseconds) in
        [(u64::MAX, 0), (0, u32::MAX), (0, 1_000_000_000), (u64::MAX, u32::MAX)]
    {
        let time = NewTimestamp::Timestamp(Datetime { seconds, nanoseconds });
        assert!(files.view().set_times(file(), time, time).await.is_err());
    }
    let time = NewTimestamp::Timestamp(Datetime { seconds: 1_000, nanoseconds: 5 });
    code(files.view().set_times(file(), time, NewTimestamp::NoChange).await).unwrap();
    let stat = code(files.view().stat(file()).await).unwrap();
    assert_eq!(stat.data_access_timestamp.unwrap().seconds, 1_000);
    for size in [node::FILE_BYTES_MAX + 1, u64::MAX] {
        let set = code(files.view().set_size(file(), size).await);
        assert_eq!(set, Err(ErrorCode::FileTooLarge));
        let written = code(files.view().write(file(), vec![0], size).await);
        assert_eq!(written.map(|_| ()), Err(ErrorCode::FileTooLarge));
    }
    assert_eq!(code(files.view().read(file(), 1, u64::MAX).await), Err(ErrorCode::Overflow));
}

#[tokio::test]
async fn a_read_is_bounded_whatever_is_asked() {
    let mut files = Fixture::new(FolderMode::Ro).await;
    let file = files.open("file", OpenFlags::empty(), DescriptorFlags::READ).await.unwrap();
    let file = || Resource::new_borrow(file);
    let (bytes, ended) = code(files.view().read(file(), u64::MAX, 3).await).unwrap();
    assert_eq!((bytes.as_slice(), ended), (&b"tent"[..], false));
    assert_eq!(code(files.view().read(file(), 1, 7).await).unwrap(), (Vec::new(), true));
}

#[tokio::test]
async fn a_revoked_grant_stops_what_was_opened_under_it() {
    let mut files = Fixture::new(FolderMode::Rw).await;
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = files.open("file", OpenFlags::empty(), flags).await.unwrap();
    let file = || Resource::new_borrow(file);
    let input = files.view().read_via_stream(file(), 0).await.unwrap();
    let output = files.view().write_via_stream(file(), 0).await.unwrap();
    let grants = &files.state.imports.context.call.grants;
    let (nothing, _) = grants.open_next(&EffectiveGrants::default());
    grants.replace(nothing);
    assert_eq!(code(files.view().read(file(), 1, 0).await), Err(ErrorCode::Access));
    let written = code(files.view().write(file(), vec![0], 0).await);
    assert_eq!(written, Err(ErrorCode::Access));
    assert_eq!(files.read("file").await, Err(ErrorCode::Access));
    let input = files.state.table.get_mut(&input).unwrap();
    assert!(matches!(input.read(1), Err(StreamError::Closed)));
    let output = files.state.table.get_mut(&output).unwrap();
    output.write("lost".into()).unwrap();
    output.ready().await;
    assert!(matches!(output.check_write(), Err(StreamError::LastOperationFailed(_))));
    assert_eq!(std::fs::read_to_string(files.host("file")).unwrap(), "content");
}

#[tokio::test]
async fn streams_read_and_write_in_pieces() {
    let mut files = Fixture::new(FolderMode::Rw).await;
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = files.open("big", OpenFlags::CREATE, flags).await.unwrap();
    let file = || Resource::new_borrow(file);
    let output = files.view().append_via_stream(file()).await.unwrap();
    let stream = files.state.table.get_mut(&output).unwrap();
    for _ in 0..3 {
        let permit = stream.write_ready().await.unwrap();
        assert_eq!(permit, stream::PIECE_BYTES);
        stream.write(vec![7; permit].into()).unwrap();
    }
    stream.cancel().await;
    assert!(!files.state.record().effect_in_flight());
    let input = files.view().read_via_stream(file(), 1).await.unwrap();
    let stream = files.state.table.get_mut(&input).unwrap();
    let mut total = 0;
    while let Ok(bytes) = stream.blocking_read(usize::MAX).await {
        assert!(bytes.len() <= stream::PIECE_BYTES);
        total += bytes.len();
    }
    assert_eq!(total, 3 * stream::PIECE_BYTES - 1);
}

#[tokio::test]
async fn a_large_directory_is_listed_whole() {
    let mut files = Fixture::new(FolderMode::Ro).await;
    for number in 0..300 {
        std::fs::write(files.host(&format!("inner/{number}")), "").unwrap();
    }
    let inner = files.open("inner", OpenFlags::DIRECTORY, DescriptorFlags::READ).await.unwrap();
    let listing = files.view().read_directory(Resource::new_borrow(inner)).await.unwrap().rep();
    let mut names = std::collections::BTreeSet::new();
    loop {
        let listing = Resource::new_borrow(listing);
        let Some(entry) = code(files.view().read_directory_entry(listing).await).unwrap() else {
            break;
        };
        assert!(names.insert(entry.name));
    }
    assert_eq!(names.len(), 300);
}

#[tokio::test]
async fn outside_of_every_grant_is_an_empty_root_that_records() {
    let mut files = Fixture::new(FolderMode::Ro).await;
    let nothing = files.nothing;
    let nothing = || Resource::new_borrow(nothing);
    let (follow, read) = (PathFlags::SYMLINK_FOLLOW, DescriptorFlags::READ);
    for (path, flags) in
        [("etc/passwd", read), ("etc/passwd", read), ("tmp/x", DescriptorFlags::WRITE)]
    {
        let open = OpenFlags::empty();
        let opened = files.view().open_at(nothing(), follow, path.to_owned(), open, flags).await;
        assert_eq!(code(opened).map(|_| ()), Err(ErrorCode::Access));
    }
    assert!(code(files.view().stat_at(nothing(), follow, "usr".to_owned()).await).is_err());
    assert!(code(files.view().create_directory_at(nothing(), "made".to_owned()).await).is_err());
    let root = code(files.view().stat_at(nothing(), follow, ".".to_owned()).await).unwrap();
    assert_eq!(root.type_, DescriptorType::Directory);
    let listing = files.view().read_directory(nothing()).await.unwrap();
    assert!(code(files.view().read_directory_entry(listing).await).unwrap().is_none());
    let expected = ["fs:ro=/etc/passwd", "fs:rw=/tmp/x", "fs:ro=/usr", "fs:rw=/made"];
    assert_eq!(files.permissions(), expected);
}

#[tokio::test]
async fn the_folders_above_a_granted_one_are_empty_and_not_recorded() {
    let above = tempfile::tempdir().unwrap();
    let mut grants = folder_grant(above.path(), FolderMode::Ro);
    grants.folders[0].guest = "/home/me/notes".to_owned();
    let mut state = Setting::granted(grants).state();
    let mut view = View::of(&mut state);
    let directories = view.get_directories().await.unwrap();
    let nothing = || Resource::new_borrow(directories[1].0.rep());
    for path in ["home", "home/me", "home/me/"] {
        let stat = view.stat_at(nothing(), PathFlags::empty(), path.to_owned()).await;
        assert_eq!(code(stat).unwrap().type_, DescriptorType::Directory, "{path}");
        let link = view.readlink_at(nothing(), path.to_owned()).await;
        assert_eq!(code(link), Err(ErrorCode::Invalid), "{path}: no link");
    }
    let stat = view.stat_at(nothing(), PathFlags::empty(), "home/m".to_owned()).await;
    assert_eq!(code(stat).map(|_| ()), Err(ErrorCode::Access));
    let denied = state.record().take().denied;
    assert_eq!(denied.len(), 1);
    assert_eq!(denied[0].permission.as_deref(), Some("fs:ro=/home/m"));
}

#[tokio::test]
async fn without_grants_there_is_only_the_empty_root() {
    let mut state = Setting::default().state();
    let directories = View::of(&mut state).get_directories().await.unwrap();
    let names: Vec<_> = directories.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["/"]);
}

#[tokio::test]
async fn exchanging_a_folder_for_a_link_never_leads_out() {
    let mut files = Fixture::new(FolderMode::Ro).await;
    std::fs::write(files.host("inner/secret"), "inside").unwrap();
    symlink("..", files.host("swap")).unwrap();
    let (inner, swap) = (files.host("inner"), files.host("swap"));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let swapping = std::thread::spawn(move || {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            renameat_with(CWD, &inner, CWD, &swap, RenameFlags::EXCHANGE).unwrap();
        }
    });
    let mut inside = 0;
    for _ in 0..2_000 {
        if let Ok(text) = files.read("inner/secret").await {
            assert_eq!(text, "inside");
            inside += 1;
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    swapping.join().unwrap();
    assert!(inside > 0, "the folder was never met as a folder");
}
