//! `wasi:keyvalue`: the plugin's own buckets in the node's store, within the quota of its grant
//! (`kv=SIZE`). Without the grant every function answers `access-denied`. A bucket exists when it is
//! opened; no plugin sees another one's.

use meshhost_core::{
    limits::{KIB, LimitKind, MIB},
    ports::PortError,
};
use wasmtime::component::{Linker, Resource};

use self::bindings::wasi::keyvalue::{
    atomics, batch,
    store::{self, Error, KeyResponse},
};
use super::{Context, Imports, View};
use crate::state::HostState;

#[expect(clippy::error_impl_error, reason = "the interface calls its error that")]
pub(super) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-keyvalue",
        world: "wasi:keyvalue/imports",
        imports: { default: async | trappable },
        trappable_error_type: { "wasi:keyvalue/store.error" => super::StoreError },
        with: { "wasi:keyvalue/store.bucket": super::Bucket },
        require_store_data_send: true,
    });
}

/// Longest bucket name and longest key, in bytes.
const NAME_BYTES_MAX: u64 = KIB;
/// Largest value in bytes.
const VALUE_BYTES_MAX: u64 = MIB;
/// Keys in one answer of `list-keys`.
const PAGE_KEYS: u32 = 128;
/// Pages of keys that one open bucket remembers.
const PAGES_MAX: usize = 4_096;
/// Keys in one batch.
const BATCH_KEYS_MAX: usize = 1_024;

/// Links `wasi:keyvalue`.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, Imports>(linker, View::of)?;
    atomics::add_to_linker::<_, Imports>(linker, View::of)?;
    batch::add_to_linker::<_, Imports>(linker, View::of)
}

/// An open bucket. `pages` holds the last key of each page that was listed: the interface's
/// cursor is a number, the store's a key.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Bucket {
    name: String,
    pages: Vec<String>,
}

/// An error of the interface's, or what ends the call.
#[derive(Debug, thiserror::Error)]
#[expect(unreachable_pub, reason = "the generated bindings use it in public traits")]
pub enum StoreError {
    /// The guest is told.
    #[error("the key-value store refused")]
    Told(Error),
    /// The call ends.
    #[error(transparent)]
    Ends(wasmtime::Error),
}

type StoreResult<T> = Result<T, StoreError>;

fn told(message: &str) -> StoreError {
    StoreError::Told(Error::Other(message.to_owned()))
}

fn check_name(name: &str) -> StoreResult<()> {
    if name.len() as u64 > NAME_BYTES_MAX {
        return Err(told("a bucket name or key has at most 1024 bytes"));
    }
    Ok(())
}

impl Context {
    /// The quota in bytes, when the store is granted.
    fn key_value_quota(&self, function: &str) -> StoreResult<u64> {
        self.rules().grants.key_value_bytes.ok_or_else(|| {
            let function = format!("wasi:keyvalue/{function}");
            self.record.deny(Some("kv=8MiB".to_owned()), &function, "");
            StoreError::Told(Error::AccessDenied)
        })
    }

    /// What the guest is told of a refusal of the store's.
    fn store_error(&self, error: &PortError) -> StoreError {
        match error {
            PortError::NotFound => StoreError::Told(Error::NoSuchStore),
            PortError::Quota => {
                self.record.reach(LimitKind::KeyValueBytes);
                told("the key-value store is full")
            }
            PortError::Invalid(message) => told(message),
            PortError::Fault => told("the key-value store failed"),
        }
    }

    async fn value(&self, bucket: &str, key: &str) -> StoreResult<Option<Vec<u8>>> {
        check_name(key)?;
        let ports = &self.shared.ports;
        let value = ports.key_values.get(&self.call.plugin, bucket, key).await;
        value.map_err(|error| self.store_error(&error))
    }

    async fn put(&self, bucket: &str, key: &str, value: &[u8], quota: u64) -> StoreResult<()> {
        check_name(key)?;
        if value.len() as u64 > VALUE_BYTES_MAX {
            return Err(told("a value has at most 1 MiB"));
        }
        let effect = self.record.begin_effect();
        let ports = &self.shared.ports;
        let plugin = &self.call.plugin;
        let result = ports.key_values.set(plugin, bucket, key, value, quota).await;
        effect.complete();
        result.map_err(|error| self.store_error(&error))
    }

    async fn remove(&self, bucket: &str, key: &str) -> StoreResult<()> {
        check_name(key)?;
        let effect = self.record.begin_effect();
        let ports = &self.shared.ports;
        let result = ports.key_values.delete(&self.call.plugin, bucket, key).await;
        effect.complete();
        result.map_err(|error| self.store_error(&error))
    }
}

impl View<'_> {
    fn bucket(&self, bucket: &Resource<Bucket>) -> StoreResult<String> {
        let bucket = self.table.get(bucket).map_err(|error| StoreError::Ends(error.into()))?;
        Ok(bucket.name.clone())
    }
}

impl store::Host for View<'_> {
    fn convert_error(&mut self, error: StoreError) -> wasmtime::Result<Error> {
        match error {
            StoreError::Told(error) => Ok(error),
            StoreError::Ends(error) => Err(error),
        }
    }

    async fn open(&mut self, identifier: String) -> StoreResult<Resource<Bucket>> {
        self.context.key_value_quota("store#open")?;
        check_name(&identifier)?;
        let bucket = Bucket { name: identifier, pages: Vec::new() };
        self.table.push(bucket).map_err(|error| StoreError::Ends(error.into()))
    }
}

impl store::HostBucket for View<'_> {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> StoreResult<Option<Vec<u8>>> {
        self.context.key_value_quota("store#[method]bucket.get")?;
        let bucket = self.bucket(&bucket)?;
        self.context.value(&bucket, &key).await
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> StoreResult<()> {
        let quota = self.context.key_value_quota("store#[method]bucket.set")?;
        let bucket = self.bucket(&bucket)?;
        self.context.put(&bucket, &key, &value, quota).await
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> StoreResult<()> {
        self.context.key_value_quota("store#[method]bucket.delete")?;
        let bucket = self.bucket(&bucket)?;
        self.context.remove(&bucket, &key).await
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> StoreResult<bool> {
        self.context.key_value_quota("store#[method]bucket.exists")?;
        let bucket = self.bucket(&bucket)?;
        Ok(self.context.value(&bucket, &key).await?.is_some())
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> StoreResult<KeyResponse> {
        self.context.key_value_quota("store#[method]bucket.list-keys")?;
        let ends = |error: wasmtime::component::ResourceTableError| StoreError::Ends(error.into());
        let open = self.table.get(&bucket).map_err(ends)?;
        let after = match cursor {
            None => None,
            Some(page) => {
                let page = usize::try_from(page).ok().and_then(|page| open.pages.get(page));
                Some(page.ok_or_else(|| told("the cursor is not one of this bucket's"))?.clone())
            }
        };
        let (name, plugin) = (open.name.clone(), &self.context.call.plugin);
        let ports = &self.context.shared.ports;
        let keys = ports.key_values.list(plugin, &name, after.as_deref(), PAGE_KEYS).await;
        let keys = keys.map_err(|error| self.context.store_error(&error))?;
        let full = keys.len() as u64 >= u64::from(PAGE_KEYS);
        let open = self.table.get_mut(&bucket).map_err(ends)?;
        let cursor = match keys.last().filter(|_| full) {
            None => None,
            Some(_) if open.pages.len() >= PAGES_MAX => {
                return Err(told("the bucket was listed too often; open it again"));
            }
            Some(last) => {
                open.pages.push(last.clone());
                Some(open.pages.len() as u64 - 1)
            }
        };
        Ok(KeyResponse { keys, cursor })
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for View<'_> {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> StoreResult<u64> {
        let quota = self.context.key_value_quota("atomics#increment")?;
        let bucket = self.bucket(&bucket)?;
        check_name(&key)?;
        let delta = i64::try_from(delta).map_err(|_| told("the number would be too large"))?;
        let effect = self.context.record.begin_effect();
        let (ports, plugin) = (&self.context.shared.ports, &self.context.call.plugin);
        let sum = ports.key_values.increment(plugin, &bucket, &key, delta, quota).await;
        effect.complete();
        let sum = sum.map_err(|error| self.context.store_error(&error))?;
        u64::try_from(sum).map_err(|_| told("the value is below zero"))
    }
}

fn check_batch(count: usize) -> StoreResult<()> {
    if count > BATCH_KEYS_MAX {
        return Err(told("a batch has at most 1024 keys"));
    }
    Ok(())
}

impl batch::Host for View<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> StoreResult<Vec<Option<(String, Vec<u8>)>>> {
        self.context.key_value_quota("batch#get-many")?;
        check_batch(keys.len())?;
        let bucket = self.bucket(&bucket)?;
        let mut found = Vec::with_capacity(keys.len());
        let mut held = Vec::new();
        for key in keys {
            let value = self.context.value(&bucket, &key).await?;
            let bytes = value.as_ref().map_or(0, |value| value.len() as u64);
            let charge = self.context.record.charge_buffer(bytes);
            held.push(charge.map_err(|stop| StoreError::Ends(stop.into()))?);
            found.push(value.map(|value| (key, value)));
        }
        Ok(found)
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        entries: Vec<(String, Vec<u8>)>,
    ) -> StoreResult<()> {
        let quota = self.context.key_value_quota("batch#set-many")?;
        check_batch(entries.len())?;
        let bucket = self.bucket(&bucket)?;
        for (key, value) in &entries {
            self.context.put(&bucket, key, value, quota).await?;
        }
        Ok(())
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> StoreResult<()> {
        self.context.key_value_quota("batch#delete-many")?;
        check_batch(keys.len())?;
        let bucket = self.bucket(&bucket)?;
        for key in &keys {
            self.context.remove(&bucket, key).await?;
        }
        Ok(())
    }
}
