//! Frames as bytes: those written down never change, and what is accepted has one form.

use proptest::prelude::*;

use super::*;
use crate::{
    evidence::sign::Signer,
    id::Digest,
    json::Bounds,
    mesh::{blob::ChainingValue, key::NodeKey},
    outcome::{Outcome, Refusal},
};

mod any;
mod examples;

/// One line for each example: its name and its bytes. What stands there has been sent and is kept.
const WRITTEN: &str = include_str!("tests/frames.txt");

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key(seed: u8) -> NodeKey {
    Signer::from_seed(&[seed; 32]).node_key()
}

/// Reads a frame as it comes in.
fn receive<F: Frame>(bytes: &[u8]) -> Result<F, WireError> {
    let (head, body) = bytes.split_first_chunk().unwrap();
    let head = F::head(*head)?;
    assert_eq!(head.length, body.len());
    F::decode(head.kind, body)
}

fn comes_back<F: Frame + PartialEq + std::fmt::Debug>(frame: &F) {
    let bytes = frame.encode().unwrap();
    assert_eq!(receive::<F>(&bytes).as_ref(), Ok(frame));
}

#[test]
fn every_frame_is_written_as_it_always_was() {
    let control = examples::control().into_iter().map(|(name, frame)| {
        comes_back(&frame);
        (name, frame.encode().unwrap())
    });
    let call = examples::call().into_iter().map(|(name, frame)| {
        comes_back(&frame);
        (name, frame.encode().unwrap())
    });
    let lines: Vec<String> = control
        .chain(call)
        .map(|(name, bytes)| format!("{name} {}", hexadecimal(&bytes)))
        .collect();
    let written: Vec<&str> = WRITTEN.lines().collect();
    assert_eq!(lines, written, "the protocol is another one now");
}

#[test]
fn every_kind_has_an_example() {
    let control: Vec<u8> =
        examples::control().iter().map(|(_, frame)| frame.encode().unwrap()[0]).collect();
    let call: Vec<u8> =
        examples::call().iter().map(|(_, frame)| frame.encode().unwrap()[0]).collect();
    for kind in 0..=u8::MAX {
        assert_eq!(ControlFrame::max(kind).is_some(), control.contains(&kind), "{kind}");
        assert_eq!(CallFrame::max(kind).is_some(), call.contains(&kind), "{kind}");
    }
}

/// The page that others read has the same kinds and bounds.
#[test]
fn the_page_lists_every_kind_with_its_bound() {
    let page = include_str!("../../../../../docs/wire.md");
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [kind, _, channel, max] = cells.as_slice() else { return None };
        let max = max.replace(',', "").parse::<usize>().ok()?;
        Some(((*channel).to_owned(), kind.parse::<u8>().ok()?, max))
    });
    let kinds = (0..=u8::MAX).flat_map(|kind| {
        let control = ControlFrame::max(kind).map(|max| ("control".to_owned(), kind, max));
        let call = CallFrame::max(kind).map(|max| ("call".to_owned(), kind, max));
        [control, call].into_iter().flatten()
    });
    assert_eq!(rows.collect::<Vec<_>>(), kinds.collect::<Vec<_>>());
}

#[test]
fn a_head_is_judged_before_anything_else_is_read() {
    let hello = |length: u32| {
        let [a, b, c, d] = length.to_le_bytes();
        ControlFrame::head([1, a, b, c, d])
    };
    assert_eq!(hello(4096), Ok(Head { kind: 1, length: 4096 }));
    let too_long = WireError::Length { kind: 1, length: 4097, max: 4096 };
    assert_eq!(hello(4097), Err(too_long));
    assert!(matches!(hello(u32::MAX), Err(WireError::Length { .. })));
    assert_eq!(ControlFrame::head([32, 0, 0, 0, 0]), Err(WireError::Kind(32)));
    assert_eq!(CallFrame::head([1, 0, 0, 0, 0]), Err(WireError::Kind(1)));
    assert_eq!(ControlFrame::decode(32, &[]), Err(WireError::Kind(32)));
    let long = vec![0; 4097];
    assert_eq!(ControlFrame::decode(1, &long), Err(too_long));
}

/// An example of each kind with something after it, or with its end missing.
#[test]
fn a_body_ends_where_its_frame_ends() {
    fn ends<F: Frame + std::fmt::Debug + PartialEq>(frame: &F) {
        let bytes = frame.encode().unwrap();
        let (kind, body) = (bytes[0], &bytes[HEAD_BYTES..]);
        for end in 0..body.len() {
            assert!(F::decode(kind, &body[..end]).is_err(), "kind {kind} cut at {end}");
        }
        let longer = [body, &[0]].concat();
        assert!(F::decode(kind, &longer).is_err(), "kind {kind} and a byte");
    }
    examples::control().iter().for_each(|(_, frame)| ends(frame));
    examples::call().iter().for_each(|(_, frame)| ends(frame));
}

#[test]
fn a_number_has_one_form() {
    assert_eq!(ControlFrame::decode(6, &[7]), Ok(ControlFrame::Ping(Number { number: 7 })));
    assert_eq!(ControlFrame::decode(6, &[0x87, 0]), Err(WireError::Form(6)));
}

/// The list says that it has more items than there may be, and none of them is read.
#[test]
fn a_list_is_bounded_while_it_is_read() {
    let records = Records { records: vec![Bytes::default(); control::RECORDS_MAX] };
    comes_back(&ControlFrame::Records(records));
    let many = Records { records: vec![Bytes::default(); control::RECORDS_MAX + 1] };
    let body = postcard::to_allocvec(&many).unwrap();
    assert_eq!(ControlFrame::decode(5, &body), Err(WireError::Form(5)));
    let sent = ControlFrame::Records(many).encode();
    assert!(matches!(sent, Err(WireError::Bound { kind: 5, .. })));
}

fn invoke(change: impl FnOnce(&mut Invoke)) -> Result<Vec<u8>, WireError> {
    let mut invoke = examples::invoke();
    change(&mut invoke);
    CallFrame::Invoke(Box::new(invoke)).encode()
}

#[test]
fn a_call_is_what_it_may_be() {
    type Change = fn(&mut Invoke);
    let changes: [Change; 13] = [
        |call| call.version = Some("git".to_owned()),
        |call| call.version = Some(format!(">={}", "1".repeat(200))),
        |call| call.type_hash = None,
        |call| call.depth = 0,
        |call| call.hops = (1..=17).map(key).collect(),
        |call| call.hops = vec![key(1), key(2), key(1)],
        |call| call.caller = Some(Caller { id: "a\n".to_owned(), kind: String::new() }),
        |call| call.mandate = vec![Bytes::default(); 9],
        |call| call.mandate = vec![vec![0; 8193].into()],
        |call| call.approval_ref = Some("a".repeat(257)),
        |call| call.actor = Some("\u{1b}[2J".to_owned()),
        |call| call.environment = Some("a".repeat(65)),
        |call| call.trace = Some(TraceContext { parent: "a".repeat(65), state: String::new() }),
    ];
    for (place, change) in changes.into_iter().enumerate() {
        let sent = invoke(change);
        assert!(matches!(sent, Err(WireError::Bound { kind: 32, .. })), "{place}: {sent:?}");
    }
    let largest = vec![0; BODY_BYTES_MAX];
    assert!(invoke(|call| call.body = Body::Json(largest.clone().into())).is_ok());
    let larger = [largest, vec![0]].concat();
    assert!(invoke(|call| call.body = Body::Json(larger.into())).is_err());
}

#[test]
fn a_question_for_records_and_its_answer_are_what_they_may_be() {
    type Wanted = fn(&mut RecordWanted);
    let changes: [Wanted; 3] = [
        |wanted| wanted.hops.clear(),
        |wanted| wanted.hops = (1..=5).map(key).collect(),
        |wanted| wanted.hops = vec![key(1), key(1)],
    ];
    for change in changes {
        let mut wanted = examples::record_wanted();
        change(&mut wanted);
        let sent = CallFrame::RecordWanted(wanted).encode();
        assert!(matches!(sent, Err(WireError::Bound { kind: 52, .. })), "{sent:?}");
    }
    type Found = fn(&mut RecordFound);
    let changes: [Found; 6] = [
        |found| found.records.clear(),
        |found| found.records = vec![found.records[0].clone(); RECORDS_MAX + 1],
        |found| found.records[0].link = vec![b' '; 1025].into(),
        |found| found.records[0].bundle = vec![b' '; RECORDS_BYTES_MAX].into(),
        |found| found.taken = vec![found.taken[0].clone(); TAKEN_MAX + 1],
        |found| found.absent = vec![found.absent[0]; ABSENT_MAX + 1],
    ];
    for change in changes {
        let mut found = examples::record_found();
        change(&mut found);
        let sent = CallFrame::RecordFound(found).encode();
        assert!(matches!(sent, Err(WireError::Bound { kind: 53, .. })), "{sent:?}");
    }
    // Everything at its longest fits the frame.
    let mut largest = examples::record_found();
    let link = largest.records[0].link.len();
    largest.records[0].bundle = vec![b' '; RECORDS_BYTES_MAX - link].into();
    largest.taken[0].capability = format!("a.{}", "b".repeat(254)).parse().unwrap();
    largest.taken[0].invocation_id = "i".repeat(128).parse().unwrap();
    largest.taken = vec![largest.taken[0].clone(); TAKEN_MAX];
    largest.absent = vec![largest.absent[0]; ABSENT_MAX];
    comes_back(&CallFrame::RecordFound(largest));
}

#[test]
fn statements_of_any_number_fit_their_frames() {
    let statements = vec![examples::statement(); 2 * control::STATEMENTS_MAX + 1];
    let frames = Statements::frames(&statements);
    assert_eq!(frames.len(), 3);
    for frame in frames {
        comes_back(&ControlFrame::Statements(frame));
    }
}

#[test]
fn an_outcome_is_the_same_on_the_other_side() {
    let refusal = Refusal::new(crate::code::Code::NotFound, "there is no such file")
        .with_details(serde_json::json!({ "path": "a", "size": 1.5 }));
    let to_body = |value: serde_json::Value| Ok(Body::Json(value.to_string().into_bytes().into()));
    for outcome in [
        Outcome::Success(serde_json::json!([1, "two"])),
        Outcome::Failure(refusal.clone()),
        Outcome::Denied(Refusal { retry_after_ms: Some(5), ..refusal.clone() }),
        Outcome::Skipped(refusal.clone()),
        Outcome::Indeterminate(refusal),
    ] {
        let ended = Ended::new(outcome.clone(), to_body);
        let read = ended
            .read(Bounds::CALL, |body| Ok(crate::json::parse(body.bytes(), Bounds::CALL).unwrap()));
        assert_eq!(read, outcome);
    }
}

#[test]
fn what_a_peer_says_that_is_not_known_here_stays_a_refusal() {
    let said = |code: &str, details: Option<&[u8]>| {
        let details = details.map(|text| Bytes::from(text.to_vec()));
        let (code, message) = (code.to_owned(), "no".to_owned());
        CallRefusal { code, message, details, retry_after_ms: None }.read(Bounds::SMALL)
    };
    let known = said("not-found", Some(b"{}"));
    assert_eq!((known.code, known.message.as_str()), (crate::code::Code::NotFound, "no"));
    let new = said("not-yet-invented", None);
    assert_eq!(new.code, crate::code::Code::PeerProtocol);
    assert_eq!(new.message, "no (the peer's code is not-yet-invented)");
    assert_eq!(said("MH0801", None).code, crate::code::Code::PeerProtocol, "codes go by name");
    assert_eq!(said("not-found", Some(b"{")).code, crate::code::Code::PeerProtocol);
}

#[test]
fn an_answer_is_cut_to_what_a_frame_holds() {
    let mut answer = examples::answer();
    answer.evidence_ids = vec!["e".to_owned(); 100];
    answer.evidence_ids.push("e".repeat(1000));
    answer.models = vec![answer.models[0].clone(); 40];
    answer.denied = vec![answer.denied[0].clone(); 100];
    answer.denied[0].target = "t".repeat(5000);
    let refusal = Refusal::new(crate::code::Code::Trap, "é".repeat(20_000));
    answer.ended = Ended::Failure(refusal.into());
    assert!(CallFrame::Answer(Box::new(answer.clone())).encode().is_err());
    answer.cut();
    comes_back(&CallFrame::Answer(Box::new(answer.clone())));
    assert_eq!((answer.evidence_ids.len(), answer.models.len(), answer.denied.len()), (64, 32, 64));
}

#[test]
fn secrets_and_contents_are_not_printed() {
    let hello = format!("{:?}", examples::hello());
    assert!(hello.contains("Secret") && !hello.contains("9, 9"), "{hello}");
    let call = format!("{:?}", examples::invoke());
    assert!(call.contains("bytes") && !call.contains("[1, 2"), "{call}");
}

/// Bytes decode to nothing, or to what is written as the same bytes.
fn has_one_form<F: Frame + std::fmt::Debug + PartialEq>(kind: u8, body: &[u8]) {
    if let Ok(frame) = F::decode(kind, body) {
        let bytes = frame.encode().unwrap();
        assert_eq!((bytes[0], &bytes[HEAD_BYTES..]), (kind, body), "{frame:?}");
    }
}

proptest! {
    #[test]
    fn any_control_frame_comes_back(frame in any::control()) {
        comes_back(&frame);
    }

    #[test]
    fn any_call_frame_comes_back(frame in any::call()) {
        comes_back(&frame);
    }

    #[test]
    fn any_bytes_have_one_form(kind in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..64)) {
        has_one_form::<ControlFrame>(kind, &body);
        has_one_form::<CallFrame>(kind, &body);
    }

    #[test]
    fn a_frame_with_a_changed_byte_has_one_form(
        call in any::call(),
        control in any::control(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for mut bytes in [call.encode().unwrap(), control.encode().unwrap()] {
            let at = place.index(bytes.len());
            bytes[at] = byte;
            has_one_form::<ControlFrame>(bytes[0], &bytes[HEAD_BYTES..]);
            has_one_form::<CallFrame>(bytes[0], &bytes[HEAD_BYTES..]);
        }
    }
}

#[test]
fn records_travel_in_few_frames_none_of_which_is_too_long() {
    let large = Bytes::from(vec![7; 160 * 1024]);
    let small = Bytes::from(vec![7; 200]);
    for (records, frames) in [
        (vec![], 0),
        (vec![small.clone(); 100], 1),
        (vec![small.clone(); 600], 3),
        (vec![large.clone(); 10], 4),
        (vec![large, small], 1),
    ] {
        let made = Records::frames(records.clone());
        assert_eq!(made.len(), frames);
        assert!(made.iter().all(|one| ControlFrame::Records(one.clone()).encode().is_ok()));
        let all: Vec<_> = made.into_iter().flat_map(|one| one.records).collect();
        assert_eq!(all, records);
    }
}
