//! How far beyond a deadline of 100 ms eight guests at once come that never end by themselves, on
//! an executor with two threads.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use meshhost_core::limits::Limits;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    engine::{self, Workbench},
    report::{Row, Times},
};

const DEADLINE: Duration = Duration::from_millis(100);
const GUESTS: usize = 8;
const ROUNDS: usize = 10;

/// Computes for ever.
const SPIN: &str = "(loop $again br $again)";
/// Fills 64 MiB again and again: each time one instruction that nothing interrupts.
const FILL: &str = "(drop (memory.grow (i32.const 1023))) (loop $again
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 67108864)) br $again)";

pub(crate) fn measure() -> anyhow::Result<Vec<Row>> {
    let spinning = overshoot("spin", SPIN)?;
    let filling = overshoot("fill", FILL)?;
    let bound = Duration::from_millis(150);
    let ok = spinning.percentile(100) <= bound;
    Ok(vec![
        Row::must("overshoot, 8 spinning guests", all(&spinning), "≤ 150 ms", ok)
            .by("10 rounds of 8 calls on 2 executor threads; from the deadline to the answer"),
        Row::shown("overshoot, 8 guests that fill 64 MiB", all(&filling)),
    ])
}

fn all(times: &Times) -> String {
    format!("{}, most {}", times.text(), crate::report::shown(times.percentile(100)))
}

fn overshoot(name: &str, body: &str) -> anyhow::Result<Times> {
    let text = format!(
        "(component
            (core module $m (memory (export \"mem\") 1) (func (export \"f\") {body}))
            (core instance $i (instantiate $m))
            (func (export \"f\") (canon lift (core func $i \"f\"))))"
    );
    let bench = Workbench::new()?;
    let mut guest = bench.compile(&wat::parse_str(&text)?, name, "f", json!({}))?;
    guest.provider.limits = Limits { deadline_ms: 100, fuel: u64::MAX, ..Limits::DEFAULT };
    let runtime = Workbench::runtime()?;
    let loaded = bench.load(&runtime, &guest.digest)?;
    let executor =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let mut times = Times::default();
    for _ in 0..ROUNDS {
        let mut calls = JoinSet::new();
        for _ in 0..GUESTS {
            let permit = guest.permit(&loaded)?;
            let execution = engine::execution(&loaded);
            let runtime = Arc::clone(&runtime);
            let begun = Instant::now();
            let call = async move {
                let executed = runtime.execute(&permit, execution).await;
                (executed.outcome.kind(), begun.elapsed())
            };
            calls.spawn_on(call, executor.handle());
        }
        for (_, time) in executor.block_on(calls.join_all()) {
            times.push(time.saturating_sub(DEADLINE));
        }
    }
    Ok(times)
}
