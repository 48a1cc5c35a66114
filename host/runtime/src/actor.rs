//! Stateful plugins: one actor owns one store and runs one call after the other in the same
//! instance.
//!
//! Every limit of a call holds for each call, but those that bound what a store holds (memory,
//! tables, instances, handles, host memory): they hold over the store's life. Only a limit of
//! the plugin ends a call: a caller that stops waiting does not. After a trap, a limit or an output
//! that has no form, the store is thrown away, and the next call begins with a fresh instance; so
//! does a call after [`IDLE`] without one, because an instance holds its places of the pool and its
//! memory as long as it lives.
//!
//! Deliberately absent: a queue. The node lets one call in at a time; here only one more may lie
//! ready, and a third is busy at once.

mod lent;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use meshhost_core::{
    code::Code,
    invocation::Invocation,
    limits::Limits,
    outcome::{Outcome, Refusal},
    permit::Permit,
    ports::BlobStore,
};
use serde_json::Value;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use self::lent::LentBlobs;
use crate::{
    execute::{CommandInput, Executed, Execution, ItemSender, Request, Room},
    live::LiveGrants,
    load::{Loaded, Runtime},
};

/// How long an instance stays without a call.
pub const IDLE: Duration = Duration::from_secs(600);

/// A stateful plugin that runs. It ends when the last copy of this value is dropped and its last
/// call has ended, or with [`Runtime::end_actors`].
#[derive(Debug, Clone)]
pub struct Actor {
    inbox: mpsc::Sender<Message>,
    plugin: Arc<Resident>,
}

/// What all calls of one actor share: it never changes while the actor lives.
#[derive(Debug)]
struct Resident {
    loaded: Arc<Loaded>,
    limits: Limits,
    grants: Arc<LiveGrants>,
}

/// What a call of an actor needs besides its permit.
#[derive(Debug)]
pub struct ActorCall {
    /// The blobs of the call; out of the guest's reach when the call has ended.
    pub blobs: Arc<dyn BlobStore>,
    /// Standard input, arguments: only for `<plugin>.run`.
    pub command: Option<CommandInput>,
    /// Who wants what the function streams as it comes.
    pub items: Option<ItemSender>,
    /// Milliseconds after which the guest is ended: the plugin's own deadline, not the caller's.
    pub deadline_ms: u64,
}

/// A call that an actor has accepted. Dropping it ends the waiting, not the call.
#[derive(Debug)]
pub struct Running(oneshot::Receiver<Executed>);

/// One call on its way to the store.
#[derive(Debug)]
struct Message {
    request: Request,
    blobs: Arc<LentBlobs>,
    answer: oneshot::Sender<Executed>,
}

impl Runtime {
    /// Starts the actor of a stateful plugin; its first call makes the instance. Must be called on
    /// a tokio runtime.
    #[must_use]
    pub fn start_actor(
        self: &Arc<Self>,
        loaded: Arc<Loaded>,
        limits: Limits,
        grants: Arc<LiveGrants>,
    ) -> Actor {
        let (inbox, messages) = mpsc::channel(1);
        tokio::spawn(Arc::clone(self).act(messages));
        Actor { inbox, plugin: Arc::new(Resident { loaded, limits, grants }) }
    }

    /// Ends every actor, also in the middle of a call; no other one starts.
    pub fn end_actors(&self) {
        self.closing.send_replace(true);
    }

    async fn act(self: Arc<Self>, messages: mpsc::Receiver<Message>) {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => {}
            () = self.serve(messages) => {}
        }
    }

    async fn serve(&self, mut messages: mpsc::Receiver<Message>) {
        let mut room = None;
        while let Some(Message { request, blobs, answer }) = next(&mut messages, &mut room).await {
            let (executed, kept) = self.perform_in(room.take(), request).await;
            blobs.end();
            room = kept;
            if let Some(room) = &mut room {
                room.end_call();
            }
            // A caller that is gone has no use for the answer; the state is as it is.
            let _gone = answer.send(executed);
        }
    }
}

/// The next call; while there is none, an instance stays for [`IDLE`].
async fn next(messages: &mut mpsc::Receiver<Message>, room: &mut Option<Room>) -> Option<Message> {
    if room.is_some() {
        match tokio::time::timeout(IDLE, messages.recv()).await {
            Ok(message) => return message,
            Err(_) => *room = None,
        }
    }
    messages.recv().await
}

impl Actor {
    /// Gives the actor a call. The guest runs whether or not somebody waits for [`Running`].
    ///
    /// # Errors
    /// [`Code::Busy`] when a call runs and another one lies ready, or the node is closing.
    pub fn begin(&self, permit: &Permit, call: ActorCall) -> Result<Running, Refusal> {
        let ActorCall { blobs, command, items, deadline_ms } = call;
        let blobs = Arc::new(LentBlobs::new(blobs));
        let Resident { loaded, limits, grants } = &*self.plugin;
        let invocation = Arc::clone(permit.invocation());
        let request = Request {
            parent: Arc::new(without_input(&invocation)),
            invocation,
            plugin: permit.plugin().clone(),
            capability: Arc::clone(permit.capability()),
            limits: Limits { deadline_ms, ..*limits },
            execution: Execution {
                loaded: Arc::clone(loaded),
                grants: Arc::clone(grants),
                blobs: Arc::clone(&blobs) as Arc<dyn BlobStore>,
                command,
                items,
            },
        };
        self.send(request, blobs)
    }

    fn send(&self, request: Request, blobs: Arc<LentBlobs>) -> Result<Running, Refusal> {
        let (answer, running) = oneshot::channel();
        let sent = self.inbox.try_send(Message { request, blobs, answer });
        sent.map(|()| Running(running)).map_err(|error| {
            let why = match error {
                TrySendError::Full(_) => "the plugin is at work on another call",
                TrySendError::Closed(_) => "the node is closing",
            };
            Refusal::new(Code::Busy, why)
        })
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.inbox.is_closed()
    }
}

impl Running {
    /// How the call ended.
    pub async fn ended(self) -> Executed {
        self.0.await.unwrap_or_else(|_| {
            let message = "the node ended the plugin in the middle of the call";
            Executed::of(Outcome::Indeterminate(Refusal::new(Code::Indeterminate, message)))
        })
    }
}

/// The call as the store keeps it: a guest can hold on to it for as long as the store lives, and
/// must not hold on to every input that way.
fn without_input(invocation: &Invocation) -> Invocation {
    Invocation { input: Value::Null, ..invocation.clone() }
}
