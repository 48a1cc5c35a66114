//! A fresh instance and one call of a small Rust plugin on the engine as we configure it, beside
//! wasmtime's pool as it is without tuning; then two threads beside one.

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use meshhost_core::permit::Permit;
use meshhost_runtime::load::Runtime;
use serde_json::json;

use crate::{
    engine::{self, Workbench},
    report::{Row, Times, per_second, rate, ratio},
};

/// Batches of each configuration, taken in turns.
const ROUNDS: usize = 15;
/// Calls of one thread in one batch.
const CALLS: u32 = 4_000;

pub(crate) fn measure() -> anyhow::Result<Vec<Row>> {
    let bench = Workbench::new()?;
    let input = json!({ "message": "hello" });
    let echo = bench.compile(&engine::guest("conformance-echo")?, "echo", "echo", input)?;
    let (ours, stock) = (Workbench::runtime()?, Workbench::stock_runtime()?);
    let mut one = (Times::default(), Times::default());
    let mut two = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        for (runtime, one, two) in
            [(&ours, &mut one.0, &mut two.0), (&stock, &mut one.1, &mut two.1)]
        {
            let loaded = bench.load(runtime, &echo.digest)?;
            let permit = echo.permit(&loaded)?;
            one.push(batch(runtime, &permit, &loaded, 1));
            two.push(batch(runtime, &permit, &loaded, 2));
        }
    }
    let speed = |times: &Times, threads: u64| {
        let calls = threads * u64::from(CALLS);
        let (median, worst) = (rate(calls, times.median()), rate(calls, times.p99()));
        format!("{} (slowest {})", per_second(median), per_second(worst))
    };
    let gain = ratio(one.1.median(), one.0.median());
    let scaling = 2.0 * ratio(one.0.median(), two.0.median());
    Ok(vec![
        Row::shown("fresh instance + call, one thread, ours", speed(&one.0, 1)),
        Row::shown("fresh instance + call, one thread, stock pool", speed(&one.1, 1)),
        Row::shown("fresh instance + call, two threads, ours", speed(&two.0, 2)),
        Row::shown("fresh instance + call, two threads, stock pool", speed(&two.1, 2)),
        Row::must("ours beside stock, one thread", format!("{gain:.2}×"), "≥ 2×", gain >= 2.0),
        Row::must(
            "two threads beside one, ours",
            format!("{scaling:.2}×"),
            "≥ 1.7×",
            scaling >= 1.7,
        )
        .by("15 batches of 4,000 calls, ours and stock in turns; the median batch counts"),
    ])
}

/// How long `threads` threads take for their calls, side by side.
fn batch(
    runtime: &Runtime,
    permit: &Permit,
    loaded: &std::sync::Arc<meshhost_runtime::load::Loaded>,
    threads: usize,
) -> Duration {
    let ready = Barrier::new(threads);
    std::thread::scope(|scope| {
        let work = || {
            let executor = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let (Ok(executor), Some(bare)) =
                (executor, runtime.bare(permit, engine::execution(loaded)))
            else {
                return Duration::MAX;
            };
            executor.block_on(async {
                for _ in 0..200 {
                    bare.call().await;
                }
                ready.wait();
                let begun = Instant::now();
                for _ in 0..CALLS {
                    if !bare.call().await {
                        return Duration::MAX;
                    }
                }
                begun.elapsed()
            })
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let times = running.into_iter().map(|thread| thread.join().unwrap_or(Duration::MAX));
        times.max().unwrap_or(Duration::MAX)
    })
}
