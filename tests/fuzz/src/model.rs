//! Models as they reach the worker, before an engine parses them.

use meshhost_core::inference::TENSORS_MAX;
use meshhost_inference::scan::{ScanError, scan};

/// The number of a model's field that is its graph.
const GRAPH: u8 = 7;
/// The field for training, empty.
const TRAINING: [u8; 3] = [0xa2, 1, 0];
/// A graph's tensor whose data lies in another file.
const OUTSIDE: [u8; 4] = [5 << 3 | 2, 2, 14 << 3, 1];
/// Bytes of all keys and texts of the metadata.
const METADATA_BYTES_MAX: usize = 1024 * 1024;

/// The bytes of a model.
pub(crate) fn model(bytes: &[u8]) {
    outside_is_refused(bytes);
    let Ok(found) = scan(bytes) else { return };
    assert_eq!(scan(bytes).as_ref(), Ok(&found));
    // A node has a tag and a length, at least.
    assert!(found.nodes <= bytes.len() / 2, "{} nodes of {} bytes", found.nodes, bytes.len());
    let metadata: usize = found.metadata.iter().map(|(key, text)| key.len() + text.len()).sum();
    assert!(metadata <= METADATA_BYTES_MAX.min(bytes.len()), "{metadata} bytes of metadata");
    assert!(found.inputs.len() <= TENSORS_MAX && found.outputs.len() <= TENSORS_MAX);
    // What one parser would add to the model and another not, or what is not for running it.
    for more in [[GRAPH << 3 | 2, 0].as_slice(), &TRAINING, &[GRAPH << 3, 0], &[0, 0]] {
        let more = [bytes, more].concat();
        assert!(matches!(scan(&more), Err(ScanError::Malformed(_))), "{more:x?}");
    }
}

/// Whatever else a graph holds: it is not let through with data in other files, and when that is
/// met the error says so.
fn outside_is_refused(bytes: &[u8]) {
    let rest = bytes.get(..bytes.len().min(1_000)).unwrap_or_default();
    let graph = [&OUTSIDE, rest].concat();
    let mut model = vec![1 << 3, 8, GRAPH << 3 | 2];
    let mut length = graph.len();
    while length >= 0x80 {
        model.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    model.push(length.to_le_bytes()[0]);
    model.extend(graph);
    assert_eq!(scan(&model), Err(ScanError::ExternalData));
}
