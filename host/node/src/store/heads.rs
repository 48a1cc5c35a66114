//! Signed heads: where the record ended at a time, in a file outside the database. The newest
//! replaces the one before, which it covers. A head that does not fit the record is never
//! replaced: it stays in the file, and verification finds it.

use std::{fs, io, path::PathBuf, sync::Arc};

use meshhost_core::{
    config::Durability,
    evidence::{
        hash::Hash,
        merkle::{self, Node},
        sign::{SignedHead, Signer},
        time::Timestamp,
    },
    id::HostId,
    ports::Clock,
};
use tokio::sync::Mutex;

use super::{
    database::Database,
    error::StoreError,
    keys,
    writer::{self, End, EvidenceWriter},
};

/// Bytes that are read of the file.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// The signed heads of this node.
#[derive(Debug)]
pub struct Heads {
    path: PathBuf,
    durability: Durability,
    signer: Signer,
    host_id: HostId,
    clock: Arc<dyn Clock>,
    database: Database,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Heads that do not fit the record.
    misfits: Vec<SignedHead>,
    newest: Option<SignedHead>,
}

impl Heads {
    /// Reads the file and compares each head with the record.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the file does not hold heads; else the fault.
    pub async fn open(
        path: PathBuf,
        durability: Durability,
        keys: &keys::Keys,
        clock: Arc<dyn Clock>,
        writer: &EvidenceWriter,
    ) -> Result<Self, StoreError> {
        let heads = Self {
            durability,
            signer: keys.evidence(),
            host_id: keys.host_id().clone(),
            clock,
            database: writer.database().clone(),
            state: Mutex::default(),
            path,
        };
        let end = writer.end().await?;
        let mut state = State::default();
        for head in heads.read()? {
            if heads.root_at(head.sequence, end).await? != Some(head.root) {
                tracing::error!(sequence = head.sequence, "a signed head does not fit the record");
                state.misfits.push(head);
            } else if state.newest.as_ref().is_none_or(|newest| newest.sequence < head.sequence) {
                state.newest = Some(head);
            }
        }
        if let Some(newest) = &state.newest {
            writer.signed(newest.sequence);
        }
        *heads.state.lock().await = state;
        Ok(heads)
    }

    /// All heads of the file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(&self) -> Result<Vec<SignedHead>, StoreError> {
        const NAME: &str = "the file of signed heads";
        let bytes = keys::read_private(&self.path, NAME, FILE_BYTES_MAX)?.unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| SignedHead::parse(line).map_err(|_| StoreError::Damaged { what: NAME }))
            .collect()
    }

    /// Signs where the record ends now, unless that is signed already, and writes it down.
    ///
    /// # Errors
    /// When the end cannot be read or the file not be written.
    pub async fn sign(&self, writer: &EvidenceWriter) -> Result<SignedHead, StoreError> {
        let mut state = self.state.lock().await;
        let end = writer.end().await?;
        if let Some(newest) = state.newest.as_ref().filter(|head| head.sequence == end.sequence) {
            return Ok(newest.clone());
        }
        let at = Timestamp::from_micros(self.clock.now_us());
        let head = SignedHead::sign(&self.signer, &self.host_id, end.sequence, end.root, at);
        let lines: String =
            state.misfits.iter().chain([&head]).map(|head| head.to_line() + "\n").collect();
        let (path, durability) = (self.path.clone(), self.durability);
        tokio::task::spawn_blocking(move || replace(&path, &lines, durability))
            .await
            .map_err(|error| StoreError::io("write the signed head")(io::Error::other(error)))?
            .map_err(StoreError::io("write the signed head"))?;
        state.newest = Some(head.clone());
        writer.signed(end.sequence);
        Ok(head)
    }

    /// The root over the first `sequence` events; `None` beyond the end.
    async fn root_at(&self, sequence: u64, end: End) -> Result<Option<Hash>, StoreError> {
        if sequence >= end.sequence {
            return Ok((sequence == end.sequence).then_some(end.root));
        }
        let mut subtrees = std::collections::HashMap::new();
        for node in merkle::root_nodes(sequence) {
            if let Some(hash) = self.subtree(node).await? {
                subtrees.insert(node, hash);
            }
        }
        Ok(merkle::root_at(sequence, |node| subtrees.get(&node).copied()))
    }

    async fn subtree(&self, node: Node) -> Result<Option<Hash>, StoreError> {
        let hash: Option<Vec<u8>> = writer::select_subtree(node)
            .fetch_optional(self.database.readers())
            .await
            .map_err(StoreError::database("read the tree of the record"))?;
        Ok(hash.and_then(|hash| <[u8; 32]>::try_from(hash).ok()).map(Hash::from_bytes))
    }
}

/// Replaces the file as a whole.
fn replace(path: &std::path::Path, text: &str, durability: Durability) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let temporary = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.custom_flags(super::directory::no_follow()).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    if durability == Durability::Power {
        file.sync_all()?;
    }
    fs::rename(&temporary, path)
}
