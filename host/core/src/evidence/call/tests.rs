use super::*;
use crate::evidence::{
    chain::Sealer,
    fixture::{context, origin, stamp},
};

fn types(decision: Decision, assessment: Option<&Assessment>) -> Vec<&'static str> {
    let begin = stamp(9);
    let origin = origin(&begin.salt);
    let mut number = 0;
    let events = decided(&context("call", "work"), &origin, decision, assessment, begin, || {
        number += 1;
        stamp(number)
    });
    assert_eq!(events.last().unwrap().stamp, stamp(9));
    events.iter().map(|event| event.event_type.as_str()).collect()
}

fn denied(code: Code) -> Decision {
    Decision::Denied(Reason::new(code))
}

#[test]
fn the_order_of_events_is_the_protocols() {
    let assessment = Assessment { level: Risk::High, score: 555, guardrail: None };
    let pair = ["safety_assessment_started", "safety_assessment_completed"];
    assert_eq!(types(Decision::Run, None), ["execution_started"]);
    assert_eq!(
        types(Decision::Run, Some(&assessment)),
        [&pair[..], &["safety_action_approved", "execution_started"]].concat()
    );
    assert_eq!(
        types(denied(Code::SafetyBlocked), Some(&assessment)),
        [&pair[..], &["safety_guardrail_triggered", "safety_action_blocked", "execution_denied"]]
            .concat()
    );
    assert_eq!(types(denied(Code::PolicyBlocked), None), ["execution_denied"]);
    assert_eq!(types(denied(Code::BudgetExceeded), None), ["budget_exceeded", "execution_denied"]);
    assert_eq!(
        types(denied(Code::ApprovalRequired), None),
        ["approval_requested", "execution_denied"]
    );
    let skipped = Decision::Skipped(Reason::new(Code::CapabilityDisabled));
    assert_eq!(types(skipped, None), ["execution_skipped"]);
}

#[test]
fn each_outcome_has_its_event() {
    let table = [
        (OutcomeKind::Success, "execution_completed", "success"),
        (OutcomeKind::Failure, "execution_failed", "failure"),
        (OutcomeKind::Denied, "execution_denied", "denied"),
        (OutcomeKind::Skipped, "execution_skipped", "skipped"),
        (OutcomeKind::Indeterminate, "execution_indeterminate", "indeterminate"),
    ];
    for (outcome, event_type, word) in table {
        let draft = ended(&context("call", "work"), stamp(1), end(outcome, &[]));
        let mut group = Sealer::default().group();
        let sealed = group.seal(&draft, None).unwrap();
        let json: serde_json::Value = serde_json::from_str(&sealed.json).unwrap();
        assert_eq!(json["event_type"], event_type);
        assert_eq!(json["outcome"], word);
        let refused = matches!(outcome, OutcomeKind::Denied | OutcomeKind::Skipped);
        assert_eq!(json["denial"].is_object(), refused);
        assert_eq!(json["error"].is_object(), !refused && outcome != OutcomeKind::Success);
    }
}

fn end(outcome: OutcomeKind, denied: &[DeniedAccess]) -> End<'_> {
    End {
        outcome,
        reason: (outcome != OutcomeKind::Success).then(|| Reason::new(Code::Trap)),
        usage: Usage { fuel: 1 << 60, ..Usage::default() },
        output: None,
        output_valid: true,
        denied,
        models: &[],
        guest_text_bytes: 0,
    }
}

#[test]
fn words_of_the_guest_and_its_targets_do_not_enter() {
    let secret = "hunter2";
    let access = DeniedAccess {
        permission: Some(format!("net=https://{secret}.example.org")),
        function: "wasi:http/outgoing-handler#handle".to_owned(),
        target: format!("{secret}.example.org"),
    };
    let many = vec![access; 100];
    let draft = ended(&context("call", "work"), stamp(1), end(OutcomeKind::Failure, &many));
    let mut group = Sealer::default().group();
    let json = &group.seal(&draft, None).unwrap().json;
    assert!(!json.contains(secret));
    let event: serde_json::Value = serde_json::from_str(json).unwrap();
    let payload = &event["payload"];
    assert_eq!(payload["denied"].as_array().unwrap().len(), LIST_ENTRIES_MAX);
    assert_eq!(payload["denied_count"], 100);
    assert_eq!(payload["denied"][0]["permission"], "net");
    assert_eq!(payload["fuel"], (1_u64 << 60).to_string());
}

#[test]
fn who_called_the_peer_stands_as_the_peer_says_it_and_never_as_verified() {
    let begin = stamp(1);
    let event = |caller: Option<Subject>| {
        let origin =
            Origin { entrance: EntranceKind::Peer, asserted_caller: caller, ..origin(&begin.salt) };
        let context = context("call", "work");
        let drafts = decided(&context, &origin, Decision::Run, None, begin.clone(), || stamp(0));
        let mut group = Sealer::default().group();
        let json = &group.seal(&drafts[0], None).unwrap().json;
        serde_json::from_str::<serde_json::Value>(json).unwrap()
    };
    let claim = Subject { id: "local:root".to_owned(), kind: "user".to_owned(), verified: true };
    let said = event(Some(claim));
    assert_eq!(
        said["payload"]["asserted_caller"],
        serde_json::json!({ "id": "local:root", "type": "user", "verified": false })
    );
    assert_eq!(said["subject"]["id"], "local:müller", "who calls is somebody else");
    assert!(event(None)["payload"].get("asserted_caller").is_none(), "it is left out, not null");
}

#[test]
fn a_commitment_depends_on_salt_and_content() {
    let (first, second) = (stamp(1).salt, stamp(2).salt);
    let commitment = Commitment::new(&first, "{}");
    assert_eq!(commitment, Commitment::new(&first, "{}"));
    assert_ne!(commitment, Commitment::new(&second, "{}"));
    assert_ne!(commitment.hash, Commitment::new(&first, "{ }").hash);
    let preimage = [first.as_bytes().as_slice(), b"{}"].concat();
    assert_eq!(commitment.hash, Hash::of(&preimage));
    assert_eq!(commitment.bytes, 2);
}
