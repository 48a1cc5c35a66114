//! Deciding whether a request may leave, and whether a capability may be called, among 64 rules of
//! which the last one allows it.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use meshhost_core::{
    decide,
    network::{NetworkRule, NetworkRules},
    permission::{CallRule, CallRules},
};
use serde_json::json;

use crate::{
    allocations,
    report::{Row, Times},
};

const RULES: usize = 64;
const LAST: usize = RULES - 1;
const DECISIONS: u32 = 200_000;
const METHOD: &str =
    "200,000 decisions, each timed, the clock's own time included; the last rule allows";

pub(crate) fn measure() -> anyhow::Result<Vec<Row>> {
    let mut rows = requests()?;
    let path = |number: usize| format!("/home/me/notes/{number}/**");
    let one = |number| ("filesystem.read".to_owned(), path(number));
    rows.extend(calls("deciding a call among 64 rules of one capability", one)?);
    let each = |number| (format!("filesystem.read_{number:02}"), path(LAST));
    rows.extend(calls("deciding a call among rules of 64 capabilities", each)?);
    let mut clock = Times::default();
    for _ in 0..DECISIONS {
        let begun = Instant::now();
        black_box(());
        clock.push(begun.elapsed());
    }
    rows.push(Row::shown("the clock's own time", clock.text()));
    Ok(rows)
}

fn requests() -> anyhow::Result<Vec<Row>> {
    let rules: Vec<NetworkRule> = (0..RULES)
        .map(|index| format!("https://host-{index}.example.com:8443/v1/items").parse())
        .collect::<Result<_, _>>()?;
    let rules = NetworkRules::new(&rules);
    let host = format!("host-{LAST}.example.com");
    decisions("deciding a request among 64 rules", || {
        let path = black_box("/v1/items/42");
        decide::request(black_box(&rules), "https", &host, Some(8443), "GET", path).is_ok()
    })
}

/// Rules that fix the argument `path`: `rule` gives the capability and the glob of each.
fn calls(what: &str, rule: impl Fn(usize) -> (String, String)) -> anyhow::Result<Vec<Row>> {
    let rules: Vec<CallRule> = (0..RULES)
        .map(|number| {
            let (capability, glob) = rule(number);
            CallRule { capability, arguments: vec![("path".to_owned(), glob)] }
        })
        .collect();
    let (rules, (capability, _)) = (CallRules::new(&rules), rule(LAST));
    let input = json!({ "path": format!("/home/me/notes/{LAST}/today.md") });
    decisions(what, || {
        decide::call(black_box(&rules), black_box(&capability), black_box(&input)).is_ok()
    })
}

/// Times a decision that must be a yes, and counts what it allocates.
fn decisions(what: &str, decide: impl Fn() -> bool) -> anyhow::Result<Vec<Row>> {
    anyhow::ensure!(decide(), "the last rule must allow it");
    let mut times = Times::default();
    for _ in 0..DECISIONS {
        let begun = Instant::now();
        black_box(decide());
        times.push(begun.elapsed());
    }
    let allocations = allocations::of(|| {
        for _ in 0..1_000 {
            black_box(decide());
        }
    });
    let ok = times.median() <= Duration::from_nanos(500) && times.p99() <= Duration::from_micros(2);
    Ok(vec![
        Row::must(what, times.text(), "≤ 0.5 µs, p99 ≤ 2 µs", ok).by(METHOD),
        Row::must(
            "allocations of 1,000 such decisions",
            allocations.to_string(),
            "none",
            allocations == 0,
        ),
    ])
}
