//! Asynchronous functions: waiting, and streams and futures that are written after the return.

mod bindings {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        clippy::restriction,
        reason = "generated code"
    )]
    wit_bindgen::generate!({
        path: ["../../../wit/mesh/0.1.0", "wit"],
        world: "fixture:tasks/provider",
        generate_all,
    });
}

use std::sync::atomic::{AtomicU32, Ordering};

use bindings::{
    Guest, meshhost::mesh::invoke, wasi::clocks::monotonic_clock::wait_for, wit_future, wit_stream,
};
use wit_bindgen::{FutureReader, StreamReader, spawn_local};

const MILLISECOND: u64 = 1_000_000;

/// Calls of `tally` that this instance has had.
static CALLS: AtomicU32 = AtomicU32::new(0);

struct Tasks;

bindings::export!(Tasks with_types_in bindings);

impl Guest for Tasks {
    async fn nap(milliseconds: u64) -> String {
        let wait = milliseconds.saturating_mul(MILLISECOND);
        wait_for(wait).await;
        wait_for(wait).await;
        format!("slept for {milliseconds} ms, twice")
    }

    async fn count(to: u32) -> Result<StreamReader<u32>, String> {
        if to == 0 {
            return Err("there is nothing to count".to_owned());
        }
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            for number in 1..=to {
                wait_for(0).await;
                writer.write_all(vec![number]).await;
            }
        });
        Ok(reader)
    }

    async fn spell() -> StreamReader<u8> {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            writer.write_all(b"hello, ".to_vec()).await;
            wait_for(MILLISECOND).await;
            writer.write_all(b"world".to_vec()).await;
        });
        reader
    }

    async fn several(streams: u32) -> Vec<StreamReader<u8>> {
        let make = |_| {
            let (mut writer, reader) = wit_stream::new();
            spawn_local(async move {
                writer.write_all(vec![1]).await;
            });
            reader
        };
        (0..streams).map(make).collect()
    }

    async fn later() -> FutureReader<String> {
        let (writer, reader) = wit_future::new(String::new);
        spawn_local(async move {
            // Whoever reads may be gone.
            let _gone = writer.write("it came".to_owned()).await;
        });
        reader
    }

    async fn work_on() -> String {
        spawn_local(async { wait_for(20 * MILLISECOND).await });
        "returned".to_owned()
    }

    async fn ask(capability: String, input: String) -> Result<String, String> {
        wait_for(MILLISECOND).await;
        let answer = invoke::call(&capability, &input);
        wait_for(MILLISECOND).await;
        answer.map_err(|error| format!("{error:?}"))
    }

    async fn tally() -> u32 {
        wait_for(MILLISECOND).await;
        CALLS.fetch_add(1, Ordering::Relaxed) + 1
    }
}
