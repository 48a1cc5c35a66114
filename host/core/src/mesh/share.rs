//! What a node lets its peers call. A member may call nothing until the node that serves shares it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    key::NodeKey,
    membership::{Level, Member},
};
use crate::{
    manifest::{CapabilityRules, Placement, TrustLevel},
    permission::covers_id,
};

/// Most shares of a node.
pub const SHARES_MAX: usize = 256;

/// With whom something is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedWith {
    /// Every member of this level and above.
    Level(Level),
    /// One node, as long as it is a member.
    Peer(NodeKey),
}

impl SharedWith {
    /// Whether `peer`, who is `member`, is meant.
    #[must_use]
    pub fn covers(&self, peer: &NodeKey, member: &Member) -> bool {
        match self {
            Self::Level(level) => member.level >= *level,
            Self::Peer(key) => key == peer,
        }
    }
}

impl fmt::Display for SharedWith {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(level) => formatter.write_str(level.word()),
            Self::Peer(key) => key.fmt(formatter),
        }
    }
}

impl FromStr for SharedWith {
    type Err = super::key::KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "member" => Ok(Self::Level(Level::Member)),
            "trusted" => Ok(Self::Level(Level::Trusted)),
            "anchor" => Ok(Self::Level(Level::Anchor)),
            key => key.parse().map(Self::Peer),
        }
    }
}

/// One thing that is shared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Share {
    /// A capability id, or a prefix followed by `*`.
    pub capability: String,
    /// With whom.
    pub with: SharedWith,
}

/// The capabilities that `peer`, who is `member`, may call: ids, or prefixes followed by `*`.
#[must_use]
pub fn shared_with(shares: &[Share], peer: &NodeKey, member: &Member) -> Vec<String> {
    let for_it = shares.iter().filter(|share| share.with.covers(peer, member));
    for_it.map(|share| share.capability.clone()).collect()
}

/// Whether what a manifest says of a capability lets a member call it: it may run for other nodes, and
/// the member is trusted as far as it asks.
#[must_use]
pub fn reaches(rules: &CapabilityRules, member: &Member) -> bool {
    let trusted = match rules.trust_level {
        TrustLevel::Unknown | TrustLevel::Member => true,
        TrustLevel::Trusted => member.level >= Level::Trusted,
        TrustLevel::Anchor => member.level >= Level::Anchor,
    };
    rules.placement != Placement::Local && trusted
}

/// Whether one of these patterns covers a capability.
#[must_use]
pub fn covers(patterns: &[String], capability: &str) -> bool {
    patterns.iter().any(|pattern| covers_id(pattern, capability))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::sign::Signer;

    #[test]
    fn a_share_reaches_whom_it_names_and_nobody_else() {
        let [one, other] = [1, 2].map(|seed| Signer::from_seed(&[seed; 32]).node_key());
        let member = |level| Member { name: "n".to_owned(), level, issuer: one };
        let share = |capability: &str, with| Share { capability: capability.to_owned(), with };
        let shares = [
            share("ocr.*", SharedWith::Level(Level::Member)),
            share("git.log", SharedWith::Level(Level::Trusted)),
            share("filesystem.read", SharedWith::Peer(other)),
        ];
        let patterns = |key, level| shared_with(&shares, &key, &member(level));
        assert_eq!(patterns(one, Level::Member), ["ocr.*"]);
        assert_eq!(patterns(one, Level::Trusted), ["ocr.*", "git.log"]);
        assert_eq!(patterns(other, Level::Member), ["ocr.*", "filesystem.read"]);
        let patterns = patterns(one, Level::Member);
        assert!(covers(&patterns, "ocr.recognize"));
        assert!(!covers(&patterns, "ocrx.recognize"));
        assert!(!covers(&patterns, "git.log"));
    }

    #[test]
    fn a_manifest_keeps_a_capability_from_peers_that_it_does_not_trust() {
        let key = Signer::from_seed(&[1; 32]).node_key();
        let member = |level| Member { name: "n".to_owned(), level, issuer: key };
        let rules = |placement, trust_level| CapabilityRules {
            placement,
            trust_level,
            ..CapabilityRules::default()
        };
        let table = [
            (Placement::Any, TrustLevel::Unknown, [true, true, true]),
            (Placement::Any, TrustLevel::Trusted, [false, true, true]),
            (Placement::Any, TrustLevel::Anchor, [false, false, true]),
            (Placement::Local, TrustLevel::Unknown, [false, false, false]),
        ];
        for (placement, trust_level, reached) in table {
            let levels = [Level::Member, Level::Trusted, Level::Anchor];
            let rules = rules(placement, trust_level);
            assert_eq!(levels.map(|level| reaches(&rules, &member(level))), reached, "{rules:?}");
        }
    }

    #[test]
    fn with_whom_reads_what_it_writes() {
        let key = Signer::from_seed(&[1; 32]).node_key();
        for with in [SharedWith::Level(Level::Trusted), SharedWith::Peer(key)] {
            assert_eq!(with.to_string().parse(), Ok(with));
        }
        assert!("everybody".parse::<SharedWith>().is_err());
    }
}
