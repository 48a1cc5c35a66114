//! Cold start: a component that was compiled before, from the code cache to its first answer, the
//! cache's checks included. The file is in the page cache, as after an install.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    door::executor,
    engine::{self, Subjected, Workbench},
    report::{Row, Times},
};

const STARTS: usize = 40;

pub(crate) fn measure() -> anyhow::Result<Vec<Row>> {
    let plain = starts("filesystem", "stat", json!({ "path": "/" }))?;
    let python = starts("python-echo", "text", json!({ "text": "hello" }))?;
    let method = "40 starts in one process: open, authenticate, map, link; then instance and call";
    let mut rows = Vec::new();
    for (what, (load, first), bound, must) in [
        ("1 MB component", plain, Duration::from_millis(3), "≤ 3 ms"),
        ("Python component, 18 MB", python, Duration::from_millis(20), "≤ 20 ms"),
    ] {
        let ok = first.median() <= bound;
        rows.push(Row::shown(format!("code ready, {what}"), load.text()));
        rows.push(Row::must(format!("first answer, {what}"), first.text(), must, ok).by(method));
    }
    Ok(rows)
}

/// Times until the code is ready, and until the first answer.
fn starts(name: &str, function: &str, input: Value) -> anyhow::Result<(Times, Times)> {
    let bench = Workbench::new()?;
    let subject: Subjected = bench.compile(&engine::guest(name)?, name, function, input)?;
    let executor = executor()?;
    let mut times = (Times::default(), Times::default());
    for start in 0..=STARTS {
        let runtime = Workbench::runtime()?;
        let begun = Instant::now();
        let loaded = bench.load(&runtime, &subject.digest)?;
        let ready = begun.elapsed();
        let permit = subject.permit(&loaded)?;
        let executed = executor.block_on(runtime.execute(&permit, engine::execution(&loaded)));
        let answered = begun.elapsed();
        anyhow::ensure!(executed.trapped.is_none(), "{name} trapped: {:?}", executed.outcome);
        // The first one reads the file into the page cache.
        if start > 0 {
            times.0.push(ready);
            times.1.push(answered);
        }
    }
    Ok(times)
}
