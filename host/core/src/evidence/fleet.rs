//! One piece of work as several nodes recorded it: their events in one order, and its calls.
//!
//! The order is causal: a node's own events stay in the order of its record, a call comes after the
//! beginning of the call that caused it and before that one's end. Only what these leave open the
//! nodes' clocks decide, which may differ.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use serde_json::Value;

use super::time::Timestamp;

/// Deepest call that is told apart; what stands deeper is counted as this deep.
const DEPTH_MAX: usize = 32;

/// What one node recorded of a piece of work: events in the order of its record.
#[derive(Debug, Clone)]
pub struct Part {
    /// The node.
    pub node: String,
    /// Its events.
    pub events: Vec<Value>,
}

/// One event in the order of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which part it is of.
    pub part: usize,
    /// Which of its events.
    pub index: usize,
}

/// One call as one node recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The call.
    pub invocation_id: String,
    /// The call that caused it.
    pub causation_id: Option<String>,
    /// The node.
    pub node: String,
    /// What was called.
    pub capability_id: String,
    /// How many of the calls that caused it are known: 0 for the first.
    pub depth: usize,
    /// When it began, by the node's clock.
    pub began: Option<Timestamp>,
    /// When it ended; none while it runs, or when that is not known.
    pub ended: Option<Timestamp>,
    /// The word for how it ended, when it has.
    pub outcome: Option<String>,
}

/// Where the events of one call are in one part.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: usize,
    last: usize,
}

fn invocation(event: &Value) -> Option<&str> {
    event.get("invocation_id")?.as_str()
}

fn causation(event: &Value) -> Option<&str> {
    event.get("correlation")?.get("causation_id")?.as_str()
}

/// When an event happened, by its node's clock.
#[must_use]
pub fn time(event: &Value) -> Option<Timestamp> {
    event.get("timestamp")?.as_str()?.parse().ok()
}

/// All events in causal order, each once. Where claims contradict each other (two calls that caused each
/// other), the clocks decide.
#[must_use]
pub fn merge(parts: &[Part]) -> Vec<Place> {
    let starts: Vec<usize> = parts
        .iter()
        .scan(0, |next, part| {
            let start = *next;
            *next += part.events.len();
            Some(start)
        })
        .collect();
    let events: Vec<(Place, &Value)> = parts
        .iter()
        .enumerate()
        .flat_map(|(part, it)| {
            it.events.iter().enumerate().map(move |(index, event)| (Place { part, index }, event))
        })
        .collect();
    let after = edges(&events, &starts);
    let mut waits = vec![0_usize; events.len()];
    for to in after.iter().flatten() {
        if let Some(count) = waits.get_mut(*to) {
            *count += 1;
        }
    }
    let key = |event: usize| {
        let time = events.get(event).and_then(|(_, it)| time(it)).map(Timestamp::micros);
        Reverse((time, event))
    };
    let free = waits.iter().enumerate().filter(|(_, count)| **count == 0);
    let mut ready: BinaryHeap<_> = free.map(|(event, _)| key(event)).collect();
    let mut waiting: BinaryHeap<_> = (0..events.len()).map(key).collect();
    let mut done = vec![false; events.len()];
    let mut order = Vec::with_capacity(events.len());
    // When nothing is ready, the earliest that waits breaks a circle.
    while let Some(Reverse((_, event))) = ready.pop().or_else(|| waiting.pop()) {
        match done.get_mut(event) {
            Some(done) if !*done => *done = true,
            _ => continue,
        }
        order.extend(events.get(event).map(|(place, _)| *place));
        for to in after.get(event).into_iter().flatten() {
            if let Some(count) = waits.get_mut(*to) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.push(key(*to));
                }
            }
        }
    }
    order
}

/// For each event those that come after it.
fn edges(events: &[(Place, &Value)], starts: &[usize]) -> Vec<Vec<usize>> {
    let mut after = vec![Vec::new(); events.len()];
    let mut add = |from: usize, to: usize| {
        if from != to
            && let Some(list) = after.get_mut(from)
        {
            list.push(to);
        }
    };
    let mut spans: BTreeMap<&str, BTreeMap<usize, Span>> = BTreeMap::new();
    for (number, (place, event)) in events.iter().enumerate() {
        if starts.get(place.part).is_some_and(|start| number > *start) {
            add(number - 1, number);
        }
        if let Some(id) = invocation(event) {
            let of_call = spans.entry(id).or_default();
            let span = of_call.entry(place.part).or_insert(Span { first: number, last: number });
            span.last = number;
        }
    }
    for of_call in spans.values() {
        for span in of_call.values() {
            let cause = events.get(span.first).and_then(|(_, event)| causation(event));
            for above in cause.and_then(|id| spans.get(id)).into_iter().flat_map(BTreeMap::values) {
                add(above.first, span.first);
                if above.last != above.first {
                    add(span.last, above.last);
                }
            }
        }
    }
    after
}

/// The calls, in the order of their beginnings in [`merge`].
#[must_use]
pub fn calls(parts: &[Part]) -> Vec<Call> {
    let mut found: Vec<Call> = Vec::new();
    let mut known: BTreeMap<(usize, String), usize> = BTreeMap::new();
    for place in merge(parts) {
        let Some(part) = parts.get(place.part) else { continue };
        let Some(event) = part.events.get(place.index) else { continue };
        let Some(id) = invocation(event) else { continue };
        let key = (place.part, id.to_owned());
        if let Some(call) = known.get(&key).and_then(|index| found.get_mut(*index)) {
            end(call, event);
            continue;
        }
        known.insert(key, found.len());
        let mut call = Call {
            invocation_id: id.to_owned(),
            causation_id: causation(event).map(str::to_owned),
            node: part.node.clone(),
            capability_id: text(event, "capability_id").unwrap_or_default(),
            depth: 0,
            began: time(event),
            ended: None,
            outcome: None,
        };
        end(&mut call, event);
        found.push(call);
    }
    let above: BTreeMap<String, Option<String>> =
        found.iter().map(|call| (call.invocation_id.clone(), call.causation_id.clone())).collect();
    for call in &mut found {
        call.depth = depth(&above, call.causation_id.as_deref());
    }
    found
}

/// Takes in how a call ended, when the event says it.
fn end(call: &mut Call, event: &Value) {
    if let Some(outcome) = text(event, "outcome") {
        call.outcome = Some(outcome);
        call.ended = time(event);
    }
}

fn text(event: &Value, key: &str) -> Option<String> {
    event.get(key)?.as_str().map(str::to_owned)
}

fn depth<'a>(above: &'a BTreeMap<String, Option<String>>, mut cause: Option<&'a str>) -> usize {
    let mut depth = 0;
    while depth < DEPTH_MAX
        && let Some(next) = cause.and_then(|id| above.get(id))
    {
        depth += 1;
        cause = next.as_deref();
    }
    depth
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn event(id: &str, cause: Option<&str>, outcome: Option<&str>, micros: i64) -> Value {
        json!({
            "invocation_id": id,
            "capability_id": format!("plugin.{id}"),
            "correlation": { "causation_id": cause },
            "outcome": outcome,
            "timestamp": Timestamp::from_micros(micros).to_string(),
        })
    }

    fn part(node: &str, events: Vec<Value>) -> Part {
        Part { node: node.to_owned(), events }
    }

    fn ids(parts: &[Part]) -> Vec<String> {
        let name = |place: Place| {
            let event = &parts[place.part].events[place.index];
            format!("{}{}", event["invocation_id"].as_str().unwrap(), {
                if event["outcome"].is_null() { "" } else { "!" }
            })
        };
        merge(parts).into_iter().map(name).collect()
    }

    #[test]
    fn a_call_stands_between_the_beginning_and_the_end_of_what_caused_it_whatever_the_clocks_say() {
        let laptop =
            vec![event("a", None, None, 1_000_000), event("a", None, Some("success"), 1_000_500)];
        // This clock is an hour behind.
        let there =
            vec![event("b", Some("a"), None, 10), event("b", Some("a"), Some("success"), 20)];
        let parts = [part("gpubox", there), part("laptop", laptop)];
        assert_eq!(ids(&parts), ["a", "b", "b!", "a!"]);
        let calls = calls(&parts);
        let seen: Vec<_> = calls
            .iter()
            .map(|call| (call.node.as_str(), call.capability_id.as_str(), call.depth))
            .collect();
        assert_eq!(seen, [("laptop", "plugin.a", 0), ("gpubox", "plugin.b", 1)]);
        assert_eq!(calls[1].outcome.as_deref(), Some("success"));
    }

    #[test]
    fn calls_that_nothing_joins_stand_in_the_order_of_the_clocks() {
        let one = vec![event("a", None, None, 1), event("a", None, Some("success"), 4)];
        let two = vec![event("b", None, None, 2), event("b", None, Some("denied"), 3)];
        assert_eq!(ids(&[part("one", one), part("two", two)]), ["a", "b", "b!", "a!"]);
    }

    #[test]
    fn a_call_that_was_tried_on_two_nodes_is_two() {
        let one = vec![event("a", None, None, 1)];
        let two = vec![event("a", None, None, 2), event("a", None, Some("success"), 3)];
        let calls = calls(&[part("one", one), part("two", two)]);
        let seen: Vec<_> =
            calls.iter().map(|call| (call.node.as_str(), call.outcome.as_deref())).collect();
        assert_eq!(seen, [("one", None), ("two", Some("success"))]);
    }

    proptest! {
        #[test]
        fn every_event_comes_once_whatever_nodes_claim(
            claims in prop::collection::vec(
                prop::collection::vec((0_u8..6, prop::option::of(0_u8..6), any::<bool>(), 0_i64..9), 0..12),
                0..4,
            ),
        ) {
            let parts: Vec<Part> = claims.iter().map(|claims| {
                let events = claims.iter().map(|(id, cause, ended, at)| {
                    let cause = cause.map(|it| it.to_string());
                    event(&id.to_string(), cause.as_deref(), ended.then_some("success"), *at)
                });
                part("node", events.collect())
            }).collect();
            let order = merge(&parts);
            prop_assert_eq!(order.len(), parts.iter().map(|part| part.events.len()).sum::<usize>());
            for (number, part) in parts.iter().enumerate() {
                let own: Vec<_> =
                    order.iter().filter(|place| place.part == number).map(|it| it.index).collect();
                let mut sorted = own.clone();
                sorted.sort_unstable();
                sorted.dedup();
                prop_assert_eq!(sorted.len(), part.events.len());
            }
            for call in calls(&parts) {
                prop_assert!(call.depth <= DEPTH_MAX);
            }
        }
    }
}
