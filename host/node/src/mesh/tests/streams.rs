//! Nodes that stream, rightly and wrongly, to one that calls them.

use std::collections::VecDeque;

use meshhost_core::{
    mesh::{
        items::ITEMS_MAX,
        key::NodeKey,
        wire::{Accepted, Body, CallFrame, Ended, Frame as _, Items},
    },
    outcome::OutcomeKind,
};
use meshhost_runtime::execute::ItemSender;
use tokio::sync::mpsc;

use super::{
    member::{Living, Member},
    providers::{answer, call},
    transport::Closing,
    *,
};

/// What a member sends for one call: frames as bytes. Then the stream ends.
type Script = Vec<Vec<u8>>;

/// Two members that have the same capability, and the calls that come to them, in the order in which
/// they come: to whom, and whether they ask for items.
struct Providers {
    node: Fixture,
    keys: Vec<NodeKey>,
    _members: Vec<Living>,
    asked: mpsc::Receiver<(NodeKey, bool)>,
}

impl Providers {
    /// The first call, whoever gets it, is answered by the first script, and so on.
    async fn with(scripts: Vec<Script>) -> Self {
        let node = Fixture::new().await;
        let scripts = Arc::new(std::sync::Mutex::new(VecDeque::from(scripts)));
        let (came, asked) = mpsc::channel(16);
        let (mut keys, mut members) = (Vec::new(), Vec::new());
        for seed in 1..=2 {
            let mut member = Member::join(&node, seed).await;
            let (key, calls) = (member.key, member.calls(&node).await);
            tokio::spawn(serve((key, calls), Arc::clone(&scripts), came.clone()));
            keys.push(key);
            member.offers(&node).await;
            members.push(member.lives());
        }
        Self { node, keys, _members: members, asked }
    }

    /// A call, and the items that came of it.
    async fn call(&self, output_bytes: Option<u64>) -> (Outcome, Vec<Value>) {
        let (to, mut items) = mpsc::channel(64);
        let outcome = self.call_to(Some(&to), output_bytes).await;
        drop(to);
        let mut all = Vec::new();
        while let Some(batch) = items.recv().await {
            all.extend(batch);
        }
        (outcome, all)
    }

    async fn call_to(&self, to: Option<&ItemSender>, output_bytes: Option<u64>) -> Outcome {
        let call = Arc::new(Invocation { output_bytes, ..(*call("streaming", 1_500)).clone() });
        self.node.mesh.call(&call, &Placement::Anywhere, to).await.outcome
    }

    /// Of each call that came, whether it asked for items; and whether all came to one node.
    fn asked(&mut self) -> (Vec<bool>, bool) {
        let (nodes, asked): (Vec<_>, Vec<_>) =
            std::iter::from_fn(|| self.asked.try_recv().ok()).unzip();
        (asked, nodes.iter().all(|node| Some(node) == nodes.first()))
    }
}

async fn serve(
    (key, calls): (NodeKey, Channel),
    scripts: Arc<std::sync::Mutex<VecDeque<Script>>>,
    came: mpsc::Sender<(NodeKey, bool)>,
) {
    while let Ok(Stream { mut sending, mut receiving }) = calls.accept().await {
        let asked = receiving.read::<CallFrame>().await;
        let Ok(Some(CallFrame::Invoke(invoke))) = asked else { panic!("{asked:?}") };
        came.send((key, invoke.items)).await.unwrap();
        let script = scripts.lock().unwrap().pop_front().unwrap_or_default();
        for frame in &script {
            sending.write_raw(frame).await;
        }
        // What was sent is read before its end.
        sending.finish();
        sending.taken().await;
    }
    calls.close(Closing::Leaving);
}

fn accepted() -> Vec<u8> {
    CallFrame::Accepted(Accepted).encode().unwrap()
}

fn items(json: &str) -> Vec<u8> {
    let body = Body::Json(json.as_bytes().to_vec().into());
    CallFrame::Items(Items { body }).encode().unwrap()
}

fn answered() -> Vec<u8> {
    answer().encode().unwrap()
}

fn denied() -> Vec<u8> {
    let CallFrame::Answer(mut answer) = answer() else { panic!("no answer") };
    answer.ended = Ended::Denied(Refusal::new(Code::Busy, "no").into());
    CallFrame::Answer(answer).encode().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_come_before_the_answer_and_those_after_it_are_not_read() {
    let script = vec![accepted(), items("[1,2]"), items("[\"3\"]"), answered(), items("[4]")];
    let mut providers = Providers::with(vec![script]).await;
    let (outcome, items) = providers.call(None).await;
    assert_eq!(outcome, Outcome::Success(json!(7)), "the answer is what the node says at the end");
    assert_eq!(items, [json!(1), json!(2), json!("3")]);
    assert_eq!(providers.asked().0, [true]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_asked_for_items_sends_none() {
    let wrong = vec![accepted(), items("[1]"), answered()];
    let mut providers = Providers::with(vec![wrong, vec![answered()]]).await;
    let outcome = providers.call_to(None, None).await;
    assert_eq!(outcome, Outcome::Success(json!(7)), "another node is asked");
    assert_eq!(providers.asked(), (vec![false, false], false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_that_are_none_or_too_many_are_not_taken() {
    let many = format!("[{}1]", "1,".repeat(ITEMS_MAX));
    let long = [&[35][..], &u32::MAX.to_le_bytes(), &[0; 64]].concat();
    let binary = CallFrame::Items(Items { body: Body::Binary(vec![1, 1].into()) });
    for (what, wrong) in [
        ("before it has begun", vec![items("[1]")]),
        ("none", vec![accepted(), items("[]")]),
        ("no list", vec![accepted(), items("{\"a\":1}")]),
        ("no JSON", vec![accepted(), items("[1")]),
        ("in a form that nobody asked for", vec![accepted(), binary.encode().unwrap()]),
        ("too many at once", vec![accepted(), items(&many)]),
        ("a frame that is too long", vec![accepted(), long]),
        ("more than the call may give", vec![accepted(), items("[\"much too long for it\"]")]),
    ] {
        let mut providers = Providers::with(vec![wrong, vec![accepted(), answered()]]).await;
        let (outcome, items) = providers.call(Some(8)).await;
        assert_eq!(outcome, Outcome::Success(json!(7)), "{what}: another node is asked");
        assert_eq!((items.len(), providers.asked()), (0, (vec![true, true], false)), "{what}");
    }
}

/// It only reads, so that otherwise another node would be asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_caller_has_items_goes_to_no_other_node() {
    let long = format!("[{}]", "\"much too long\",".repeat(8) + "1");
    for (what, wrong) in [
        ("it breaks", vec![accepted(), items("[1]")]),
        ("it sends too much", vec![accepted(), items("[1]"), items(&long)]),
        ("it sends what is none", vec![accepted(), items("[1]"), accepted()]),
    ] {
        let mut providers = Providers::with(vec![wrong, vec![answered()]]).await;
        let (outcome, items) = providers.call(Some(8)).await;
        assert_eq!(outcome.kind(), OutcomeKind::Indeterminate, "{what}");
        assert_eq!((items, providers.asked().0), (vec![json!(1)], vec![true]), "{what}");
    }
    // One that says that nothing ran is not believed, and asked for its result.
    let wrong = vec![accepted(), items("[1]"), denied()];
    let mut providers = Providers::with(vec![wrong, vec![answered()]]).await;
    let (outcome, items) = providers.call(Some(8)).await;
    assert_eq!((outcome, items), (Outcome::Success(json!(7)), vec![json!(1)]));
    assert_eq!(providers.asked(), (vec![true, false], true), "the same node, for what it recorded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_do_not_read_leave_room_on_the_connection_for_others() {
    let mut providers = Providers::with(vec![vec![answered()], vec![answered()]]).await;
    let running = providers.node.running();
    let mut streaming = Vec::new();
    for key in &providers.keys {
        let link = running.links.find(key).unwrap();
        while let Ok(place) = Arc::clone(&link.streaming).try_acquire_owned() {
            streaming.push(place);
        }
    }
    assert!(streaming.len() < 8, "four streams that nobody reads take all that a peer may send");
    assert_eq!(providers.call(None).await.0, Outcome::Success(json!(7)));
    assert_eq!(providers.asked().0, [false], "its items come with its answer");
    drop(streaming);
    assert_eq!(providers.call(None).await.0, Outcome::Success(json!(7)));
    assert_eq!(providers.asked().0, [true]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_does_not_read_is_told_when_its_time_is_over() {
    let mut script = vec![accepted()];
    script.extend((0..64).map(|number| items(&format!("[{number}]"))));
    script.push(answered());
    let mut providers = Providers::with(vec![script]).await;
    let (to, mut unread) = mpsc::channel(1);
    let outcome = providers.call_to(Some(&to), None).await;
    assert_eq!(outcome.kind(), OutcomeKind::Indeterminate);
    assert_eq!(unread.try_recv(), Ok(vec![json!(0)]));
    assert!(unread.try_recv().is_err(), "nothing more was read for it");
    assert_eq!(providers.asked().0, [true]);
}
