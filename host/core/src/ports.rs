//! What the runtime needs from the node, as traits: the runtime knows no SQL, no socket and no
//! other plugin. Every method is bounded by the numbers that it is given.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    id::{Digest, PluginName},
    invocation::Invocation,
    link::Callee,
    outcome::CallResult,
};

/// Why a port refused. No variant carries a host path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// There is no such blob, key or store.
    #[error("not found")]
    NotFound,
    /// A quota is used up.
    #[error("the quota is used up")]
    Quota,
    /// The value or key is not allowed.
    #[error("{0}")]
    Invalid(&'static str),
    /// The store failed; the node's log says how.
    #[error("the store failed")]
    Fault,
}

/// Content-addressed bytes.
#[async_trait]
pub trait BlobStore: Send + Sync + Debug {
    /// The length of a blob in bytes, when the node has it.
    async fn length(&self, digest: &Digest) -> Result<u64, PortError>;
    /// Up to `length` bytes from `offset`; shorter only at the end of the blob.
    async fn read(&self, digest: &Digest, offset: u64, length: u32) -> Result<Vec<u8>, PortError>;
    /// Makes sure that the node has all of a blob that this call hands on to another.
    async fn ready(&self, digest: &Digest) -> Result<(), PortError>;
    /// Begins a blob of at most `bytes_max` bytes that lives as long as the call, unless pinned.
    async fn begin(&self, bytes_max: u64) -> Result<Box<dyn BlobWriter>, PortError>;
}

/// A blob that is being written. Dropping it without `finish` leaves nothing behind.
#[async_trait]
pub trait BlobWriter: Send + Debug {
    /// Appends bytes.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), PortError>;
    /// Ends the blob; from here it can be read by its digest.
    async fn finish(self: Box<Self>) -> Result<(Digest, u64), PortError>;
}

/// One plugin's key-value stores. The quota covers keys and values of all its buckets.
#[async_trait]
pub trait KeyValueStore: Send + Sync + Debug {
    /// The value of a key.
    async fn get(
        &self,
        plugin: &PluginName,
        bucket: &str,
        key: &str,
    ) -> Result<Option<Vec<u8>>, PortError>;
    /// Sets a key within the quota.
    async fn set(
        &self,
        plugin: &PluginName,
        bucket: &str,
        key: &str,
        value: &[u8],
        quota_bytes: u64,
    ) -> Result<(), PortError>;
    /// Removes a key; absent keys are no error.
    async fn delete(&self, plugin: &PluginName, bucket: &str, key: &str) -> Result<(), PortError>;
    /// Up to `count_max` keys after `cursor`, in order.
    async fn list(
        &self,
        plugin: &PluginName,
        bucket: &str,
        cursor: Option<&str>,
        count_max: u32,
    ) -> Result<Vec<String>, PortError>;
    /// Adds `delta` to a decimal number stored under the key (absent = 0) and returns the sum.
    async fn increment(
        &self,
        plugin: &PluginName,
        bucket: &str,
        key: &str,
        delta: i64,
        quota_bytes: u64,
    ) -> Result<i64, PortError>;
}

/// What is left of a call for one that it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    /// Milliseconds.
    pub ms: u64,
    /// Fuel, when the caller bounds it.
    pub fuel: Option<u64>,
}

/// The door, as a component sees it: calls another capability on behalf of `parent`.
#[async_trait]
pub trait Invoker: Send + Sync + Debug {
    /// Calls `callee` with `input`, as `plugin`, within what is left of the parent call.
    async fn invoke(
        &self,
        parent: Arc<Invocation>,
        plugin: PluginName,
        callee: Callee,
        input: Value,
        remaining: Remaining,
    ) -> CallResult;
}

/// The names that the operator gave to models.
#[async_trait]
pub trait ModelNames: Send + Sync + Debug {
    /// The model that has this name now.
    async fn digest_of(&self, name: &str) -> Option<Digest>;
}

/// The wall clock.
pub trait Clock: Send + Sync + Debug {
    /// Microseconds since 1970-01-01T00:00:00Z.
    fn now_us(&self) -> i64;
}

/// Random numbers for ids, salts and keys.
pub trait Entropy: Send + Sync + Debug {
    /// Fills the buffer with secure random bytes.
    fn fill(&self, bytes: &mut [u8]);
}
