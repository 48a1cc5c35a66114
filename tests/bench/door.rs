//! One call through the whole door, typed and in this process, with every limit and all evidence,
//! beside the bare engine's fresh call; the gates alone; and how many calls a second with 64 in
//! flight.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use meshhost_runtime::load::Runtime;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    engine::{self, Checks, Subjected, Workbench},
    home::{self, Home},
    machine::Awake,
    report::{Row, Times, per_second, rate, ratio, shown},
};

/// Calls of one caller, each timed.
const CALLS: u32 = 5_000;
/// Callers at once.
const IN_FLIGHT: u32 = 64;
/// How long they call.
const FOR: Duration = Duration::from_secs(4);

pub(crate) fn measure() -> anyhow::Result<Vec<Row>> {
    let executor = executor()?;
    let bench = Workbench::new()?;
    let input = json!({ "message": "hello" });
    let echo = bench.compile(&engine::guest("conformance-echo")?, "echo", "echo", input)?;
    let runtime = Workbench::runtime()?;
    let home = executor.block_on(async {
        let home = Home::open().await?;
        home.install(engine::guest_path("conformance-echo"), "echo", Vec::new()).await?;
        anyhow::Ok(Arc::new(home))
    })?;
    let mut rows = Vec::new();
    for awake in [true, false] {
        let _awake = awake.then(Awake::new);
        let bare = bare(&executor, &runtime, &bench, &echo)?;
        let gates = gates(&executor, &runtime, &bench, &echo)?;
        let door = executor.block_on(spawned(one_caller(Arc::clone(&home))))?;
        rows.extend(compared(awake, &bare, &gates, &door));
    }
    let begun = Instant::now();
    let many = executor.block_on(many_callers(&home))?;
    let speed = rate(many.count(), begun.elapsed());
    rows.push(
        Row::must(
            "calls a second, 64 in flight",
            per_second(speed),
            "≥ 20 000 /s",
            speed >= 20_000.0,
        )
        .by("64 callers for 4 s on as many executor threads as cores"),
    );
    let slow = many.p99();
    let ok = slow <= Duration::from_millis(10);
    rows.push(Row::must("their time, 64 in flight", many.text(), "p99 ≤ 10 ms", ok));
    Ok(rows)
}

fn compared(awake: bool, bare: &Times, gates: &Times, door: &Times) -> Vec<Row> {
    let times = ratio(door.median(), bare.median());
    let gates_times = ratio(gates.median(), bare.median());
    if !awake {
        return vec![
            Row::shown("bare engine, cores idle", bare.text()),
            Row::shown("whole door, cores idle", door.text()),
            Row::shown("whole door beside bare, cores idle", format!("{times:.1}×")),
        ];
    }
    let method = "5,000 calls one after the other, each timed, a nice-19 spinner on each core";
    let gated = "gates, limits, conversion and call of the runtime, without a node's evidence";
    vec![
        Row::shown("bare engine's fresh call, cores awake", bare.text()).by(method),
        Row::shown("gates + limits + call, no evidence, cores awake", gates.text()).by(gated),
        Row::shown("whole door, cores awake", door.text()),
        Row::must(
            "gates without evidence beside bare, p50",
            format!("{gates_times:.2}×"),
            "≤ 2×",
            gates_times <= 2.0,
        ),
        Row::must(
            "whole door beside bare, p50",
            format!("{times:.1}× (+{})", shown(door.median().saturating_sub(bare.median()))),
            "≤ 8×",
            times <= 8.0,
        ),
    ]
}

/// An executor as a node has it.
pub(crate) fn executor() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(crate::machine::cores())
        .enable_all()
        .build()?)
}

/// Runs `work` on the executor's own threads.
async fn spawned<T: Send + 'static>(
    work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::spawn(work).await?
}

fn bare(
    executor: &tokio::runtime::Runtime,
    runtime: &Arc<Runtime>,
    bench: &Workbench,
    echo: &Subjected,
) -> anyhow::Result<Times> {
    let loaded = bench.load(runtime, &echo.digest)?;
    let permit = echo.permit(&loaded)?;
    let runtime = Arc::clone(runtime);
    executor.block_on(spawned(async move {
        let bare = runtime.bare(&permit, engine::execution(&loaded));
        let bare = bare.ok_or_else(|| anyhow::anyhow!("the bare call could not be made"))?;
        let mut times = Times::default();
        for warm in [true, false] {
            for _ in 0..CALLS {
                let begun = Instant::now();
                anyhow::ensure!(bare.call().await, "a bare call failed");
                times.push(begun.elapsed());
            }
            if warm {
                times = Times::default();
            }
        }
        Ok(times)
    }))
}

fn gates(
    executor: &tokio::runtime::Runtime,
    runtime: &Arc<Runtime>,
    bench: &Workbench,
    echo: &Subjected,
) -> anyhow::Result<Times> {
    let loaded = bench.load(runtime, &echo.digest)?;
    let checks = Checks::new(echo, &loaded);
    executor.block_on(async {
        let mut times = Times::default();
        for _ in 0..CALLS {
            let begun = Instant::now();
            let permit = echo.decide(&checks)?;
            let executed = runtime.execute(&permit, engine::execution(&loaded)).await;
            times.push(begun.elapsed());
            anyhow::ensure!(executed.trapped.is_none(), "a gated call trapped");
        }
        Ok(times)
    })
}

async fn one_caller(home: Arc<Home>) -> anyhow::Result<Times> {
    let mut times = Times::default();
    for number in 0..CALLS + 500 {
        let request = home::request("echo.echo", json!({ "message": "hello" }))?;
        let begun = Instant::now();
        home.call(request).await?;
        if number >= 500 {
            times.push(begun.elapsed());
        }
    }
    Ok(times)
}

async fn many_callers(home: &Arc<Home>) -> anyhow::Result<Times> {
    let end = Instant::now() + FOR;
    let mut callers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let home = Arc::clone(home);
        callers.spawn(async move {
            let mut times = Times::default();
            while Instant::now() < end {
                let request = home::request("echo.echo", json!({ "message": "hello" }))?;
                let begun = Instant::now();
                home.call(request).await?;
                times.push(begun.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let mut all = Times::default();
    while let Some(times) = callers.join_next().await {
        all.extend(times??);
    }
    Ok(all)
}
