//! What one idle node of a hundred sends, all of them connected with each other: its own parts, with time as
//! a number, and peers that do what it would do. What QUIC adds is counted for each datagram.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use meshhost::mesh::Bare;
use meshhost_core::{
    evidence::sign::Signer,
    id::Digest,
    mesh::{
        catalogue::{Catalogue, LOOK_US, PUBLISH_US, PeerHas},
        key::NodeKey,
        membership::{Genesis, Level, MemberStatement, Membership},
        peer::{Input, Output, Peer, WATCH_US},
        record::{Load, NodeRecord, NodeState, Said},
        signed::Signed,
        wire::{Bytes, ControlFrame, Frame as _, Hello, Number, PROTOCOL, Records, Welcome},
    },
};

use crate::report::Row;

/// Nodes of the mesh.
const NODES: usize = 100;
/// How long it is before anything is counted, and how long it is counted, in microseconds.
const FIRST_US: i64 = 2 * PUBLISH_US;
const COUNTED_US: i64 = 600_000_000;
/// How often it is looked what happens.
const STEP_US: i64 = 100_000;
/// Bytes of a datagram beside the frames of ours in it: IP and UDP 28, QUIC's head, number, seal and stream 40.
const DATAGRAM: usize = 28 + 40;
/// Bytes of one that only says what has arrived, or that its sender lives.
const EMPTY: usize = 28 + 32;

/// What was sent, in bytes, by what it was for.
type Sent = BTreeMap<&'static str, usize>;

pub(super) fn measure() -> anyhow::Result<Row> {
    let mut node = Node::new()?;
    let mut now_us = 0;
    while now_us < FIRST_US + COUNTED_US {
        if now_us == FIRST_US {
            node.sent.clear();
        }
        node.step(now_us)?;
        now_us += STEP_US;
    }
    let seconds = COUNTED_US as f64 / 1e6;
    let all: usize = node.sent.values().sum();
    let each: Vec<_> = node
        .sent
        .iter()
        .map(|(what, bytes)| format!("{what} {:.0}", *bytes as f64 / seconds))
        .collect();
    let rate = all as f64 / seconds;
    let reached = format!("{rate:.0} bytes/s ({})", each.join(", "));
    Ok(Row::must("idle traffic of one node among 100 (simulated)", reached, "≤ 1 kB/s", rate <= 1e3).by(
        "what it sends in 10 minutes with its own catalogue and peer machines; 68 bytes more for each \
         datagram with a frame, 60 for each without",
    ))
}

/// A peer, as the node sees it.
struct Other {
    machine: Peer,
    has: PeerHas,
    signer: Signer,
    watches: bool,
    /// When something last went over each of its two connections.
    active_us: [i64; 2],
    answers: Vec<ControlFrame>,
}

struct Node {
    signer: Signer,
    membership: Membership,
    catalogue: Catalogue,
    others: Vec<Other>,
    sent: Sent,
}

impl Node {
    fn new() -> anyhow::Result<Self> {
        let signer = signer(0)?;
        let genesis = Genesis {
            name: "bench".to_owned(),
            founder: signer.node_key(),
            founder_name: name(0),
            made_us: 0,
            random: [0; 16],
        };
        let genesis = Signed::sign(&genesis, &signer)?;
        let mut membership = Membership::new(genesis.clone())?;
        let mut others = Vec::new();
        for place in 1..NODES {
            let key = self::signer(place)?.node_key();
            membership.learn([says(&membership, key, place, &signer)?]);
            let hello = Hello {
                protocol: PROTOCOL,
                community: membership.community(),
                ticket: None,
                name: name(0),
            };
            let (mut machine, _) = Peer::dial(hello, 0);
            let welcome = Welcome { genesis: genesis.clone(), statements: Vec::new() };
            machine.handle(Input::Frame(ControlFrame::Welcome(welcome)), 0);
            ensure!(machine.is_open(), "a peer is not let in");
            let watched = place <= Bare::WATCHED;
            machine.handle(Input::Watched(watched), 0);
            let watches = place + Bare::WATCHED >= NODES;
            let signer = self::signer(place)?;
            let (has, active_us, answers) = (PeerHas::default(), [0; 2], Vec::new());
            others.push(Other { machine, has, signer, watches, active_us, answers });
        }
        let catalogue = Catalogue::new(signer.node_key());
        Ok(Self { signer, membership, catalogue, others, sent: Sent::new() })
    }

    fn step(&mut self, now_us: i64) -> anyhow::Result<()> {
        if now_us % LOOK_US == 0 {
            let own = record(&self.membership, self.signer.node_key(), 0, now_us);
            if self.catalogue.is_due(&own, now_us) {
                self.catalogue.publish(Signed::sign(&own, &self.signer)?, now_us)?;
                self.tell(now_us)?;
            }
        }
        for place in 0..self.others.len() {
            self.hear(place, now_us)?;
            self.ask(place, now_us)?;
            self.keep_alive(place, now_us)?;
        }
        Ok(())
    }

    /// What a peer sends: answers to what it was asked, questions, and its record.
    fn hear(&mut self, place: usize, now_us: i64) -> anyhow::Result<()> {
        let other = self.others.get_mut(place).context("a peer")?;
        let mut frames = std::mem::take(&mut other.answers);
        if other.watches && now_us % WATCH_US == 0 {
            frames.push(ControlFrame::Ping(Number { number: 1 }));
        }
        // They do not all do it at once.
        let turn = i64::try_from(place)? * PUBLISH_US / i64::try_from(NODES)? / STEP_US * STEP_US;
        if (now_us - turn) % PUBLISH_US == 0 {
            let key = other.signer.node_key();
            let record = record(&self.membership, key, place + 1, now_us);
            let said = Said::Record(Signed::sign(&record, &other.signer)?);
            let records = vec![Bytes::from(said.to_bytes())];
            frames.push(ControlFrame::Records(Records { records }));
        }
        for frame in frames {
            // Its answer says that a question has arrived; everything else is acknowledged alone.
            if !matches!(frame, ControlFrame::Ping(_)) {
                self.count("acknowledgements", EMPTY);
            }
            self.take(place, Input::Frame(frame), now_us)?;
        }
        Ok(())
    }

    fn take(&mut self, place: usize, input: Input, now_us: i64) -> anyhow::Result<()> {
        let other = self.others.get_mut(place).context("a peer")?;
        other.active_us[0] = now_us;
        let mut news = false;
        for output in other.machine.handle(input, now_us) {
            match output {
                Output::Send(frame) => {
                    if let ControlFrame::Ping(number) = &frame {
                        other.answers.push(ControlFrame::Pong(*number));
                    }
                    *self.sent.entry("watching").or_default() += frame.encode()?.len() + DATAGRAM;
                }
                Output::Records(records) => {
                    for bytes in records {
                        let Said::Record(record) = Said::from_bytes(&bytes)? else { continue };
                        let (has, members) = (&mut other.has, &self.membership);
                        self.catalogue.learn_record(record, has, members, now_us)?;
                        news = true;
                    }
                }
                Output::Answered(_) => {}
                unexpected => anyhow::bail!("{unexpected:?}"),
            }
        }
        if news { self.tell(now_us) } else { Ok(()) }
    }

    /// Tells every peer what it does not have.
    fn tell(&mut self, now_us: i64) -> anyhow::Result<()> {
        for other in &mut self.others {
            let news = self.catalogue.news_for(&mut other.has, &self.membership);
            let said = news.into_iter().map(|one| Bytes::from(Said::Record(one).to_bytes()));
            for records in Records::frames(said) {
                let bytes = ControlFrame::Records(records).encode()?.len();
                *self.sent.entry("records").or_default() += bytes + DATAGRAM;
                other.active_us[0] = now_us;
            }
        }
        Ok(())
    }

    fn ask(&mut self, place: usize, now_us: i64) -> anyhow::Result<()> {
        let other = self.others.get(place).context("a peer")?;
        if other.machine.wake_us().is_some_and(|wake_us| wake_us <= now_us) {
            self.take(place, Input::Tick, now_us)?;
        }
        Ok(())
    }

    /// On a connection on which nothing went for a while, either side sends one datagram: the question
    /// whether the other lives, or the answer.
    fn keep_alive(&mut self, place: usize, now_us: i64) -> anyhow::Result<()> {
        let other = self.others.get_mut(place).context("a peer")?;
        let mut sent = 0;
        for (active_us, often) in other.active_us.iter_mut().zip(Bare::KEEP_ALIVE) {
            if now_us - *active_us >= i64::try_from(often.as_micros())? {
                *active_us = now_us;
                sent += EMPTY;
            }
        }
        self.count("keep-alive", sent);
        Ok(())
    }

    fn count(&mut self, what: &'static str, bytes: usize) {
        *self.sent.entry(what).or_default() += bytes;
    }
}

fn signer(place: usize) -> anyhow::Result<Signer> {
    Ok(Signer::from_seed(&[u8::try_from(place)?.saturating_add(1); 32]))
}

fn name(place: usize) -> String {
    format!("node-{place}")
}

fn says(
    membership: &Membership,
    member: NodeKey,
    place: usize,
    founder: &Signer,
) -> anyhow::Result<Signed<MemberStatement>> {
    let said = MemberStatement {
        community: membership.community(),
        member,
        name: name(place),
        level: Some(Level::Member),
        version: 1,
        issued_us: 0,
        issuer: founder.node_key(),
    };
    Ok(Signed::sign(&said, founder)?)
}

/// The record of an idle node, with two addresses.
fn record(membership: &Membership, node: NodeKey, place: usize, now_us: i64) -> NodeRecord {
    let community: Digest = membership.community();
    // As large as a time of today.
    let version = 1_800_000_000_000_000 + now_us.unsigned_abs();
    NodeRecord {
        community,
        node,
        name: name(place),
        roles: Vec::new(),
        addresses: vec![([192, 168, 1, 7], 7081).into(), ([100, 64, 0, 7], 7081).into()],
        version,
        issued_us: now_us,
        engine: semver::Version::new(48, 0, 0),
        program: semver::Version::new(0, 1, 0),
        state: NodeState::Serving,
        load: Load { slots_free: 64, slots: 64, cpu: Some(20), gpu: None },
        models: Vec::new(),
    }
}
