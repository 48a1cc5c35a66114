//! Sealing: an event gets its place in the chain of its correlation, its hashes, and its one
//! canonical text, which is all that a store needs to keep.
//!
//! For the one task that writes: [`Sealer`] holds the last sequence and the tree. A [`Group`] is
//! sealed in memory, its rows are inserted in one transaction, and only when that is committed
//! does [`Sealer::commit`] take the group over; a group that could not be written is dropped and
//! its sequences are given again, so that the numbers have no gaps.

use std::collections::HashMap;

use super::{
    canonical::write_text,
    event::{Draft, EventType, Fragments, Unhashed, outcome_word, write_optional},
    fact::INTEGER_MAX,
    hash::Hash,
    merkle::{self, Node, Tree},
};
use crate::{code::Code, id::CorrelationId, outcome::OutcomeKind};

/// The hash scheme of every event: the payload is hashed apart, so it can be withheld later.
pub const HASH_SCHEME: &str = "chp-event-hash-v2";
/// Bytes of one sealed event. What fills an event is bounded far below this.
pub const EVENT_BYTES_MAX: usize = 64 << 10;

/// Why an event cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Its text would be too long.
    #[error("the event would take more than {EVENT_BYTES_MAX} bytes")]
    TooLarge,
    /// The numbers that every JSON reader holds exactly are used up.
    #[error("the sequence has reached its end")]
    SequenceSpent,
}

impl SealError {
    /// The code of this error.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::EvidenceUnavailable
    }
}

/// An event with its place in the chain. `json` is the record; the rest repeats parts of it for
/// columns and indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its place among all events of the node, from 1, never given twice.
    pub sequence: u64,
    /// Its id.
    pub event_id: String,
    /// What it says.
    pub event_type: EventType,
    /// The call.
    pub invocation_id: crate::id::InvocationId,
    /// The capability.
    pub capability_id: crate::id::CapabilityId,
    /// The chain that it stands in.
    pub correlation_id: CorrelationId,
    /// When, as text.
    pub timestamp: String,
    /// How the call ended, in the event that ends it.
    pub outcome: Option<OutcomeKind>,
    /// The content hash of the event before it in the chain; none for the first.
    pub prev_hash: Option<Hash>,
    /// Its own.
    pub content_hash: Hash,
    /// Canonical JSON of the whole event.
    pub json: String,
}

/// Buffers that are used again from event to event.
#[derive(Debug, Default)]
pub struct Scratch {
    unhashed: Unhashed,
    bound: String,
    salt: String,
    payload: String,
    stable: String,
}

/// Seals one event after `prev_hash` in its correlation.
///
/// # Errors
/// [`SealError`] when the event is too large or the sequence beyond 2^53 - 1.
pub fn seal(
    draft: &Draft,
    sequence: u64,
    prev_hash: Option<Hash>,
    scratch: &mut Scratch,
) -> Result<Sealed, SealError> {
    if sequence > INTEGER_MAX {
        return Err(SealError::SequenceSpent);
    }
    let Scratch { unhashed, bound, salt, payload, stable } = scratch;
    for buffer in [&mut *bound, &mut *salt, &mut *payload, &mut *stable] {
        buffer.clear();
    }
    unhashed.fill(draft, sequence);
    unhashed.fragments().write_bound(bound);
    write_text(&draft.stamp.salt.to_string(), salt);
    draft.facts.write_with([("bound", bound), ("salt", salt)], payload);

    let context = &draft.context;
    let commitment = Hash::of(payload.as_bytes());
    let timestamp = draft.stamp.at.to_string();
    let fields = Stable {
        capability_id: context.capability_id.as_str(),
        correlation_id: context.correlation.correlation_id.as_str(),
        event_id: &draft.stamp.event_id,
        event_type: draft.event_type.as_str(),
        host_id: context.host_id.as_str(),
        invocation_id: context.invocation_id.as_str(),
        outcome: draft.outcome.map(outcome_word),
        payload_commitment: &commitment,
        prev_hash: prev_hash.as_ref(),
        timestamp: &timestamp,
    };
    fields.write(stable);
    let content_hash = Hash::of(stable.as_bytes());
    let mut json = String::with_capacity(payload.len() + 1_536);
    write_event(&fields, unhashed.fragments(), payload, &content_hash, &mut json);
    if json.len() > EVENT_BYTES_MAX {
        return Err(SealError::TooLarge);
    }
    Ok(Sealed {
        sequence,
        event_type: draft.event_type,
        invocation_id: context.invocation_id.clone(),
        capability_id: context.capability_id.clone(),
        correlation_id: context.correlation.correlation_id.clone(),
        outcome: draft.outcome,
        event_id: draft.stamp.event_id.clone(),
        timestamp,
        prev_hash,
        content_hash,
        json,
    })
}

/// The fields that the protocol hashes (`chp-event-hash-v2`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Stable<'a> {
    pub(super) capability_id: &'a str,
    pub(super) correlation_id: &'a str,
    pub(super) event_id: &'a str,
    pub(super) event_type: &'a str,
    pub(super) host_id: &'a str,
    pub(super) invocation_id: &'a str,
    pub(super) outcome: Option<&'a str>,
    pub(super) payload_commitment: &'a Hash,
    pub(super) prev_hash: Option<&'a Hash>,
    pub(super) timestamp: &'a str,
}

impl Stable<'_> {
    /// Appends their canonical object.
    pub(super) fn write(&self, out: &mut String) {
        for (key, value) in [
            ("{\"capability_id\": ", self.capability_id),
            (", \"correlation_id\": ", self.correlation_id),
            (", \"event_id\": ", self.event_id),
            (", \"event_type\": ", self.event_type),
            (", \"host_id\": ", self.host_id),
            (", \"invocation_id\": ", self.invocation_id),
        ] {
            out.push_str(key);
            write_text(value, out);
        }
        out.push_str(", \"outcome\": ");
        write_optional(self.outcome, out);
        out.push_str(", \"payload_commitment\": ");
        write_hash(Some(self.payload_commitment), out);
        out.push_str(", \"prev_hash\": ");
        write_hash(self.prev_hash, out);
        out.push_str(", \"timestamp\": ");
        write_text(self.timestamp, out);
        out.push('}');
    }
}

fn write_hash(hash: Option<&Hash>, out: &mut String) {
    match hash {
        Some(hash) => {
            out.push('"');
            out.push_str(hash.hex().as_str());
            out.push('"');
        }
        None => out.push_str("null"),
    }
}

/// Appends the canonical text of the whole event.
pub(super) fn write_event(
    fields: &Stable<'_>,
    unhashed: Fragments<'_>,
    payload: &str,
    content_hash: &Hash,
    out: &mut String,
) {
    out.push_str("{\"assurance\": ");
    out.push_str(unhashed.assurance);
    out.push_str(", \"capability_id\": ");
    write_text(fields.capability_id, out);
    out.push_str(", \"capability_version\": ");
    out.push_str(unhashed.capability_version);
    out.push_str(", \"content_hash\": ");
    write_hash(Some(content_hash), out);
    for (key, fragment) in [
        (", \"correlation\": ", unhashed.correlation),
        (", \"denial\": ", unhashed.denial),
        (", \"error\": ", unhashed.error),
    ] {
        out.push_str(key);
        out.push_str(fragment);
    }
    for (key, text) in [
        (", \"event_id\": ", fields.event_id),
        (", \"event_type\": ", fields.event_type),
        (", \"hash_scheme\": ", HASH_SCHEME),
        (", \"host_id\": ", fields.host_id),
        (", \"invocation_id\": ", fields.invocation_id),
    ] {
        out.push_str(key);
        write_text(text, out);
    }
    out.push_str(", \"outcome\": ");
    write_optional(fields.outcome, out);
    out.push_str(", \"payload\": ");
    out.push_str(payload);
    out.push_str(", \"payload_commitment\": ");
    write_hash(Some(fields.payload_commitment), out);
    out.push_str(", \"prev_hash\": ");
    write_hash(fields.prev_hash, out);
    out.push_str(", \"redacted\": true, \"sequence\": ");
    out.push_str(unhashed.sequence);
    out.push_str(", \"subject\": ");
    out.push_str(unhashed.subject);
    out.push_str(", \"timestamp\": ");
    write_text(fields.timestamp, out);
    out.push('}');
}

/// The state of the writer: the tree over everything that is committed. Its size is the last
/// sequence.
#[derive(Debug, Default)]
pub struct Sealer {
    tree: Tree,
}

/// Where a correlation's chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The sequence of its last event.
    pub sequence: u64,
    /// The content hash of its last event.
    pub hash: Hash,
}

impl Sealer {
    /// Continues after the stored tree ([`Tree::resume`]).
    #[must_use]
    pub const fn resume(tree: Tree) -> Self {
        Self { tree }
    }

    /// The last committed sequence; 0 before the first event.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.tree.size()
    }

    /// The root over everything that is committed: the store head of version 2.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Begins a group. Seal into it, insert its rows, then [`Sealer::commit`] or drop it.
    #[must_use]
    pub fn group(&self) -> Group {
        Group {
            base: self.tree.size(),
            tree: self.tree.clone(),
            events: Vec::new(),
            nodes: Vec::new(),
            heads: HashMap::new(),
            scratch: Scratch::default(),
        }
    }

    /// Takes over a group whose rows are committed. A group begun before another one was
    /// committed is out of date: it is refused and `false` comes back.
    #[must_use]
    pub fn commit(&mut self, group: Group) -> bool {
        let current = group.base == self.tree.size();
        if current {
            self.tree = group.tree;
        }
        current
    }
}

/// Events that are sealed together and written in one transaction.
#[derive(Debug)]
pub struct Group {
    base: u64,
    tree: Tree,
    events: Vec<Sealed>,
    nodes: Vec<(Node, Hash)>,
    heads: HashMap<CorrelationId, Head>,
    scratch: Scratch,
}

impl Group {
    /// Where the chain of `correlation_id` ends, as far as this group has moved it. When it says
    /// `None`, the stored head counts: look it up and pass it to [`Group::seal`].
    #[must_use]
    pub fn head(&self, correlation_id: &CorrelationId) -> Option<Head> {
        self.heads.get(correlation_id).copied()
    }

    /// Seals the next event. `stored` is the head of its correlation as the store had it before
    /// this group; it is ignored when the group has moved that head.
    ///
    /// # Errors
    /// [`SealError`]; the group is then as it was.
    pub fn seal(&mut self, draft: &Draft, stored: Option<Hash>) -> Result<&Sealed, SealError> {
        let sequence = self.tree.size() + 1;
        let correlation_id = draft.context.correlation.correlation_id.clone();
        let prev = self.heads.get(&correlation_id).map(|head| head.hash).or(stored);
        let sealed = seal(draft, sequence, prev, &mut self.scratch)?;
        let leaf = merkle::leaf(&correlation_id, &sealed.content_hash);
        let nodes = &mut self.nodes;
        self.tree.append(leaf, |node, hash| nodes.push((node, hash)));
        self.heads.insert(correlation_id, Head { sequence, hash: sealed.content_hash });
        self.events.push(sealed);
        // `push` has just made it the last one.
        self.events.last().ok_or(SealError::SequenceSpent)
    }

    /// The sealed events, in order: one row each.
    #[must_use]
    pub fn events(&self) -> &[Sealed] {
        &self.events
    }

    /// Takes the sealed events out, to make rows of them.
    #[must_use]
    pub fn take_events(&mut self) -> Vec<Sealed> {
        std::mem::take(&mut self.events)
    }

    /// The subtrees that this group completes: one row each.
    #[must_use]
    pub fn nodes(&self) -> &[(Node, Hash)] {
        &self.nodes
    }

    /// The correlations whose head this group moves, each once.
    pub fn heads(&self) -> impl Iterator<Item = (&CorrelationId, Head)> {
        self.heads.iter().map(|(correlation, head)| (correlation, *head))
    }
}

#[cfg(test)]
mod tests;
