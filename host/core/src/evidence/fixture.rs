//! A small store in memory for tests: sealed events of a few correlations, as rows.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    call::{Commitment, Decision, End, Origin, Provider, decided, ended},
    chain::{Sealed, Sealer},
    event::{Context, Correlation, Draft, EventType, Reason, Salt, Stamp},
    fact::Facts,
    hash::Hash,
    lifecycle,
    sign::{SignedHead, Signer},
    time::Timestamp,
    verify::{Row, StoredHead},
};
use crate::{
    code::Code,
    id::{Digest, HostId},
    invocation::{EntranceKind, Subject},
    limits::Usage,
    model_use::ModelUse,
    outcome::{DeniedAccess, OutcomeKind},
};

pub(super) fn host_id() -> HostId {
    "node-1".parse().unwrap()
}

pub(super) fn signer() -> Signer {
    Signer::from_seed(&[7; 32])
}

pub(super) fn stamp(number: u64) -> Stamp {
    let mut salt = [0; 16];
    salt[8..].copy_from_slice(&number.to_be_bytes());
    Stamp {
        event_id: format!("event-{number}"),
        at: Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(number).unwrap()),
        salt: Salt::new(salt),
    }
}

pub(super) fn subject() -> Subject {
    Subject { id: "local:müller".to_owned(), kind: "user".to_owned(), verified: true }
}

pub(super) fn context(invocation: &str, correlation: &str) -> Arc<Context> {
    let mut correlation = Correlation::new(correlation.parse().unwrap());
    correlation.causation_id = Some("caller\"1".parse().unwrap());
    Arc::new(Context {
        host_id: host_id(),
        invocation_id: invocation.parse().unwrap(),
        capability_id: "git.log".parse().unwrap(),
        capability_version: Some("0.1.0".into()),
        correlation,
        subject: subject(),
    })
}

pub(super) fn origin(salt: &Salt) -> Origin {
    Origin {
        entrance: EntranceKind::CommandLine,
        depth: 1,
        asserted_caller: None,
        provider: Some(Provider {
            plugin: "git".parse().unwrap(),
            component: Digest::of(b"component"),
            manifest: None,
            grants: Digest::of(b"grants"),
        }),
        input: Some(Commitment::new(salt, "{}")),
    }
}

/// The drafts of one call that runs and ends.
pub(super) fn call(number: u64, correlation: &str) -> Vec<Draft> {
    let context = context(&format!("call-{number}"), correlation);
    let begin = stamp(number * 10);
    let origin = origin(&begin.salt);
    let mut drafts = decided(&context, &origin, Decision::Run, None, begin, || stamp(0));
    let failed = number.is_multiple_of(3);
    let denied = [DeniedAccess {
        permission: Some("fs:ro=/home/secret".to_owned()),
        function: "wasi:filesystem/types#open-at".to_owned(),
        target: "/home/secret".to_owned(),
    }];
    let models = [ModelUse {
        model: Digest::of(b"model"),
        engine: "engine 1".into(),
        provider: "cpu".into(),
        runs: 2,
        queue_us: 3,
        run_us: 4,
        batch_max: 1,
    }];
    let end = End {
        outcome: if failed { OutcomeKind::Failure } else { OutcomeKind::Success },
        reason: failed.then(|| Reason::new(Code::Trap)),
        usage: Usage { fuel: u64::MAX, wall_us: 12, ..Usage::default() },
        output: Some(Commitment::new(&stamp(number * 10 + 1).salt, "null")),
        output_valid: true,
        denied: if failed { &denied } else { &[] },
        models: if failed { &[] } else { &models },
        guest_text_bytes: 5,
    };
    drafts.push(ended(&context, stamp(number * 10 + 1), end));
    drafts
}

/// The columns of one row, owned so that tests can change them.
#[derive(Debug, Clone)]
pub(super) struct OwnedRow {
    pub(super) sequence: u64,
    pub(super) columns: BTreeMap<&'static str, Option<String>>,
    pub(super) subtrees: Vec<u8>,
}

impl OwnedRow {
    pub(super) fn of(event: &Sealed, subtrees: Vec<u8>) -> Self {
        let columns = [
            ("json", Some(event.json.clone())),
            ("event_type", Some(event.event_type.to_string())),
            ("invocation_id", Some(event.invocation_id.to_string())),
            ("capability_id", Some(event.capability_id.to_string())),
            ("correlation_id", Some(event.correlation_id.to_string())),
            ("content_hash", Some(event.content_hash.to_string())),
        ];
        Self { sequence: event.sequence, columns: columns.into(), subtrees }
    }

    /// What a purge leaves of it.
    pub(super) fn purge(&mut self) {
        for name in ["json", "event_type", "invocation_id", "capability_id"] {
            self.columns.insert(name, None);
        }
    }

    pub(super) fn row(&self) -> Row<'_> {
        let column = |name| self.columns.get(name).and_then(Option::as_deref);
        let text = |name| column(name).unwrap_or_default();
        Row {
            sequence: self.sequence,
            json: column("json"),
            event_type: text("event_type"),
            invocation_id: text("invocation_id"),
            capability_id: text("capability_id"),
            correlation_id: text("correlation_id"),
            content_hash: text("content_hash"),
            subtrees: &self.subtrees,
        }
    }
}

/// The stored head of a correlation, owned so that tests can change it.
#[derive(Debug, Clone)]
pub(super) struct OwnedHead {
    pub(super) owner: String,
    pub(super) hash: String,
    pub(super) sequence: Option<u64>,
    pub(super) starts: Option<u64>,
}

impl OwnedHead {
    pub(super) fn head<'a>(&'a self, correlation_id: &'a str) -> StoredHead<'a> {
        StoredHead {
            correlation_id,
            owner: &self.owner,
            content_hash: &self.hash,
            sequence: self.sequence,
            starts: self.starts,
        }
    }
}

/// A store: rows, heads of the correlations, and the head signed at its end.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub(super) rows: Vec<OwnedRow>,
    pub(super) events: Vec<Sealed>,
    pub(super) heads: BTreeMap<String, OwnedHead>,
    pub(super) signed: Vec<SignedHead>,
    pub(super) root: Hash,
}

impl Store {
    /// A store of `events` events (two for each call, one of the node itself now and then),
    /// sealed in groups of different sizes, with a head signed at the end and in the middle.
    pub(super) fn of(events: usize) -> Self {
        let mut drafts = Vec::new();
        for number in 1.. {
            if drafts.len() >= events {
                break;
            }
            drafts.extend(call(number, &format!("work-{}", number % 7)));
            if number.is_multiple_of(5) {
                let act = format!("act-{number}").parse().unwrap();
                let facts = Facts::new().text("plugin", "git");
                let kind = EventType::PluginInstalled;
                let stamp = stamp(number * 10 + 2);
                drafts.push(
                    lifecycle::event(&host_id(), act, subject(), stamp, kind, facts).unwrap(),
                );
            }
        }
        drafts.truncate(events);
        Self::sealed(drafts)
    }

    pub(super) fn sealed(drafts: Vec<Draft>) -> Self {
        let mut sealer = Sealer::default();
        let mut store = Self {
            rows: Vec::new(),
            events: Vec::new(),
            heads: BTreeMap::new(),
            signed: Vec::new(),
            root: sealer.root(),
        };
        let mut drafts = drafts.into_iter().peekable();
        for size in (1..).map(|group| group % 9 + 1) {
            let mut group = sealer.group();
            for draft in drafts.by_ref().take(size) {
                let correlation = draft.context.correlation.correlation_id.as_str();
                let stored = store.heads.get(correlation).map(|head| head.hash.parse().unwrap());
                let owner = draft.context.subject.id.clone();
                let sealed = group.seal(&draft, stored).unwrap();
                store.moved(sealed, owner);
            }
            let completed = group.nodes().chunk_by(|_, (next, _)| next.level > 0);
            for (event, completed) in group.events().iter().zip(completed) {
                let subtrees = completed.iter().flat_map(|(_, hash)| *hash.as_bytes()).collect();
                store.rows.push(OwnedRow::of(event, subtrees));
            }
            store.events.extend(group.events().iter().cloned());
            assert!(sealer.commit(group));
            if drafts.peek().is_none() {
                break;
            }
            if store.signed.is_empty() {
                store.signed.push(head(sealer.sequence(), sealer.root()));
            }
        }
        store.signed.push(head(sealer.sequence(), sealer.root()));
        store.root = sealer.root();
        store
    }

    /// Moves the head of a correlation to its next event.
    fn moved(&mut self, event: &Sealed, owner: String) {
        let new = OwnedHead { owner, hash: String::new(), sequence: None, starts: Some(0) };
        let head = self.heads.entry(event.correlation_id.to_string()).or_insert(new);
        head.hash = event.content_hash.to_string();
        head.sequence = Some(event.sequence);
        let starts = u64::from(event.event_type == EventType::ExecutionStarted);
        head.starts = head.starts.map(|before| before + starts);
    }
}

pub(super) fn head(sequence: u64, root: Hash) -> SignedHead {
    SignedHead::sign(&signer(), &host_id(), sequence, root, Timestamp::from_micros(1))
}
