//! Blobs of a peer that lends them, cuts them off, or lies.

use meshhost_core::{
    mesh::{
        blob::{GROUP_BYTES, chaining_value},
        key::NodeKey,
        wire::{BlobFound, BlobGroup, CallFrame, Declined},
    },
    ports::{BlobStore, PortError},
};

use super::*;
use crate::{door::Lender as _, mesh::borrowing::Source};

/// What a peer does with a blob that is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lends {
    Well,
    /// Each time it sends one group and cuts the rest off.
    OneAtATime,
    /// The second group is not the blob's.
    AnotherGroup,
    /// The list is not the blob's.
    AnotherList,
    /// Well, and it is [`large`].
    Large,
}

/// Three groups and a bit.
fn bytes() -> Vec<u8> {
    (0_u32..200_000).flat_map(u32::to_le_bytes).collect()
}

/// More than is fetched and sent ahead of a guest that does not read.
fn large() -> Vec<u8> {
    (0_u32..4_500_000).flat_map(u32::to_le_bytes).collect()
}

/// A member of the node's community that lends [`bytes`].
async fn member(node: &Fixture, lends: Lends) -> NodeKey {
    let ticket: meshhost_core::mesh::ticket::Ticket = node.ticket.parse().unwrap();
    let control = node.dial(1, Protocol::Control).await;
    let Stream { mut sending, mut receiving } = control.open().await.unwrap();
    sending.write(&node.hello(Some(Secret::from(ticket.secret)))).await.unwrap();
    receiving.read::<ControlFrame>().await.unwrap().unwrap();
    let key = Signer::from_seed(&[1; 32]).node_key();
    let running = node.mesh.state().running.unwrap();
    running.connected(&key, Duration::from_secs(5)).await.unwrap();
    tokio::spawn(async move {
        // The connection stays, and answers whoever asks whether it is there.
        while let Ok(Some(frame)) = receiving.read::<ControlFrame>().await {
            if let ControlFrame::Ping(number) = frame {
                let _ = sending.write(&ControlFrame::Pong(number)).await;
            }
        }
        drop(control);
    });
    let calls = node.dial(1, Protocol::Calls).await;
    calls.admit();
    tokio::spawn(async move {
        while let Ok(stream) = calls.accept().await {
            lend(stream, lends).await;
        }
    });
    key
}

async fn lend(stream: Stream, lends: Lends) {
    let Stream { mut sending, mut receiving } = stream;
    let Ok(Some(CallFrame::BlobWanted(wanted))) = receiving.read().await else { return };
    let all = if lends == Lends::Large { large() } else { bytes() };
    if wanted.digest != Digest::of(&all) {
        let refusal = Refusal::new(Code::NotFound, "there is no such blob").into();
        sending.write(&CallFrame::Declined(Declined { refusal })).await.unwrap();
        sending.finish();
        return;
    }
    let groups: Vec<_> = all.chunks(GROUP_BYTES).collect();
    let list = groups.iter().enumerate();
    let mut values: Vec<_> =
        list.map(|(index, group)| chaining_value(index, group).unwrap()).collect();
    if lends == Lends::AnotherList {
        values.swap(0, 1);
    }
    let found = BlobFound { length: all.len() as u64, values };
    sending.write(&CallFrame::BlobFound(found)).await.unwrap();
    let from = usize::try_from(wanted.from_group).unwrap();
    for (index, group) in groups.iter().enumerate().skip(from) {
        let mut group = group.to_vec();
        if lends == Lends::AnotherGroup && index == 1 {
            group[7] ^= 1;
        }
        let frame = CallFrame::BlobGroup(BlobGroup { bytes: group.into() });
        if sending.write(&frame).await.is_err() {
            return;
        }
        if lends == Lends::OneAtATime {
            break;
        }
    }
    sending.finish();
}

/// The blobs of a call of that member, of which it may bring so many bytes.
async fn blobs(node: &Fixture, lends: Lends, bytes_max: u64) -> (NodeKey, Arc<dyn BlobStore>) {
    let key = member(node, lends).await;
    let running = node.mesh.state().running.unwrap();
    let source = Arc::new(Source::new(running, key, "call-1".parse().unwrap()));
    (key, source.blobs(node.store.blobs.for_call(), bytes_max))
}

async fn read_all(blobs: &dyn BlobStore) -> Result<Vec<u8>, PortError> {
    let digest = Digest::of(&bytes());
    let length = blobs.length(&digest).await?;
    let mut read = Vec::new();
    while (read.len() as u64) < length {
        read.extend(blobs.read(&digest, read.len() as u64, 100_000).await?);
    }
    Ok(read)
}

#[tokio::test]
async fn a_blob_that_is_cut_off_goes_on_where_it_ended() {
    for lends in [Lends::Well, Lends::OneAtATime] {
        let node = Fixture::new().await;
        let (_, blobs) = blobs(&node, lends, u64::MAX).await;
        assert!(read_all(&*blobs).await.unwrap() == bytes(), "{lends:?}");
        blobs.ready(&Digest::of(&bytes())).await.unwrap();
        assert_eq!(node.store.blobs.for_call().length(&Digest::of(&bytes())).await, Ok(800_000));
    }
}

#[tokio::test]
async fn who_sends_what_is_not_the_blob_is_cut_off_and_nothing_of_it_is_shown() {
    for lends in [Lends::AnotherGroup, Lends::AnotherList] {
        let node = Fixture::new().await;
        let (key, blobs) = blobs(&node, lends, u64::MAX).await;
        assert_eq!(read_all(&*blobs).await, Err(PortError::Fault), "{lends:?}");
        let links = &node.mesh.state().running.unwrap().links;
        let gone = links.find(&key).is_none_or(|link| link.has_ended());
        assert!(gone, "{lends:?}");
        let kept = node.store.blobs.for_call().length(&Digest::of(&bytes())).await;
        assert_eq!(kept, Err(PortError::NotFound));
    }
}

/// A stream that waits for its guest would be one that no other blob and no call gets. This lender looks
/// at one stream after the other.
#[tokio::test]
async fn a_guest_that_does_not_read_on_keeps_no_stream_and_gets_the_rest_when_it_does() {
    let node = Fixture::new().await;
    let (_, blobs) = blobs(&node, Lends::Large, u64::MAX).await;
    let (all, digest) = (large(), Digest::of(&large()));
    assert!(blobs.read(&digest, 0, 1_000).await.unwrap() == all[..1_000]);
    assert_eq!(blobs.length(&Digest::of(b"another")).await, Err(PortError::NotFound));
    let end = all.len() - 1_000;
    assert!(blobs.read(&digest, end as u64, 1_000).await.unwrap() == all[end..]);
}

#[tokio::test]
async fn a_blob_beyond_what_the_call_may_bring_is_not_fetched() {
    let node = Fixture::new().await;
    let (_, blobs) = blobs(&node, Lends::Well, 799_999).await;
    assert_eq!(read_all(&*blobs).await, Err(PortError::Quota));
}
