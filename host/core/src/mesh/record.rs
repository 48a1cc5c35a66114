//! What a node says of itself. It says it in two statements, because they go to different ears:
//!
//! | statement | says | goes to |
//! |---|---|---|
//! | [`NodeRecord`] | name, roles, addresses, load, state | every member; members pass it on |
//! | [`Offer`] | the capabilities that one peer may call | that peer alone, from the node itself |
//!
//! What is shared with one peer is nobody else's business, so nothing that is passed on says it. An
//! offer names the peer that it was made for: one made for another is refused.

use std::{collections::BTreeSet, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::{
    key::NodeKey,
    membership::is_name,
    share,
    signed::{Signed, SignedError, Statement},
};
use crate::id::{CapabilityId, Digest, ModelName, PluginName};

/// Most roles of a node.
pub const ROLES_MAX: usize = 8;
/// Most addresses of a node.
pub const ADDRESSES_MAX: usize = 8;
/// Most models that a node names as loaded.
pub const MODELS_MAX: usize = 64;
/// Most capabilities that a node offers to one peer.
pub const CAPABILITIES_MAX: usize = 512;
/// Longest text of a version, in bytes.
const VERSION_BYTES_MAX: usize = 64;

/// Why a record or an offer was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It does not hold: unreadable, too long, or signed by another.
    #[error("the statement does not hold")]
    Signed(#[from] SignedError),
    /// It is about a node of another community.
    #[error("the statement is about another community")]
    Community,
    /// The node that signed is no member.
    #[error("the node that signed is no member of the community")]
    Stranger,
    /// Something in it is none of its kind, or there is too much of it.
    #[error("the statement's {0} are not what they may be")]
    Bounds(&'static str),
    /// An offer came from another node than the one that made it.
    #[error("an offer is taken from its own node alone")]
    Relayed,
    /// An offer was made for another node.
    #[error("the offer was made for another node")]
    Addressee,
    /// A node publishes for itself alone.
    #[error("a node publishes its own record alone")]
    NotOwn,
    /// The peer sent more that is new than is checked of one peer.
    #[error("more signatures came from one peer than are checked")]
    Pace,
    /// As many nodes are known as can be.
    #[error("as many nodes are known as can be")]
    Full,
}

/// Whether a node takes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It does.
    Serving,
    /// It ends those that it has and takes no more.
    Draining,
    /// It has stopped: the last record of a node, until it comes back with a later one.
    Left,
}

/// How busy a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Load {
    /// Calls that it could start now.
    pub slots_free: u32,
    /// Calls that it runs at most at once; 0 when unknown.
    pub slots: u32,
    /// Load of one processor core on average, in thousandths; above 1,000 when work waits.
    pub cpu: Option<u32>,
    /// How much of the GPU is in use, in thousandths; `None` without one.
    pub gpu: Option<u32>,
}

impl Load {
    /// How busy the node is for work of this class, in thousandths. `None` when it does not say, and
    /// for models on a node without a GPU.
    #[must_use]
    pub fn busy(&self, class: ResourceClass) -> Option<u32> {
        match class {
            ResourceClass::Inference => self.gpu,
            ResourceClass::Cpu | ResourceClass::Io | ResourceClass::Storage => self.busy_at_all(),
        }
    }

    /// The greater of what the slots and what the processors say, in thousandths.
    #[must_use]
    pub fn busy_at_all(&self) -> Option<u32> {
        let used = u64::from(self.slots.saturating_sub(self.slots_free)) * 1_000;
        let slots = used.checked_div(u64::from(self.slots));
        slots.and_then(|share| u32::try_from(share).ok()).max(self.cpu)
    }

    /// Whether every slot is taken.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.slots > 0 && self.slots_free == 0
    }
}

/// What every member may know of a node. The highest version holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// The community.
    pub community: Digest,
    /// Whom it is about, and who signed.
    pub node: NodeKey,
    /// What the node calls itself; not unique.
    pub name: String,
    /// What it is for, in words that `prefer` may name: `inference`, `storage`.
    pub roles: Vec<String>,
    /// Where it may be reached.
    pub addresses: Vec<SocketAddr>,
    /// Higher than that of every record and offer before.
    pub version: u64,
    /// When, in microseconds since 1970 by its own clock; for people.
    pub issued_us: i64,
    /// The version of its WebAssembly engine.
    pub engine: semver::Version,
    /// The version of meshhost.
    pub program: semver::Version,
    /// Whether it takes calls.
    pub state: NodeState,
    /// How busy it is.
    pub load: Load,
    /// The models that it has loaded.
    pub models: Vec<ModelName>,
}

impl Statement for NodeRecord {
    const PURPOSE: &'static [u8] = b"meshhost-node-v1\0";
    const BYTES_MAX: usize = 8 * 1024;

    fn signer(&self) -> NodeKey {
        self.node
    }
}

impl NodeRecord {
    /// Checks what its types do not.
    ///
    /// # Errors
    /// [`RecordError::Bounds`] names what is wrong.
    pub fn check(&self) -> Result<(), RecordError> {
        let roles = self.roles.len() <= ROLES_MAX && self.roles.iter().all(|role| is_name(role));
        let load = self.load.slots_free <= self.load.slots;
        all([
            (is_name(&self.name), "names"),
            (roles, "roles"),
            (self.addresses.len() <= ADDRESSES_MAX, "addresses"),
            (is_version(&self.engine) && is_version(&self.program), "versions"),
            (load, "slots"),
            (self.models.len() <= MODELS_MAX, "models"),
        ])
    }
}

/// What a capability needs most of; decides which load counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceClass {
    /// Processors.
    #[default]
    Cpu,
    /// Network and files, a little of each.
    Io,
    /// The node's disks.
    Storage,
    /// Models.
    Inference,
}

/// Whether a provider serves, as a peer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferState {
    /// It does.
    Serving,
    /// Its operator switched it off, or a grant of it is suspended.
    Disabled,
    /// It trapped too often and rests.
    Quarantined,
}

/// One capability that a peer may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Its id.
    pub id: CapabilityId,
    /// Its id with the interface.
    pub long_id: CapabilityId,
    /// Its version.
    pub version: semver::Version,
    /// Its type; see [`crate::capability::Capability::type_hash`].
    pub type_hash: Option<Digest>,
    /// The plugin that provides it.
    pub plugin: PluginName,
    /// What it needs most of.
    pub class: ResourceClass,
    /// Whether it serves.
    pub state: OfferState,
    /// Whether calls change nothing.
    pub read_only: bool,
    /// Whether a call that runs twice does no more than one that runs once.
    pub idempotent: bool,
    /// Whether all models that its plugin may run are loaded now; `None` when it may run none.
    pub models_loaded: Option<bool>,
}

/// The capabilities that one peer may call on a node. The highest version holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The community.
    pub community: Digest,
    /// Who offers, and who signed.
    pub node: NodeKey,
    /// To whom.
    pub peer: NodeKey,
    /// Higher than that of every record and offer before.
    pub version: u64,
    /// When, in microseconds since 1970 by its own clock; for people.
    pub issued_us: i64,
    /// What it may call; of one capability, the provider that is called first comes first.
    pub capabilities: Vec<Offered>,
}

impl Statement for Offer {
    const PURPOSE: &'static [u8] = b"meshhost-offer-v1\0";
    const BYTES_MAX: usize = 128 * 1024;

    fn signer(&self) -> NodeKey {
        self.node
    }
}

impl Offer {
    /// Checks what its types do not.
    ///
    /// # Errors
    /// [`RecordError::Bounds`] names what is wrong.
    pub fn check(&self) -> Result<(), RecordError> {
        let all_of_it = &self.capabilities;
        let different: BTreeSet<_> =
            all_of_it.iter().map(|one| (one.long_id.folded(), &one.plugin)).collect();
        all([
            (all_of_it.len() <= CAPABILITIES_MAX, "capabilities"),
            (different.len() == all_of_it.len(), "capabilities"),
            (all_of_it.iter().all(|one| is_version(&one.version)), "versions"),
        ])
    }
}

/// What stands in a frame of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// A node's record, its own or passed on.
    Record(Signed<NodeRecord>),
    /// What the sender offers to the receiver.
    Offer(Signed<Offer>),
}

impl Said {
    /// As it travels.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// What travelled.
    ///
    /// # Errors
    /// [`RecordError::Signed`] when the bytes are nothing of this.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        match postcard::take_from_bytes(bytes) {
            Ok((said, [])) => Ok(said),
            Ok(_) | Err(_) => Err(RecordError::Signed(SignedError::Form)),
        }
    }
}

/// What a peer is offered: of everything that a node has, what these patterns cover. The patterns
/// are those of [`share::shared_with`]; no more than [`CAPABILITIES_MAX`].
#[must_use]
pub fn offered_to(everything: &[Offered], patterns: &[String]) -> Vec<Offered> {
    let shared = everything.iter().filter(|one| share::covers(patterns, one.id.as_str()));
    shared.take(CAPABILITIES_MAX).cloned().collect()
}

fn is_version(version: &semver::Version) -> bool {
    version.to_string().len() <= VERSION_BYTES_MAX
}

fn all<const CHECKS: usize>(checks: [(bool, &'static str); CHECKS]) -> Result<(), RecordError> {
    match checks.into_iter().find(|(holds, _)| !holds) {
        Some((_, what)) => Err(RecordError::Bounds(what)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load { slots_free: 8, slots: 32, cpu: Some(100), gpu: None };

    #[test]
    fn a_load_is_the_greater_of_slots_and_processors_and_for_models_the_gpus() {
        assert_eq!(LOAD.busy(ResourceClass::Cpu), Some(750));
        assert_eq!(Load { cpu: Some(1_900), ..LOAD }.busy(ResourceClass::Io), Some(1_900));
        assert_eq!(LOAD.busy(ResourceClass::Inference), None);
        assert_eq!(Load { gpu: Some(3), ..LOAD }.busy(ResourceClass::Inference), Some(3));
        assert_eq!(Load::default().busy(ResourceClass::Cpu), None, "it says nothing");
        assert_eq!(Load { cpu: Some(5), ..Load::default() }.busy_at_all(), Some(5));
        assert!(!Load::default().is_full() && Load { slots_free: 0, ..LOAD }.is_full());
    }

    #[test]
    fn a_peer_is_offered_what_is_shared_with_it() {
        let one = |id: &str| Offered {
            id: id.parse().unwrap(),
            long_id: id.parse().unwrap(),
            version: semver::Version::new(0, 1, 0),
            type_hash: None,
            plugin: "plugin".parse().unwrap(),
            class: ResourceClass::Cpu,
            state: OfferState::Serving,
            read_only: false,
            idempotent: false,
            models_loaded: None,
        };
        let everything = [one("ocr.recognize"), one("git.log"), one("ocrx.a")];
        let ids = |patterns: &[&str]| {
            let patterns: Vec<_> = patterns.iter().map(|text| (*text).to_owned()).collect();
            let offered = offered_to(&everything, &patterns);
            offered.iter().map(|one| one.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&["ocr.*"]), ["ocr.recognize"]);
        assert_eq!(ids(&["git.repository.log"]), ["git.log"]);
        assert!(ids(&[]).is_empty());
    }
}
