//! Deciding whether a request may leave, among 64 rules of which the last one allows it.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use meshhost_core::{decide, network::NetworkRule};

use crate::{
    allocations,
    report::{Row, Times},
};

const RULES: usize = 64;
const DECISIONS: u32 = 200_000;

pub(crate) fn measure() -> anyhow::Result<Vec<Row>> {
    let rules: Vec<NetworkRule> = (0..RULES)
        .map(|index| format!("https://host-{index}.example.com:8443/v1/items").parse())
        .collect::<Result<_, _>>()?;
    let host = format!("host-{}.example.com", RULES - 1);
    let decide = || {
        let path = black_box("/v1/items/42");
        decide::request(black_box(&rules), "https", &host, Some(8443), "GET", path).is_ok()
    };
    anyhow::ensure!(decide(), "the last rule must allow the request");
    let mut times = Times::default();
    let mut clock = Times::default();
    for _ in 0..DECISIONS {
        let begun = Instant::now();
        black_box(decide());
        times.push(begun.elapsed());
        let begun = Instant::now();
        black_box(());
        clock.push(begun.elapsed());
    }
    let allocations = allocations::of(|| {
        for _ in 0..1_000 {
            black_box(decide());
        }
    });
    let ok = times.median() <= Duration::from_nanos(500) && times.p99() <= Duration::from_micros(2);
    Ok(vec![
        Row::must("deciding a request among 64 rules", times.text(), "≤ 0.5 µs, p99 ≤ 2 µs", ok)
            .by("200,000 decisions, each timed, the clock's own time included; the last rule allows"),
        Row::shown("the clock's own time", clock.text()),
        Row::must(
            "allocations of 1,000 decisions",
            allocations.to_string(),
            "none",
            allocations == 0,
        ),
    ])
}
