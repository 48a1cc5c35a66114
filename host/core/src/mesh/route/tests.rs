//! Where calls run, and that they run nowhere where they must not.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    code::Code,
    evidence::sign::Signer,
    id::{CapabilityId, Digest},
    mesh::{
        catalogue::{Catalogue, NODES_MAX, PeerHas},
        membership::{Genesis, Level, MemberStatement, Membership},
        record::{Offer, ResourceClass},
        signed::Signed,
    },
};

const OWN: u8 = 1;

fn signer(seed: u8) -> Signer {
    Signer::from_seed(&[seed; 32])
}

fn key(seed: u8) -> NodeKey {
    signer(seed).node_key()
}

fn offered(plugin: &str) -> Offered {
    Offered {
        id: "git.log".parse().unwrap(),
        long_id: "git.repository.log".parse().unwrap(),
        version: semver::Version::new(0, 1, 0),
        type_hash: Some(Digest::of(b"type")),
        plugin: plugin.parse().unwrap(),
        class: ResourceClass::Cpu,
        state: OfferState::Serving,
        read_only: true,
        idempotent: false,
        models_loaded: None,
    }
}

/// A community as node [`OWN`], called `laptop`, sees it.
struct World {
    membership: Membership,
    catalogue: Catalogue,
    own: NodeRecord,
    own_providers: Vec<Offered>,
    links: BTreeMap<NodeKey, Link>,
    policy: MeshConfig,
    capability: CapabilityId,
    turn: u64,
    now_us: i64,
}

impl World {
    fn new() -> Self {
        let genesis = Genesis {
            name: "home".to_owned(),
            founder: key(OWN),
            founder_name: "laptop".to_owned(),
            made_us: 1,
            random: [0; 16],
        };
        let genesis = Signed::sign(&genesis, &signer(OWN)).unwrap();
        let membership = Membership::new(genesis).unwrap();
        let mut world = Self {
            own: record(&membership, OWN, "laptop"),
            membership,
            catalogue: Catalogue::new(key(OWN)),
            own_providers: Vec::new(),
            links: BTreeMap::new(),
            policy: MeshConfig { strategy: RoutingStrategy::First, ..MeshConfig::DEFAULT },
            capability: "git.log".parse().unwrap(),
            turn: 0,
            now_us: 0,
        };
        for (seed, name) in [(2, "gpubox"), (3, "nas"), (4, "worker")] {
            world.node(seed, name, |_, _| {});
        }
        world
    }

    /// A member that is connected and offers the capability, after `change`.
    fn node(
        &mut self,
        seed: u8,
        name: &str,
        change: impl FnOnce(&mut NodeRecord, &mut Vec<Offered>),
    ) {
        let community = self.membership.community();
        let version = self.catalogue.nodes(&self.membership).map(|n| n.record.version).max();
        let version = version.unwrap_or(0) + 1;
        let let_in = MemberStatement {
            community,
            member: key(seed),
            name: name.to_owned(),
            level: Some(Level::Member),
            version: 1,
            issued_us: 1,
            issuer: key(OWN),
        };
        self.membership.learn([Signed::sign(&let_in, &signer(OWN)).unwrap()]);
        let mut said = NodeRecord { version, ..record(&self.membership, seed, name) };
        let mut capabilities = vec![offered("git")];
        change(&mut said, &mut capabilities);
        let offer = Offer {
            community,
            node: key(seed),
            peer: key(OWN),
            version,
            issued_us: 1,
            capabilities,
        };
        let said = Signed::sign(&said, &signer(seed)).unwrap();
        let offer = Signed::sign(&offer, &signer(seed)).unwrap();
        let mut has = PeerHas::default();
        self.catalogue.learn_record(said, &mut has, &self.membership, self.now_us).unwrap();
        self.catalogue.learn_offer(&offer, &key(seed), &self.membership).unwrap();
        self.links.entry(key(seed)).or_insert_with(|| Link { connected: true, ..Link::default() });
    }

    fn link(&mut self, seed: u8, change: impl FnOnce(&mut Link)) {
        change(self.links.get_mut(&key(seed)).unwrap());
    }

    fn wanted(&self) -> Request<'_> {
        let wanted =
            Wanted { capability: &self.capability, plugin: None, version: None, type_hash: None };
        Request { wanted, node: None, prefer: None }
    }

    fn route(&self, request: &Request<'_>) -> Route {
        let here =
            Here { record: &self.own, providers: &self.own_providers, health: Health::default() };
        let Self { policy, links, turn, now_us, .. } = self;
        let situation = Situation { policy, here, links, turn: *turn, now_us: *now_us };
        route(request, &situation, self.catalogue.nodes(&self.membership))
    }

    fn names(&self) -> Vec<String> {
        names(&self.route(&self.wanted()))
    }

    /// Why the only node that is left out is.
    fn left_out(&self, request: &Request<'_>, name: &str) -> Option<Reason> {
        let route = self.route(request);
        let left = route.left_out.into_iter().find(|left| left.name == name);
        left.map(|left| left.reason)
    }
}

fn record(membership: &Membership, seed: u8, name: &str) -> NodeRecord {
    NodeRecord {
        community: membership.community(),
        node: key(seed),
        name: name.to_owned(),
        roles: Vec::new(),
        addresses: Vec::new(),
        version: 1,
        issued_us: 1,
        engine: semver::Version::new(48, 0, 0),
        program: semver::Version::new(0, 1, 0),
        state: NodeState::Serving,
        load: Load { slots_free: 32, slots: 32, cpu: Some(0), gpu: None },
        models: Vec::new(),
    }
}

fn names(route: &Route) -> Vec<String> {
    route.candidates.iter().map(|one| one.name.clone()).collect()
}

#[test]
fn what_this_node_has_runs_here_until_it_is_busy() {
    let mut world = World::new();
    assert_eq!(world.names(), ["gpubox", "nas", "worker"]);
    world.own_providers.push(offered("git"));
    world.own.load.cpu = Some(799);
    let route = world.route(&world.wanted());
    assert_eq!(names(&route), ["laptop", "gpubox", "nas", "worker"]);
    assert_eq!((route.candidates[0].why, route.candidates[0].local), (Why::LocalFirst, true));
    world.own.load.cpu = Some(800);
    assert_eq!(world.names(), ["gpubox", "laptop", "nas", "worker"]);
    world.policy.local_first_below = 1_000;
    assert_eq!(world.names()[0], "laptop");
}

#[test]
fn a_call_can_name_its_node() {
    let mut world = World::new();
    let by_key = Request { node: Some(Pin::Key(key(3))), ..world.wanted() };
    assert_eq!(names(&world.route(&by_key)), ["nas"]);
    let by_name = Request { node: Some(Pin::Name("nas")), ..world.wanted() };
    assert_eq!(names(&world.route(&by_name)), ["nas"]);
    assert_eq!(world.left_out(&by_name, "gpubox"), Some(Reason::AnotherNode));
    let nobody = Request { node: Some(Pin::Name("nobody")), ..world.wanted() };
    assert_eq!(world.route(&nobody).candidates, []);
    let here = Request { node: Some(Pin::Name("laptop")), ..world.wanted() };
    assert_eq!(world.left_out(&here, "laptop"), Some(Reason::NotOffered));
    world.node(5, "nas", |_, _| {});
    let by_name = Request { node: Some(Pin::Name("nas")), ..world.wanted() };
    assert_eq!(world.left_out(&by_name, "nas"), Some(Reason::AmbiguousName), "anybody can be nas");
    assert_eq!(world.route(&by_name).candidates, []);
    assert_eq!(world.route(&by_name).refusal(&by_name).code, Code::UsageError);
}

#[test]
fn what_a_caller_prefers_comes_first_and_does_not_bind() {
    let mut world = World::new();
    world.own_providers.push(offered("git"));
    world.node(4, "worker", |record, _| record.roles.push("inference".to_owned()));
    for word in ["worker", "inference"] {
        let request = Request { prefer: Some(word), ..world.wanted() };
        assert_eq!(names(&world.route(&request)), ["worker", "laptop", "gpubox", "nas"]);
    }
    let request = Request { prefer: Some("nowhere"), ..world.wanted() };
    assert_eq!(names(&world.route(&request))[0], "laptop");
}

#[test]
fn nodes_take_turns() {
    let mut world = World::new();
    world.policy.strategy = RoutingStrategy::RoundRobin;
    let first = |turn| {
        world.turn = turn;
        world.names().remove(0)
    };
    let turns: Vec<_> = (0..4).chain([u64::MAX]).map(first).collect();
    assert_eq!(turns, ["gpubox", "nas", "worker", "gpubox", "gpubox"]);
}

#[test]
fn the_least_loaded_comes_first_and_who_says_nothing_last() {
    let mut world = World::new();
    world.policy.strategy = RoutingStrategy::LeastLoaded;
    world.node(2, "gpubox", |record, _| record.load.cpu = Some(900));
    world.node(3, "nas", |record, _| record.load = Load::default());
    world.node(4, "worker", |record, _| record.load.slots_free = 20);
    assert_eq!(world.names(), ["worker", "gpubox", "nas"]);
    world.node(4, "worker", |record, _| record.load.slots_free = 0);
    assert_eq!(world.names(), ["gpubox", "nas", "worker"], "it has no free slot");
    world.now_us = i64::try_from(LOAD_AGE_US_MAX).unwrap() + 1;
    assert_eq!(world.names(), ["gpubox", "nas", "worker"], "what is old is unknown");
    world.link(2, |link| link.in_flight = 1);
    assert_eq!(world.names(), ["nas", "worker", "gpubox"]);
}

#[test]
fn models_run_where_the_gpu_is_least_in_use() {
    let mut world = World::new();
    world.policy.strategy = RoutingStrategy::LeastLoaded;
    for (class, order) in [
        (ResourceClass::Inference, ["worker", "gpubox", "nas"]),
        (ResourceClass::Cpu, ["nas", "gpubox", "worker"]),
    ] {
        for (seed, name, cpu, gpu) in
            [(2, "gpubox", 900, Some(500)), (3, "nas", 0, None), (4, "worker", 950, Some(100))]
        {
            world.node(seed, name, |record, offered| {
                record.load = Load { cpu: Some(cpu), gpu, ..record.load };
                offered[0].class = class;
            });
        }
        assert_eq!(world.names(), order);
    }
}

#[test]
fn the_score_is_how_long_a_call_takes_and_how_often_it_fails() {
    let mut world = World::new();
    world.policy = MeshConfig { local_first_below: 0, ..world.policy };
    world.policy.strategy = RoutingStrategy::Scored;
    world.own_providers.push(offered("git"));
    let health = |ms: u64, success| Health { median_us: Some(ms * 1_000), success: Some(success) };
    world.link(2, |link| link.health = health(100, 1_000));
    world.link(3, |link| link.health = health(10, 800));
    world.node(4, "worker", |record, _| record.load.cpu = Some(500));
    world.link(4, |link| link.health = health(100, 1_000));
    let route = world.route(&world.wanted());
    let scores: Vec<_> =
        route.candidates.iter().map(|one| (one.name.as_str(), one.score.unwrap())).collect();
    let expected =
        [("gpubox", 100_000), ("worker", 150_000), ("nas", 210_000), ("laptop", 450_000)];
    assert_eq!(scores, expected);
}

#[test]
fn of_two_that_are_about_as_busy_the_one_comes_first_whose_models_are_loaded() {
    let mut world = World::new();
    world.policy.strategy = RoutingStrategy::LeastLoaded;
    for (seed, name, cpu, loaded) in
        [(2, "gpubox", 10, Some(false)), (3, "nas", 90, Some(true)), (4, "worker", 50, None)]
    {
        world.node(seed, name, |record, offered| {
            record.load.cpu = Some(cpu);
            offered[0].models_loaded = loaded;
        });
    }
    assert_eq!(world.names(), ["worker", "nas", "gpubox"], "one that needs none loads none");
    let route = world.route(&world.wanted());
    assert_eq!(
        route.in_words(Some(&key(3))),
        "ran on nas: least loaded, load 0.09, its models are loaded"
    );
    assert_eq!(
        route.in_words(Some(&key(2))),
        "ran on gpubox: least loaded, load 0.01, its models have to be loaded"
    );
    world.node(3, "nas", |record, _| record.load.cpu = Some(110));
    assert_eq!(world.names(), ["worker", "gpubox", "nas"], "it is busier");
}

#[test]
fn a_score_counts_that_models_have_to_be_loaded() {
    let mut world = World::new();
    world.policy.strategy = RoutingStrategy::Scored;
    let health = |ms: u64| Health { median_us: Some(ms * 1_000), success: Some(1_000) };
    for (seed, name, ms, loaded) in
        [(2, "gpubox", 10, Some(false)), (3, "nas", 1_000, Some(true)), (4, "worker", 900, None)]
    {
        world.node(seed, name, |_, offered| offered[0].models_loaded = loaded);
        world.link(seed, |link| link.health = health(ms));
    }
    assert_eq!(world.names(), ["worker", "nas", "gpubox"]);
    world.link(3, |link| link.health = health(1_020));
    assert_eq!(world.names(), ["worker", "gpubox", "nas"], "loading takes about a second");
}

#[test]
fn an_order_by_name_or_in_turn_stays_what_it_is_whatever_is_loaded() {
    let mut world = World::new();
    world.node(2, "gpubox", |_, offered| offered[0].models_loaded = Some(false));
    world.node(3, "nas", |_, offered| offered[0].models_loaded = Some(true));
    for strategy in [RoutingStrategy::First, RoutingStrategy::RoundRobin] {
        world.policy.strategy = strategy;
        assert_eq!(world.names(), ["gpubox", "nas", "worker"]);
    }
}

#[test]
fn nodes_are_left_out_for_one_reason_each() {
    type Change = fn(&mut NodeRecord, &mut Vec<Offered>);
    let version = semver::Version::new(0, 2, 0);
    let engine = semver::Version::new(47, 0, 0);
    let cases: [(Change, Reason); 8] = [
        (|record, _| record.state = NodeState::Draining, Reason::Draining),
        (|record, _| record.state = NodeState::Left, Reason::Left),
        (|_, offered| offered[0].state = OfferState::Disabled, Reason::Disabled),
        (|_, offered| offered[0].state = OfferState::Quarantined, Reason::Quarantined),
        (
            |_, offered| offered[0].version = semver::Version::new(0, 2, 0),
            Reason::AnotherVersion { has: version },
        ),
        (|_, offered| offered[0].type_hash = None, Reason::AnotherType),
        (|_, offered| offered[0].plugin = "other".parse().unwrap(), Reason::AnotherPlugin),
        (|record, _| record.engine.major = 47, Reason::Engine { has: engine }),
    ];
    for (change, reason) in cases {
        let mut world = World::new();
        world.policy.engine_floor = Some(semver::Version::new(48, 0, 0));
        world.node(3, "nas", change);
        let (plugin, range, hash) =
            ("git".parse().unwrap(), "^0.1".parse().unwrap(), Digest::of(b"type"));
        let mut request = world.wanted();
        request.wanted.plugin = Some(&plugin);
        request.wanted.version = Some(&range);
        request.wanted.type_hash = Some(&hash);
        assert_eq!(world.left_out(&request, "nas"), Some(reason));
        assert_eq!(names(&world.route(&request)), ["gpubox", "worker"]);
    }
    let mut world = World::new();
    world.node(3, "nas", |_, offered| offered.clear());
    let route = world.route(&world.wanted());
    assert_eq!((route.candidates.len(), route.left_out.len()), (2, 0), "it never had it");
}

#[test]
fn a_node_that_cannot_be_reached_or_rests_is_left_out_and_a_probe_is_not() {
    let mut world = World::new();
    let resting = Standing::Resting { for_us: 5_000_000 };
    world.link(2, |link| link.standing = resting);
    world.link(3, |link| link.standing = Standing::Probing);
    world.link(4, |link| link.standing = Standing::ProbeDue);
    world.node(5, "zoo", |_, _| {});
    world.links.remove(&key(5));
    let route = world.route(&world.wanted());
    assert_eq!(names(&route), ["worker"]);
    assert!(route.candidates[0].probe);
    let reason = |name| world.left_out(&world.wanted(), name).unwrap();
    assert_eq!(reason("gpubox"), Reason::Resting { for_us: 5_000_000 });
    assert_eq!(reason("nas"), Reason::Probing);
    assert_eq!(reason("zoo"), Reason::NotConnected);
    world.link(4, |link| link.standing = resting);
    let refusal = world.route(&world.wanted()).refusal(&world.wanted());
    assert_eq!(refusal.code, Code::NodeUnreachable);
    assert!(refusal.message.contains("zoo left out: not connected"), "{refusal}");
}

#[test]
fn the_first_of_a_nodes_providers_that_fits_is_meant_as_the_gates_mean_it() {
    let mut world = World::new();
    world.node(3, "nas", |_, all| {
        all.insert(0, Offered { version: semver::Version::new(0, 2, 0), ..offered("newer") });
        all.insert(1, Offered { state: OfferState::Disabled, ..offered("off") });
    });
    let range = "^0.1".parse().unwrap();
    let mut request = world.wanted();
    request.node = Some(Pin::Name("nas"));
    assert_eq!(world.route(&request).candidates[0].plugin.as_str(), "newer");
    request.wanted.version = Some(&range);
    assert_eq!(world.left_out(&request, "nas"), Some(Reason::Disabled));
    let plugin = "git".parse().unwrap();
    request.wanted.plugin = Some(&plugin);
    assert_eq!(world.route(&request).candidates[0].plugin.as_str(), "git");
}

#[test]
fn a_route_is_told_in_words_and_written_down() {
    let mut world = World::new();
    world.policy.strategy = RoutingStrategy::LeastLoaded;
    world.node(3, "nas", |record, _| record.state = NodeState::Draining);
    world.node(4, "worker", |record, _| record.load.cpu = Some(430));
    let route = world.route(&world.wanted());
    assert_eq!(
        route.in_words(Some(&key(4))),
        "ran on worker: least loaded, load 0.43; nas left out: draining"
    );
    assert_eq!(
        route.in_words(None),
        "would run on gpubox: least loaded, load 0.00; nas left out: draining"
    );
    let written = serde_json::to_value(&route).unwrap();
    assert_eq!(written["strategy"], "least_loaded");
    assert_eq!(written["candidates"][0]["node"], key(2).to_string());
    assert_eq!(written["left_out"][0]["reason"], "draining");
    world.capability = "no.such".parse().unwrap();
    let refusal = world.route(&world.wanted()).refusal(&world.wanted());
    assert_eq!(refusal.code, Code::CapabilityNotFound);
}

#[test]
fn what_is_told_is_bounded() {
    let mut world = World::new();
    for seed in 2..=20 {
        world.node(seed, &format!("n{seed}"), |record, _| record.state = NodeState::Draining);
    }
    let words = world.route(&world.wanted()).in_words(None);
    assert!(words.ends_with("; 11 more left out"), "{words}");
}

type Facts = (u8, bool, u8, u8, u32, u32);

fn facts() -> impl Strategy<Value = Facts> {
    (0_u8..3, any::<bool>(), 0_u8..4, 0_u8..3, 0_u32..2_000, 0_u32..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each node is a candidate or left out, never both; what must not run a call is no candidate;
    /// and the same facts give the same route.
    #[test]
    fn no_node_is_chosen_that_is_left_out(
        nodes in proptest::collection::vec(facts(), 3),
        (own, turn, strategy) in (any::<bool>(), any::<u64>(), 0_usize..4),
    ) {
        let mut world = World::new();
        world.turn = turn;
        world.policy.strategy = [
            RoutingStrategy::First,
            RoutingStrategy::RoundRobin,
            RoutingStrategy::LeastLoaded,
            RoutingStrategy::Scored,
        ][strategy];
        if own {
            world.own_providers.push(offered("git"));
        }
        let mut unfit = BTreeSet::new();
        for (seed, (state, connected, standing, provider, cpu, in_flight)) in (2_u8..).zip(nodes) {
            world.node(seed, &format!("n{seed}"), |record, offered| {
                let states = [NodeState::Serving, NodeState::Draining, NodeState::Left];
                record.state = states[usize::from(state)];
                let states = [OfferState::Serving, OfferState::Disabled, OfferState::Quarantined];
                offered[0].state = states[usize::from(provider)];
                record.load.cpu = Some(cpu);
            });
            let standings = [
                Standing::Well,
                Standing::ProbeDue,
                Standing::Probing,
                Standing::Resting { for_us: 1 },
            ];
            let standing = standings[usize::from(standing)];
            world.link(seed, |link| {
                *link = Link { connected, standing, in_flight, ..Link::default() };
            });
            if state > 0 || !connected || provider > 0 || !standing.admits() {
                unfit.insert(key(seed));
            }
        }
        let route = world.route(&world.wanted());
        let chosen: BTreeSet<_> = route.candidates.iter().map(|one| one.node).collect();
        let left: BTreeSet<_> = route.left_out.iter().map(|one| one.node).collect();
        prop_assert_eq!(&left, &unfit);
        prop_assert!(chosen.is_disjoint(&left));
        prop_assert_eq!(chosen.len(), route.candidates.len());
        prop_assert_eq!(chosen.len() + left.len(), 3 + usize::from(own));
        prop_assert!(chosen.len() + left.len() <= NODES_MAX);
        if own {
            prop_assert!(route.candidates[0].local, "it is not busy");
        }
        prop_assert_eq!(&route, &world.route(&world.wanted()));
    }
}
