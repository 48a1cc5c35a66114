//! Calls that this node makes on its peers.

use std::{sync::Arc, time::Duration};

use meshhost_core::{
    code::Code,
    id::CapabilityId,
    invocation::{Invocation, Subject},
    json::{self, Bounds},
    mesh::{
        key::NodeKey,
        receipt::{self, Receipt},
        signed::Signed,
        wire::{Answer, Body, Bytes, CallFrame, Caller, Describe, Described, Invoke},
    },
    outcome::{CallResult, Outcome, Refusal},
};
use serde_json::Value;

use super::{
    borrowing::{self, Source},
    link::Link,
    running::Running,
    transport::{Receiving, Stream, StreamError},
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
    /// What the node that answered signed about it, when that holds.
    pub(super) receipt: Option<Signed<Receipt>>,
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

/// Calls a capability of a peer.
///
/// # Errors
/// [`Lost`] when no answer came.
pub(super) async fn call(
    running: &Arc<Running>,
    link: &Arc<Link>,
    invocation: &Invocation,
    node: &str,
) -> Result<Called, Lost> {
    let key = (link.peer, invocation.invocation_id.clone());
    let _lent = running.lending.lend(key, &running.blobs, &invocation.input).await;
    let _counted = link.call();
    let deadline = Duration::from_millis(invocation.timeout_ms.unwrap_or(DEADLINE_MS));
    let frame = CallFrame::Invoke(Box::new(invoke(running, invocation).ok_or(Lost::NotSent)?));
    let own = running.community.own();
    let asked = async {
        let mut called = ask(link, &frame, (invocation, node), &own).await?;
        complete(running, link, &mut called.result).await;
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

/// Fetches the blobs that an answer names. Without them the call has run, and its answer is not all
/// here.
async fn complete(running: &Arc<Running>, link: &Link, result: &mut CallResult) {
    let Outcome::Success(output) = &result.outcome else { return };
    let source = Source::new(Arc::clone(running), link.peer, result.invocation_id.clone());
    if let Err(digest) = borrowing::fetch_answer(&source, output).await {
        let message = format!(
            "the call ran and succeeded, but the blob {digest} of its output did not arrive; the \
             same call with the same --id gets its result again"
        );
        result.outcome = Outcome::Indeterminate(Refusal::new(Code::Indeterminate, message));
    }
}

async fn ask(
    link: &Link,
    frame: &CallFrame,
    (invocation, node): (&Invocation, &str),
    own: &NodeKey,
) -> Result<Called, Lost> {
    let calls = link.calls().await.ok_or(Lost::NotSent)?;
    let Stream { mut sending, mut receiving } = calls.open().await.map_err(|_| Lost::NotSent)?;
    match sending.write(frame).await {
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
            CallFrame::Answer(answer) => {
                let receipt = receipt::held(&answer, (&link.peer, own), &invocation.invocation_id);
                return Ok(Called { result: result(*answer, invocation, node), receipt });
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

fn invoke(running: &Running, invocation: &Invocation) -> Option<Invoke> {
    let mut hops = invocation.hops.clone();
    hops.push(running.community.own());
    Some(Invoke {
        invocation_id: invocation.invocation_id.clone(),
        correlation_id: invocation.correlation_id.clone(),
        causation_id: invocation.causation_id.clone(),
        capability: invocation.capability.clone(),
        version: invocation.version.as_ref().map(ToString::to_string),
        type_hash: invocation.type_hash,
        plugin: invocation.plugin.clone(),
        body: Body::Json(Bytes::from(serde_json::to_vec(&invocation.input).ok()?)),
        deadline_ms: invocation.timeout_ms.unwrap_or(DEADLINE_MS),
        // What the caller does not bound, the plugin's own limits there do.
        fuel: invocation.fuel.unwrap_or(u64::MAX),
        bytes_left: invocation.output_bytes.unwrap_or(u64::MAX),
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
fn result(answer: Answer, invocation: &Invocation, node: &str) -> CallResult {
    let value = |body: Body| match body {
        Body::Json(bytes) => {
            json::parse(&bytes, Bounds::CALL).map_err(|error| misunderstood(&error.to_string()))
        }
        Body::Binary(_) => Err(misunderstood("the output is in a form that was not asked for")),
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
        let calls = link.calls().await?;
        let Stream { mut sending, mut receiving } = calls.open().await.ok()?;
        let question = Describe { capability: capability.clone(), version: None };
        sending.write(&CallFrame::Describe(question)).await.ok()?;
        sending.finish();
        match receiving.read().await.ok()?? {
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
