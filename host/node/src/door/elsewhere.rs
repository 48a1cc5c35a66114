//! Calls that run on another node. Here is decided what is decided where a call enters: whether its ids
//! are known, and whether the caller's scope contains it. Everything else is decided where it runs, by
//! the same door.

use std::{
    fmt::Debug,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use meshhost_core::{
    code::Code,
    gates::{self, Gate},
    id::CapabilityId,
    invocation::Invocation,
    link::Callee,
    manifest,
    outcome::{CallResult, Outcome, Refusal},
};

use meshhost_runtime::execute::ItemSender;

use super::Door;
use crate::{registry::Served, store::writer::NewIds};

/// Where a call may run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Placement {
    /// On this node when it can, else on another.
    #[default]
    Anywhere,
    /// Anywhere, first on the nodes of this name, key or role.
    Rather(String),
    /// On this node alone.
    Here,
    /// On the node of this name or key alone.
    On(String),
}

impl Placement {
    /// The name, key or role that the caller prefers.
    #[must_use]
    pub fn preferred(&self) -> Option<&str> {
        match self {
            Self::Rather(word) => Some(word),
            Self::Anywhere | Self::Here | Self::On(_) => None,
        }
    }
}

/// Other nodes, as the door sees them.
#[async_trait]
pub trait Elsewhere: Debug + Send + Sync {
    /// Whether a name or key means this node itself.
    fn is_own(&self, node: &str) -> bool;

    /// Whether there are other nodes at all.
    fn exists(&self) -> bool;

    /// Whether a peer offers a capability in this version and of this type.
    async fn offers(&self, callee: &Callee) -> bool;

    /// Whether a call that can run here, on this provider, had better run on another node: because this
    /// one is busy, or because its caller prefers another.
    async fn is_better(&self, invocation: &Invocation, here: &Served, prefer: Option<&str>)
    -> bool;

    /// Runs a call on another node. What it streams goes to `items` as it comes, when somebody wants it.
    async fn call(
        &self,
        invocation: &Arc<Invocation>,
        placement: &Placement,
        items: Option<&ItemSender>,
    ) -> CallResult;
}

impl Door {
    /// Other nodes, when the call is to run there.
    pub(super) async fn elsewhere(
        &self,
        placement: &Placement,
        (invocation, here): (&Invocation, Option<&Arc<Served>>),
    ) -> Option<Arc<dyn Elsewhere>> {
        let elsewhere = self.elsewhere.get().and_then(Weak::upgrade)?;
        let wanted = match placement {
            Placement::Here => false,
            Placement::Anywhere | Placement::Rather(_) => {
                elsewhere.exists()
                    && match here {
                        Some(here) if here.rules.placement == manifest::Placement::Remote => true,
                        Some(here) => {
                            elsewhere.is_better(invocation, here, placement.preferred()).await
                        }
                        None => true,
                    }
            }
            Placement::On(node) => !elsewhere.is_own(node),
        };
        wanted.then_some(elsewhere)
    }

    /// Takes a call to another node, when its caller may make it.
    pub(super) async fn call_elsewhere(
        &self,
        elsewhere: &dyn Elsewhere,
        invocation: &Arc<Invocation>,
        new: NewIds,
        (placement, items): (&Placement, Option<&ItemSender>),
    ) -> CallResult {
        if let Err(refusal) = gates::scope(invocation, &invocation.capability) {
            return match self.open(invocation, new, None) {
                Ok(opened) => self.refuse(&opened, None, Gate::Policy, refusal).await,
                Err(refusal) => super::Answer::unwritten(invocation, refusal, self.clock.now_us()),
            };
        }
        elsewhere.call(invocation, placement, items).await
    }
}

/// Whether a call may not run here, since the manifest keeps the capability from this node's callers.
pub(super) fn only_elsewhere(placement: &Placement, here: Option<&Arc<Served>>) -> bool {
    *placement != Placement::Here
        && here.is_some_and(|here| here.rules.placement == manifest::Placement::Remote)
}

/// Why a call that may not run here does not run at all.
pub(super) fn nowhere_else(capability: &CapabilityId) -> Refusal {
    let message = format!(
        "{capability} runs for other nodes alone here (`placement = \"remote\"` in its manifest), \
         and this node belongs to no community with others"
    );
    Refusal::new(Code::PeerUnreachable, message)
}

/// Whether a call ran, or may have.
pub(super) const fn has_run(result: &CallResult) -> bool {
    !matches!(result.outcome, Outcome::Denied(_) | Outcome::Skipped(_))
}
