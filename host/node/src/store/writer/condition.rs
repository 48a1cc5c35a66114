//! Under which conditions a call may start, and why an append did not happen.

use std::sync::Arc;

use meshhost_core::{
    code::Code, evidence::chain::SealError, gates::Budget, invocation::Invocation, outcome::Refusal,
};
use tokio::sync::watch;

use crate::store::error::StoreError;

/// What has to hold at the moment a call starts, beyond that its id is new.
#[derive(Debug, Clone, Default)]
pub struct StartCondition {
    /// How many calls may be started, this one included.
    pub budget: Budget,
    /// The call is part of one that the correlation's owner began, made by a component.
    pub descendant: bool,
    /// The mandate under which it is made.
    pub mandate: Option<MandateUse>,
    /// Which of its ids the node has just made.
    pub new: NewIds,
}

/// Which ids of a call the node has just made. Nobody can have used them before, so they are not
/// looked up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewIds {
    /// The id of the invocation.
    pub invocation: bool,
    /// The id of the correlation.
    pub correlation: bool,
}

/// One use of a mandate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MandateUse {
    /// The mandate.
    pub mandate_id: String,
    /// How many calls it allows; no bound when absent.
    pub uses_max: Option<u64>,
}

impl StartCondition {
    /// The conditions of a call within `budget`.
    #[must_use]
    pub fn new(invocation: &Invocation, budget: Budget, new: NewIds) -> Self {
        Self { budget, descendant: invocation.depth > 1, mandate: None, new }
    }
}

/// Events that are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Their ids, in order.
    pub event_ids: Vec<String>,
    /// Their sequences, in order.
    pub sequences: Vec<u64>,
}

/// Why nothing was appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// A call with this id runs.
    #[error("a call with this id is running")]
    InFlight(InFlight),
    /// A call with this id has been started before.
    #[error("a call with this id was made before; repeat it under a new one")]
    KnownInvocation,
    /// The correlation was opened by somebody else.
    #[error("the correlation belongs to somebody else; use another id")]
    ForeignCorrelation,
    /// The calls in this correlation are used up.
    #[error("the budget of {limit} calls in this correlation is spent")]
    CorrelationBudget {
        /// The number of calls.
        limit: u64,
    },
    /// The caller's calls of today are used up.
    #[error("the budget of {limit} calls of this caller today is spent")]
    DayBudget {
        /// The number of calls.
        limit: u64,
    },
    /// The mandate's calls are used up.
    #[error("the mandate allows no more calls")]
    MandateExhausted,
    /// Too many appends wait.
    #[error("too many calls wait to be written down; try again")]
    Busy,
    /// An event cannot be sealed.
    #[error("an event of the call could not be sealed")]
    Seal(#[source] SealError),
    /// The store refused.
    #[error("it could not be written down, so nothing was done")]
    Store(#[source] Arc<StoreError>),
}

impl AppendError {
    /// The code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::InFlight(_) | Self::KnownInvocation | Self::ForeignCorrelation => {
                Code::CallerConflict
            }
            Self::CorrelationBudget { .. } | Self::DayBudget { .. } => Code::BudgetExceeded,
            Self::MandateExhausted => Code::MandateInvalid,
            Self::Busy => Code::Busy,
            Self::Seal(_) | Self::Store(_) => Code::EvidenceUnavailable,
        }
    }

    /// What the caller is told.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let message = match self {
            Self::Store(error) => format!("{self}: {error}"),
            _ => self.to_string(),
        };
        Refusal::new(self.code(), message)
    }
}

/// A call that runs under the same id.
#[derive(Debug, Clone)]
pub struct InFlight(pub(super) watch::Receiver<()>);

impl InFlight {
    /// Returns when that call has ended and its end is written. Its result, if it is one that is
    /// kept, can be found then.
    pub async fn ended(mut self) {
        // Nothing is ever sent: the sender is dropped when the call ends.
        while self.0.changed().await.is_ok() {}
    }
}
