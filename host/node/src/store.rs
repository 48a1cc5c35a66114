//! What the node keeps: the data directory and its keys, the record of evidence, results, blobs,
//! key-values, installed plugins and the list of models. The only module that names sqlx.
//!
//! Reading order: [`directory`] is who may open it; [`database`] is the one SQLite file and the
//! one connection that writes; [`writer`] is the one way into the record, through [`journal`];
//! [`heads`] signs where it ends, [`audit`] reads and checks it.

use std::{sync::Arc, time::Duration};

use meshhost_core::{
    config::NodeConfig,
    ports::{Clock, Entropy},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use audit::Audit;
use blobs::Blobs;
use database::Database;
use directory::DataDirectory;
use error::StoreError;
use heads::Heads;
use index::Indexes;
use key_values::KeyValues;
use keys::{Keys, Purpose};
use mesh::MeshTables;
use models::ModelRows;
use plugins::Plugins;
use results::Results;
use writer::EvidenceWriter;

pub mod audit;
pub mod blobs;
pub mod database;
pub mod directory;
pub mod error;
pub mod heads;
pub mod index;
mod journal;
pub mod key_values;
pub mod keys;
pub mod mesh;
pub mod models;
pub mod plugins;
mod recovery;
pub mod results;
pub mod writer;

/// How often the head is signed when events were written.
const SIGN_EVERY: Duration = Duration::from_secs(1);
/// Events after which the database's log is written back: some 16 MB of it.
const WRITE_BACK_EVENTS: u64 = 4_000;

/// Everything that the node keeps, open.
#[derive(Debug)]
pub struct Store {
    /// The folder and its lock.
    pub directory: DataDirectory,
    /// The node's keys and id.
    pub keys: Keys,
    /// The way into the record.
    pub evidence: EvidenceWriter,
    /// The record, for reading.
    pub audit: Audit,
    /// Results of calls, for a day.
    pub results: Results,
    /// Blobs.
    pub blobs: Blobs,
    /// Key-value stores of plugins.
    pub key_values: KeyValues,
    /// Documents of plugins to search in, in databases of their own.
    pub indexes: Indexes,
    /// Installed plugins.
    pub plugins: Plugins,
    /// Records of models.
    pub models: ModelRows,
    /// What is kept of the mesh.
    pub mesh: MeshTables,
    /// Calls that were interrupted by the end of the node before, and are ended now.
    pub interrupted: u64,
    database: Database,
    heads: Arc<Heads>,
    chores: JoinHandle<()>,
    closing: CancellationToken,
}

impl Store {
    /// Opens what is kept in a locked data directory; ends calls that were running when the node
    /// stopped; signs heads from here on.
    ///
    /// # Errors
    /// [`StoreError`]: reachable by others, newer, damaged, full, read-only.
    pub async fn open(
        directory: DataDirectory,
        config: &NodeConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, StoreError> {
        let keys = Keys::open(&directory, clock.as_ref(), entropy.as_ref())?;
        let database = Database::open(&directory.database(), config.durability).await?;
        let evidence =
            EvidenceWriter::open(database.clone(), &directory.journal(), config.durability).await?;
        let heads =
            Heads::open(directory.heads(), config.durability, &keys, Arc::clone(&clock), &evidence);
        let heads = Arc::new(heads.await?);
        recovery::key_event(&evidence, &keys, clock.as_ref(), entropy.as_ref()).await?;
        let interrupted =
            recovery::end_interrupted(&evidence, clock.as_ref(), entropy.as_ref()).await?;
        let results = Results::new(
            evidence.clone(),
            Arc::clone(&clock),
            keys.derived(Purpose::Store),
            config.result_cache_bytes,
        );
        results.sweep().await?;
        let blobs =
            Blobs::open(directory.blobs(), database.clone(), Arc::clone(&clock), config.blob_bytes);
        let blobs = blobs.await?;
        let closing = CancellationToken::new();
        let chores = Chores {
            heads: Arc::clone(&heads),
            evidence: evidence.clone(),
            results: results.clone(),
            database: database.clone(),
            closing: closing.clone(),
        };
        let chores = tokio::spawn(chores.run());
        Ok(Self {
            audit: Audit::new(evidence.clone(), Arc::clone(&heads), &keys, clock, entropy),
            key_values: KeyValues::new(database.clone()),
            indexes: Indexes::new(directory.indexes(), config.durability),
            plugins: Plugins::new(database.clone()),
            models: ModelRows::new(database.clone()),
            mesh: MeshTables::new(database.clone()),
            directory,
            keys,
            evidence,
            results,
            blobs,
            interrupted,
            database,
            heads,
            chores,
            closing,
        })
    }

    /// Signs the head, writes everything back and gives the lock free.
    ///
    /// # Errors
    /// When the head or the database cannot be written; what was acknowledged is kept.
    pub async fn close(self) -> Result<(), StoreError> {
        self.closing.cancel();
        // It ends by itself; an error could only be its panic.
        let _ = self.chores.await;
        self.heads.sign(&self.evidence).await?;
        self.evidence.settle().await?;
        self.indexes.close().await;
        self.database.close().await?;
        self.evidence.safe(u64::MAX, true)
    }
}

/// What is done beside the calls, until the store closes.
struct Chores {
    heads: Arc<Heads>,
    evidence: EvidenceWriter,
    results: Results,
    database: Database,
    closing: CancellationToken,
}

impl Chores {
    /// Signs the head every second and whenever many events were written; writes the log back, so
    /// that commits do not have to; sweeps old results.
    async fn run(self) {
        let mut written_back = 0;
        let mut tick = tokio::time::interval(SIGN_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.evidence.signature_due() => {}
                _ = tick.tick() => {}
            }
            match self.heads.sign(&self.evidence).await {
                Ok(head) if head.sequence >= written_back + WRITE_BACK_EVENTS => {
                    written_back = head.sequence;
                    if let Err(error) = self.write_back().await {
                        tracing::warn!(error = &error as &dyn std::error::Error, "the log stays");
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "the head is not signed");
                }
            }
            self.results.sweep_if_due().await;
        }
    }

    /// Writes the database's log back, after which the journal need not keep what it held.
    async fn write_back(&self) -> Result<(), StoreError> {
        let applied = self.evidence.applied();
        if self.database.write_back_meanwhile().await? {
            self.evidence.safe(applied, false)?;
        }
        Ok(())
    }
}
