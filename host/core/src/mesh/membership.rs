//! Who belongs to a community, and by whose word.
//!
//! A community begins with its founder's [`Genesis`]; its id is the BLAKE3 of that. Everything else
//! is a set of signed [`MemberStatement`]s, and [`Membership`] is a pure function of that set: nodes
//! that have heard the same statements, in whichever order, agree.
//!
//! | who says it | counts |
//! |---|---|
//! | the founder | about everybody but itself |
//! | an anchor | about everybody who is no anchor, and about anchors below it |
//! | a trusted member | that somebody is a member, of whom no anchor says more |
//! | anybody | that it leaves itself |
//!
//! An anchor stands below the one whose word made it one. Of the statements about one node that
//! count, the one with the highest version holds; of two with the same version, the one that gives
//! less.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};

use super::{
    key::NodeKey,
    signed::{Signed, SignedError, Statement},
};
use crate::id::Digest;

/// Most nodes of a community, those that left included, whose statements are kept.
pub const SUBJECTS_MAX: usize = 1024;
/// Most members at a time: beyond that, a full mesh of connections is the wrong shape.
pub const MEMBERS_MAX: usize = 256;
/// Most statements about one node that are kept: one of each issuer.
const ISSUERS_MAX: usize = 16;
/// How far an anchor may stand below the founder.
const DEPTH_MAX: usize = 8;
/// Longest name of a node or a community, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// What a member is trusted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// May call what is shared with members.
    Member,
    /// May call what is shared with the trusted as well, and let members in.
    Trusted,
    /// May also say who is trusted, and revoke.
    Anchor,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Trusted => "trusted",
            Self::Anchor => "anchor",
        }
    }
}

/// The beginning of a community.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// What people call it.
    pub name: String,
    /// The first anchor.
    pub founder: NodeKey,
    /// What the founder is called.
    pub founder_name: String,
    /// When, in microseconds since 1970.
    pub made_us: i64,
    /// Tells two communities of one founder apart.
    pub random: [u8; 16],
}

impl Statement for Genesis {
    const PURPOSE: &'static [u8] = b"meshhost-community-v1\0";
    const BYTES_MAX: usize = 256;

    fn signer(&self) -> NodeKey {
        self.founder
    }
}

/// What one node says of another's membership, or of its own leaving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatement {
    /// The community.
    pub community: Digest,
    /// Whom it is about.
    pub member: NodeKey,
    /// What that node is called; any later name is the node's own to say.
    pub name: String,
    /// What it is; `None` revokes.
    pub level: Option<Level>,
    /// Higher than every version about this node that the issuer knew.
    pub version: u64,
    /// When, in microseconds since 1970; for people.
    pub issued_us: i64,
    /// Whose word it is.
    pub issuer: NodeKey,
}

impl Statement for MemberStatement {
    const PURPOSE: &'static [u8] = b"meshhost-member-v1\0";
    const BYTES_MAX: usize = 256;

    fn signer(&self) -> NodeKey {
        self.issuer
    }
}

impl MemberStatement {
    /// The order in which statements about one node hold: the last one does.
    ///
    /// Total, so that also what an issuer says twice in different ways is heard alike everywhere.
    fn order(&self) -> impl Ord + '_ {
        let lowest = Reverse(self.level.map_or(0, |level| 1 + level as u8));
        (self.version, lowest, self.issuer, self.issued_us, &self.name)
    }

    fn leaves(&self) -> bool {
        self.issuer == self.member && self.level.is_none()
    }
}

/// Why a statement was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// It does not hold.
    #[error("the statement does not hold")]
    Signed(#[from] SignedError),
    /// It is about another community.
    #[error("the statement is about another community")]
    Community,
    /// A name is empty, too long, or not plain.
    #[error("a name has 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` or `.`")]
    Name,
    /// Its issuer may not say this.
    #[error("the one who signed may not say this")]
    Issuer,
    /// Whoever sent it sends more than is checked.
    #[error("more statements came than are checked")]
    Pace,
    /// The community has as many nodes as one can have.
    #[error("the community has as many nodes as it can have")]
    Full,
}

/// Whether `name` can be the name of a node or of a community: it stands in tables, on command lines
/// and in evidence.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain)
}

/// One member as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it is called.
    pub name: String,
    /// What it is trusted with.
    pub level: Level,
    /// By whose word; the founder by its own.
    pub issuer: NodeKey,
}

#[derive(Debug, Clone)]
struct Kept {
    signed: Signed<MemberStatement>,
    said: MemberStatement,
}

/// A community as one node knows it.
#[derive(Debug, Clone)]
pub struct Membership {
    community: Digest,
    genesis: Signed<Genesis>,
    founder: NodeKey,
    name: String,
    founder_name: String,
    /// By whom they are about, then by issuer.
    statements: BTreeMap<NodeKey, BTreeMap<NodeKey, Kept>>,
    members: BTreeMap<NodeKey, Member>,
    /// How far below the founder each anchor stands.
    depths: BTreeMap<NodeKey, usize>,
}

impl Membership {
    /// The community that begins so, with nothing said yet.
    ///
    /// # Errors
    /// When the beginning does not hold, or a name in it is none.
    pub fn new(genesis: Signed<Genesis>) -> Result<Self, MembershipError> {
        let said = genesis.open()?;
        if !is_name(&said.name) || !is_name(&said.founder_name) {
            return Err(MembershipError::Name);
        }
        let mut membership = Self {
            community: community_id(&genesis),
            genesis,
            founder: said.founder,
            name: said.name,
            founder_name: said.founder_name,
            statements: BTreeMap::new(),
            members: BTreeMap::new(),
            depths: BTreeMap::new(),
        };
        membership.evaluate();
        Ok(membership)
    }

    /// The community's id.
    #[must_use]
    pub const fn community(&self) -> Digest {
        self.community
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it began.
    #[must_use]
    pub const fn genesis(&self) -> &Signed<Genesis> {
        &self.genesis
    }

    /// Everybody who belongs to it now.
    #[must_use]
    pub const fn members(&self) -> &BTreeMap<NodeKey, Member> {
        &self.members
    }

    /// A member; `None` for a stranger, and for one who was revoked or left.
    #[must_use]
    pub fn member(&self, key: &NodeKey) -> Option<&Member> {
        self.members.get(key)
    }

    /// Everything that was said, as it is kept and as others are told.
    pub fn statements(&self) -> impl Iterator<Item = &Signed<MemberStatement>> {
        self.statements.values().flat_map(|about| about.values().map(|kept| &kept.signed))
    }

    /// Everything that was said, first what `peer` needs to see that it belongs here: what makes
    /// anchors, and what is about itself.
    #[must_use]
    pub fn statements_for(&self, peer: &NodeKey) -> Vec<Signed<MemberStatement>> {
        let first = |about: &NodeKey| about == peer || self.depths.contains_key(about);
        let said = |first_ones: bool| {
            let about = self.statements.iter().filter(move |(key, _)| first(key) == first_ones);
            about.flat_map(|(_, about)| about.values().map(|kept| kept.signed.clone()))
        };
        said(true).chain(said(false)).collect()
    }

    /// The version that a new statement about `member` needs.
    #[must_use]
    pub fn next_version(&self, member: &NodeKey) -> u64 {
        let about = self.statements.get(member).into_iter().flat_map(BTreeMap::values);
        about.map(|kept| kept.said.version).max().unwrap_or(0).saturating_add(1)
    }

    /// Whether `issuer` may say this of `member` now.
    #[must_use]
    pub fn may_say(&self, issuer: &NodeKey, member: &NodeKey, level: Option<Level>) -> bool {
        if issuer == member {
            return level.is_none() && *member != self.founder;
        }
        let Some(says) = self.members.get(issuer) else { return false };
        match (says.level, self.depths.get(member)) {
            (Level::Anchor, Some(depth)) => {
                self.depths.get(issuer).is_some_and(|above| above < depth)
            }
            (Level::Anchor, None) => true,
            (Level::Trusted, _) => {
                let less = self.members.get(member).is_none_or(|it| it.level < Level::Trusted);
                less && level == Some(Level::Member)
            }
            (Level::Member, _) => false,
        }
    }

    /// Takes statements in, in whichever order they came. Answers how many were new, and the first
    /// reason why one was not taken.
    pub fn learn(
        &mut self,
        heard: impl IntoIterator<Item = Signed<MemberStatement>>,
    ) -> (usize, Option<MembershipError>) {
        self.learn_within(heard, || true)
    }

    /// As [`Self::learn`], as long as one more signature may be checked. Those of statements that are
    /// known already need not be. Where no more may, the reason is [`MembershipError::Pace`], and what
    /// came after is not looked at.
    pub fn learn_within(
        &mut self,
        heard: impl IntoIterator<Item = Signed<MemberStatement>>,
        mut may_check: impl FnMut() -> bool,
    ) -> (usize, Option<MembershipError>) {
        let (mut waiting, mut refused) = (Vec::new(), None);
        for signed in heard {
            match self.read(&signed, &mut may_check) {
                Ok(Some(said)) => waiting.push(Kept { signed, said }),
                Ok(None) => {}
                Err(MembershipError::Pace) => {
                    refused = Some(MembershipError::Pace);
                    break;
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if waiting.is_empty() {
            return (0, refused);
        }
        let mut learnt = 0;
        // Whose word counts may be among what is learnt: as long as something is taken, look again.
        loop {
            let before = waiting.len();
            waiting.retain(|kept| match self.take(kept) {
                Ok(new) => {
                    learnt += usize::from(new);
                    false
                }
                Err(_) => true,
            });
            self.evaluate();
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        let left = waiting.first().and_then(|kept| self.take(kept).err());
        (learnt, refused.or(left))
    }

    /// What a statement says, when it holds; `None` when it, or a later one, is known.
    fn read(
        &self,
        signed: &Signed<MemberStatement>,
        may_check: impl FnOnce() -> bool,
    ) -> Result<Option<MemberStatement>, MembershipError> {
        let said = signed.unchecked()?;
        if said.community != self.community {
            return Err(MembershipError::Community);
        }
        if !is_name(&said.name) {
            return Err(MembershipError::Name);
        }
        // Nobody says of itself what it is, only that it leaves: else its leaving and a later word of
        // its own would depend on which was heard first.
        if said.issuer == said.member && !said.leaves() {
            return Err(MembershipError::Issuer);
        }
        // Nobody stands above the founder, and it does not leave.
        if said.member == self.founder {
            return Err(MembershipError::Issuer);
        }
        if self.knows(&said) {
            return Ok(None);
        }
        if !may_check() {
            return Err(MembershipError::Pace);
        }
        Ok(Some(signed.open()?))
    }

    /// Whether nothing would change if the statement held.
    fn knows(&self, said: &MemberStatement) -> bool {
        let before = self.statements.get(&said.member).and_then(|about| about.get(&said.issuer));
        before.is_some_and(|before| before.said.order() >= said.order())
    }

    /// Keeps a statement; says whether it is newer than what that issuer said before.
    fn take(&mut self, kept: &Kept) -> Result<bool, MembershipError> {
        let said = &kept.said;
        if self.knows(said) {
            return Ok(false);
        }
        let about = self.statements.get(&said.member);
        let before = about.and_then(|about| about.get(&said.issuer));
        if !said.leaves() && self.members.get(&said.issuer).is_none_or(|m| m.level < Level::Trusted)
        {
            return Err(MembershipError::Issuer);
        }
        let full = match about {
            None => self.statements.len() >= SUBJECTS_MAX,
            Some(about) => before.is_none() && about.len() >= ISSUERS_MAX,
        };
        // One who was never let in has nothing to leave.
        if full || (said.leaves() && about.is_none()) {
            return Err(MembershipError::Full);
        }
        self.statements.entry(said.member).or_default().insert(said.issuer, kept.clone());
        Ok(true)
    }

    /// Works out from the statements who belongs to the community.
    fn evaluate(&mut self) {
        self.depths = self.anchors();
        let anchors: BTreeSet<_> = self.depths.keys().copied().collect();
        let by_anchor = |said: &MemberStatement| anchors.contains(&said.issuer);
        let trusted = self.trusted(by_anchor);
        let counts = |said: &MemberStatement| {
            let by_trusted = trusted.contains(&said.issuer) && said.level == Some(Level::Member);
            anchors.contains(&said.issuer) || by_trusted
        };
        let mut members = BTreeMap::new();
        for (key, about) in &self.statements {
            if anchors.contains(key) {
                continue;
            }
            // Only an anchor's word takes away what an anchor's word gave: else whose word counts would
            // depend on what was heard first.
            let said = match trusted.contains(key) {
                true => newest(about, by_anchor),
                false => newest(about, counts),
            };
            if let Some(said) = said
                && let Some(level) = said.level
            {
                // Only the word of one who stands above makes an anchor.
                let level = level.min(Level::Trusted);
                members
                    .insert(*key, Member { name: said.name.clone(), level, issuer: said.issuer });
            }
        }
        for (key, depth) in &self.depths {
            let above =
                |said: &MemberStatement| self.depths.get(&said.issuer).is_some_and(|at| at < depth);
            let said = self.statements.get(key).and_then(|about| newest(about, above));
            let (name, issuer) = match said {
                Some(said) => (said.name.clone(), said.issuer),
                None => (self.founder_name.clone(), self.founder),
            };
            members.insert(*key, Member { name, level: Level::Anchor, issuer });
        }
        while members.len() > MEMBERS_MAX {
            members.pop_last();
        }
        self.members = members;
    }

    /// The anchors, and how far each stands below the founder.
    fn anchors(&self) -> BTreeMap<NodeKey, usize> {
        let mut depths = BTreeMap::from([(self.founder, 0)]);
        for depth in 0..DEPTH_MAX {
            let above = depths.clone();
            for (key, about) in &self.statements {
                let counts =
                    |said: &MemberStatement| above.get(&said.issuer).is_some_and(|at| *at <= depth);
                let made = newest(about, counts).is_some_and(|s| s.level == Some(Level::Anchor));
                if made && !depths.contains_key(key) {
                    depths.insert(*key, depth + 1);
                }
            }
        }
        depths
    }

    /// Those whom the statements that count make trusted, or more.
    fn trusted(&self, counts: impl Fn(&MemberStatement) -> bool) -> BTreeSet<NodeKey> {
        let enough = |said: &MemberStatement| said.level >= Some(Level::Trusted);
        let about = self.statements.iter();
        about
            .filter(|(_, about)| newest(about, &counts).is_some_and(enough))
            .map(|(key, _)| *key)
            .collect()
    }
}

/// The statement that holds among those that count. That a node left always counts.
fn newest(
    about: &BTreeMap<NodeKey, Kept>,
    counts: impl Fn(&MemberStatement) -> bool,
) -> Option<&MemberStatement> {
    let said = about.values().map(|kept| &kept.said);
    said.filter(|said| said.leaves() || counts(said))
        .max_by(|one, other| one.order().cmp(&other.order()))
}

/// The id of a community: BLAKE3 of its signed beginning.
#[must_use]
pub fn community_id(genesis: &Signed<Genesis>) -> Digest {
    Digest::of(&postcard::to_allocvec(genesis).unwrap_or_default())
}

#[cfg(test)]
mod tests;
