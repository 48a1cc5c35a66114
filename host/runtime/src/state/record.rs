//! What one call has used, logged and been denied: reachable from the store and from work that
//! runs outside it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use meshhost_core::{
    inference::RunReport,
    limits::{LimitKind, Limits},
    model_use::{ModelUse, count_run},
    outcome::DeniedAccess,
};

use super::{Stop, fuel::Fuel, log::LogCollector};

/// Denials kept per call; what is denied after that is refused all the same.
const DENIALS_MAX: usize = 64;
/// Characters kept of a target that comes from the guest.
const TARGET_CHARS_MAX: usize = 256;

/// The record of one call.
#[derive(Debug)]
pub(crate) struct CallRecord {
    limits: Limits,
    buffer_bytes: AtomicU64,
    blob_bytes: AtomicU64,
    effects: AtomicU64,
    fuel: Fuel,
    texts: Mutex<Texts>,
}

/// What is written seldom and needs more than one word.
#[derive(Debug, Default)]
struct Texts {
    limit: Option<LimitKind>,
    denied: Vec<DeniedAccess>,
    models: Vec<ModelUse>,
    log: LogCollector,
    stdout: Vec<u8>,
}

impl CallRecord {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer_bytes: AtomicU64::new(0),
            blob_bytes: AtomicU64::new(0),
            effects: AtomicU64::new(0),
            fuel: Fuel::new(limits.fuel),
            texts: Mutex::new(Texts::default()),
        }
    }

    /// Begins the next call of a store that outlives its calls. What was written into blobs counts
    /// from zero again. Host memory that is still held stays counted, and so does an effect whose
    /// end an earlier call left unknown: nobody knows it better now.
    pub(crate) fn begin_call(&self) {
        self.blob_bytes.store(0, Ordering::Release);
        *self.texts() = Texts::default();
    }

    /// The fuel of the call and of those below.
    pub(crate) const fn fuel(&self) -> &Fuel {
        &self.fuel
    }

    fn texts(&self) -> MutexGuard<'_, Texts> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a limit refuses something, before it does: a trap that follows is told as this
    /// limit. The latest one counts.
    pub(crate) fn reach(&self, limit: LimitKind) {
        self.texts().limit = Some(limit);
    }

    /// Notes the limit and gives the error that ends the call for it.
    pub(crate) fn stop(&self, limit: LimitKind) -> Stop {
        self.reach(limit);
        Stop::Limit(limit)
    }

    /// The limit that refused something last.
    pub(crate) fn limit_reached(&self) -> Option<LimitKind> {
        self.texts().limit
    }

    /// Takes `bytes` of host memory into account until the returned value is dropped.
    ///
    /// # Errors
    /// When the call's share of host memory is used up; the limit is noted.
    pub(crate) fn charge_buffer(self: &Arc<Self>, bytes: u64) -> Result<BufferCharge, Stop> {
        let max = self.limits.host_buffer_bytes;
        take(&self.buffer_bytes, bytes, max).map_err(|()| self.stop(LimitKind::HostMemory))?;
        Ok(BufferCharge { record: Arc::clone(self), bytes })
    }

    /// Takes `bytes` written into blobs into account, for good.
    ///
    /// # Errors
    /// When the call may not write that much; the limit is noted.
    pub(crate) fn charge_blob(&self, bytes: u64) -> Result<(), Stop> {
        let max = self.limits.blob_bytes;
        take(&self.blob_bytes, bytes, max).map_err(|()| self.stop(LimitKind::BlobBytes))
    }

    /// Begins an effect (a write, a request) whose end must be known: keep the value until the
    /// answer is there, then call [`EffectInFlight::complete`]. A call that ends before is
    /// indeterminate.
    pub(crate) fn begin_effect(self: &Arc<Self>) -> EffectInFlight {
        self.effects.fetch_add(1, Ordering::AcqRel);
        EffectInFlight { record: Arc::clone(self) }
    }

    /// Whether an effect has begun whose end is not known.
    pub(crate) fn effect_in_flight(&self) -> bool {
        self.effects.load(Ordering::Acquire) > 0
    }

    /// Records that something was not granted: once per permission, function and target, at most
    /// 64 in a call. The target is bounded and escaped here.
    pub(crate) fn deny(&self, permission: Option<String>, function: &str, target: &str) {
        let mut texts = self.texts();
        if texts.denied.len() >= DENIALS_MAX {
            return;
        }
        let known = texts.denied.iter().any(|denied| match (&permission, &denied.permission) {
            (Some(new), Some(old)) => new == old,
            (None, None) => denied.function == function,
            _ => false,
        });
        if !known {
            let mut escaped = String::new();
            super::log::escape_into(target, TARGET_CHARS_MAX, &mut escaped);
            let function = function.to_owned();
            texts.denied.push(DeniedAccess { permission, function, target: escaped });
        }
    }

    /// Counts a run of a model.
    pub(crate) fn ran(&self, report: &RunReport) {
        count_run(&mut self.texts().models, report);
    }

    /// Adds text of the guest's log or standard error; a line feed ends a line. `granted_bytes`
    /// is what the plugin's grants allow; the rest is counted and dropped.
    pub(crate) fn log(&self, text: &str, granted_bytes: u64) {
        self.texts().log.append(text, granted_bytes.min(self.limits.log_bytes));
    }

    /// Adds to a command's standard output. `granted_bytes` is what the plugin's grants allow;
    /// with no grant it is dropped silently, above it the limit is noted.
    ///
    /// # Errors
    /// When more is written than granted, or than the call's output may hold.
    pub(crate) fn write_stdout(&self, bytes: &[u8], granted_bytes: u64) -> Result<(), Stop> {
        if granted_bytes == 0 {
            return Ok(());
        }
        let max =
            usize::try_from(granted_bytes.min(self.limits.output_bytes)).unwrap_or(usize::MAX);
        let mut texts = self.texts();
        if texts.stdout.len().saturating_add(bytes.len()) > max {
            texts.limit = Some(LimitKind::Output);
            return Err(Stop::Limit(LimitKind::Output));
        }
        texts.stdout.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes what the call has left: denials, runs of models, log lines, offered log bytes, standard output.
    pub(crate) fn take(&self) -> Taken {
        let mut texts = self.texts();
        let (log, log_bytes) = std::mem::take(&mut texts.log).finish();
        Taken {
            denied: std::mem::take(&mut texts.denied),
            models: std::mem::take(&mut texts.models),
            log,
            log_bytes,
            stdout: std::mem::take(&mut texts.stdout),
        }
    }
}

/// What a call leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) denied: Vec<DeniedAccess>,
    pub(crate) models: Vec<ModelUse>,
    pub(crate) log: Vec<String>,
    /// Bytes of log text offered, dropped ones included.
    pub(crate) log_bytes: u64,
    pub(crate) stdout: Vec<u8>,
}

/// Adds `bytes` unless the sum would pass `max`.
fn take(counter: &AtomicU64, bytes: u64, max: u64) -> Result<(), ()> {
    let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= max);
    counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).map(|_| ()).map_err(|_| ())
}

/// Host memory held for a call; given back when dropped.
#[derive(Debug)]
pub(crate) struct BufferCharge {
    record: Arc<CallRecord>,
    bytes: u64,
}

impl BufferCharge {
    /// Takes as many bytes more.
    ///
    /// # Errors
    /// As [`CallRecord::charge_buffer`].
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), Stop> {
        let mut more = self.record.charge_buffer(bytes)?;
        self.bytes = self.bytes.saturating_add(std::mem::take(&mut more.bytes));
        Ok(())
    }
}

impl Drop for BufferCharge {
    fn drop(&mut self) {
        self.record.buffer_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// An effect that has begun. Dropped without [`Self::complete`], its end stays unknown.
#[derive(Debug)]
#[must_use = "an effect that is dropped makes the call indeterminate"]
pub(crate) struct EffectInFlight {
    record: Arc<CallRecord>,
}

impl EffectInFlight {
    /// The answer is there, whatever it says.
    pub(crate) fn complete(self) {
        self.record.effects.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Arc<CallRecord> {
        let limits = Limits { host_buffer_bytes: 100, blob_bytes: 10, ..Limits::DEFAULT };
        Arc::new(CallRecord::new(limits))
    }

    #[test]
    fn a_buffer_is_given_back_when_its_charge_is_dropped() {
        let record = record();
        let held = record.charge_buffer(60).unwrap();
        assert_eq!(record.charge_buffer(41).unwrap_err(), Stop::Limit(LimitKind::HostMemory));
        assert_eq!(record.limit_reached(), Some(LimitKind::HostMemory));
        drop(held);
        let mut growing = record.charge_buffer(50).unwrap();
        growing.grow(50).unwrap();
        assert_eq!(growing.grow(1).unwrap_err(), Stop::Limit(LimitKind::HostMemory));
        drop(growing);
        assert!(record.charge_buffer(100).is_ok());
        assert!(record.charge_buffer(u64::MAX).is_err());
    }

    #[test]
    fn blob_bytes_are_spent_for_good() {
        let record = record();
        record.charge_blob(10).unwrap();
        assert_eq!(record.charge_blob(1).unwrap_err(), Stop::Limit(LimitKind::BlobBytes));
    }

    #[test]
    fn the_next_call_of_a_store_spends_anew_and_still_holds_what_it_holds() {
        let record = record();
        record.charge_blob(10).unwrap();
        let held = record.charge_buffer(60).unwrap();
        record.log("of the call before\n", 1_000);
        record.begin_call();
        assert_eq!(record.limit_reached(), None);
        assert!(record.take().log.is_empty());
        record.charge_blob(10).unwrap();
        assert!(record.charge_buffer(41).is_err());
        drop(held);
        assert!(record.charge_buffer(41).is_ok());
    }

    #[test]
    fn an_effect_that_is_dropped_stays_unknown() {
        let record = record();
        record.begin_effect().complete();
        assert!(!record.effect_in_flight());
        drop(record.begin_effect());
        assert!(record.effect_in_flight());
    }

    #[test]
    fn a_denial_is_recorded_once_per_permission_and_bounded() {
        let record = record();
        for _ in 0..3 {
            record.deny(Some("clock".to_owned()), "wasi:clocks/wall-clock#now", "");
            record.deny(None, "wasi:sockets/tcp#bind", "a\u{202e}\n");
        }
        for number in 0..1_000 {
            record.deny(Some(format!("env={number}")), "wasi:cli/environment", "");
        }
        let denied = record.take().denied;
        assert_eq!(denied.len(), DENIALS_MAX);
        assert_eq!(denied[1].target, "a\\u{202e}\\n");
        assert_eq!(denied[2].permission.as_deref(), Some("env=0"));
    }

    #[test]
    fn stdout_is_dropped_without_a_grant_and_bounded_with_one() {
        let record = record();
        record.write_stdout(b"lost", 0).unwrap();
        record.write_stdout(b"kept", 6).unwrap();
        assert!(record.write_stdout(b"more", 6).is_err());
        assert_eq!(record.take().stdout, b"kept");
    }
}
