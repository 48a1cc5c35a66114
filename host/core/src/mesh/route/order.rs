//! The order of the nodes that a call could run on.
//!
//! First those that the caller prefers; then this node while it is not busy; those with no free slot
//! last; and among equals as the strategy says. Where load decides and two have about the same, the one
//! whose models are loaded comes first, and loading them counts in a score; by name and in turn, the order
//! is the one that the operator asked for.

use super::{Candidate, Node, Offered, Pin, Request, Situation, Why};
use crate::{config::RoutingStrategy, mesh::record::ResourceClass};

/// What a call takes where none was measured, in microseconds.
const LATENCY_US: u64 = 500_000;
/// What loading models takes, in microseconds, as far as one can say who does not know them.
const LOADING_US: u64 = 1_000_000;
/// Loads that differ by less are about the same, in thousandths.
const LOAD_ALIKE: u32 = 100;
/// What running here is worth, in microseconds.
const LOCAL_US: i64 = 50_000;
/// What counts as all of it, in thousandths.
const WHOLE: u32 = 1_000;

/// Those of a lower group come first, whatever the strategy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    not_preferred: bool,
    not_local_first: bool,
    full: bool,
}

/// A candidate with what orders it.
#[derive(Debug)]
pub(super) struct Ranked {
    candidate: Candidate,
    group: Group,
    /// What the load is measured by: that of models without a GPU comes last.
    load: (bool, u32),
    waiting: u64,
    round_trip_us: u64,
}

/// What orders this node.
pub(super) fn rank(
    request: &Request<'_>,
    situation: &Situation<'_>,
    node: &Node<'_>,
    provider: &Offered,
) -> Ranked {
    let record = node.record;
    let measured = node.load.busy(provider.class);
    let busy = measured.or_else(|| node.load.busy_at_all());
    let is_preferred = |word: &str| record.name == word || record.roles.iter().any(|r| r == word);
    let preferred = request.prefer.is_some_and(is_preferred);
    let policy = situation.policy;
    let local_first = node.local && busy.is_none_or(|busy| busy < policy.local_first_below);
    let strategy = policy.strategy;
    let why = match (request.node, strategy) {
        (Some(Pin::Name(_) | Pin::Key(_)), _) => Why::Named,
        (None, _) if preferred => Why::Preferred,
        (None, _) if local_first => Why::LocalFirst,
        (None, RoutingStrategy::First) => Why::First,
        (None, RoutingStrategy::RoundRobin) => Why::InTurn,
        (None, RoutingStrategy::LeastLoaded) => Why::LeastLoaded,
        (None, RoutingStrategy::Scored) => Why::Scored,
    };
    let scored = strategy == RoutingStrategy::Scored;
    let candidate = Candidate {
        node: record.node,
        name: record.name.clone(),
        local: node.local,
        plugin: provider.plugin.clone(),
        version: provider.version.clone(),
        type_hash: provider.type_hash,
        why,
        busy,
        models_loaded: provider.models_loaded,
        score: scored.then(|| score(node, provider, busy)),
        probe: node.link.standing == super::Standing::ProbeDue,
        read_only: provider.read_only,
        idempotent: provider.idempotent,
    };
    let known = if provider.class == ResourceClass::Inference { measured } else { busy };
    Ranked {
        candidate,
        group: Group {
            not_preferred: !preferred,
            not_local_first: !local_first,
            full: node.load.is_full(),
        },
        load: (known.is_none(), busy.unwrap_or(u32::MAX)),
        waiting: u64::from(node.link.in_flight),
        round_trip_us: if node.local { 0 } else { node.link.round_trip_us.unwrap_or(u64::MAX) },
    }
}

/// How long a call takes there, longer the busier the node is and when models have to be loaded first, and
/// a second for each that fails.
fn score(node: &Node<'_>, provider: &Offered, busy: Option<u32>) -> i64 {
    let health = node.link.health;
    let latency_us = health.median_us.unwrap_or(LATENCY_US);
    let stretched = u64::from(WHOLE.saturating_add(busy.unwrap_or(WHOLE)));
    let takes_us = latency_us.saturating_mul(stretched) / u64::from(WHOLE);
    let failing = WHOLE.saturating_sub(health.success.unwrap_or(WHOLE));
    let fails_us = u64::from(failing) * 1_000;
    let loads_us = if has_to_load(provider.models_loaded) { LOADING_US } else { 0 };
    let all_us = takes_us.saturating_add(fails_us).saturating_add(loads_us);
    let all_us = i64::try_from(all_us).unwrap_or(i64::MAX);
    all_us.saturating_sub(if node.local { LOCAL_US } else { 0 })
}

/// Whether a call begins with loading models; one that needs none does not.
fn has_to_load(models_loaded: Option<bool>) -> bool {
    models_loaded == Some(false)
}

/// The candidates in order. `turn` is one more for each call.
pub(super) fn ordered(
    mut ranked: Vec<Ranked>,
    strategy: RoutingStrategy,
    turn: u64,
) -> Vec<Candidate> {
    ranked.sort_by(|one, other| key(one, strategy).cmp(&key(other, strategy)));
    if strategy == RoutingStrategy::RoundRobin {
        for equals in ranked.chunk_by_mut(|one, other| one.group == other.group) {
            let length = u64::try_from(equals.len()).unwrap_or(1).max(1);
            equals.rotate_left(usize::try_from(turn % length).unwrap_or(0));
        }
    }
    ranked.into_iter().map(|one| one.candidate).collect()
}

/// Total: two nodes have two keys.
fn key(ranked: &Ranked, strategy: RoutingStrategy) -> impl Ord + '_ {
    let candidate = &ranked.candidate;
    let by_load = (strategy == RoutingStrategy::LeastLoaded).then(|| {
        let (unknown, busy) = ranked.load;
        (unknown, busy / LOAD_ALIKE, has_to_load(candidate.models_loaded), busy)
    });
    // Only the strategy that goes by it makes a score.
    let by_score = candidate.score;
    let by_way =
        (by_load.is_some() || by_score.is_some()).then_some((ranked.waiting, ranked.round_trip_us));
    (ranked.group, by_load, by_score, by_way, &candidate.name, candidate.node)
}
