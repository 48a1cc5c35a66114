//! What peers ask of this node on the connection for calls. Each stream is one question, and for each
//! it is looked up anew who the peer is and what is shared with it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use meshhost_core::{
    capability::{Capability, Risk},
    code::Code,
    function_type::FunctionType,
    gates::Wanted,
    id::CapabilityId,
    invocation::{Invocation, Mode, Subject},
    json::{self, Bounds},
    mesh::{
        receipt::{self, AnsweredCall},
        share, value,
        wire::{
            Accepted, Answer, Body, Bytes, CallFrame, CallRefusal, Caller, Declined, Describe,
            Described, Ended, Invoke, Items,
        },
    },
    outcome::{CallResult, Outcome, Refusal},
};
use tokio::sync::oneshot;

use super::{
    borrowing::Source,
    fleet, known, lending,
    link::Link,
    receipts,
    running::Running,
    transport::{Channel, Closing, Sending, Stream, StreamError},
    types,
};
use crate::{
    blocking,
    door::{Door, Incoming, Placement},
    entrance::Entrance,
    items::{self, Coming},
    node::review_of,
    store::writer::NewIds,
};

/// How long a peer may take to say what a stream is for.
const QUESTION: Duration = Duration::from_secs(10);
/// Highest risk that a peer reaches.
const RISK_CEILING: Risk = Risk::Medium;
/// How long a call works before its caller is told that it has begun: most have ended by then.
const SOON: Duration = Duration::from_millis(20);
/// Bytes of JSON from which on it is read on a thread of its own.
const AT_ONCE_BYTES: usize = 256 * 1024;
/// Calls that a call may stand below, over all nodes.
const DEPTH_MAX: u32 = 16;

/// Serves the streams of one connection until it ends.
pub(super) async fn serve(running: Arc<Running>, link: Arc<Link>, channel: Channel) {
    loop {
        let stream = tokio::select! {
            biased;
            () = running.closing.cancelled() => return,
            () = link.ended() => return,
            stream = channel.accept() => stream,
        };
        let Ok(stream) = stream else {
            link.close(Closing::Silent);
            return;
        };
        // Whoever was revoked asks nothing more, even on a connection that still stands.
        let Some(shared) = running.community.shared_with(&link.peer) else {
            link.close(Closing::Refused);
            return;
        };
        running.tasks.spawn(answer(Arc::clone(&running), Arc::clone(&link), shared, stream));
    }
}

async fn answer(running: Arc<Running>, link: Arc<Link>, shared: Vec<String>, stream: Stream) {
    let Stream { mut sending, mut receiving } = stream;
    let read = receiving.read_into::<CallFrame>(&link.room);
    let Ok(Ok(Some((question, _room)))) = tokio::time::timeout(QUESTION, read).await else {
        sending.cancel();
        receiving.stop();
        return;
    };
    receiving.end();
    let question = match question {
        CallFrame::Invoke(invoke) => {
            invoke_here(&running, &link, shared, *invoke, &mut sending).await;
            return;
        }
        CallFrame::Describe(question) => describe(&running, &link, &shared, &question),
        CallFrame::TypeWanted(wanted) => types::give(&running, &link, &shared, &wanted),
        CallFrame::RecordWanted(wanted) => fleet::give(&running, &link, wanted).await,
        CallFrame::Receipts(receipt) => {
            receipts::take(&running, &link, &receipt).await;
            return;
        }
        CallFrame::BlobWanted(wanted) => {
            lending::give(&running, &link, &wanted, &mut sending).await;
            return;
        }
        _ => {
            link.close(Closing::Protocol);
            return;
        }
    };
    let _ = sending.write(&question).await;
    sending.finish();
}

/// How a capability is called: only of what is shared, and everything else is unknown alike.
fn describe(running: &Running, link: &Link, shared: &[String], question: &Describe) -> CallFrame {
    let open = share::covers(shared, question.capability.as_str())
        && known::is_open(running, &link.peer, &question.capability);
    let found = running.door.upgrade().filter(|_| open);
    let range = question.version.as_deref();
    let text = found.and_then(|door| review_of(&door, &question.capability, range));
    match text {
        Some(text) => CallFrame::Described(Described { json: Bytes::from(text) }),
        None => {
            let refusal = CallRefusal::from(unknown(&question.capability));
            CallFrame::Declined(Declined { refusal })
        }
    }
}

fn unknown(capability: &CapabilityId) -> Refusal {
    let message = format!("no capability {capability} is shared with this node");
    Refusal::new(Code::CapabilityNotFound, message)
}

/// Runs a call of a peer through the door, and tells it how it went. A peer that no longer waits
/// cancels the call.
async fn invoke_here(
    running: &Arc<Running>,
    link: &Arc<Link>,
    shared: Vec<String>,
    invoke: Invoke,
    sending: &mut Sending,
) {
    let Some(door) = running.door.upgrade() else { return };
    let _counted = link.call();
    let covered = share::covers(&shared, invoke.capability.as_str())
        && known::is_open(running, &link.peer, &invoke.capability);
    // What is kept back is denied by the door as what is not shared, and written down as that.
    let shared = if covered { shared } else { Vec::new() };
    let (capability, wants_items) = (invoke.capability.clone(), invoke.items);
    let invocation_id = invoke.invocation_id.clone();
    let entrance = Entrance::peer(&link.peer, shared, RISK_CEILING);
    let typed = typed(&door, &invoke);
    let invocation = match invocation(running, &entrance, invoke, typed.clone()).await {
        Ok(invocation) => invocation,
        Err(refusal) => {
            tell(sending, refused(capability, refusal)).await;
            return;
        }
    };
    // What has run here already has its result here.
    if running.draining.load(Ordering::Relaxed)
        && matches!(door.results.find(&invocation).await, Ok(None))
    {
        let refusal = Refusal::new(Code::Busy, "this node takes no more calls of others for now");
        tell(sending, refused(capability, refusal)).await;
        return;
    }
    let (started, begun) = oneshot::channel();
    let (to, runs, coming) = items::channel();
    let incoming = Incoming {
        invocation,
        new: NewIds { invocation: false, correlation: false },
        command: None,
        lender: Some(Arc::new(Source::new(Arc::clone(running), link.peer, invocation_id.clone()))),
        placement: Placement::Here,
        started: Some(started),
        items: wants_items.then(|| to.clone()),
    };
    let function = typed.as_ref().and_then(|typed| typed.function_type.as_ref());
    // In a box, since it is large and what is around it would hold it more than once.
    let call = runs.until_the_end_of(Box::pin(door.call(incoming)));
    let meanwhile = Meanwhile { begun, coming, function };
    let Some(mut result) = drive(call, meanwhile, sending).await else { return };
    if !covered && let Outcome::Denied(refusal) = &mut result.outcome {
        // What is not shared is not told from what is not here.
        *refusal = unknown(&capability);
        result.capability_version = None;
        result.plugin = None;
    }
    lending::lend_answer(running, link, &result).await;
    let answer = told(result, function);
    let answered = AnsweredCall {
        invocation_id,
        ended: receipt::digest_of(&answer.ended),
        evidence_ids: answer.evidence_ids.clone(),
    };
    if tell(sending, answer).await {
        receipts::give(running, link, answered);
    }
}

/// Runs the call; `None` when the peer went away, which cancels it.
async fn drive(
    call: impl Future<Output = CallResult>,
    meanwhile: Meanwhile<'_>,
    sending: &mut Sending,
) -> Option<CallResult> {
    let gone = sending.gone();
    // The call goes on while something is written, and its deadline passes: a peer that does not read
    // holds up the guest and nothing else.
    let both = async { tokio::try_join!(async { Ok(call.await) }, meanwhile.tell(sending)) };
    tokio::select! {
        biased;
        both = both => both.ok().map(|(result, ())| result),
        () = gone => None,
    }
}

/// What a peer is told while its call runs.
struct Meanwhile<'a> {
    /// Hears that the call has begun.
    begun: oneshot::Receiver<()>,
    /// What it streams; nothing, when the peer did not ask for that.
    coming: Coming,
    /// The type by which that is written.
    function: Option<&'a FunctionType>,
}

impl Meanwhile<'_> {
    /// Tells it until the call has ended: that it has begun, when it takes a while or streams, and each
    /// item as it comes.
    async fn tell(mut self, sending: &mut Sending) -> Result<(), StreamError> {
        let begun = self.begun;
        let mut begun = std::pin::pin!(async {
            let begun = begun.await.is_ok();
            tokio::time::sleep(SOON).await;
            begun
        });
        let (mut waiting, mut accepted, mut fits) = (true, false, true);
        loop {
            let batch = tokio::select! {
                biased;
                batch = self.coming.next() => match batch {
                    Some(batch) => batch,
                    None => return Ok(()),
                },
                begun = &mut begun, if waiting => {
                    waiting = false;
                    if !begun {
                        continue;
                    }
                    Vec::new()
                }
            };
            if !accepted {
                accepted = true;
                sending.write(&CallFrame::Accepted(Accepted)).await?;
            }
            let items =
                Items::new(&batch, self.function).ok().filter(|_| fits && !batch.is_empty());
            let Some(items) = items else { continue };
            // What has no place in a frame has none in an answer either, which says so.
            fits = match sending.write(&CallFrame::Items(items)).await {
                Err(StreamError::Wire(_)) => false,
                written => written.map(|()| true)?,
            };
        }
    }
}

/// The capability of a call whose values are in binary form: they are read and written by its type.
fn typed(door: &Door, invoke: &Invoke) -> Option<Arc<Capability>> {
    let (Body::Binary(_), Some(_)) = (&invoke.body, &invoke.type_hash) else { return None };
    let version = invoke.version.as_deref().map(str::parse).transpose().ok()?;
    let wanted = Wanted {
        capability: &invoke.capability,
        plugin: invoke.plugin.as_ref(),
        version: version.as_ref(),
        type_hash: invoke.type_hash.as_ref(),
    };
    let served = door.registry.snapshot().find(wanted).ok()?;
    Some(Arc::clone(&served.provider.capability))
}

async fn invocation(
    running: &Running,
    entrance: &Entrance,
    invoke: Invoke,
    typed: Option<Arc<Capability>>,
) -> Result<Invocation, Refusal> {
    let own = running.community.own();
    if invoke.hops.contains(&own) || invoke.depth > DEPTH_MAX {
        let message = "the call has passed this node before, or stands too deep below others";
        return Err(Refusal::new(Code::LimitCallDepth, message));
    }
    let version = invoke.version.as_deref().map(str::parse).transpose();
    let version = version.map_err(|_| invalid("the version range is none"))?;
    Ok(Invocation {
        invocation_id: invoke.invocation_id,
        correlation_id: invoke.correlation_id,
        causation_id: invoke.causation_id,
        capability: invoke.capability,
        version,
        type_hash: invoke.type_hash,
        plugin: invoke.plugin,
        subject: entrance.subject().clone(),
        asserted_caller: invoke.caller.map(asserted),
        entrance: entrance.kind(),
        scope: entrance.scope().clone(),
        mode: Mode::Sync,
        input: input(invoke.body, typed).await?,
        timeout_ms: Some(invoke.deadline_ms),
        fuel: Some(invoke.fuel),
        output_bytes: Some(invoke.bytes_left),
        depth: invoke.depth,
        chain: Vec::new(),
        hops: invoke.hops,
        working_folder: None,
    })
}

/// Who called the peer, as it says. Only the peer itself has proved who it is.
fn asserted(caller: Caller) -> Subject {
    Subject { id: caller.id, kind: caller.kind, verified: false }
}

async fn input(body: Body, typed: Option<Arc<Capability>>) -> Result<serde_json::Value, Refusal> {
    let small = body.bytes().len() <= AT_ONCE_BYTES;
    let read = move || match body {
        Body::Json(bytes) => {
            json::parse(&bytes, Bounds::CALL).map_err(|error| invalid(&error.to_string()))
        }
        Body::Binary(bytes) => match typed.as_ref().and_then(|it| it.function_type.as_ref()) {
            Some(function) => value::decode_input(function, &bytes, Bounds::CALL)
                .map_err(|error| invalid(&error.to_string())),
            // Nothing here has this type: the door says so, and writes it down.
            None => Ok(serde_json::Value::Null),
        },
    };
    blocking::unless_small(small, read).await
}

fn invalid(problem: &str) -> Refusal {
    Refusal::new(Code::InputInvalid, format!("the input cannot be read: {problem}"))
}

/// Sends an answer. `false` when the peer does not get it.
async fn tell(sending: &mut Sending, answer: Answer) -> bool {
    if let Err(error) = sending.write(&CallFrame::Answer(Box::new(answer))).await {
        tracing::debug!("a peer was not told how its call ended: {error}");
        sending.cancel();
        return false;
    }
    sending.finish();
    sending.taken().await;
    true
}

/// The answer to a call that never came to the door.
fn refused(capability: CapabilityId, refusal: Refusal) -> Answer {
    Answer {
        capability,
        version: None,
        plugin: None,
        ended: Ended::Denied(refusal.into()),
        usage: Default::default(),
        evidence_ids: Vec::new(),
        models: Vec::new(),
        denied: Vec::new(),
        started_at: String::new(),
        completed_at: String::new(),
        replayed: false,
    }
}

/// A result as it travels; in binary form, where the input came so and the output has one. What the plugin logged and what it was denied stay here: both speak of
/// this machine.
fn told(result: CallResult, function: Option<&FunctionType>) -> Answer {
    let body = |output| {
        let binary = function.and_then(|function| value::encode_output(function, &output).ok());
        if let Some(bytes) = binary {
            return Ok(Body::Binary(Bytes::from(bytes)));
        }
        match serde_json::to_vec(&output) {
            Ok(bytes) => Ok(Body::Json(Bytes::from(bytes))),
            Err(_) => {
                Err(Refusal::new(Code::OutputInvalid, "the output cannot be written as JSON"))
            }
        }
    };
    let mut answer = Answer {
        capability: result.capability_id,
        version: result.capability_version,
        plugin: result.plugin.and_then(|plugin| plugin.parse().ok()),
        ended: Ended::new(result.outcome, body),
        usage: result.usage,
        evidence_ids: result.evidence_ids,
        models: result.models,
        denied: Vec::new(),
        started_at: result.started_at,
        completed_at: result.completed_at,
        replayed: result.replayed,
    };
    answer.cut();
    answer
}
