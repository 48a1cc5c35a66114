use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::{
    evidence::{
        bundle::{Contents, build},
        call::{Decision, Origin, decided},
        chain::Sealer,
        event::{Context, Correlation, Salt, Stamp},
        fleet::{Part, calls},
        hash::Hash,
        sign::{HostIdentity, Signer},
        time::Timestamp,
    },
    id::HostId,
    invocation::{EntranceKind, Subject},
    mesh::wire::Bytes,
};

/// A node with its two keys.
struct Node {
    key: Signer,
    evidence: Signer,
    host_id: HostId,
}

fn node(seed: u8) -> Node {
    Node {
        key: Signer::from_seed(&[seed; 32]),
        evidence: Signer::from_seed(&[seed + 100; 32]),
        host_id: format!("host-{seed}").parse().unwrap(),
    }
}

/// One call in a record: its id, the peer that made it when it was one, and the call that caused it.
type Call<'a> = (&'a str, Option<&'a Node>, Option<&'a str>);

impl Node {
    fn own(&self) -> NodeKey {
        self.key.node_key()
    }

    fn link(&self, evidence: &Signer) -> Bytes {
        let link = KeyLink::sign(evidence, &self.key, &self.host_id, Timestamp::from_micros(0));
        serde_json::to_vec(&link).unwrap().into()
    }

    fn record(&self, work: &str, made: &[Call<'_>]) -> NodeRecord {
        let bundle = self.bundle(work, made).into_bytes().into();
        NodeRecord { node: self.own(), link: self.link(&self.evidence), bundle }
    }

    fn bundle(&self, work: &str, made: &[Call<'_>]) -> String {
        let correlation: CorrelationId = work.parse().unwrap();
        let mut group = Sealer::default().group();
        let mut before = None;
        for (number, (id, peer, cause)) in made.iter().enumerate() {
            let at = i64::try_from(number).unwrap() + 1;
            let draft = self.started(&correlation, (id, *peer, *cause), at);
            before = Some(group.seal(&draft, before).unwrap().content_hash);
        }
        let events: Vec<(&str, Hash)> =
            group.events().iter().map(|it| (it.json.as_str(), it.content_hash)).collect();
        let contents = Contents {
            host_id: &self.host_id,
            correlation_id: &correlation,
            events: &events,
            as_of_sequence: 99,
            created_at: Timestamp::from_micros(1_000),
            identity: &HostIdentity::sign(&self.evidence, &self.host_id, Timestamp::from_micros(0)),
        };
        build(&contents, &self.evidence).unwrap().unwrap()
    }

    fn started(
        &self,
        correlation: &CorrelationId,
        (id, peer, cause): Call<'_>,
        at: i64,
    ) -> crate::evidence::event::Draft {
        let mut correlation = Correlation::new(correlation.clone());
        correlation.causation_id = cause.map(|it| it.parse().unwrap());
        let (id_of_subject, kind) = match peer {
            Some(peer) => (format!("peer:{}", peer.own()), "peer"),
            None => ("local:me".to_owned(), "user"),
        };
        let context = Arc::new(Context {
            host_id: self.host_id.clone(),
            invocation_id: id.parse().unwrap(),
            capability_id: format!("plugin.{id}").parse().unwrap(),
            capability_version: None,
            correlation,
            subject: Subject { id: id_of_subject, kind: kind.to_owned(), verified: true },
        });
        let stamp = Stamp {
            event_id: format!("{}-{id}", self.host_id),
            at: Timestamp::from_micros(at),
            salt: Salt::new([1; 16]),
        };
        let origin = Origin {
            entrance: EntranceKind::Peer,
            depth: 1,
            asserted_caller: None,
            provider: None,
            input: None,
        };
        let mut drafts = decided(&context, &origin, Decision::Run, None, stamp, || unreachable!());
        drafts.remove(0)
    }
}

fn found(records: Vec<NodeRecord>) -> RecordFound {
    RecordFound { records, taken: Vec::new(), absent: Vec::new(), cut: false }
}

fn sift_for(above: Option<&Held>, found: RecordFound, asked: &Node) -> Sifted {
    let correlation = "work".parse().unwrap();
    let asked = Asked { node: &asked.own(), correlation: &correlation, above };
    sift(found, asked, |key| *key != node(1).own())
}

fn sifted(records: Vec<NodeRecord>, asked: &Node) -> Sifted {
    sift_for(None, found(records), asked)
}

fn wrong(records: Vec<NodeRecord>, asked: &Node) -> Vec<RecordProblem> {
    sifted(records, asked).wrong.into_iter().map(|(_, problem)| problem).collect()
}

/// What the second and the third of three nodes have of a call of the first one.
fn chain() -> [NodeRecord; 2] {
    let [a, b, c] = [1, 2, 3].map(node);
    [
        b.record("work", &[("outer", Some(&a), None)]),
        c.record("work", &[("inner", Some(&b), Some("outer"))]),
    ]
}

fn changed(record: &NodeRecord, change: impl FnOnce(&mut Value)) -> NodeRecord {
    let mut bundle = json::parse(&record.bundle, Bounds::CALL).unwrap();
    change(&mut bundle);
    NodeRecord { bundle: bundle.to_string().into_bytes().into(), ..record.clone() }
}

#[test]
fn the_records_of_three_nodes_become_one() {
    let [b, c] = [2, 3].map(node);
    let sifted = sifted(chain().to_vec(), &b);
    assert_eq!(sifted.wrong, []);
    let nodes: Vec<_> = sifted.held.iter().map(|held| held.record.node).collect();
    assert_eq!(nodes, [b.own(), c.own()]);
    let parts: Vec<_> = sifted
        .held
        .into_iter()
        .map(|held| Part { node: held.record.node.to_string(), events: held.events })
        .collect();
    let calls = calls(&parts);
    let seen: Vec<_> = calls.iter().map(|call| (call.invocation_id.as_str(), call.depth)).collect();
    assert_eq!(seen, [("outer", 0), ("inner", 1)]);
}

#[test]
fn a_record_of_another_key_is_not_taken() {
    let [own, handed] = chain();
    let [b, c, other] = [2, 3, 4].map(node);
    // Said to be of another node than signed it.
    let renamed = NodeRecord { node: other.own(), ..handed.clone() };
    // Signed by the one that hands it on, in the name of the third.
    let made_up =
        NodeRecord { node: c.own(), ..b.record("work", &[("inner", Some(&b), Some("outer"))]) };
    // The statement of the third one about its own keys, with a bundle of somebody else's.
    let mixed = NodeRecord { link: handed.link.clone(), ..made_up.clone() };
    // Whoever hands it on says that the third one's evidence key is its own.
    let stolen = NodeRecord { node: other.own(), link: other.link(&b.evidence), ..handed.clone() };
    let nothing = NodeRecord { link: b"{}".to_vec().into(), ..handed };
    for record in [renamed, made_up, mixed, stolen, nothing] {
        assert_eq!(wrong(vec![own.clone(), record], &b), [RecordProblem::OtherKey]);
    }
}

#[test]
fn a_record_that_was_changed_on_its_way_is_not_taken() {
    let [own, handed] = chain();
    let b = node(2);
    let forged = changed(&handed, |bundle| bundle["events"][0]["outcome"] = json!("success"));
    let problem = wrong(vec![own.clone(), forged], &b);
    assert!(matches!(problem[..], [RecordProblem::Broken(_)]), "{problem:?}");
    // What is withheld hides that something beside the hash was changed.
    let other = node(4);
    for bound in
        [Value::Null, json!({ "subject": { "id": "x" }, "correlation": {}, "sequence": 1 })]
    {
        let hidden = changed(&handed, |bundle| {
            let event = &mut bundle["events"][0];
            event["payload"] = json!({ "chp_withheld": true });
            if bound.is_object() {
                event["payload"]["bound"] = bound.clone();
                event["correlation"] = json!({});
            }
            event["subject"] = json!({ "id": "x" });
        });
        let problem = wrong(vec![own.clone(), hidden], &b);
        assert!(
            matches!(problem[..], [RecordProblem::Withheld | RecordProblem::Broken(_)]),
            "{problem:?}"
        );
    }
    let withheld = changed(&handed, |bundle| {
        let event = &mut bundle["events"][0];
        event["payload"] = json!({ "chp_withheld": true });
        event["subject"]["id"] = json!(format!("peer:{}", other.own()));
    });
    assert_eq!(wrong(vec![own.clone(), withheld], &b), [RecordProblem::Withheld]);
    let cut = NodeRecord { bundle: b"{".to_vec().into(), ..handed };
    assert!(matches!(wrong(vec![own, cut], &b)[..], [RecordProblem::Json(_)]));
}

#[test]
fn what_none_of_the_others_caused_is_not_taken() {
    let [a, b, c, d] = [1, 2, 3, 4].map(node);
    let [own, handed] = chain();
    let table = [
        // Of a call that the one who hands it on does not show.
        (c.record("work", &[("inner", Some(&b), Some("elsewhere"))]), RecordProblem::Uncaused),
        // Of somebody of the node that hands it on, not for the one who asks.
        (c.record("work", &[("inner", Some(&b), None)]), RecordProblem::Uncaused),
        // Of a node whose record is not there.
        (c.record("work", &[("inner", Some(&d), Some("outer"))]), RecordProblem::Uncaused),
        (c.record("other", &[("inner", Some(&b), Some("outer"))]), RecordProblem::OtherWork),
        // Of the one who asks, and of one that there is already.
        (a.record("work", &[("inner", Some(&b), Some("outer"))]), RecordProblem::Unexpected),
        (own.clone(), RecordProblem::Unexpected),
    ];
    for (record, problem) in table {
        assert_eq!(wrong(vec![own.clone(), record], &b), [problem]);
    }
    // A fourth node's is there through the third one's, and not without it.
    let fourth = d.record("work", &[("deep", Some(&c), Some("inner"))]);
    assert_eq!(sifted(vec![own.clone(), handed, fourth.clone()], &b).held.len(), 3);
    assert_eq!(wrong(vec![own, fourth], &b), [RecordProblem::Uncaused]);
}

#[test]
fn whose_own_record_does_not_hold_is_not_believed_about_others() {
    let [own, handed] = chain();
    let b = node(2);
    let mut all = found(vec![handed.clone(), own.clone()]);
    all.absent = vec![Absent { node: node(4).own(), why: Why::Unreachable }];
    let sifted = sift_for(None, all, &b);
    assert_eq!(sifted.wrong, [(b.own(), RecordProblem::NotItsOwn)]);
    assert!(sifted.held.is_empty() && sifted.absent.is_empty());
    let forged = changed(&own, |bundle| bundle["events"][0]["outcome"] = json!("success"));
    assert!(sift_for(None, found(vec![forged, handed]), &b).held.is_empty());
}

/// Before it hands something on, a node looks whether it caused it for the one who asks.
#[test]
fn a_node_hands_on_nothing_but_what_it_caused_itself() {
    let [b, c] = [2, 3].map(node);
    let [record, handed] = chain();
    let events = events_of(&record, &"work".parse().unwrap()).unwrap();
    let own = Held { record, events };
    assert_eq!(sift_for(Some(&own), found(vec![handed]), &c).held.len(), 1);
    let others = c.record("work", &[("inner", Some(&b), None)]);
    let sifted = sift_for(Some(&own), found(vec![others]), &c);
    assert_eq!(sifted.wrong, [(c.own(), RecordProblem::Uncaused)]);
    assert!(sifted.held.is_empty());
}

fn took(by: &Node, to: &Node) -> Taken {
    Taken {
        by: by.own(),
        node: to.own(),
        invocation_id: "inner".parse().unwrap(),
        capability: "plugin.inner".parse().unwrap(),
        receipt: true,
    }
}

#[test]
fn what_is_missing_is_handed_on_by_name() {
    let [b, c, d] = [2, 3, 4].map(node);
    let [own, handed] = chain();
    let mut gathering = Gathering::of(own.clone()).unwrap();
    gathering.took(took(&b, &c));
    gathering.took(took(&c, &d));
    gathering.lacks(c.own(), Why::Unreachable);
    let found = gathering.clone().into_found();
    let sifted = sift_for(None, found, &b);
    assert_eq!(sifted.absent, [Absent { node: c.own(), why: Why::Unreachable }]);
    assert_eq!(sifted.taken, [took(&b, &c)], "of a node without a record nothing is told");
    // What comes by another way is not missing.
    let third = Held { record: handed, events: Vec::new() };
    gathering.take_in(Sifted { held: vec![third], ..Sifted::default() });
    assert_eq!(gathering.into_found().absent, []);
}

#[test]
fn an_answer_holds_what_has_room_and_names_the_rest() {
    let [own, _] = chain();
    let large = |seed: u8, bytes: usize| Held {
        record: NodeRecord {
            node: node(seed).own(),
            link: Bytes::default(),
            bundle: vec![b' '; bytes].into(),
        },
        events: Vec::new(),
    };
    let held = vec![large(10, 9), large(11, RECORDS_BYTES_MAX), large(12, 9)];
    let mut gathering = Gathering::of(own.clone()).unwrap();
    gathering.take_in(Sifted { held, ..Sifted::default() });
    let answer = gathering.clone().into_found();
    assert_eq!(answer.records.len(), 2, "what follows may need what has no room");
    let why = [11, 12].map(|seed| Absent { node: node(seed).own(), why: Why::LeftOut });
    assert_eq!(answer.absent, why);
    for _ in 0..=TAKEN_MAX {
        gathering.took(took(&node(2), &node(3)));
    }
    let many = (20..20 + u8::try_from(ABSENT_MAX).unwrap()).map(|seed| node(seed).own());
    many.for_each(|key| gathering.lacks(key, Why::Nothing));
    let answer = gathering.into_found();
    assert!(answer.cut && answer.taken.len() == TAKEN_MAX && answer.absent.len() == ABSENT_MAX);
    let frame = crate::mesh::wire::CallFrame::RecordFound(answer);
    assert!(crate::mesh::wire::Frame::encode(&frame).is_ok());
    let endless = NodeRecord { bundle: vec![b' '; RECORDS_BYTES_MAX].into(), ..own };
    assert_eq!(Gathering::of(endless), None);
}
