//! The key-value stores of plugins. The quota counts the bytes of bucket, key and value, and
//! [`ROW_CHARGE`] for each key, so that many empty values are not free.

use async_trait::async_trait;
use meshhost_core::{
    id::PluginName,
    ports::{KeyValueStore, PortError},
};
use sqlx::SqliteConnection;

use super::{database::Database, error::StoreError};

/// Bytes that each key is charged beyond its own and its value's.
pub const ROW_CHARGE: u64 = 32;
/// Bytes of the longest bucket name or key.
pub const KEY_BYTES_MAX: usize = 1_024;
/// Bytes of the largest value.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// Keys that one listing returns.
pub const LIST_MAX: u32 = 1_000;

/// Sets a key unless that would exceed the quota. The triggers of the schema keep the sums.
const SET: &str = "\
    INSERT INTO key_values (plugin, bucket, key, value, charge) \
    SELECT ?1, ?2, ?3, ?4, ?5 \
    WHERE ?5 + coalesce((SELECT charge FROM key_value_usage WHERE plugin = ?1), 0) \
        - coalesce((SELECT charge FROM key_values WHERE plugin = ?1 AND bucket = ?2 AND key = ?3), 0) \
        <= ?6 \
    ON CONFLICT DO UPDATE SET value = excluded.value, charge = excluded.charge";
const GET: &str = "SELECT value FROM key_values WHERE plugin = ?1 AND bucket = ?2 AND key = ?3";
const DELETE: &str = "DELETE FROM key_values WHERE plugin = ?1 AND bucket = ?2 AND key = ?3";
const LIST: &str = "\
    SELECT key FROM key_values WHERE plugin = ?1 AND bucket = ?2 AND key > ?3 \
    ORDER BY key LIMIT ?4";

/// All key-value stores.
#[derive(Debug, Clone)]
pub struct KeyValues {
    database: Database,
}

impl KeyValues {
    /// Key-value stores in `database`.
    #[must_use]
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Bytes that a plugin stored, as its quota counts them.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn used(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        let used: Option<i64> =
            sqlx::query_scalar("SELECT charge FROM key_value_usage WHERE plugin = ?1")
                .bind(plugin.as_str().to_owned())
                .fetch_optional(self.database.readers())
                .await
                .map_err(StoreError::database("count key-values"))?;
        Ok(used.and_then(|used| u64::try_from(used).ok()).unwrap_or_default())
    }

    /// Removes everything that a plugin stored.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn remove_all(&self, plugin: &PluginName) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM key_values WHERE plugin = ?1")
            .bind(plugin.as_str())
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(StoreError::database("remove key-values"))?;
        Ok(())
    }
}

/// One key as it is addressed.
#[derive(Debug, Clone, Copy)]
struct Address<'a> {
    plugin: &'a PluginName,
    bucket: &'a str,
    key: &'a str,
}

impl Address<'_> {
    fn check(&self) -> Result<(), PortError> {
        check_bucket(self.bucket)?;
        if self.key.is_empty() || self.key.len() > KEY_BYTES_MAX {
            return Err(PortError::Invalid("a key has 1 to 1024 bytes"));
        }
        Ok(())
    }

    async fn get(self, connection: &mut SqliteConnection) -> Result<Option<Vec<u8>>, PortError> {
        sqlx::query_scalar(GET)
            .bind(self.plugin.as_str().to_owned())
            .bind(self.bucket.to_owned())
            .bind(self.key.to_owned())
            .fetch_optional(connection)
            .await
            .map_err(fault)
    }

    async fn set(
        self,
        connection: &mut SqliteConnection,
        value: Vec<u8>,
        quota_bytes: u64,
    ) -> Result<(), PortError> {
        let bytes = self.bucket.len() + self.key.len() + value.len();
        let charge =
            u64::try_from(bytes).map_or(u64::MAX, |bytes| bytes.saturating_add(ROW_CHARGE));
        let done = sqlx::query(SET)
            .bind(self.plugin.as_str().to_owned())
            .bind(self.bucket.to_owned())
            .bind(self.key.to_owned())
            .bind(value)
            .bind(i64::try_from(charge).unwrap_or(i64::MAX))
            .bind(i64::try_from(quota_bytes).unwrap_or(i64::MAX))
            .execute(connection)
            .await
            .map_err(fault)?;
        if done.rows_affected() == 0 { Err(PortError::Quota) } else { Ok(()) }
    }
}

fn check_bucket(bucket: &str) -> Result<(), PortError> {
    if bucket.len() > KEY_BYTES_MAX {
        return Err(PortError::Invalid("a bucket's name has at most 1024 bytes"));
    }
    Ok(())
}

/// What a guest learns of a failure of the store; the log gets the rest.
fn fault(error: sqlx::Error) -> PortError {
    tracing::error!(error = &error as &dyn std::error::Error, "a key-value could not be used");
    PortError::Fault
}

#[async_trait]
impl KeyValueStore for KeyValues {
    async fn get(
        &self,
        plugin: &PluginName,
        bucket: &str,
        key: &str,
    ) -> Result<Option<Vec<u8>>, PortError> {
        let address = Address { plugin, bucket, key };
        address.check()?;
        let mut reader = self.database.readers().acquire().await.map_err(fault)?;
        address.get(&mut reader).await
    }

    async fn set(
        &self,
        plugin: &PluginName,
        bucket: &str,
        key: &str,
        value: &[u8],
        quota_bytes: u64,
    ) -> Result<(), PortError> {
        let address = Address { plugin, bucket, key };
        address.check()?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(PortError::Invalid("a value has at most 1 MiB"));
        }
        let mut writer = self.database.writer().await;
        address.set(&mut writer, value.to_vec(), quota_bytes).await
    }

    async fn delete(&self, plugin: &PluginName, bucket: &str, key: &str) -> Result<(), PortError> {
        Address { plugin, bucket, key }.check()?;
        sqlx::query(DELETE)
            .bind(plugin.as_str().to_owned())
            .bind(bucket.to_owned())
            .bind(key.to_owned())
            .execute(&mut *self.database.writer().await)
            .await
            .map_err(fault)?;
        Ok(())
    }

    async fn list(
        &self,
        plugin: &PluginName,
        bucket: &str,
        cursor: Option<&str>,
        count_max: u32,
    ) -> Result<Vec<String>, PortError> {
        check_bucket(bucket)?;
        sqlx::query_scalar(LIST)
            .bind(plugin.as_str().to_owned())
            .bind(bucket.to_owned())
            // Keys are not empty, so everything comes after the empty text.
            .bind(cursor.unwrap_or_default().to_owned())
            .bind(count_max.min(LIST_MAX))
            .fetch_all(self.database.readers())
            .await
            .map_err(fault)
    }

    async fn increment(
        &self,
        plugin: &PluginName,
        bucket: &str,
        key: &str,
        delta: i64,
        quota_bytes: u64,
    ) -> Result<i64, PortError> {
        const NOT_A_NUMBER: PortError = PortError::Invalid("the value is not a decimal number");
        let address = Address { plugin, bucket, key };
        address.check()?;
        // One connection writes, so nobody changes the value in between.
        let mut writer = self.database.writer().await;
        let current = match address.get(&mut writer).await? {
            None => 0,
            Some(bytes) => {
                let text = std::str::from_utf8(&bytes).map_err(|_| NOT_A_NUMBER)?;
                text.parse::<i64>().map_err(|_| NOT_A_NUMBER)?
            }
        };
        let sum = current.checked_add(delta).ok_or(PortError::Invalid("the sum is too large"))?;
        address.set(&mut writer, sum.to_string().into_bytes(), quota_bytes).await?;
        Ok(sum)
    }
}

#[cfg(test)]
mod tests;
