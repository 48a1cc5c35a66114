//! Counts the bytes of an output as it grows, so that none is built past its limit.

use std::io;

use serde::Serialize;

use super::ConvertError;

/// The bytes that are left.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: u64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub(crate) const fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// Bytes used so far.
    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    /// Takes `bytes`.
    ///
    /// # Errors
    /// When fewer are left.
    pub(crate) fn charge(&mut self, bytes: u64) -> Result<(), ConvertError> {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.limit { Err(ConvertError::output_bytes(self.limit)) } else { Ok(()) }
    }

    /// Takes the length of a scalar as compact JSON.
    ///
    /// # Errors
    /// When fewer bytes are left.
    pub(crate) fn charge_scalar<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
    ) -> Result<(), ConvertError> {
        let mut length = Length(0);
        let written = serde_json::to_writer(&mut length, value);
        self.charge(if written.is_ok() { length.0 } else { u64::MAX })
    }

    /// Takes the brackets and commas of an array or object with `count` members.
    ///
    /// # Errors
    /// When fewer bytes are left.
    pub(crate) fn charge_brackets(&mut self, count: usize) -> Result<(), ConvertError> {
        self.charge(2 + u64::try_from(count.saturating_sub(1)).unwrap_or(u64::MAX))
    }

    /// Takes a key with its quotes and colon. Keys are WIT names: nothing in them is escaped.
    ///
    /// # Errors
    /// When fewer bytes are left.
    pub(crate) fn charge_key(&mut self, key: &str) -> Result<(), ConvertError> {
        self.charge(3 + u64::try_from(key.len()).unwrap_or(u64::MAX))
    }
}

/// A writer that only counts.
struct Length(u64);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
