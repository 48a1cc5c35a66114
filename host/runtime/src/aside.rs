//! Values that take long to convert, kept from holding up the calls beside them.
//!
//! wasmtime and [`crate::convert`] convert a value in one piece. Small ones are done where the
//! call runs. For large ones the executor's thread first hands its other tasks to another one.

use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};
use wasmtime::component::Val;

/// Values that are converted on the executor at once: less than a millisecond of work.
const VALUES_AT_ONCE: usize = 5_000;
/// Bytes of text that count as one value: it may be base64, of which each byte becomes a value.
const TEXT_BYTES: usize = 8;

/// Does `work` without holding up other tasks, when it is `large`. On an executor of one thread
/// there is nobody to hand them to.
pub(crate) fn convert<T>(large: bool, work: impl FnOnce() -> T) -> T {
    let shared = |handle: Handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread;
    if large && Handle::try_current().is_ok_and(shared) {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// Whether converting this input takes long.
pub(crate) fn is_large_input(input: &Value) -> bool {
    let mut room = VALUES_AT_ONCE;
    let mut open = vec![input];
    while let Some(value) = open.pop() {
        let inside = match value {
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            Value::String(text) => text.len() / TEXT_BYTES,
            _ => 0,
        };
        if inside > room {
            return true;
        }
        room -= inside;
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(members) => open.extend(members.values()),
            _ => {}
        }
    }
    false
}

/// Whether converting these results takes long.
pub(crate) fn is_large_output(results: &[Val]) -> bool {
    let mut room = VALUES_AT_ONCE;
    let mut open: Vec<&Val> = results.iter().collect();
    while let Some(value) = open.pop() {
        let inside = match value {
            Val::List(items) | Val::Tuple(items) | Val::FixedLengthList(items) => items.len(),
            Val::Record(fields) => fields.len(),
            Val::Map(pairs) => pairs.len(),
            Val::Flags(names) => names.len(),
            _ => 0,
        };
        if inside > room {
            return true;
        }
        room -= inside;
        match value {
            Val::List(items) | Val::Tuple(items) | Val::FixedLengthList(items) => {
                open.extend(items);
            }
            Val::Record(fields) => open.extend(fields.iter().map(|(_, value)| value)),
            Val::Map(pairs) => open.extend(pairs.iter().flat_map(|(key, value)| [key, value])),
            Val::Variant(_, Some(inner))
            | Val::Option(Some(inner))
            | Val::Result(Ok(Some(inner)) | Err(Some(inner))) => open.push(inner),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use serde_json::json;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_run_beside_large_work_on_the_only_thread() {
        let worker = tokio::spawn(async {
            let (tell, told) = mpsc::channel();
            drop(tokio::spawn(async move { tell.send(()) }));
            // Nobody else could run the task if the thread stayed its own.
            convert(true, || told.recv_timeout(std::time::Duration::from_secs(60)))
        });
        worker.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_executor_of_one_thread_does_the_work_itself() {
        assert_eq!(convert(true, || 7), 7);
    }

    #[test]
    fn size_counts_everything_inside() {
        let most = VALUES_AT_ONCE;
        let wide = |length: usize| json!({ "x": vec![0; length] });
        assert!(!is_large_input(&wide(most - 1)) && is_large_input(&wide(most)));
        let deep = json!(vec![json!([1, { "a": 2 }]); most / 3]);
        assert!(is_large_input(&deep));
        assert!(is_large_input(&json!("A".repeat((most + 1) * TEXT_BYTES))));
        let list = |length: usize| Val::Option(Some(Box::new(Val::List(vec![Val::U8(0); length]))));
        assert!(!is_large_output(&[list(most)]) && is_large_output(&[list(most + 1)]));
        let records = Val::List(vec![Val::Record(vec![("a".into(), Val::U8(0))]); most / 2 + 1]);
        assert!(is_large_output(&[records]));
    }
}
