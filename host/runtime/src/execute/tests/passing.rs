//! Items that are handed on while the call runs: what comes, and who waits for whom.

use tokio::sync::mpsc;

use super::{concurrent::writer, *};

/// A call whose items come to the one that is given back, with room for so many batches.
fn streaming(wat: &str, room: usize) -> (Fixture, mpsc::Receiver<Vec<Value>>) {
    let (to, items) = mpsc::channel(room);
    let mut fixture = Fixture::new(wat);
    fixture.items = Some(to);
    (fixture, items)
}

/// Everything that comes, until the call has ended.
async fn all(mut fixture: Fixture, mut items: mpsc::Receiver<Vec<Value>>) -> (Outcome, Vec<Value>) {
    let taking = async {
        let mut all = Vec::new();
        while let Some(batch) = items.recv().await {
            assert!(!batch.is_empty() && batch.len() <= BATCH_MAX);
            all.extend(batch);
        }
        all
    };
    let running = async {
        let executed = fixture.run().await;
        fixture.items = None;
        executed.outcome
    };
    tokio::join!(running, taking)
}

/// `run` returns the stream as what comes with ok.
fn in_a_result(wat: &str) -> String {
    wat.replace("(result $s)", "(result (result $s (error u32)))")
        .replace("(import \"\" \"return\" (func $return (param i32)))", RETURN_OK)
        .replace("(call $return (i32.wrap_i64", "(call $return (i32.const 0) (i32.wrap_i64")
}

const RETURN_OK: &str = "(import \"\" \"return\" (func $return (param i32 i32)))";

#[tokio::test]
async fn items_are_those_of_the_answer() {
    let numbers = json!([25960, 27756, 25960, 27756]);
    let rows = [
        (writer("stream", "u16", "$s", 2, 2), numbers.clone(), numbers.clone()),
        (in_a_result(&writer("stream", "u16", "$s", 2, 2)), numbers.clone(), numbers),
        (
            writer("stream", "u8", "$s", 2, 5),
            json!(["aGVsbG8=", "aGVsbG8="]),
            json!("aGVsbG9oZWxsbw=="),
        ),
        (writer("stream", "bool", "$s", 0, 1), json!([]), json!([])),
        // One value that comes later is no stream, and neither is one among others.
        (writer("future", "u8", "$s", 1, 1), json!([]), json!(104)),
    ];
    for (wat, expected, output) in rows {
        let (fixture, items) = streaming(&wat, 1);
        let (outcome, items) = all(fixture, items).await;
        assert_eq!((outcome, json!(items)), (Outcome::Success(output), expected));
    }
    let (fixture, items) = streaming(&writer("stream", "u16", "$s", 3, 20_000), 1);
    let (outcome, items) = all(fixture, items).await;
    assert_eq!(items.len(), 3 * BATCH_MAX, "a part of each write");
    assert_eq!(outcome, Outcome::Success(json!(items)));
}

#[tokio::test]
async fn the_first_items_come_while_the_guest_works_and_a_caller_that_waits_holds_it_up() {
    let endless = writer("stream", "u16", "$s", -1, 2);
    let (mut fixture, mut items) = streaming(&endless, 1);
    fixture.limits.deadline_ms = 200;
    // It would never end, and would soon have written too much: it waits instead.
    let (executed, first) = tokio::join!(fixture.fails(Code::LimitDeadline), items.recv());
    assert_eq!(first, Some(vec![json!(25960), json!(27756)]));
    assert!(executed.usage.fuel < 100_000, "{} units while it was held up", executed.usage.fuel);
    assert_eq!(executed.trapped, None);
    // Nobody keeps it from it.
    let (mut fixture, items) = streaming(&endless, 1);
    fixture.limits.output_bytes = 10_000;
    let (outcome, items) = all(fixture, items).await;
    assert_eq!(outcome.refusal().map(|it| it.code), Some(Code::LimitOutput));
    assert!(!items.is_empty() && json!(items).to_string().len() <= 10_000, "{}", items.len());
}

#[tokio::test]
async fn a_caller_that_goes_away_holds_nobody_up() {
    let (mut fixture, mut items) = streaming(&writer("stream", "u16", "$s", 1_000, 2), 1);
    fixture.limits.deadline_ms = 20_000;
    let leaving = async {
        let first = items.recv().await;
        drop(items);
        first
    };
    let (output, first) = tokio::join!(fixture.succeeds(), leaving);
    assert_eq!(first.map(|it| it.len()), Some(2));
    assert_eq!(output.as_array().map(Vec::len), Some(2_000), "the answer is the whole");
}

#[tokio::test]
async fn a_call_that_is_given_up_while_it_is_held_up_frees_its_place() {
    let (to, mut items) = mpsc::channel(1);
    let mut fixture = Fixture::with_instances(&writer("stream", "u8", "$s", -1, 5), 1);
    fixture.items = Some(to);
    {
        let call = fixture.runtime.perform(fixture.request());
        tokio::select! {
            executed = call => panic!("it ended: {executed:?}"),
            first = items.recv() => assert_eq!(first, Some(vec![json!("aGVsbG8=")])),
        }
    }
    let place = tokio::time::timeout(SOON, fixture.runtime.places.wait(1)).await.unwrap();
    drop(place);
}

#[tokio::test]
async fn what_has_no_place_in_an_answer_is_not_handed_on() {
    // 0xffffffff is no number, and the call will say so.
    let wat = writer("stream", "f32", "$s", 2, 1).replace("hello", "\\ff\\ff\\ff\\ff");
    let (fixture, items) = streaming(&wat, 1);
    let (outcome, items) = all(fixture, items).await;
    assert_eq!(outcome.refusal().map(|it| it.code), Some(Code::OutputInvalid));
    assert!(items.is_empty());
}
