//! The one door: every call, from whichever entrance, takes this way and no other.
//!
//! ```text
//! entrance → gates (decide) → place → execution_started (committed) → instance → end (committed) → answer
//! ```
//!
//! No call runs before its start is written, and no answer leaves before its end is. What a function
//! streams leaves as it comes, to a caller who asked for that, and is no answer. A caller
//! that goes away drops the future: the guest is cancelled, and the end of its call is written
//! by a task of its own. The guest of a stateful plugin runs on: only its own limits end it.

pub mod child;
pub mod elsewhere;
mod end;
pub mod places;
mod result;
mod stateful;

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use meshhost_core::{
    code::Code,
    config::RiskCeilings,
    evidence::{
        call::{self, Commitment, Origin},
        canonical,
        event::{Context, Correlation, Draft, Stamp},
    },
    gates::{self, Decision, Facts, Gate, ServingState},
    id::HostId,
    invocation::Invocation,
    outcome::{CallResult, Outcome, Refusal},
    permit::Permit,
    ports::{BlobStore, Clock, Entropy},
};
use meshhost_runtime::{
    convert::referenced_blobs,
    execute::{CommandInput, Executed, Execution, ItemSender},
    load::Runtime,
};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

pub use elsewhere::{Elsewhere, Placement};
use elsewhere::{has_run, nowhere_else, only_elsewhere};
pub(crate) use result::unwritten;

use crate::{
    door::{end::UnfinishedCall, result::Answer},
    registry::{Plugin, Registry, Served, Snapshot},
    store::{
        blobs::{Blobs, CallBlobs},
        plugins::Plugins,
        results::Results,
        writer::{AppendError, EvidenceWriter, NewIds, StartCondition},
    },
    sys,
};

/// A call as it comes to the door.
#[derive(Debug)]
pub struct Incoming {
    /// Who calls what, with which input.
    pub invocation: Invocation,
    /// Which of its ids the node has just made. A call whose caller named it may be a repetition.
    pub new: NewIds,
    /// Arguments and standard input of a command.
    pub command: Option<CommandInput>,
    /// Who gives the blobs that the input names, when that is not this node.
    pub lender: Option<Arc<dyn Lender>>,
    /// Where it may run.
    pub placement: Placement,
    /// Is told as soon as the call has begun: its start is written, and it may have effects.
    pub started: Option<oneshot::Sender<()>>,
    /// Who wants what the function streams as it comes. No item is an answer: only what follows on the
    /// written end is.
    pub items: Option<ItemSender>,
}

/// Who gives the blobs that a call's input names, when that is not this node.
pub trait Lender: std::fmt::Debug + Send + Sync {
    /// The blobs of the call: what it makes is in `own`, what it was given comes from the lender, at
    /// most `bytes_max` bytes of it.
    fn blobs(self: Arc<Self>, own: Arc<CallBlobs>, bytes_max: u64) -> Arc<dyn BlobStore>;
}

/// What a call is given beside its input.
#[derive(Debug, Default)]
struct Given {
    command: Option<CommandInput>,
    lender: Option<Arc<dyn Lender>>,
    items: Option<ItemSender>,
}

impl Given {
    /// The blobs of the call, and those that it makes.
    fn blobs(&mut self, all: &Blobs, bytes_max: u64) -> (Arc<CallBlobs>, Arc<dyn BlobStore>) {
        let own = all.for_call();
        let store = match self.lender.take() {
            Some(lender) => lender.blobs(Arc::clone(&own), bytes_max),
            None => Arc::clone(&own) as Arc<dyn BlobStore>,
        };
        (own, store)
    }
}

/// The door.
#[derive(Debug)]
pub struct Door {
    /// Itself, for the tasks that end a call after its caller has gone.
    pub(crate) this: Weak<Self>,
    pub(crate) registry: Arc<Registry>,
    /// The runtime calls the door for components that call others, so it is set after both exist.
    pub(crate) runtime: OnceLock<Arc<Runtime>>,
    pub(crate) evidence: EvidenceWriter,
    pub(crate) results: Results,
    pub(crate) blobs: Blobs,
    pub(crate) plugins: Plugins,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) host_id: HostId,
    /// Other nodes, when this one belongs to a mesh. It holds them not alive.
    pub(crate) elsewhere: Arc<OnceLock<Weak<dyn Elsewhere>>>,
    /// The highest risk that callers reach.
    pub(crate) risk: RiskCeilings,
    /// Ends that are written after their caller went away.
    pub(crate) unfinished: TaskTracker,
}

/// What the door knows of a call from its beginning on.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) invocation: Arc<Invocation>,
    pub(crate) new: NewIds,
    pub(crate) context: Arc<Context>,
    pub(crate) started_us: i64,
    pub(crate) stamp: Stamp,
    pub(crate) origin: Origin,
}

impl Door {
    /// Takes one call from decision to answer: here, or on another node.
    pub async fn call(&self, incoming: Incoming) -> CallResult {
        self.call_in(incoming, &self.registry.snapshot()).await
    }

    /// As [`Self::call`], among the plugins of `snapshot`.
    pub(crate) async fn call_in(&self, incoming: Incoming, snapshot: &Snapshot) -> CallResult {
        let Incoming { invocation, new, command, lender, placement, started, items } = incoming;
        let given = Given { command, lender, items };
        let invocation = Arc::new(invocation);
        let served = snapshot.resolve(&invocation);
        let here = (&*invocation, served.as_ref().ok());
        let only_there = only_elsewhere(&placement, here.1);
        if let Some(elsewhere) = self.elsewhere(&placement, here).await {
            let to = (&placement, given.items.as_ref());
            let called = self.call_elsewhere(&*elsewhere, &invocation, new, to);
            let result = Box::pin(called).await;
            // A call that would only rather have run elsewhere, and has not run, runs here.
            let pinned = only_there || matches!(placement, Placement::On(_));
            if served.is_err() || pinned || has_run(&result) {
                return self.written(&invocation, new, result).await;
            }
        }
        let opened = match self.open(&invocation, new, served.as_ref().ok()) {
            Ok(opened) => opened,
            Err(refusal) => return Answer::unwritten(&invocation, refusal, self.clock.now_us()),
        };
        let served = match served {
            Ok(served) => served,
            Err(refusal) => return self.refuse(&opened, None, Gate::Resolution, refusal).await,
        };
        if only_there {
            let refusal = nowhere_else(&invocation.capability);
            return self.refuse(&opened, Some(&served), Gate::Resolution, refusal).await;
        }
        match self.decide(&opened, &served).await {
            Ok(permit) => self.run(opened, served, *permit, given, started).await,
            Err(answer) => *answer,
        }
    }

    /// A result of elsewhere. That no node could be asked is written down here; what a node answered
    /// stands in its own record.
    async fn written(
        &self,
        invocation: &Arc<Invocation>,
        new: NewIds,
        result: CallResult,
    ) -> CallResult {
        let nobody = result.node.is_none() && result.evidence_ids.is_empty();
        match (result.outcome, nobody) {
            (Outcome::Denied(refusal), true) => match self.open(invocation, new, None) {
                Ok(opened) => self.refuse(&opened, None, Gate::Resolution, refusal).await,
                Err(refusal) => Answer::unwritten(invocation, refusal, self.clock.now_us()),
            },
            (outcome, _) => CallResult { outcome, ..result },
        }
    }

    /// Stamps the call and commits to its input.
    fn open(
        &self,
        invocation: &Arc<Invocation>,
        new: NewIds,
        served: Option<&Arc<Served>>,
    ) -> Result<Opened, Refusal> {
        let started_us = self.clock.now_us();
        let stamp = self.stamp();
        let Ok(canonical) = canonical::to_commit(&invocation.input) else {
            let message = "the input is nested too deeply to be written down";
            return Err(Refusal::new(Code::InputInvalid, message));
        };
        let capability = served.map(|served| &served.provider.capability);
        let context = Arc::new(Context {
            host_id: self.host_id.clone(),
            invocation_id: invocation.invocation_id.clone(),
            capability_id: capability
                .map_or_else(|| invocation.capability.clone(), |capability| capability.id.clone()),
            capability_version: capability.map(|capability| capability.version.to_string().into()),
            correlation: Correlation {
                causation_id: invocation.causation_id.clone(),
                ..Correlation::new(invocation.correlation_id.clone())
            },
            subject: invocation.subject.clone(),
        });
        let origin = Origin {
            entrance: invocation.entrance,
            depth: invocation.depth,
            asserted_caller: invocation.asserted_caller.clone(),
            provider: served.map(|served| served.plugin.evidence_provider()),
            input: Some(Commitment::new(&stamp.salt, &canonical)),
        };
        let invocation = Arc::clone(invocation);
        Ok(Opened { invocation, new, context, started_us, stamp, origin })
    }

    /// The gates, on one snapshot.
    async fn decide(
        &self,
        opened: &Opened,
        served: &Arc<Served>,
    ) -> Result<Box<Permit>, Box<CallResult>> {
        let plugin = &served.plugin;
        let state = plugin.state(&opened.invocation.subject.id, self.clock.now_us());
        if state == ServingState::Serving
            && let Err(refusal) = plugin.ready().await
        {
            return Err(self.refuse_new(opened, served, Gate::Enabled, refusal).await);
        }
        let spent = self.evidence.spent(&opened.invocation, opened.started_us);
        // Whether the id is known, the start finds out: looking for each would cost more than it.
        let facts = Facts { state, spent };
        match gates::decide(&opened.invocation, &served.provider, facts, served.as_ref()) {
            Decision::Permit(permit) => Ok(permit),
            Decision::Denied(gate, refusal) => {
                Err(self.refuse_new(opened, served, gate, refusal).await)
            }
            Decision::Skipped(_, refusal) => Err(match self.recorded(opened, served).await {
                Some(recorded) => recorded,
                None => Box::new(self.skip(opened, served, refusal).await),
            }),
        }
    }

    /// Refuses a call, unless it is the repetition of one that has its result.
    async fn refuse_new(
        &self,
        opened: &Opened,
        served: &Arc<Served>,
        gate: Gate,
        refusal: Refusal,
    ) -> Box<CallResult> {
        match self.recorded(opened, served).await {
            Some(recorded) => recorded,
            None => Box::new(self.refuse(opened, Some(served), gate, refusal).await),
        }
    }

    /// The recorded result of a call whose id its caller named, or that the id is another call's;
    /// `None` when the id is new.
    async fn recorded(&self, opened: &Opened, served: &Arc<Served>) -> Option<Box<CallResult>> {
        if opened.new.invocation {
            return None;
        }
        match self.results.find(&opened.invocation).await {
            Ok(Some(recorded)) => Some(Box::new(recorded)),
            Ok(None) => None,
            Err(_) => {
                let refusal = gates::conflict();
                Some(Box::new(self.refuse(opened, Some(served), Gate::Replay, refusal).await))
            }
        }
    }

    /// From permit to answer.
    async fn run(
        &self,
        opened: Opened,
        served: Arc<Served>,
        permit: Permit,
        given: Given,
        started: Option<oneshot::Sender<()>>,
    ) -> CallResult {
        let plugin = &served.plugin;
        let patience = Duration::from_millis(permit.limits().deadline_ms);
        // A nested call that waited for a place of its own chain would wait for itself.
        let may_wait = !opened.invocation.chain.contains(&served.provider.plugin);
        let place = match plugin.places.take(may_wait, patience).await {
            Ok(place) => place,
            Err(refusal) => {
                return *self.refuse_new(&opened, &served, Gate::Autonomy, refusal).await;
            }
        };
        let mut evidence_ids = match self.start(&opened, &served).await {
            Ok(ids) => ids,
            Err(answer) => return *answer,
        };
        if let Some(started) = started {
            // Whoever wanted to know may have gone.
            let _ = started.send(());
        }
        let stateful = plugin.state.is_some();
        let cancels = served.rules.read_only && !stateful;
        let unfinished = UnfinishedCall::new(self, &opened, cancels);
        let (executed, _place) = if stateful {
            let stateful = self.execute_stateful(&opened, &permit, &served, given, place);
            (Box::pin(stateful).await, None)
        } else {
            let executed = self.execute(&permit, &served, given).await;
            self.judge(&opened, plugin, &executed).await;
            (executed, Some(place))
        };
        let draft = end::end_draft(self, &opened, &executed);
        evidence_ids.push(draft.stamp.event_id.clone());
        let answer = Answer {
            usage: executed.usage,
            denied: executed.denied,
            models: executed.models,
            log: executed.log,
            ..Answer::refused(&opened, Some(&served), executed.outcome, evidence_ids)
        };
        let mut result = answer.complete(self.clock.now_us());
        let kept = (!opened.new.invocation)
            .then(|| self.results.prepare(&opened.invocation, &result))
            .flatten();
        if self.evidence.append_with_result(vec![draft], kept).await.is_err() {
            // No answer leaves before its end is written: what happened is now unknown to all.
            result.outcome = Outcome::Indeterminate(Refusal::new(
                Code::EvidenceUnavailable,
                "the call ran, but its end could not be written down; look before you repeat it",
            ));
        }
        unfinished.finished();
        result
    }

    /// Commits `execution_started`, unless another call with this id or the last of the budget
    /// came first.
    async fn start(
        &self,
        opened: &Opened,
        served: &Arc<Served>,
    ) -> Result<Vec<String>, Box<CallResult>> {
        let run = call::Decision::Run;
        let drafts = self.decision_drafts(opened, run);
        let start = StartCondition::new(&opened.invocation, served.provider.budget, opened.new);
        match self.evidence.start(drafts, start).await {
            Ok(appended) => Ok(appended.event_ids),
            Err(AppendError::InFlight(running)) => {
                // Of two equal calls one runs; the other waits and gets its result.
                running.ended().await;
                let refusal = AppendError::KnownInvocation.refusal();
                Err(self.refuse_new(opened, served, Gate::Replay, refusal).await)
            }
            Err(error @ AppendError::KnownInvocation) => {
                Err(self.refuse_new(opened, served, Gate::Replay, error.refusal()).await)
            }
            Err(error) => {
                let refusal = error.refusal();
                Err(Box::new(self.refuse(opened, Some(served), Gate::Autonomy, refusal).await))
            }
        }
    }

    async fn execute(&self, permit: &Permit, served: &Served, mut given: Given) -> Executed {
        let plugin = &served.plugin;
        match (self.runtime.get(), plugin.ready().await) {
            (Some(runtime), Ok(loaded)) => {
                let grants = Arc::clone(&plugin.live);
                // Held until what the answer names is kept.
                let (_own, blobs) = given.blobs(&self.blobs, permit.limits().blob_bytes);
                let Given { command, items, .. } = given;
                let execution = Execution { loaded, grants, blobs, command, items };
                let executed = runtime.execute(permit, execution).await;
                self.keep_blobs(&executed.outcome).await;
                executed
            }
            _ => Executed::host_fault("the component could not be made ready"),
        }
    }

    /// Blobs that an answer names outlive their call, so that the caller can fetch them.
    async fn keep_blobs(&self, outcome: &Outcome) {
        let Outcome::Success(output) = outcome else { return };
        for digest in referenced_blobs(output).unwrap_or_default() {
            if self.blobs.keep(&digest).await.is_err() {
                tracing::warn!(%digest, "a blob of an answer could not be kept");
            }
        }
    }

    /// Counts a trap, or its absence, towards quarantine, and keeps the count.
    async fn judge(&self, opened: &Opened, plugin: &Plugin, executed: &Executed) {
        let caller = &opened.invocation.subject.id;
        let now_us = self.clock.now_us();
        let Some(count) = plugin.judge(caller, executed.trapped, &executed.outcome, now_us) else {
            return;
        };
        // A component that is not installed has no row, and its count ends with its one call.
        if let Err(error) = self.plugins.save_quarantine(&plugin.record.name, &count).await {
            tracing::debug!("a count of traps was not kept: {error}");
        }
    }

    /// Writes a denial and answers with it.
    async fn refuse(
        &self,
        opened: &Opened,
        served: Option<&Arc<Served>>,
        gate: Gate,
        refusal: Refusal,
    ) -> CallResult {
        tracing::debug!(gate = gate.word(), code = refusal.code.number(), "denied");
        let decision = call::Decision::Denied(end::reason(&refusal));
        let outcome = Outcome::Denied(refusal);
        self.close(opened, served, decision, outcome).await
    }

    /// Writes that a plugin does not serve and answers with it.
    async fn skip(&self, opened: &Opened, served: &Arc<Served>, refusal: Refusal) -> CallResult {
        let decision = call::Decision::Skipped(end::reason(&refusal));
        self.close(opened, Some(served), decision, Outcome::Skipped(refusal)).await
    }

    async fn close(
        &self,
        opened: &Opened,
        served: Option<&Arc<Served>>,
        decision: call::Decision,
        outcome: Outcome,
    ) -> CallResult {
        let drafts = self.decision_drafts(opened, decision);
        let (outcome, ids) = match self.evidence.append_to(drafts, opened.new.correlation).await {
            Ok(appended) => (outcome, appended.event_ids),
            Err(error) => (Outcome::Denied(error.refusal()), Vec::new()),
        };
        let served = served.map(Arc::as_ref);
        Answer::refused(opened, served, outcome, ids).complete(self.clock.now_us())
    }

    /// The safety gate passes in this release and is therefore off in the record: no
    /// assessment is claimed that nobody made.
    fn decision_drafts(&self, opened: &Opened, decision: call::Decision) -> Vec<Draft> {
        let stamp = opened.stamp.clone();
        call::decided(&opened.context, &opened.origin, decision, None, stamp, || self.stamp())
    }

    /// Id, time and salt of one event.
    pub(crate) fn stamp(&self) -> Stamp {
        sys::stamp(self.clock.as_ref(), self.entropy.as_ref())
    }
}
