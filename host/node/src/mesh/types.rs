//! Types of the capabilities that peers offer. Where this node has the type, the values of a call travel
//! in binary form; it is asked for once, beside the first call, which goes as JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    str,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use meshhost_core::{
    code::Code,
    function_type::FunctionType,
    id::Digest,
    mesh::{
        key::NodeKey,
        share,
        wire::{Bytes, CallFrame, CallRefusal, Declined, TypeFound, TypeWanted},
    },
    outcome::Refusal,
};

use super::{calling::answer_of, known, link::Link, running::Running};

/// Types that are kept; beyond that all are forgotten, and asked for again when they are needed.
const TYPES_MAX: usize = 512;
/// Types that are asked for at once.
const ASKED_MAX: usize = 512;
/// How long one waits for a type.
const PATIENCE: Duration = Duration::from_secs(5);

/// The types that this node knows, and those that it asks for now.
#[derive(Debug, Default)]
pub(super) struct Types {
    known: Mutex<BTreeMap<Digest, Arc<FunctionType>>>,
    /// By whom it is asked: a peer that does not answer keeps no other one from being asked.
    asked: Mutex<BTreeSet<(NodeKey, Digest)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Types {
    fn find(&self, type_hash: &Digest) -> Option<Arc<FunctionType>> {
        lock(&self.known).get(type_hash).cloned()
    }

    fn learn(&self, type_hash: Digest, function: FunctionType) -> Arc<FunctionType> {
        let mut known = lock(&self.known);
        if known.len() >= TYPES_MAX && !known.contains_key(&type_hash) {
            known.clear();
        }
        let function = Arc::new(function);
        known.insert(type_hash, Arc::clone(&function));
        function
    }

    /// Whether the peer is to be asked now; whoever is told so asks it.
    fn take_turn(&self, peer: NodeKey, type_hash: Digest) -> bool {
        let mut asked = lock(&self.asked);
        asked.len() < ASKED_MAX && asked.insert((peer, type_hash))
    }
}

/// The type with this hash. One that is not known is asked of the peer, for the next call.
pub(super) fn of_peer(
    running: &Arc<Running>,
    link: &Arc<Link>,
    type_hash: Digest,
) -> Option<Arc<FunctionType>> {
    let known = running.types.find(&type_hash);
    if known.is_none() && running.types.take_turn(link.peer, type_hash) {
        let (running, link) = (Arc::clone(running), Arc::clone(link));
        let tasks = running.tasks.clone();
        tasks.spawn(async move {
            told_by(&running, &link, type_hash).await;
            lock(&running.types.asked).remove(&(link.peer, type_hash));
        });
    }
    known
}

/// The type with this hash. One that is not known is asked of the peer, and waited for.
pub(super) async fn told_by(
    running: &Running,
    link: &Link,
    type_hash: Digest,
) -> Option<Arc<FunctionType>> {
    if let Some(known) = running.types.find(&type_hash) {
        return Some(known);
    }
    let asked = tokio::time::timeout(PATIENCE, ask(link, type_hash));
    let function = asked.await.ok().flatten()?;
    Some(running.types.learn(type_hash, function))
}

async fn ask(link: &Link, type_hash: Digest) -> Option<FunctionType> {
    let question = CallFrame::TypeWanted(TypeWanted { type_hash });
    let CallFrame::TypeFound(TypeFound { text }) = answer_of(link, &question).await? else {
        return None;
    };
    // A text of another type, or one that is written otherwise than here, has another hash.
    if Digest::of(&text) != type_hash {
        return None;
    }
    str::from_utf8(&text).ok()?.parse().ok()
}

/// The type that a peer asks for: only of what is shared with it, and every other is unknown alike.
pub(super) fn give(
    running: &Running,
    link: &Link,
    shared: &[String],
    wanted: &TypeWanted,
) -> CallFrame {
    let found = running.door.upgrade().and_then(|door| {
        let snapshot = door.registry.snapshot();
        let plugins = snapshot.plugins();
        let mut all = plugins.flat_map(|plugin| plugin.record.current.capabilities.iter());
        all.find_map(|capability| {
            let open = capability.type_hash == Some(wanted.type_hash)
                && share::covers(shared, capability.id.as_str())
                && known::is_open(running, &link.peer, &capability.id);
            capability.function_type.as_ref().filter(|_| open).map(ToString::to_string)
        })
    });
    match found {
        Some(text) => CallFrame::TypeFound(TypeFound { text: Bytes::from(text.into_bytes()) }),
        None => {
            let message = "no capability of this type is shared with this node";
            let refusal = CallRefusal::from(Refusal::new(Code::CapabilityType, message));
            CallFrame::Declined(Declined { refusal })
        }
    }
}
