use std::fs;

use meshhost_core::ports::PortError;

use super::*;
use crate::sys::SystemClock;

const QUOTA: u64 = 1_000_000;

struct Home {
    folder: tempfile::TempDir,
    database: Database,
}

impl Home {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meshhost.db");
        let database =
            Database::open(&path, meshhost_core::config::Durability::Process).await.unwrap();
        Self { folder, database }
    }

    async fn blobs(&self) -> Blobs {
        let folder = self.folder.path().join("blobs");
        let clock = Arc::new(SystemClock);
        Blobs::open(folder, self.database.clone(), clock, QUOTA).await.unwrap()
    }

    /// Every file below the folder of blobs.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for folder in fs::read_dir(self.folder.path().join("blobs")).unwrap() {
            let inside = fs::read_dir(folder.unwrap().path()).unwrap();
            files.extend(inside.map(|file| file.unwrap().path()));
        }
        files
    }
}

async fn make(call: &Arc<CallBlobs>, bytes: &[u8]) -> Result<Digest, PortError> {
    let mut writer = call.begin(u64::MAX).await?;
    for piece in bytes.chunks(70_001) {
        writer.write(piece).await?;
    }
    let (digest, length) = writer.finish().await?;
    assert_eq!((digest, length), (Digest::of(bytes), bytes.len() as u64));
    Ok(digest)
}

/// Waits until the work that dropping a call began is done.
async fn settled(blobs: &Blobs, bytes: u64) {
    for _ in 0..1_000 {
        if blobs.shared.shelf.bytes() == bytes {
            return;
        }
        tokio::task::yield_now().await;
        blobs.shared.work(|| Ok(())).await.unwrap();
    }
    panic!("{} bytes are still counted, not {bytes}", blobs.shared.shelf.bytes());
}

#[tokio::test]
async fn ranges_are_what_was_written() {
    let home = Home::new().await;
    let blobs = home.blobs().await;
    let bytes: Vec<u8> = (0..600_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    let call = blobs.for_call();
    let digest = make(&call, &bytes).await.unwrap();
    assert_eq!(call.length(&digest).await, Ok(600_000));
    for (offset, length, expected) in [
        (0, 10, &bytes[..10]),
        (299_999, 200_000, &bytes[299_999..499_999]),
        (599_990, 100, &bytes[599_990..]),
        (600_000, 1, &[][..]),
        (u64::MAX, u32::MAX, &[][..]),
        (0, 0, &[][..]),
    ] {
        let read = call.read(&digest, offset, length).await.unwrap();
        assert_eq!(read, expected, "{offset} {length}");
    }
    let unknown = Digest::of(b"unknown");
    assert_eq!(call.length(&unknown).await, Err(PortError::NotFound));
    assert_eq!(call.read(&unknown, 0, 1).await, Err(PortError::NotFound));
}

#[tokio::test]
async fn a_blob_ends_with_the_last_call_that_holds_it() {
    let home = Home::new().await;
    let blobs = home.blobs().await;
    let first = blobs.for_call();
    let digest = make(&first, b"shared").await.unwrap();
    make(&first, b"shared").await.unwrap();
    let second = blobs.for_call();
    assert_eq!(second.length(&digest).await, Ok(6));
    drop(first);
    settled(&blobs, 6).await;
    assert_eq!(second.read(&digest, 0, 6).await.unwrap(), b"shared");
    drop(second);
    settled(&blobs, 0).await;
    assert_eq!(blobs.for_call().length(&digest).await, Err(PortError::NotFound));
    assert_eq!(home.files(), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn a_dropped_writer_leaves_nothing_behind() {
    let home = Home::new().await;
    let blobs = home.blobs().await;
    let call = blobs.for_call();
    let mut writer = call.begin(u64::MAX).await.unwrap();
    writer.write(&[1; 500_000]).await.unwrap();
    assert_eq!(blobs.shared.shelf.bytes(), 500_000);
    drop(writer);
    settled(&blobs, 0).await;
    assert_eq!(home.files(), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn writing_ends_at_the_bound_and_at_the_quota() {
    let home = Home::new().await;
    let blobs = home.blobs().await;
    let call = blobs.for_call();
    let mut writer = call.begin(10).await.unwrap();
    writer.write(&[0; 10]).await.unwrap();
    assert_eq!(writer.write(&[0; 1]).await, Err(PortError::Quota));
    drop(writer);
    let mut writer = call.begin(u64::MAX).await.unwrap();
    writer.write(&vec![0; 900_000]).await.unwrap();
    assert_eq!(writer.write(&vec![0; 200_000]).await, Err(PortError::Quota));
    drop(writer);
    settled(&blobs, 0).await;
    make(&call, &vec![0; 1_000_000]).await.unwrap();
}

#[tokio::test]
async fn kept_blobs_survive_and_make_room_and_pinned_ones_stay() {
    let home = Home::new().await;
    let blobs = home.blobs().await;
    let call = blobs.for_call();
    let pinned = make(&call, &[1; 300_000]).await.unwrap();
    let kept = make(&call, &[2; 300_000]).await.unwrap();
    blobs.pin(&pinned).await.unwrap();
    blobs.keep(&kept).await.unwrap();
    drop((call, blobs));

    let blobs = home.blobs().await;
    assert_eq!(blobs.shared.shelf.bytes(), 600_000);
    let call = blobs.for_call();
    make(&call, &[3; 600_000]).await.unwrap();
    assert_eq!(call.length(&kept).await, Err(PortError::NotFound));
    assert_eq!(call.length(&pinned).await, Ok(300_000));
    assert_eq!(make(&call, &[4; 200_000]).await, Err(PortError::Quota));
    blobs.unpin(&pinned).await.unwrap();
    drop(call);
    settled(&blobs, 300_000).await;
    make(&blobs.for_call(), &[5; 1_000_000]).await.unwrap();
}

#[tokio::test]
async fn leftovers_are_swept_and_lost_files_forgotten() {
    let home = Home::new().await;
    let blobs = home.blobs().await;
    let call = blobs.for_call();
    let leftover = make(&call, b"a call was cut short").await.unwrap();
    let lost = make(&call, b"lost").await.unwrap();
    blobs.keep(&lost).await.unwrap();
    fs::write(blobs.shared.shelf.temporary(99), "half").unwrap();
    fs::remove_file(blobs.shared.shelf.path(&lost)).unwrap();
    std::mem::forget(call);
    let blobs = home.blobs().await;
    assert_eq!(home.files(), [] as [PathBuf; 0]);
    for digest in [leftover, lost] {
        assert_eq!(blobs.for_call().length(&digest).await, Err(PortError::NotFound));
    }
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM blobs")
        .fetch_one(home.database.readers())
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn files_go_in_and_come_out_checked() {
    let home = Home::new().await;
    let blobs = home.blobs().await;
    let source = home.folder.path().join("in");
    let bytes = vec![7; 700_000];
    fs::write(&source, &bytes).unwrap();
    let (digest, length) = blobs.put_file(&source).await.unwrap();
    assert_eq!((digest, length), (Digest::of(&bytes), 700_000));
    let target = home.folder.path().join("out");
    assert_eq!(blobs.get_to_file(&digest, &target).await.unwrap(), 700_000);
    assert_eq!(fs::read(&target).unwrap(), bytes);
    assert!(blobs.get_to_file(&digest, &target).await.is_err(), "nothing is overwritten");

    let damaged = home.folder.path().join("damaged");
    fs::write(blobs.shared.shelf.path(&digest), vec![8; 700_000]).unwrap();
    let error = blobs.get_to_file(&digest, &damaged).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(!damaged.exists());
    assert!(blobs.put_file(home.folder.path()).await.is_err(), "a folder is no file");
}
