//! Blobs that this node has from a peer: those that the input of the peer's call names, fetched as
//! the guest reads them, and those of an answer. Nothing is shown before it is known to belong to the
//! digest.
//!
//! A peer's call reads what it has made itself and what its peer lends, never another blob of this
//! node: who knows a digest has not shown that it may read the bytes.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use meshhost_core::{
    id::{Digest, InvocationId},
    mesh::{
        blob::{GROUP_BYTES, Incoming},
        key::NodeKey,
        wire::{BlobGroup, BlobWanted, CallFrame},
    },
    ports::{BlobStore, BlobWriter, PortError},
};
use meshhost_runtime::convert::INPUT_BLOBS_MAX;
use tokio::{
    sync::{Mutex, watch},
    task::AbortHandle,
};

use super::{
    link::Link,
    running::Running,
    transport::{Closing, Receiving, Stream},
};
use crate::{
    door::Lender,
    store::blobs::{Arrival, Arrived, CallBlobs},
};

/// Bytes that are fetched before the guest asks for them.
const AHEAD_BYTES: u64 = 8 * 1024 * 1024;
/// How long a stream is kept for a guest that does not read on: the peer has so many, and a call may
/// hold more blobs than that. It is opened again where it ended.
const IDLE: Duration = Duration::from_secs(1);
/// How long one waits for the next frame of a blob.
const STALLED: Duration = Duration::from_secs(10);
/// How often a blob that was cut off is asked for again without any of it having come.
const TRIES: u32 = 5;
/// How long one waits before that, and at most for a peer that is away.
const AGAIN: Duration = Duration::from_millis(50);
const CONNECTING: Duration = Duration::from_secs(2);
/// Bytes of blobs that an answer may bring: as many as a call may write here by default.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// A call's peer, as the one that gives its blobs.
#[derive(Debug, Clone)]
pub(super) struct Source {
    running: Arc<Running>,
    peer: NodeKey,
    invocation_id: InvocationId,
}

impl Source {
    /// The peer that is called, or calls, in this invocation.
    pub(super) const fn new(
        running: Arc<Running>,
        peer: NodeKey,
        invocation_id: InvocationId,
    ) -> Self {
        Self { running, peer, invocation_id }
    }

    /// Asks for a blob from one group on.
    async fn ask(&self, digest: &Digest, from_group: u64) -> Result<(Receiving, Incoming), Cut> {
        let link = self.link().await.ok_or(Cut::Again)?;
        let calls = link.calls().await.ok_or(Cut::Again)?;
        let Stream { mut sending, mut receiving } = calls.open().await.map_err(|_| Cut::Again)?;
        let invocation_id = Some(self.invocation_id.clone());
        let wanted = BlobWanted { digest: *digest, invocation_id, from_group };
        sending.write(&CallFrame::BlobWanted(wanted)).await.map_err(|_| Cut::Again)?;
        sending.finish();
        match next(&mut receiving).await? {
            CallFrame::BlobFound(found) => {
                match Incoming::new(*digest, found.length, found.values) {
                    Ok(incoming) => Ok((receiving, incoming)),
                    Err(error) => Err(self.lied(&error)),
                }
            }
            CallFrame::Declined(_) => Err(Cut::For(PortError::NotFound)),
            _ => Err(self.lied(&"it answers with a frame of another kind")),
        }
    }

    async fn link(&self) -> Option<Arc<Link>> {
        self.running.connected(&self.peer, CONNECTING).await
    }

    /// Ends the connection with a peer that says what is not so.
    fn lied(&self, what: &dyn std::fmt::Display) -> Cut {
        tracing::warn!(peer = %self.peer.short(), "a blob of a peer was not taken: {what}");
        if let Some(link) = self.running.links.find(&self.peer) {
            link.close(Closing::Protocol);
        }
        Cut::For(PortError::Fault)
    }

    /// Asks for a blob, and again when the answer is cut off.
    async fn ask_patiently(
        &self,
        digest: &Digest,
        from_group: u64,
    ) -> Result<(Receiving, Incoming), PortError> {
        for _ in 0..TRIES {
            match self.ask(digest, from_group).await {
                Ok(answer) => return Ok(answer),
                Err(Cut::For(error)) => return Err(error),
                Err(Cut::Again) => tokio::time::sleep(AGAIN).await,
            }
        }
        Err(PortError::Fault)
    }
}

/// Why a part of a blob did not come.
#[derive(Debug)]
enum Cut {
    /// The stream broke: asked again, the rest may come.
    Again,
    /// It will not come.
    For(PortError),
}

async fn next(receiving: &mut Receiving) -> Result<CallFrame, Cut> {
    match tokio::time::timeout(STALLED, receiving.read()).await {
        Ok(Ok(Some(frame))) => Ok(frame),
        _ => Err(Cut::Again),
    }
}

/// A blob on its way here.
#[derive(Debug)]
struct Fetch {
    length: u64,
    /// Up to where somebody reads.
    wanted: watch::Sender<u64>,
    /// Up to where it is here.
    here: watch::Receiver<Result<u64, PortError>>,
    arrived: Arrived,
    task: AbortHandle,
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fetch {
    /// Begins to fetch a blob, unless it is longer than `bytes_left`, which it is taken from.
    async fn begin(
        source: &Source,
        call: &Arc<CallBlobs>,
        digest: Digest,
        bytes_left: &AtomicU64,
    ) -> Result<Self, PortError> {
        let (receiving, incoming) = source.ask_patiently(&digest, 0).await?;
        let length = incoming.length();
        let taken = bytes_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(length));
        taken.map_err(|_| PortError::Quota)?;
        let (arrival, arrived) = call.arrive(length).await?;
        let (wanted, wants) = watch::channel(0);
        let (tell, here) = watch::channel(Ok(0));
        let work = Work { source: source.clone(), digest, incoming, wants, here: tell };
        let task = source.running.tasks.spawn(work.run(receiving, arrival)).abort_handle();
        Ok(Self { length, wanted, here, arrived, task })
    }

    /// Waits until the first `end` bytes are here.
    async fn until(&self, end: u64) -> Result<(), PortError> {
        self.wanted.send_if_modified(|wanted| {
            let more = end > *wanted;
            *wanted = end.max(*wanted);
            more
        });
        let mut here = self.here.clone();
        let enough = here.wait_for(|here| here.as_ref().map_or(true, |here| *here >= end)).await;
        match enough.as_deref() {
            Ok(here) => here.clone().map(drop),
            Err(_) => Err(PortError::Fault),
        }
    }

    async fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>, PortError> {
        let left = self.length.saturating_sub(offset);
        let count = left.min(u64::from(length));
        if count == 0 {
            return Ok(Vec::new());
        }
        self.until(offset.saturating_add(count)).await?;
        self.arrived.read(offset, usize::try_from(count).map_err(|_| PortError::Fault)?).await
    }

    /// Waits until all of it is here, found to be the blob, and in its place.
    async fn whole(&self) -> Result<(), PortError> {
        // One more than there is: only the end of the work says that.
        self.until(self.length.saturating_add(1)).await
    }
}

/// What fetches one blob.
struct Work {
    source: Source,
    digest: Digest,
    incoming: Incoming,
    wants: watch::Receiver<u64>,
    here: watch::Sender<Result<u64, PortError>>,
}

impl Work {
    async fn run(mut self, receiving: Receiving, arrival: Arrival) {
        let ended = self.fetch(receiving, arrival).await;
        self.tell(ended.map(|()| u64::MAX));
    }

    async fn fetch(
        &mut self,
        mut receiving: Receiving,
        mut arrival: Arrival,
    ) -> Result<(), PortError> {
        let mut tries = 0;
        let (mut index, mut bytes) = (0, 0_u64);
        while index < self.incoming.groups() {
            if !self.is_wanted(bytes).await? {
                receiving.stop();
                self.wait_until_wanted(bytes).await?;
                receiving = self.again(index).await?;
            }
            match self.group(&mut receiving, index).await {
                Ok(group) => {
                    arrival.append(&group.bytes).await?;
                    bytes += group.bytes.len() as u64;
                    (index, tries) = (index + 1, 0);
                    if group.bytes.len() == GROUP_BYTES {
                        self.tell(Ok(bytes));
                    }
                }
                Err(Cut::For(error)) => return Err(error),
                Err(Cut::Again) if tries < TRIES => {
                    tries += 1;
                    receiving.stop();
                    receiving = self.again(index).await?;
                }
                Err(Cut::Again) => return Err(PortError::Fault),
            }
        }
        arrival.finish(&self.digest).await
    }

    fn tell(&self, here: Result<u64, PortError>) {
        let _before = self.here.send_replace(here);
    }

    /// Asks for the rest from a group on.
    async fn again(&self, index: usize) -> Result<Receiving, PortError> {
        let (receiving, incoming) = self.source.ask_patiently(&self.digest, index as u64).await?;
        if incoming == self.incoming { Ok(receiving) } else { Err(PortError::Fault) }
    }

    /// Whether the group at `bytes` is next for the guest, within a while.
    async fn is_wanted(&mut self, bytes: u64) -> Result<bool, PortError> {
        match tokio::time::timeout(IDLE, self.wait_until_wanted(bytes)).await {
            Ok(wanted) => wanted.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Waits until the guest has read so far that the group at `bytes` is next.
    async fn wait_until_wanted(&mut self, bytes: u64) -> Result<(), PortError> {
        let wanted = self.wants.wait_for(|wanted| wanted.saturating_add(AHEAD_BYTES) > bytes);
        wanted.await.map(drop).map_err(|_| PortError::Fault)
    }

    async fn group(&self, receiving: &mut Receiving, index: usize) -> Result<BlobGroup, Cut> {
        let CallFrame::BlobGroup(group) = next(receiving).await? else {
            return Err(self.source.lied(&"another frame comes instead of a group"));
        };
        match self.incoming.check(index, &group.bytes) {
            Ok(()) => Ok(group),
            Err(error) => Err(self.source.lied(&error)),
        }
    }
}

impl Lender for Source {
    fn blobs(self: Arc<Self>, own: Arc<CallBlobs>, bytes_max: u64) -> Arc<dyn BlobStore> {
        Arc::new_cyclic(|this| Borrowed {
            source: (*self).clone(),
            own,
            bytes_left: AtomicU64::new(bytes_max),
            known: Mutex::default(),
            this: this.clone(),
        })
    }
}

/// The blobs of a peer's call.
#[derive(Debug)]
struct Borrowed {
    source: Source,
    own: Arc<CallBlobs>,
    bytes_left: AtomicU64,
    known: Mutex<HashMap<Digest, Blob>>,
    this: Weak<Self>,
}

#[derive(Debug, Clone)]
enum Blob {
    /// The call has made it.
    Own,
    /// The peer lends it.
    Lent(Arc<Fetch>),
}

impl Borrowed {
    async fn find(&self, digest: &Digest) -> Result<Blob, PortError> {
        let mut known = self.known.lock().await;
        if let Some(blob) = known.get(digest) {
            return Ok(blob.clone());
        }
        let fetch = Fetch::begin(&self.source, &self.own, *digest, &self.bytes_left).await?;
        let blob = Blob::Lent(Arc::new(fetch));
        known.insert(*digest, blob.clone());
        Ok(blob)
    }
}

#[async_trait]
impl BlobStore for Borrowed {
    async fn length(&self, digest: &Digest) -> Result<u64, PortError> {
        match self.find(digest).await? {
            Blob::Own => self.own.length(digest).await,
            Blob::Lent(fetch) => Ok(fetch.length),
        }
    }

    async fn read(&self, digest: &Digest, offset: u64, length: u32) -> Result<Vec<u8>, PortError> {
        match self.find(digest).await? {
            Blob::Own => self.own.read(digest, offset, length).await,
            Blob::Lent(fetch) => fetch.read(offset, length).await,
        }
    }

    async fn ready(&self, digest: &Digest) -> Result<(), PortError> {
        match self.find(digest).await? {
            Blob::Own => Ok(()),
            Blob::Lent(fetch) => fetch.whole().await,
        }
    }

    async fn begin(&self, bytes_max: u64) -> Result<Box<dyn BlobWriter>, PortError> {
        let call = self.this.upgrade().ok_or(PortError::Fault)?;
        Ok(Box::new(Making { writer: self.own.begin(bytes_max).await?, call }))
    }
}

/// A blob that a peer's call makes.
#[derive(Debug)]
struct Making {
    writer: Box<dyn BlobWriter>,
    call: Arc<Borrowed>,
}

#[async_trait]
impl BlobWriter for Making {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        self.writer.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<(Digest, u64), PortError> {
        let (digest, length) = self.writer.finish().await?;
        self.call.known.lock().await.insert(digest, Blob::Own);
        Ok((digest, length))
    }
}

/// Fetches these blobs of an answer, as far as this node does not have them, and keeps them.
///
/// # Errors
/// Of the first one that does not come: which.
pub(super) async fn fetch_answer(source: &Source, named: BTreeSet<Digest>) -> Result<(), Digest> {
    if named.len() > INPUT_BLOBS_MAX {
        // None of them is lent.
        return Ok(());
    }
    let bytes_left = AtomicU64::new(ANSWER_BYTES_MAX);
    for digest in named {
        let blobs = &source.running.blobs;
        let call = blobs.for_call();
        if call.length(&digest).await.is_err() {
            let fetched =
                async { Fetch::begin(source, &call, digest, &bytes_left).await?.whole().await };
            fetched.await.map_err(|_| digest)?;
        }
        blobs.keep(&digest).await.map_err(|_| digest)?;
    }
    Ok(())
}
