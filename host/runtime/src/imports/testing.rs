//! A call's state for the tests of the host functions, over services in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use async_trait::async_trait;
use meshhost_core::{
    code::Code,
    grant::EffectiveGrants,
    id::{Digest, PluginName},
    invocation::{EntranceKind, Invocation, Mode, Scope, Subject},
    limits::Limits,
    link::Callee,
    outcome::{CallResult, Outcome, Refusal},
    ports::{BlobStore, BlobWriter, Clock, Entropy, Invoker, KeyValueStore, PortError, Remaining},
};
use serde_json::{Value, json};

use crate::{
    execute::CommandInput,
    file_pool::FilePool,
    live::{Excluded, LiveGrants},
    load::Ports,
    state::{Call, HostState, Shared},
};

mod documents;
mod models;

/// The time that the node's clock shows: not the call's start.
pub(crate) const NOW_US: i64 = 1_700_000_000_000_001;
/// When the call began.
pub(crate) const STARTED_US: i64 = 1_600_000_000_000_001;

/// What a test says of its call.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) grants: EffectiveGrants,
    pub(crate) excluded: Vec<Excluded>,
    pub(crate) limits: Limits,
    pub(crate) command: Option<CommandInput>,
    pub(crate) depth: u32,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            grants: EffectiveGrants::default(),
            excluded: Vec::new(),
            limits: Limits::DEFAULT,
            command: None,
            depth: 1,
        }
    }
}

impl Setting {
    /// A call with these grants.
    pub(crate) fn granted(grants: EffectiveGrants) -> Self {
        Self { grants, ..Self::default() }
    }

    /// The state of its store.
    pub(crate) fn state(self) -> HostState {
        let (grants, left_out) = LiveGrants::open(&self.grants, self.excluded.into());
        assert!(left_out.is_empty(), "{left_out:?}");
        let call = Call {
            invocation: Arc::new(invocation(self.depth)),
            plugin: "test".parse().unwrap(),
            limits: self.limits,
            grants,
            blobs: blobs(),
            command: self.command.map(Arc::new),
            started: Instant::now(),
            started_us: STARTED_US,
        };
        let shared = Arc::new(Shared { ports: ports(), files: FilePool::new(4) });
        HostState::new(Arc::new(call), &shared)
    }
}

/// A store of blobs in memory.
pub(crate) fn blobs() -> Arc<dyn BlobStore> {
    Arc::new(Memory::default())
}

/// Every service, in memory.
pub(crate) fn ports() -> Ports {
    let memory = Arc::new(Memory::default());
    Ports {
        key_values: memory.clone(),
        index: Arc::new(documents::Documents::default()),
        invoker: memory.clone(),
        model_names: Arc::new(models::Doubling),
        inference: Arc::new(models::Doubling),
        clock: memory.clone(),
        entropy: memory,
    }
}

/// A call from outside, or by that many plugins.
pub(crate) fn invocation(depth: u32) -> Invocation {
    Invocation {
        invocation_id: "call".parse().unwrap(),
        correlation_id: "work".parse().unwrap(),
        causation_id: None,
        capability: "test.run".parse().unwrap(),
        version: None,
        type_hash: None,
        plugin: None,
        subject: Subject { id: "local:me".to_owned(), kind: "user".to_owned(), verified: true },
        asserted_caller: None,
        entrance: EntranceKind::CommandLine,
        scope: Scope::owner(),
        mode: Mode::Sync,
        input: json!({}),
        timeout_ms: None,
        fuel: None,
        output_bytes: None,
        depth,
        chain: Vec::new(),
        hops: Vec::new(),
        working_folder: None,
    }
}

/// Every service, in memory.
#[derive(Debug, Default)]
struct Memory {
    blobs: Arc<Mutex<BTreeMap<Digest, Vec<u8>>>>,
    keys: Mutex<BTreeMap<(String, String), Vec<u8>>>,
    drawn: Mutex<u8>,
}

#[async_trait]
impl BlobStore for Memory {
    async fn length(&self, digest: &Digest) -> Result<u64, PortError> {
        let blobs = self.blobs.lock().unwrap();
        blobs.get(digest).map(|bytes| bytes.len() as u64).ok_or(PortError::NotFound)
    }

    async fn read(&self, digest: &Digest, offset: u64, length: u32) -> Result<Vec<u8>, PortError> {
        let blobs = self.blobs.lock().unwrap();
        let bytes = blobs.get(digest).ok_or(PortError::NotFound)?;
        let (start, length) = (usize::try_from(offset).unwrap(), length as usize);
        Ok(bytes.iter().skip(start).take(length).copied().collect())
    }

    async fn ready(&self, digest: &Digest) -> Result<(), PortError> {
        self.length(digest).await.map(drop)
    }

    async fn begin(&self, _: u64) -> Result<Box<dyn BlobWriter>, PortError> {
        Ok(Box::new(MemoryWriter { blobs: Arc::clone(&self.blobs), bytes: Vec::new() }))
    }
}

#[derive(Debug)]
struct MemoryWriter {
    blobs: Arc<Mutex<BTreeMap<Digest, Vec<u8>>>>,
    bytes: Vec<u8>,
}

#[async_trait]
impl BlobWriter for MemoryWriter {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(Digest, u64), PortError> {
        let (digest, length) = (Digest::of(&self.bytes), self.bytes.len() as u64);
        self.blobs.lock().unwrap().insert(digest, self.bytes);
        Ok((digest, length))
    }
}

#[async_trait]
impl KeyValueStore for Memory {
    async fn get(
        &self,
        _: &PluginName,
        bucket: &str,
        key: &str,
    ) -> Result<Option<Vec<u8>>, PortError> {
        let keys = self.keys.lock().unwrap();
        Ok(keys.get(&(bucket.to_owned(), key.to_owned())).cloned())
    }

    async fn set(
        &self,
        _: &PluginName,
        bucket: &str,
        key: &str,
        value: &[u8],
        quota_bytes: u64,
    ) -> Result<(), PortError> {
        let mut keys = self.keys.lock().unwrap();
        let used: usize = keys.values().map(Vec::len).sum();
        if (used + value.len()) as u64 > quota_bytes {
            return Err(PortError::Quota);
        }
        keys.insert((bucket.to_owned(), key.to_owned()), value.to_vec());
        Ok(())
    }

    async fn delete(&self, _: &PluginName, bucket: &str, key: &str) -> Result<(), PortError> {
        self.keys.lock().unwrap().remove(&(bucket.to_owned(), key.to_owned()));
        Ok(())
    }

    async fn list(
        &self,
        _: &PluginName,
        bucket: &str,
        cursor: Option<&str>,
        count_max: u32,
    ) -> Result<Vec<String>, PortError> {
        let keys = self.keys.lock().unwrap();
        let own = keys.keys().filter(|(name, _)| name == bucket).map(|(_, key)| key.clone());
        let after = own.filter(|key| cursor.is_none_or(|cursor| key.as_str() > cursor));
        Ok(after.take(count_max as usize).collect())
    }

    async fn increment(
        &self,
        plugin: &PluginName,
        bucket: &str,
        key: &str,
        delta: i64,
        quota_bytes: u64,
    ) -> Result<i64, PortError> {
        let old = self.get(plugin, bucket, key).await?.unwrap_or_else(|| b"0".to_vec());
        let old: i64 = String::from_utf8(old).unwrap().parse().unwrap();
        let sum = (old + delta).to_string();
        self.set(plugin, bucket, key, sum.as_bytes(), quota_bytes).await?;
        Ok(old + delta)
    }
}

/// Answers with what it was asked; fails for `acme.fails`.
#[async_trait]
impl Invoker for Memory {
    async fn invoke(
        &self,
        parent: Arc<Invocation>,
        plugin: PluginName,
        callee: Callee,
        input: Value,
        remaining: Remaining,
    ) -> CallResult {
        let capability = callee.capability;
        let outcome = if capability.as_str() == "acme.fails" {
            let refusal = Refusal::new(Code::PluginFailure, "no such city");
            Outcome::Failure(refusal.with_details(json!({ "city": "x" })))
        } else {
            let in_time = remaining.ms <= 30_000 && remaining.ms > 0;
            Outcome::Success(json!({ "by": plugin, "input": input, "in_time": in_time }))
        };
        CallResult {
            invocation_id: parent.invocation_id.clone(),
            capability_id: capability,
            capability_version: None,
            plugin: None,
            node: None,
            correlation_id: parent.correlation_id.clone(),
            outcome,
            evidence_ids: Vec::new(),
            started_at: String::new(),
            completed_at: String::new(),
            replayed: false,
            usage: Default::default(),
            denied: Vec::new(),
            models: Vec::new(),
            log: Vec::new(),
        }
    }
}

impl Clock for Memory {
    fn now_us(&self) -> i64 {
        NOW_US
    }
}

/// Each draw is filled with the next number, so that two draws differ.
impl Entropy for Memory {
    fn fill(&self, bytes: &mut [u8]) {
        let mut drawn = self.drawn.lock().unwrap();
        *drawn += 1;
        bytes.fill(*drawn);
    }
}
