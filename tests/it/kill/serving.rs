//! Kills of a node that answers callers.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::Value;

use super::Known;

/// Milliseconds after which the latest kill of a node comes.
const NODE_MS: usize = 40;
/// Callers at once, so that commits are shared.
pub(super) const CALLERS: usize = 3;

impl Known {
    /// Kills a node while it answers calls; gives the ids of the calls that were answered.
    pub(super) fn kill_a_node(&mut self) -> Vec<String> {
        let node = self.home.serve();
        let socket = self.home.data().join("admin.sock");
        let over = AtomicBool::new(false);
        let wait = Duration::from_micros(self.numbers.below(NODE_MS * 1000) as u64);
        let answered: Vec<String> = std::thread::scope(|scope| {
            let callers: Vec<_> =
                (0..CALLERS).map(|_| scope.spawn(|| call_until(&socket, &over))).collect();
            std::thread::sleep(wait);
            node.kill();
            over.store(true, Ordering::Relaxed);
            callers.into_iter().flat_map(|caller| caller.join().expect("answers")).collect()
        });
        self.count.answered += answered.len() as u64;
        answered
    }
}

/// Calls over the socket until it breaks; gives the ids of the calls that were answered well.
fn call_until(socket: &Path, over: &AtomicBool) -> Vec<String> {
    let mut answered = Vec::new();
    let Ok(mut stream) = UnixStream::connect(socket) else { return answered };
    let body = br#"{"do":"call","capability":"steady.f","input":{}}"#;
    let mut request = u32::try_from(body.len()).expect("short").to_le_bytes().to_vec();
    request.extend(body);
    while !over.load(Ordering::Relaxed) {
        let mut head = [0; 4];
        if stream.write_all(&request).and_then(|()| stream.read_exact(&mut head)).is_err() {
            break;
        }
        let mut answer = vec![0; u32::from_le_bytes(head).try_into().expect("a size")];
        if stream.read_exact(&mut answer).is_err() {
            break;
        }
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer["value"]["data"], 7, "{answer}");
        answered.extend(answer["value"]["invocation_id"].as_str().map(str::to_owned));
    }
    answered
}
