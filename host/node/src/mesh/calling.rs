//! Calls that this node makes on its peers.

use std::{sync::Arc, time::Duration};

use meshhost_core::{
    code::Code,
    function_type::FunctionType,
    id::{CapabilityId, Digest},
    invocation::{Invocation, Subject},
    json::{self, Bounds},
    mesh::{
        key::NodeKey,
        value,
        wire::{Answer, Body, Bytes, CallFrame, Caller, Describe, Described, Invoke},
    },
    outcome::{CallResult, Outcome, Refusal},
};
use serde_json::Value;

use super::{
    borrowing::{self, Source},
    handing::Handing,
    lending,
    link::Link,
    running::Running,
    transport::{Receiving, Stream, StreamError},
    types,
};

/// How long a call may take whose caller says nothing: the plugin's own limit there is what counts, and
/// a peer that is gone is missed at once.
pub(super) const DEADLINE_MS: u64 = 10 * 60_000;
/// How much longer than its deadline one waits for a call's answer: the peer has it from the moment at
/// which the call arrives.
const ANSWER: Duration = Duration::from_millis(500);
/// How long one waits for a description.
const DESCRIPTION: Duration = Duration::from_secs(5);

/// An answer.
#[derive(Debug)]
pub(super) struct Called {
    /// What the caller gets.
    pub(super) result: CallResult,
    /// How the input travelled: `binary` or `json`.
    pub(super) values: &'static str,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Nothing was sent: it did not run.
    NotSent,
    /// It was sent: it may have run.
    Sent,
    /// It was sent, and its time is over.
    TimedOut,
}

/// The type of the called capability, when input and output travel in binary form.
#[derive(Debug, Clone)]
struct Typed {
    hash: Digest,
    function: Arc<FunctionType>,
    input: Vec<u8>,
}

/// Calls a capability of a peer, which has it with the type of this hash. What it streams is handed on
/// as it comes, when its caller wants that.
///
/// # Errors
/// [`Lost`] when no answer came.
pub(super) async fn call(
    running: &Arc<Running>,
    link: &Arc<Link>,
    (invocation, type_hash): (&Invocation, Option<Digest>),
    node: &str,
    handing: &mut Handing<'_>,
) -> Result<Called, Lost> {
    let _counted = link.call();
    let deadline = Duration::from_millis(invocation.timeout_ms.unwrap_or(DEADLINE_MS));
    let asked = async {
        let mut type_hash = type_hash;
        let function = type_of(running, link, (&invocation.input, type_hash)).await;
        let key = (link.peer, invocation.invocation_id.clone());
        let named = lending::of_input(invocation, function.as_deref());
        let _lent = running.lending.lend(key, &running.blobs, named).await;
        let typed = typed(invocation, type_hash, function);
        let mut called = ask(running, link, (invocation, typed.as_ref()), node, handing).await?;
        if typed.is_some() && invocation.type_hash.is_none() && has_another_type(&called) {
            // It was replaced meanwhile. What the caller said of it may do all the same.
            called = ask(running, link, (invocation, None), node, handing).await?;
            type_hash = None;
        }
        complete(running, link, (&mut called.result, type_hash)).await;
        Ok(called)
    };
    tokio::select! {
        biased;
        answered = tokio::time::timeout(deadline + ANSWER, asked) => {
            answered.unwrap_or(Err(Lost::TimedOut))
        }
        () = link.ended() => Err(Lost::Sent),
    }
}

/// The type with this hash, when this node knows it. For a value that may name blobs it is asked for: which
/// they are, the type says.
async fn type_of(
    running: &Arc<Running>,
    link: &Arc<Link>,
    (value, type_hash): (&Value, Option<Digest>),
) -> Option<Arc<FunctionType>> {
    let hash = type_hash?;
    if lending::may_name(value) {
        types::told_by(running, link, hash).await
    } else {
        types::of_peer(running, link, hash)
    }
}

/// The input in binary form, when this node knows the type and the input has such a form.
fn typed(
    invocation: &Invocation,
    type_hash: Option<Digest>,
    function: Option<Arc<FunctionType>>,
) -> Option<Typed> {
    let (hash, function) = (type_hash?, function?);
    let input = value::encode_input(&function, &invocation.input).ok()?;
    Some(Typed { hash, function, input })
}

fn has_another_type(called: &Called) -> bool {
    matches!(&called.result.outcome, Outcome::Denied(refusal) if refusal.code == Code::CapabilityType)
}

/// Fetches the blobs that an answer names. Without them the call has run, and its answer is not all
/// here.
async fn complete(
    running: &Arc<Running>,
    link: &Arc<Link>,
    (result, type_hash): (&mut CallResult, Option<Digest>),
) {
    let Outcome::Success(output) = &result.outcome else { return };
    if !lending::may_name(output) {
        return;
    }
    let function = type_of(running, link, (output, type_hash)).await;
    let named = match function {
        Some(function) => value::output_blobs(&function, output),
        None => lending::all_named(output),
    };
    let source = Source::new(Arc::clone(running), link.peer, result.invocation_id.clone());
    if let Err(digest) = borrowing::fetch_answer(&source, named).await {
        let message = format!(
            "the call ran and succeeded, but the blob {digest} of its output did not arrive; the \
             same call with the same --id gets its result again"
        );
        result.outcome = Outcome::Indeterminate(Refusal::new(Code::Indeterminate, message));
    }
}

async fn ask(
    running: &Running,
    link: &Link,
    (invocation, typed): (&Invocation, Option<&Typed>),
    node: &str,
    handing: &mut Handing<'_>,
) -> Result<Called, Lost> {
    let own = running.community.own();
    // Beyond what one connection can hold up, the items of a call come with its answer.
    let streaming = handing.wants().then(|| link.streaming.try_acquire().ok()).flatten();
    let wanted = streaming.is_some();
    let invoke = invoke(own, (invocation, typed), wanted).ok_or(Lost::NotSent)?;
    let function = typed.map(|typed| &*typed.function);
    let calls = link.calls().await.ok_or(Lost::NotSent)?;
    let Stream { mut sending, mut receiving } = calls.open().await.map_err(|_| Lost::NotSent)?;
    match sending.write(&CallFrame::Invoke(Box::new(invoke))).await {
        Ok(()) => {}
        Err(StreamError::Wire(_)) => return Err(Lost::NotSent),
        Err(StreamError::Io(_)) => return Err(Lost::Sent),
    }
    sending.finish();
    let mut begun = false;
    loop {
        match next(&mut receiving).await? {
            // That it has begun says nothing more than that it was sent: it may have, without word.
            CallFrame::Accepted(_) if !begun => begun = true,
            CallFrame::Items(items) if begun && wanted => {
                if let Err(error) = handing.take(items, function).await {
                    tracing::debug!("items of a call were not taken: {error}");
                    return Err(Lost::Sent);
                }
            }
            CallFrame::Answer(answer) => {
                receiving.end();
                running.receipts.expect(link.peer, &invocation.invocation_id, &answer);
                let result = result(*answer, (invocation, function), node);
                let values = if typed.is_some() { "binary" } else { "json" };
                return Ok(Called { result, values });
            }
            _ => return Err(Lost::Sent),
        }
    }
}

async fn next(receiving: &mut Receiving) -> Result<CallFrame, Lost> {
    match receiving.read().await {
        Ok(Some(frame)) => Ok(frame),
        Ok(None) => Err(Lost::Sent),
        Err(error) => {
            tracing::debug!("an answer did not come: {error}");
            Err(Lost::Sent)
        }
    }
}

fn invoke(
    own: NodeKey,
    (invocation, typed): (&Invocation, Option<&Typed>),
    items: bool,
) -> Option<Invoke> {
    let mut hops = invocation.hops.clone();
    hops.push(own);
    let body = match typed {
        Some(typed) => Body::Binary(Bytes::from(typed.input.clone())),
        None => Body::Json(Bytes::from(serde_json::to_vec(&invocation.input).ok()?)),
    };
    Some(Invoke {
        invocation_id: invocation.invocation_id.clone(),
        correlation_id: invocation.correlation_id.clone(),
        causation_id: invocation.causation_id.clone(),
        capability: invocation.capability.clone(),
        version: invocation.version.as_ref().map(ToString::to_string),
        type_hash: invocation.type_hash.or_else(|| typed.map(|typed| typed.hash)),
        plugin: invocation.plugin.clone(),
        body,
        deadline_ms: invocation.timeout_ms.unwrap_or(DEADLINE_MS),
        // What the caller does not bound, the plugin's own limits there do.
        fuel: invocation.fuel.unwrap_or(u64::MAX),
        bytes_left: invocation.output_bytes.unwrap_or(u64::MAX),
        items,
        depth: invocation.depth,
        hops,
        caller: Some(caller(&invocation.subject)),
        mandate: Vec::new(),
        approval_ref: None,
        actor: None,
        environment: None,
        trace: None,
    })
}

fn caller(subject: &Subject) -> Caller {
    Caller { id: subject.id.clone(), kind: subject.kind.clone() }
}

/// An answer as a caller here gets it.
fn result(
    answer: Answer,
    (invocation, function): (&Invocation, Option<&FunctionType>),
    node: &str,
) -> CallResult {
    let value = |body: Body| match (body, function) {
        (Body::Json(bytes), _) => {
            json::parse(&bytes, Bounds::CALL).map_err(|error| misunderstood(&error.to_string()))
        }
        (Body::Binary(bytes), Some(function)) => {
            value::decode_output(function, &bytes, Bounds::CALL)
                .map_err(|error| misunderstood(&error.to_string()))
        }
        (Body::Binary(_), None) => {
            Err(misunderstood("the output is in a form that was not asked for"))
        }
    };
    CallResult {
        invocation_id: invocation.invocation_id.clone(),
        capability_id: answer.capability,
        capability_version: answer.version,
        plugin: answer.plugin.map(|plugin| plugin.to_string()),
        node: Some(node.to_owned()),
        correlation_id: invocation.correlation_id.clone(),
        outcome: answer.ended.read(Bounds::CALL, value),
        evidence_ids: answer.evidence_ids,
        started_at: answer.started_at,
        completed_at: answer.completed_at,
        replayed: answer.replayed,
        usage: answer.usage,
        denied: answer.denied,
        models: answer.models,
        log: Vec::new(),
    }
}

fn misunderstood(problem: &str) -> Refusal {
    Refusal::new(Code::PeerProtocol, format!("the peer's answer cannot be read: {problem}"))
}

/// Asks a peer how a capability is called; `None` when it does not say.
pub(super) async fn describe(link: &Arc<Link>, capability: &CapabilityId) -> Option<Value> {
    // As with a call, a peer that is gone is missed at once.
    let _counted = link.call();
    let asked = async {
        let question = Describe { capability: capability.clone(), version: None };
        match answer_of(link, &CallFrame::Describe(question)).await? {
            CallFrame::Described(Described { json }) => json::parse(&json, Bounds::CALL).ok(),
            _ => None,
        }
    };
    tokio::select! {
        biased;
        answered = tokio::time::timeout(DESCRIPTION, asked) => answered.ok()?,
        () = link.ended() => None,
    }
}

/// Asks something that has one frame as its answer; `None` when none came.
pub(super) async fn answer_of(link: &Link, question: &CallFrame) -> Option<CallFrame> {
    let calls = link.calls().await?;
    let Stream { mut sending, mut receiving } = calls.open().await.ok()?;
    sending.write(question).await.ok()?;
    sending.finish();
    let answer = receiving.read().await.ok()??;
    receiving.end();
    Some(answer)
}
