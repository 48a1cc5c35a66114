//! Components and messages as they reach a node.

use meshhost::{api::Request, wire};
use meshhost_core::id::Digest;
use meshhost_runtime::inspect;
use serde_json::Value;

/// Most bytes of what inspection says, for each byte of the component and at least; it is shown.
const REPORT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The bytes of a component.
pub(crate) fn inspect(bytes: &[u8]) {
    let Ok(found) = inspect::inspect(bytes, "fuzzed") else { return };
    assert_eq!(found.digest, Digest::of(bytes));
    assert_eq!(u64::try_from(bytes.len()), Ok(found.size_bytes));
    let mut ids: Vec<&str> = found.capabilities.iter().map(|one| one.id.as_str()).collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert!(ids.len() == count || !found.reserved.is_empty(), "an id is there twice: {ids:?}");
    let report = serde_json::to_string(&found).unwrap_or_default();
    assert!(!report.is_empty() && report.len() <= REPORT_BYTES_MAX, "{} bytes", report.len());
    let again = inspect::inspect(bytes, "fuzzed").ok();
    assert_eq!(again.and_then(|again| serde_json::to_string(&again).ok()), Some(report));
}

/// What comes over the admin socket until it ends or breaks.
pub(crate) fn frame(bytes: &[u8]) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    runtime.block_on(async {
        let mut stream = bytes;
        while let Ok(Some(request)) = wire::read::<Request>(&mut stream).await {
            let mut written = Vec::new();
            assert!(wire::write(&mut written, &request).await.is_ok(), "{request:?}");
            let read = wire::read::<Request>(&mut written.as_slice()).await.ok().flatten();
            assert_eq!(read.and_then(|read| value(&read)), value(&request));
        }
    });
}

fn value(request: &Request) -> Option<Value> {
    serde_json::to_value(request).ok()
}
