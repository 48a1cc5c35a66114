//! How many signatures are checked of what one peer sends, over all its connections: each costs more than
//! anything else that is done with it.

use std::collections::BTreeMap;

use super::{
    key::NodeKey,
    membership::{MEMBERS_MAX, Membership},
    pace::Pace,
};

/// Signatures of one peer that are checked at once: those of all that a community says, several times.
pub const CHECKS_AT_ONCE: u32 = 2_000;
/// How often one more of them is checked, in microseconds.
pub const CHECK_EVERY_US: u32 = 2_000;

/// The checks that each peer has had.
#[derive(Debug, Clone)]
pub struct Checks(BTreeMap<NodeKey, Pace>);

impl Checks {
    /// None yet.
    #[must_use]
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// The pace of one peer's. Of those who are members no longer nothing is kept once there are many.
    pub fn of(&mut self, peer: &NodeKey, membership: &Membership) -> &mut Pace {
        if self.0.len() >= MEMBERS_MAX {
            self.0.retain(|key, _| membership.member(key).is_some());
        }
        self.0.entry(*peer).or_insert_with(|| Pace::new(CHECKS_AT_ONCE, CHECK_EVERY_US))
    }
}
