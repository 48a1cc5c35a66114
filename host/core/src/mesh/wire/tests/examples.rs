//! One frame of each kind, with every part filled in, and those that have two forms in both.

use super::*;
use crate::{
    limits::Usage,
    mesh::{
        membership::{Genesis, Level, MemberStatement},
        signed::Signed,
    },
    model_use::ModelUse,
    outcome::DeniedAccess,
};

fn genesis() -> Signed<Genesis> {
    let said = Genesis {
        name: "home".to_owned(),
        founder: key(1),
        founder_name: "laptop".to_owned(),
        made_us: 1_700_000_000_000_000,
        random: [3; 16],
    };
    Signed::sign(&said, &Signer::from_seed(&[1; 32])).unwrap()
}

pub(super) fn statement() -> Signed<MemberStatement> {
    let said = MemberStatement {
        community: Digest::of(b"community"),
        member: key(2),
        name: "desk".to_owned(),
        level: Some(Level::Trusted),
        version: 1,
        issued_us: 1_700_000_000_000_001,
        issuer: key(1),
    };
    Signed::sign(&said, &Signer::from_seed(&[1; 32])).unwrap()
}

pub(super) fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        community: Digest::of(b"community"),
        ticket: Some([9; 32].into()),
        name: "desk".to_owned(),
    }
}

pub(super) fn control() -> Vec<(&'static str, ControlFrame)> {
    let member = Hello { ticket: None, ..hello() };
    let statements = vec![statement()];
    let records = vec![vec![1, 2, 3].into(), Bytes::default()];
    vec![
        ("hello", ControlFrame::Hello(hello())),
        ("hello-of-a-member", ControlFrame::Hello(member)),
        (
            "welcome",
            ControlFrame::Welcome(Welcome { genesis: genesis(), statements: statements.clone() }),
        ),
        ("refused", ControlFrame::Refused(Refused)),
        ("statements", ControlFrame::Statements(Statements { statements })),
        ("records", ControlFrame::Records(Records { records })),
        ("ping", ControlFrame::Ping(Number { number: 300 })),
        ("pong", ControlFrame::Pong(Number { number: u64::MAX })),
        ("leaving", ControlFrame::Leaving(Leaving)),
        ("missed", ControlFrame::Missed(Missed { node: key(2) })),
    ]
}

pub(super) fn invoke() -> Invoke {
    Invoke {
        invocation_id: "call-2".parse().unwrap(),
        correlation_id: "work-1".parse().unwrap(),
        causation_id: Some("call-1".parse().unwrap()),
        capability: "git.log".parse().unwrap(),
        version: Some("^0.1".to_owned()),
        type_hash: Some(Digest::of(b"func()")),
        plugin: Some("git".parse().unwrap()),
        body: Body::Binary(vec![1, 2].into()),
        deadline_ms: 30_000,
        fuel: 10_000_000_000,
        bytes_left: 8 << 20,
        items: true,
        depth: 2,
        hops: vec![key(1), key(2)],
        caller: Some(Caller { id: "local:me".to_owned(), kind: "user".to_owned() }),
        mandate: vec![vec![7, 8].into()],
        approval_ref: Some("approval-1".to_owned()),
        actor: Some("agent".to_owned()),
        environment: Some("test".to_owned()),
        trace: Some(TraceContext {
            parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
            state: "a=1".to_owned(),
        }),
    }
}

fn plain_invoke() -> Invoke {
    Invoke {
        causation_id: None,
        version: None,
        type_hash: None,
        plugin: None,
        body: Body::Json(b"{}".to_vec().into()),
        items: false,
        depth: 1,
        hops: Vec::new(),
        caller: None,
        mandate: Vec::new(),
        approval_ref: None,
        actor: None,
        environment: None,
        trace: None,
        ..invoke()
    }
}

pub(super) fn refusal() -> CallRefusal {
    CallRefusal {
        code: "not-found".to_owned(),
        message: "there is no such file".to_owned(),
        details: Some(b"{\"path\":\"a\"}".to_vec().into()),
        retry_after_ms: Some(1_000),
    }
}

pub(super) fn answer() -> Answer {
    Answer {
        capability: "git.log".parse().unwrap(),
        version: Some("0.1.0".to_owned()),
        plugin: Some("git".parse().unwrap()),
        ended: Ended::Success(Body::Json(b"[1]".to_vec().into())),
        usage: Usage {
            fuel: 1,
            wall_us: 2,
            memory_bytes: 3,
            host_calls: 4,
            output_bytes: 5,
            log_bytes: 300,
        },
        evidence_ids: vec!["event-1".to_owned(), "event-2".to_owned()],
        models: vec![ModelUse {
            model: Digest::of(b"model"),
            engine: "engine 1".into(),
            provider: "cpu".into(),
            runs: 1,
            queue_us: 2,
            run_us: 3,
            batch_max: 4,
        }],
        denied: vec![DeniedAccess {
            permission: Some("clock".to_owned()),
            function: "wasi:clocks/wall-clock#now".to_owned(),
            target: "now".to_owned(),
        }],
        started_at: "2026-01-01T00:00:00.000000Z".to_owned(),
        completed_at: "2026-01-01T00:00:01.000000Z".to_owned(),
        replayed: true,
    }
}

fn ended(ended: Ended) -> CallFrame {
    CallFrame::Answer(Box::new(Answer {
        version: None,
        plugin: None,
        ended,
        evidence_ids: Vec::new(),
        models: Vec::new(),
        denied: Vec::new(),
        replayed: false,
        ..answer()
    }))
}

pub(super) fn record_wanted() -> RecordWanted {
    RecordWanted {
        correlation_id: "work-1".parse().unwrap(),
        hops: vec![key(1), key(2)],
        deadline_ms: 3_750,
    }
}

pub(super) fn record_found() -> RecordFound {
    let record =
        NodeRecord { node: key(3), link: b"{}".to_vec().into(), bundle: b"{}".to_vec().into() };
    let taken = Taken {
        by: key(3),
        node: key(4),
        invocation_id: "call-3".parse().unwrap(),
        capability: "git.log".parse().unwrap(),
        receipt: true,
    };
    let absent = vec![Absent { node: key(4), why: Why::Unreachable }];
    RecordFound { records: vec![record], taken: vec![taken], absent, cut: false }
}

pub(super) fn call() -> Vec<(&'static str, CallFrame)> {
    let wanted = BlobWanted {
        digest: Digest::of(b"blob"),
        invocation_id: Some("call-2".parse().unwrap()),
        from_group: 3,
    };
    let short = CallRefusal { details: None, retry_after_ms: None, ..refusal() };
    let describe =
        Describe { capability: "git.log".parse().unwrap(), version: Some("^0.1".to_owned()) };
    vec![
        ("invoke", CallFrame::Invoke(Box::new(invoke()))),
        ("invoke-plain", CallFrame::Invoke(Box::new(plain_invoke()))),
        ("accepted", CallFrame::Accepted(Accepted)),
        ("answer", CallFrame::Answer(Box::new(answer()))),
        ("answer-failure", ended(Ended::Failure(refusal()))),
        ("answer-denied", ended(Ended::Denied(short.clone()))),
        ("answer-skipped", ended(Ended::Skipped(short.clone()))),
        ("answer-indeterminate", ended(Ended::Indeterminate(short))),
        ("items", CallFrame::Items(Items { body: Body::Json(b"[1,2]".to_vec().into()) })),
        ("items-binary", CallFrame::Items(Items { body: Body::Binary(vec![2, 1, 2].into()) })),
        ("blob-wanted", CallFrame::BlobWanted(wanted)),
        (
            "blob-found",
            CallFrame::BlobFound(BlobFound { length: 300_000, values: vec![[1; 32], [2; 32]] }),
        ),
        ("blob-group", CallFrame::BlobGroup(BlobGroup { bytes: vec![1, 2, 3].into() })),
        ("describe", CallFrame::Describe(describe)),
        ("described", CallFrame::Described(Described { json: b"{}".to_vec().into() })),
        ("record-wanted", CallFrame::RecordWanted(record_wanted())),
        ("record-found", CallFrame::RecordFound(record_found())),
        ("type-wanted", CallFrame::TypeWanted(TypeWanted { type_hash: Digest::of(b"func()") })),
        ("type-found", CallFrame::TypeFound(TypeFound { text: b"func()".to_vec().into() })),
        ("receipts", CallFrame::Receipts(Receipts { signed: vec![5, 6].into() })),
        ("declined", CallFrame::Declined(Declined { refusal: refusal() })),
    ]
}
