//! One row against itself: its record parsed once, written again, hashed anew.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Wrong, single_pass::Sound};
use crate::evidence::{
    canonical::write_u64,
    chain::{HASH_SCHEME, Stable, write_event},
    event::Fragments,
    hash::Hash,
};

/// One row of the store: the record, and what columns and the tree repeat of it. A column without
/// a value is an empty text.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "each field is the column of that name")]
pub struct Row<'a> {
    pub sequence: u64,
    /// The record; none when it was purged.
    pub json: Option<&'a str>,
    pub event_type: &'a str,
    pub invocation_id: &'a str,
    pub capability_id: &'a str,
    pub correlation_id: &'a str,
    pub content_hash: &'a str,
    /// The hashes of the subtrees that the event completes, its own leaf first.
    pub subtrees: &'a [u8],
}

/// Texts that are used again from row to row.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers {
    sequence: String,
    bound: String,
    text: String,
}

impl Buffers {
    /// An empty text.
    pub(super) fn text(&mut self) -> &mut String {
        self.text.clear();
        &mut self.text
    }
}

/// A stored event, borrowed from its text. What is only compared stays unparsed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    #[serde(borrow)]
    assurance: &'a RawValue,
    capability_id: &'a str,
    capability_version: &'a RawValue,
    content_hash: &'a str,
    correlation: &'a RawValue,
    denial: &'a RawValue,
    error: &'a RawValue,
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    event_type: &'a str,
    hash_scheme: &'a str,
    #[serde(borrow)]
    host_id: Cow<'a, str>,
    #[serde(borrow)]
    invocation_id: Cow<'a, str>,
    outcome: Option<&'a str>,
    payload: &'a RawValue,
    payload_commitment: &'a str,
    prev_hash: Option<&'a str>,
    redacted: bool,
    sequence: u64,
    subject: &'a RawValue,
    timestamp: &'a str,
}

/// Checks a row against itself, its hashes and the host that wrote it, and says what is wrong.
pub(super) fn check<'a>(
    row: &Row<'_>,
    json: &'a str,
    host_id: &str,
    buffers: &mut Buffers,
) -> Result<Sound<'a>, Wrong> {
    let stored: Stored<'a> = serde_json::from_str(json).map_err(|_| Wrong::Unreadable)?;
    if let Some(column) = stored.differing_column(row) {
        return Err(Wrong::Column(column));
    }
    if stored.host_id != host_id {
        return Err(Wrong::Host);
    }
    Ok(Sound {
        hash: stored.check(row, json, buffers)?,
        prev_hash: stored.prev_hash()?,
        subject: stored.subject.get(),
        payload: stored.payload.get(),
    })
}

/// The id of who calls, in the object that names the caller.
pub(super) fn subject_id(object: &str) -> Result<Cow<'_, str>, Wrong> {
    #[derive(Deserialize)]
    struct Subject<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    let subject: Subject<'_> = serde_json::from_str(object).map_err(|_| Wrong::Unreadable)?;
    Ok(subject.id)
}

impl Stored<'_> {
    fn differing_column(&self, row: &Row<'_>) -> Option<&'static str> {
        let columns = [
            ("sequence", self.sequence == row.sequence),
            ("event_type", self.event_type == row.event_type),
            ("invocation_id", self.invocation_id == row.invocation_id),
            ("capability_id", self.capability_id == row.capability_id),
            ("content_hash", self.content_hash == row.content_hash),
        ];
        columns.into_iter().find(|(_, same)| !same).map(|(name, _)| name)
    }

    /// Checks the text against itself and its hashes; the content hash when all of it fits.
    fn check(&self, row: &Row<'_>, json: &str, buffers: &mut Buffers) -> Result<Hash, Wrong> {
        let Buffers { sequence, bound, text } = buffers;
        for buffer in [&mut *sequence, &mut *bound, &mut *text] {
            buffer.clear();
        }
        if self.correlation_id()? != row.correlation_id {
            return Err(Wrong::Column("correlation_id"));
        }
        write_u64(self.sequence, sequence);
        let fragments = Fragments {
            assurance: self.assurance.get(),
            capability_version: self.capability_version.get(),
            correlation: self.correlation.get(),
            denial: self.denial.get(),
            error: self.error.get(),
            sequence,
            subject: self.subject.get(),
        };
        let payload = self.payload.get();
        let commitment = Hash::of(payload.as_bytes());
        if self.payload_commitment.parse() != Ok(commitment) {
            return Err(Wrong::Payload);
        }
        fragments.write_bound(bound);
        if self.bound()? != *bound {
            return Err(Wrong::Copy);
        }
        let prev_hash = self.prev_hash()?;
        let stable = Stable {
            capability_id: self.capability_id,
            correlation_id: row.correlation_id,
            event_id: &self.event_id,
            event_type: self.event_type,
            host_id: &self.host_id,
            invocation_id: &self.invocation_id,
            outcome: self.outcome,
            payload_commitment: &commitment,
            prev_hash: prev_hash.as_ref(),
            timestamp: self.timestamp,
        };
        stable.write(text);
        let content_hash = Hash::of(text.as_bytes());
        if self.content_hash.parse() != Ok(content_hash) {
            return Err(Wrong::ContentHash);
        }
        text.clear();
        write_event(&stable, fragments, payload, &content_hash, text);
        if !self.redacted || self.hash_scheme != HASH_SCHEME || text != json {
            return Err(Wrong::Spelling);
        }
        Ok(content_hash)
    }

    /// The hash of the event before it in its correlation.
    fn prev_hash(&self) -> Result<Option<Hash>, Wrong> {
        self.prev_hash.map(str::parse).transpose().map_err(|_| Wrong::Spelling)
    }

    fn correlation_id(&self) -> Result<Cow<'_, str>, Wrong> {
        #[derive(Deserialize)]
        struct Correlation<'a> {
            #[serde(borrow)]
            correlation_id: Cow<'a, str>,
        }
        let correlation: Correlation<'_> =
            serde_json::from_str(self.correlation.get()).map_err(|_| Wrong::Unreadable)?;
        Ok(correlation.correlation_id)
    }

    fn bound(&self) -> Result<&str, Wrong> {
        #[derive(Deserialize)]
        struct Payload<'a> {
            #[serde(borrow)]
            bound: &'a RawValue,
        }
        let payload: Payload<'_> =
            serde_json::from_str(self.payload.get()).map_err(|_| Wrong::Unreadable)?;
        Ok(payload.bound.get())
    }
}
