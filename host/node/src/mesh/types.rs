//! Types of the capabilities that peers offer. Where this node has the type, the values of a call travel
//! in binary form; it is asked for once, beside the first call, which goes as JSON.

use std::{
    collections::BTreeMap,
    str,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use meshhost_core::{
    code::Code,
    function_type::FunctionType,
    id::Digest,
    mesh::{
        share,
        wire::{Bytes, CallFrame, CallRefusal, Declined, TypeFound, TypeWanted},
    },
    outcome::Refusal,
};

use super::{known, link::Link, running::Running, transport::Stream};

/// Types that are kept; beyond that all are forgotten, and asked for again when they are needed.
const TYPES_MAX: usize = 512;
/// How long one waits for a type.
const ANSWER: Duration = Duration::from_secs(5);

/// The types that this node knows, and those that it has asked for.
#[derive(Debug, Default)]
pub(super) struct Types {
    known: Mutex<BTreeMap<Digest, Option<Arc<FunctionType>>>>,
}

impl Types {
    fn known(&self) -> MutexGuard<'_, BTreeMap<Digest, Option<Arc<FunctionType>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the type has to be asked for; whoever is told so asks for it.
    fn take_turn(&self, type_hash: Digest) -> bool {
        let mut known = self.known();
        if known.contains_key(&type_hash) {
            return false;
        }
        if known.len() >= TYPES_MAX {
            known.clear();
        }
        known.insert(type_hash, None);
        true
    }
}

/// The type with this hash. One that is not known is asked of the peer, for the next call.
pub(super) fn of_peer(
    running: &Arc<Running>,
    link: &Arc<Link>,
    type_hash: Digest,
) -> Option<Arc<FunctionType>> {
    if running.types.take_turn(type_hash) {
        let (running, link) = (Arc::clone(running), Arc::clone(link));
        let tasks = running.tasks.clone();
        tasks.spawn(async move {
            let asked = tokio::time::timeout(ANSWER, ask(&link, type_hash)).await;
            let mut known = running.types.known();
            match asked {
                Ok(Some(function)) => known.insert(type_hash, Some(Arc::new(function))),
                // Another peer may have it, or this one later.
                Ok(None) | Err(_) => known.remove(&type_hash).flatten().map(Some),
            };
        });
        return None;
    }
    running.types.known().get(&type_hash).cloned().flatten()
}

async fn ask(link: &Link, type_hash: Digest) -> Option<FunctionType> {
    let calls = link.calls().await?;
    let Stream { mut sending, mut receiving } = calls.open().await.ok()?;
    sending.write(&CallFrame::TypeWanted(TypeWanted { type_hash })).await.ok()?;
    sending.finish();
    let CallFrame::TypeFound(TypeFound { text }) = receiving.read().await.ok()?? else {
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
