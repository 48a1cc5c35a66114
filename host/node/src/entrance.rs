//! Who calls: made here and nowhere else, from facts that the operating system or a proved key vouch
//! for. Each way in has a maker here, and none has a second way to a component.

use meshhost_core::{
    capability::Risk,
    invocation::{EntranceKind, Scope, Subject},
    mesh::key::NodeKey,
};

/// A caller whose identity was checked, with what it may do.
#[derive(Debug, Clone)]
pub struct Entrance {
    subject: Subject,
    kind: EntranceKind,
    scope: Scope,
    administers: bool,
}

impl Entrance {
    /// The command line in the process that holds the store: whoever may open the data
    /// directory (0700) is its owner.
    #[must_use]
    pub fn command_line(user: &str) -> Self {
        Self::owner(user, EntranceKind::CommandLine)
    }

    /// A connection on the admin socket, when the peer's user id is the node's own.
    #[must_use]
    pub fn socket(user: &str, peer_uid: u32, own_uid: u32) -> Option<Self> {
        (peer_uid == own_uid).then(|| Self::owner(user, EntranceKind::Socket))
    }

    /// A peer that proved its key, with what is shared with it. It may call, and nothing else: no peer
    /// installs, grants or configures.
    #[must_use]
    pub fn peer(key: &NodeKey, capabilities: Vec<String>, risk_ceiling: Risk) -> Self {
        let subject =
            Subject { id: format!("peer:{key}"), kind: "peer".to_owned(), verified: true };
        let scope = Scope { capabilities, through: Vec::new(), risk_ceiling };
        Self { subject, kind: EntranceKind::Peer, scope, administers: false }
    }

    fn owner(user: &str, kind: EntranceKind) -> Self {
        let subject =
            Subject { id: format!("local:{user}"), kind: "user".to_owned(), verified: true };
        Self { subject, kind, scope: Scope::owner(), administers: true }
    }

    /// Who calls.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Which way it came in.
    #[must_use]
    pub const fn kind(&self) -> EntranceKind {
        self.kind
    }

    /// What it may call.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether it may install, grant and configure.
    #[must_use]
    pub const fn administers(&self) -> bool {
        self.administers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nodes_own_user_enters_by_the_socket() {
        assert!(Entrance::socket("me", 1000, 1000).is_some());
        assert!(Entrance::socket("me", 1001, 1000).is_none());
        assert!(Entrance::socket("root", 0, 1000).is_none());
    }
}
