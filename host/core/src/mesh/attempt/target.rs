//! A node that a call is tried on, and what its refusals mean for the others.

use crate::{
    code::Code,
    mesh::{key::NodeKey, route::Candidate},
};

/// A node that the call could run on. What it says of the capability is its own word: one that lies
/// harms its own effects alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The node.
    pub node: NodeKey,
    /// Whether the call changes nothing there.
    pub read_only: bool,
    /// Whether a call that runs twice does no more there than one that runs once.
    pub idempotent: bool,
}

impl Target {
    /// Whether a second run does no harm.
    #[must_use]
    pub const fn repeatable(&self) -> bool {
        self.read_only || self.idempotent
    }
}

impl From<&Candidate> for Target {
    fn from(candidate: &Candidate) -> Self {
        let Candidate { node, read_only, idempotent, .. } = *candidate;
        Self { node, read_only, idempotent }
    }
}

/// Whom it makes sense to ask after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Others, and the same node again after a while.
    ForNow,
    /// Others alone.
    ByThisNode,
    /// Nobody: every node would refuse alike.
    Everywhere,
}

impl Refused {
    /// What a refusal with this code, before the capability began, means.
    #[must_use]
    pub const fn of(code: Code) -> Self {
        match code {
            Code::Busy => Self::ForNow,
            Code::CapabilityNotFound
            | Code::CapabilityVersion
            | Code::CapabilityType
            | Code::CapabilityDisabled
            | Code::Quarantined
            | Code::PolicyBlocked
            | Code::NotAllowed
            | Code::GrantSuspended
            | Code::BudgetExceeded
            | Code::ApprovalRequired
            | Code::EvidenceUnavailable
            | Code::StoreFault
            | Code::StoreFull
            | Code::NodeUnreachable
            | Code::HostFault => Self::ByThisNode,
            _ => Self::Everywhere,
        }
    }
}
