//! Blobs that this node gives to its peers: while a call is on its way, those that its input names to
//! the node that serves it; for a while after an answer, those that it names to the node that called.
//! To nobody else, and nothing else: what a plugin writes where its type has no blob names none, however
//! much it looks like one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use meshhost_core::{
    code::Code,
    function_type::FunctionType,
    id::{Digest, InvocationId},
    invocation::{EntranceKind, Invocation},
    mesh::{
        blob::{GROUP_BYTES, groups},
        key::NodeKey,
        value,
        wire::{BlobFound, BlobGroup, BlobWanted, Bytes, CallFrame, Declined},
    },
    outcome::{CallResult, Outcome, Refusal},
    ports::{BlobStore as _, PortError},
};
use meshhost_runtime::convert::{INPUT_BLOBS_MAX, referenced_blobs};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{link::Link, running::Running, transport::Sending};
use crate::store::blobs::{Blobs, CallBlobs};

/// How long the blobs of an answer wait for the node that called.
const ANSWERED: Duration = Duration::from_secs(60);
/// Calls whose blobs are lent at once.
const LENT_MAX: usize = 1_024;

type Key = (NodeKey, InvocationId);

/// What is lent to whom.
#[derive(Debug, Default)]
pub(super) struct Lending {
    lent: Mutex<BTreeMap<Key, Arc<Lent>>>,
}

/// The blobs of one call between two nodes, held as long as they are lent.
#[derive(Debug)]
struct Lent {
    blobs: Arc<CallBlobs>,
    found: HashMap<Digest, OnceCell<BlobFound>>,
}

impl Lent {
    /// How a blob is checked: made once, for whoever asks first.
    async fn found(&self, digest: &Digest) -> Result<&BlobFound, PortError> {
        let cell = self.found.get(digest).ok_or(PortError::NotFound)?;
        let find = async {
            let length = self.blobs.length(digest).await?;
            Ok(BlobFound { length, values: self.blobs.chaining_values(digest).await? })
        };
        cell.get_or_try_init(|| find).await
    }
}

/// Blobs are lent as long as this lives.
#[derive(Debug)]
pub(super) struct Loan {
    lending: Arc<Lending>,
    key: Key,
    lent: Arc<Lent>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut all = self.lending.all();
        // A later call of the same id has its own.
        if all.get(&self.key).is_some_and(|lent| Arc::ptr_eq(lent, &self.lent)) {
            all.remove(&self.key);
        }
    }
}

impl Lending {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Lent>>> {
        // Nothing panics while it holds the lock.
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends these blobs, as far as this node has them; `None` when there are none, or more than a call
    /// may name.
    pub(super) async fn lend(
        self: &Arc<Self>,
        key: Key,
        blobs: &Blobs,
        named: BTreeSet<Digest>,
    ) -> Option<Loan> {
        if named.is_empty() || named.len() > INPUT_BLOBS_MAX {
            return None;
        }
        let (blobs, mut found) = (blobs.for_call(), HashMap::new());
        for digest in named {
            // Asking for its length holds it.
            if blobs.length(&digest).await.is_ok() {
                found.insert(digest, OnceCell::new());
            }
        }
        if found.is_empty() {
            return None;
        }
        let lent = Arc::new(Lent { blobs, found });
        let mut all = self.all();
        if all.len() >= LENT_MAX && !all.contains_key(&key) {
            tracing::warn!("a peer does not get the blobs of its call: {LENT_MAX} others wait");
            return None;
        }
        all.insert(key.clone(), Arc::clone(&lent));
        drop(all);
        Some(Loan { lending: Arc::clone(self), key, lent })
    }

    fn find(&self, peer: &NodeKey, invocation_id: Option<&InvocationId>) -> Option<Arc<Lent>> {
        let key = (*peer, invocation_id?.clone());
        self.all().get(&key).cloned()
    }
}

/// The blobs of this node that a call names, of a capability with this type.
pub(super) fn of_input(
    invocation: &Invocation,
    function: Option<&FunctionType>,
) -> BTreeSet<Digest> {
    match function {
        Some(function) => value::input_blobs(function, &invocation.input),
        // Without the type nothing tells a blob from text that looks like one. What a component names may
        // be guessed; whoever is at this node itself may read each of its blobs.
        None if invocation.entrance == EntranceKind::Component => BTreeSet::new(),
        None => all_named(&invocation.input),
    }
}

/// Everything in a value that looks like a blob; nothing when that is more than a call may name.
pub(super) fn all_named(value: &Value) -> BTreeSet<Digest> {
    referenced_blobs(value).unwrap_or_default().into_iter().collect()
}

/// Whether there is anything in a value that looks like a blob.
pub(super) fn may_name(value: &Value) -> bool {
    referenced_blobs(value).map_or(true, |named| !named.is_empty())
}

/// The blobs that a call answered with. Which blobs the call made or was given is not known any more: the
/// answer may be a recorded one. Where the plugin has another version by now, or its type is not known, there
/// are none.
fn of_answer(running: &Running, result: &CallResult) -> BTreeSet<Digest> {
    let (Outcome::Success(output), Some(door)) = (&result.outcome, running.door.upgrade()) else {
        return BTreeSet::new();
    };
    if !may_name(output) {
        return BTreeSet::new();
    }
    let snapshot = door.registry.snapshot();
    let mut providers = snapshot.providers(&result.capability_id).iter();
    let ran = providers.find(|served| {
        let version = served.provider.capability.version.to_string();
        result.plugin.as_deref() == Some(served.provider.plugin.as_str())
            && result.capability_version.as_ref() == Some(&version)
    });
    let function = ran.and_then(|ran| ran.provider.capability.function_type.as_ref());
    function.map(|function| value::output_blobs(function, output)).unwrap_or_default()
}

/// Lends the blobs of an answer, until the peer has had the time to fetch them.
pub(super) async fn lend_answer(running: &Arc<Running>, link: &Arc<Link>, result: &CallResult) {
    let (key, named) = ((link.peer, result.invocation_id.clone()), of_answer(running, result));
    let Some(loan) = running.lending.lend(key, &running.blobs, named).await else { return };
    let (closing, link) = (running.closing.clone(), Arc::clone(link));
    running.tasks.spawn(async move {
        tokio::select! {
            () = closing.cancelled() => {}
            () = link.ended() => {}
            () = tokio::time::sleep(ANSWERED) => {}
        }
        drop(loan);
    });
}

/// Answers a peer that wants a blob.
pub(super) async fn give(
    running: &Running,
    link: &Link,
    wanted: &BlobWanted,
    sending: &mut Sending,
) {
    let lent = running.lending.find(&link.peer, wanted.invocation_id.as_ref());
    let found = match &lent {
        Some(lent) => lent.found(&wanted.digest).await.ok().map(|found| (lent, found)),
        None => None,
    };
    let Some((lent, found)) = found else {
        let refusal = Refusal::new(Code::NotFound, "this node has no such blob for the caller");
        let _ = sending.write(&CallFrame::Declined(Declined { refusal: refusal.into() })).await;
        sending.finish();
        return;
    };
    match send(lent, (&wanted.digest, wanted.from_group), found, sending).await {
        Some(()) => sending.finish(),
        None => sending.cancel(),
    }
    sending.taken().await;
}

/// Sends what is missing; `None` when it cannot be read or the peer wants no more.
async fn send(
    lent: &Lent,
    (digest, from_group): (&Digest, u64),
    found: &BlobFound,
    sending: &mut Sending,
) -> Option<()> {
    sending.write(&CallFrame::BlobFound(found.clone())).await.ok()?;
    let count = groups(found.length).ok()? as u64;
    for index in from_group..count {
        let offset = index.checked_mul(GROUP_BYTES as u64)?;
        let bytes = lent.blobs.read(digest, offset, u32::try_from(GROUP_BYTES).ok()?).await.ok()?;
        let group = BlobGroup { bytes: Bytes::from(bytes) };
        sending.write(&CallFrame::BlobGroup(group)).await.ok()?;
    }
    Some(())
}
