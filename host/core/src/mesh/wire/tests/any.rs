//! Any frame that may be sent.

use proptest::{collection::vec, option};

use super::*;
use crate::{limits::Usage, model_use::ModelUse, outcome::DeniedAccess};

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=max).prop_map(Bytes::from)
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    "[a-z]{1,40}".prop_map(|text| text.parse().unwrap())
}

fn plain() -> &'static str {
    "[ -~é]{0,60}"
}

fn range() -> &'static str {
    "\\^[1-9][0-9]?\\.[1-9]"
}

pub(super) fn control() -> impl Strategy<Value = ControlFrame> {
    let hello = (1..=u16::MAX, digest(), option::of(any::<[u8; 32]>()), "[a-z.-]{1,64}");
    let hello = hello.prop_map(|(protocol, community, ticket, name)| {
        ControlFrame::Hello(Hello { protocol, community, ticket: ticket.map(Secret::from), name })
    });
    let records = vec(bytes(40), 0..5);
    prop_oneof![
        hello,
        records.prop_map(|records| ControlFrame::Records(Records { records })),
        any::<u64>().prop_map(|number| ControlFrame::Ping(Number { number })),
        any::<u64>().prop_map(|number| ControlFrame::Pong(Number { number })),
        (0_usize..4).prop_map(|count| {
            let statements = vec![examples::statement(); count];
            ControlFrame::Statements(Statements { statements })
        }),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![bytes(60).prop_map(Body::Json), bytes(60).prop_map(Body::Binary)]
}

fn refusal() -> impl Strategy<Value = CallRefusal> {
    ("[a-z-]{0,64}", ".{0,60}", option::of(bytes(40)), option::of(any::<u64>())).prop_map(
        |(code, message, details, retry_after_ms)| CallRefusal {
            code,
            message,
            details,
            retry_after_ms,
        },
    )
}

fn invoke() -> impl Strategy<Value = Invoke> {
    let ids = (id(), id(), option::of(id()), id(), option::of(id()));
    let version = (option::of(range()), digest(), body());
    let budget = (any::<u64>(), any::<u64>(), any::<u64>(), 1..=u32::MAX, 0_u8..=16, any::<bool>());
    let caller = option::of((plain(), plain()));
    let reserved = (vec(bytes(30), 0..=8), option::of(plain()), option::of(plain()), caller);
    let trace = option::of((plain(), plain()));
    (ids, version, budget, reserved, trace).prop_map(|(ids, version, budget, reserved, trace)| {
        Invoke {
            invocation_id: ids.0,
            correlation_id: ids.1,
            causation_id: ids.2,
            capability: ids.3,
            version: version.0,
            type_hash: Some(version.1),
            plugin: ids.4,
            body: version.2,
            deadline_ms: budget.0,
            fuel: budget.1,
            bytes_left: budget.2,
            items: budget.5,
            depth: budget.3,
            hops: (0..budget.4).map(key).collect(),
            caller: reserved.3.map(|(id, kind)| Caller { id, kind: short(kind) }),
            mandate: reserved.0,
            approval_ref: reserved.1,
            actor: reserved.2.clone(),
            environment: reserved.2.map(short),
            trace: trace.map(|(parent, state)| TraceContext { parent: short(parent), state }),
        }
    })
}

/// What fits the shortest of texts.
fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(64));
    text
}

fn usage() -> impl Strategy<Value = Usage> {
    any::<[u64; 6]>().prop_map(|[fuel, wall_us, memory_bytes, host_calls, output_bytes, log]| {
        Usage { fuel, wall_us, memory_bytes, host_calls, output_bytes, log_bytes: log }
    })
}

fn model() -> impl Strategy<Value = ModelUse> {
    (digest(), plain(), plain(), any::<[u64; 3]>(), any::<u32>()).prop_map(
        |(model, engine, provider, [runs, queue_us, run_us], batch_max)| ModelUse {
            model,
            engine: engine.into(),
            provider: provider.into(),
            runs,
            queue_us,
            run_us,
            batch_max,
        },
    )
}

fn answer() -> impl Strategy<Value = Answer> {
    let ended = prop_oneof![
        body().prop_map(Ended::Success),
        refusal().prop_map(Ended::Failure),
        refusal().prop_map(Ended::Denied),
        refusal().prop_map(Ended::Skipped),
        refusal().prop_map(Ended::Indeterminate),
    ];
    let denied = (option::of(plain()), plain(), plain());
    let denied = denied.prop_map(|(permission, function, target)| DeniedAccess {
        permission,
        function,
        target,
    });
    let names = (id(), option::of(plain()), option::of(id()));
    let lists = (vec(plain(), 0..4), vec(model(), 0..3), vec(denied, 0..3));
    (names, ended, usage(), lists, any::<bool>()).prop_map(
        |(names, ended, usage, lists, replayed)| Answer {
            capability: names.0,
            version: names.1,
            plugin: names.2,
            ended,
            usage,
            evidence_ids: lists.0,
            models: lists.1,
            denied: lists.2,
            started_at: "2026-01-01T00:00:00.000000Z".to_owned(),
            completed_at: String::new(),
            replayed,
        },
    )
}

fn record_wanted() -> impl Strategy<Value = RecordWanted> {
    ("[!-~]{1,128}", 1_u8..=4, any::<u64>()).prop_map(|(id, hops, deadline_ms)| RecordWanted {
        correlation_id: id.parse().unwrap(),
        hops: (0..hops).map(key).collect(),
        deadline_ms,
    })
}

fn node() -> impl Strategy<Value = NodeKey> {
    (0_u8..5).prop_map(key)
}

fn record_found() -> impl Strategy<Value = RecordFound> {
    let record = (node(), bytes(60), bytes(99));
    let record = record.prop_map(|(node, link, bundle)| NodeRecord { node, link, bundle });
    let taken = (node(), node(), id(), id(), any::<bool>());
    let taken = taken.prop_map(|(by, node, invocation_id, capability, receipt)| Taken {
        by,
        node,
        invocation_id,
        capability,
        receipt,
    });
    let why = prop_oneof![
        Just(Why::Unreachable),
        Just(Why::Nothing),
        Just(Why::Wrong),
        Just(Why::LeftOut)
    ];
    let absent = (node(), why).prop_map(|(node, why)| Absent { node, why });
    (vec(record, 1..4), vec(taken, 0..4), vec(absent, 0..4), any::<bool>())
        .prop_map(|(records, taken, absent, cut)| RecordFound { records, taken, absent, cut })
}

pub(super) fn call() -> impl Strategy<Value = CallFrame> {
    let wanted = (digest(), option::of(id()), any::<u64>());
    let wanted = wanted.prop_map(|(digest, invocation_id, from_group)| {
        CallFrame::BlobWanted(BlobWanted { digest, invocation_id, from_group })
    });
    let found = (any::<u64>(), vec(any::<ChainingValue>(), 0..5));
    let describe = (id(), option::of(range()));
    prop_oneof![
        4 => invoke().prop_map(|invoke| CallFrame::Invoke(Box::new(invoke))),
        4 => answer().prop_map(|answer| CallFrame::Answer(Box::new(answer))),
        1 => body().prop_map(|body| CallFrame::Items(Items { body })),
        1 => wanted,
        1 => found.prop_map(|(length, values)| CallFrame::BlobFound(BlobFound { length, values })),
        1 => bytes(99).prop_map(|bytes| CallFrame::BlobGroup(BlobGroup { bytes })),
        1 => describe.prop_map(|(capability, version)| {
            CallFrame::Describe(Describe { capability, version })
        }),
        1 => bytes(99).prop_map(|json| CallFrame::Described(Described { json })),
        1 => record_wanted().prop_map(CallFrame::RecordWanted),
        1 => record_found().prop_map(CallFrame::RecordFound),
        1 => digest().prop_map(|type_hash| CallFrame::TypeWanted(TypeWanted { type_hash })),
        1 => bytes(99).prop_map(|text| CallFrame::TypeFound(TypeFound { text })),
        1 => bytes(99).prop_map(|signed| CallFrame::Receipts(Receipts { signed })),
        1 => refusal().prop_map(|refusal| CallFrame::Declined(Declined { refusal })),
    ]
}
