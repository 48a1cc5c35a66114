//! Nodes that stream, rightly and wrongly, to one that calls them.

use std::collections::VecDeque;

use meshhost_core::{
    mesh::{
        items::ITEMS_MAX,
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

/// Two members that have the same capability, and what the calls that come to either of them say of
/// items, in the order in which they come.
struct Providers {
    node: Fixture,
    _members: [Living; 2],
    asked: mpsc::Receiver<bool>,
}

impl Providers {
    /// The first call, whoever gets it, is answered by the first script, and so on.
    async fn with(scripts: Vec<Script>) -> Self {
        let node = Fixture::new().await;
        let scripts = Arc::new(std::sync::Mutex::new(VecDeque::from(scripts)));
        let (came, asked) = mpsc::channel(16);
        let mut members = Vec::new();
        for seed in 1..=2 {
            let mut member = Member::join(&node, seed).await;
            tokio::spawn(serve(member.calls(&node).await, Arc::clone(&scripts), came.clone()));
            member.offers(&node).await;
            members.push(member.lives());
        }
        let Ok(members) = <[Living; 2]>::try_from(members) else { panic!("two members") };
        Self { node, _members: members, asked }
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

    /// Of each call that came, whether it asked for items.
    fn asked(&mut self) -> Vec<bool> {
        std::iter::from_fn(|| self.asked.try_recv().ok()).collect()
    }
}

async fn serve(
    calls: Channel,
    scripts: Arc<std::sync::Mutex<VecDeque<Script>>>,
    came: mpsc::Sender<bool>,
) {
    while let Ok(Stream { mut sending, mut receiving }) = calls.accept().await {
        let asked = receiving.read::<CallFrame>().await;
        let Ok(Some(CallFrame::Invoke(invoke))) = asked else { panic!("{asked:?}") };
        came.send(invoke.items).await.unwrap();
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
    assert_eq!(providers.asked(), [true]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_asked_for_items_sends_none() {
    let wrong = vec![accepted(), items("[1]"), answered()];
    let mut providers = Providers::with(vec![wrong, vec![answered()]]).await;
    let outcome = providers.call_to(None, None).await;
    assert_eq!(outcome, Outcome::Success(json!(7)), "another node is asked");
    assert_eq!(providers.asked(), [false, false]);
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
        assert_eq!((items.len(), providers.asked()), (0, vec![true, true]), "{what}");
    }
}

/// It only reads, so that otherwise another node would be asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_caller_has_items_goes_to_no_other_node() {
    let long = format!("[{}]", "\"much too long\",".repeat(8) + "1");
    for (what, wrong) in [
        ("it breaks", vec![accepted(), items("[1]")]),
        ("it says that nothing ran", vec![accepted(), items("[1]"), denied()]),
        ("it sends too much", vec![accepted(), items("[1]"), items(&long)]),
        ("it sends what is none", vec![accepted(), items("[1]"), accepted()]),
    ] {
        let mut providers = Providers::with(vec![wrong, vec![answered()]]).await;
        let (outcome, items) = providers.call(Some(8)).await;
        assert_eq!(outcome.kind(), OutcomeKind::Indeterminate, "{what}");
        assert_eq!((items, providers.asked()), (vec![json!(1)], vec![true]), "{what}");
    }
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
    assert_eq!(providers.asked(), [true]);
}
