//! How a node says on the local network that it is there: a tag and a port, nothing else.
//!
//! The tag is a number that members can work out and nobody else: from the beginning of the community,
//! which members alone have, the node, the address that it speaks from, and the time. So a member learns
//! who announces by working out the tags of those that it misses, and a stranger sees bytes that change
//! every [`SLOT_US`]. Since the tag holds for one address and port alone, whoever repeats what it heard
//! leads others to the one who said it first.
//!
//! An announcement gives no right: it says where a member may be dialled, and that one still has to prove
//! its key.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{key::NodeKey, membership::Genesis, signed::Signed};

/// Whom announcements are sent to: a group of the scope that a site gives out itself (RFC 2365).
pub const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 70, 81), 27081);
/// Bytes of an announcement.
pub const BYTES: usize = HEAD.len() + TAG_BYTES + 2;
/// How long one tag is used, in microseconds.
pub const SLOT_US: i64 = 5 * 60 * 1_000_000;

/// What an announcement begins with: its kind and its version.
const HEAD: [u8; 4] = *b"mha1";
const TAG_BYTES: usize = 16;
/// What the key of the tags is made for; it never changes.
const PURPOSE: &str = "meshhost-announcement-v1";

type Tag = [u8; TAG_BYTES];

/// An announcement as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    tag: Tag,
    port: u16,
}

impl Announcement {
    /// The port at which the node listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// As it travels.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let parts = [&HEAD[..], &self.tag, &self.port.to_le_bytes()].concat();
        for (byte, part) in bytes.iter_mut().zip(parts) {
            *byte = part;
        }
        bytes
    }

    /// What travelled; `None` when it is no announcement.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let (tag, port) = bytes.strip_prefix(&HEAD)?.split_first_chunk()?;
        let port = u16::from_le_bytes(port.try_into().ok()?);
        (port != 0).then_some(Self { tag: *tag, port })
    }
}

/// What the members of one community work tags out with. It is a secret of theirs.
#[derive(Clone, PartialEq, Eq)]
pub struct Tags([u8; 32]);

impl std::fmt::Debug for Tags {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Tags")
    }
}

impl Tags {
    /// Those of the community that begins so.
    #[must_use]
    pub fn new(genesis: &Signed<Genesis>) -> Self {
        Self(blake3::derive_key(PURPOSE, &genesis.to_bytes()))
    }

    /// What a node says now that listens at this address, and speaks from it.
    #[must_use]
    pub fn announce(&self, node: &NodeKey, address: SocketAddrV4, now_us: i64) -> Announcement {
        Announcement { tag: self.tag(node, address, slot(now_us)), port: address.port() }
    }

    /// Which of these nodes says this, speaking from `from`; `None` when none of them does. Clocks may
    /// differ by [`SLOT_US`].
    #[must_use]
    pub fn whose(
        &self,
        announcement: &Announcement,
        from: Ipv4Addr,
        nodes: impl IntoIterator<Item = NodeKey>,
        now_us: i64,
    ) -> Option<NodeKey> {
        let address = SocketAddrV4::new(from, announcement.port);
        let slots = [0, -1, 1].map(|away| slot(now_us) + away);
        let says = |node: &NodeKey| {
            slots.iter().any(|slot| self.tag(node, address, *slot) == announcement.tag)
        };
        nodes.into_iter().find(says)
    }

    fn tag(&self, node: &NodeKey, address: SocketAddrV4, slot: i64) -> Tag {
        let mut tag = [0; TAG_BYTES];
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher
            .update(node.as_bytes())
            .update(&address.ip().octets())
            .update(&address.port().to_le_bytes())
            .update(&slot.to_le_bytes());
        hasher.finalize_xof().fill(&mut tag);
        tag
    }
}

const fn slot(now_us: i64) -> i64 {
    now_us.div_euclid(SLOT_US)
}

/// A network that a node is in: its own address there, and which others are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lan {
    /// This node's address.
    pub address: Ipv4Addr,
    /// The bits that all addresses of the network share.
    pub mask: Ipv4Addr,
}

impl Lan {
    /// Whether an address is in it.
    #[must_use]
    pub fn has(&self, address: Ipv4Addr) -> bool {
        let network = |address: Ipv4Addr| address.to_bits() & self.mask.to_bits();
        network(address) == network(self.address)
    }
}

#[cfg(test)]
mod tests;
