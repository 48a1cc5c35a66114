//! What can be asked of a node about the mesh, and what it shows.

use std::net::{Ipv4Addr, SocketAddr};

use meshhost_core::{
    id::ModelName,
    mesh::{
        key::NodeKey,
        membership::Level,
        record::NodeState,
        share::{Share, SharedWith},
    },
};
use serde::{Deserialize, Serialize};

/// One thing asked about the mesh. It lies flat in [`super::Request::Mesh`], which has a tag of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mesh")]
pub enum MeshRequest {
    /// Begins a community, and issues a first ticket.
    Init {
        /// What people call it.
        community: String,
        /// What this node is called in it; the machine's name when absent.
        name: Option<String>,
        /// Where this node listens.
        listen: String,
    },
    /// Enters the community of a ticket.
    Join {
        /// The ticket's text.
        ticket: String,
        /// What this node is called in it; the machine's name when absent.
        name: Option<String>,
        /// Where this node listens.
        listen: String,
        /// Capabilities that every member may call here.
        shares: Vec<String>,
    },
    /// Leaves the community.
    Leave,
    /// Who is there, and what is wrong.
    Status,
    /// One member.
    Whois {
        /// Its name, or the beginning of its key.
        node: String,
    },
    /// Asks a member whether it is there.
    Ping {
        /// Its name, or the beginning of its key.
        node: String,
    },
    /// Tries every known address of every member.
    Netcheck,
    /// Issues a ticket.
    Ticket {
        /// How many nodes it lets in.
        uses: u32,
        /// For how many seconds.
        seconds: u32,
    },
    /// The tickets of this node.
    Tickets,
    /// Cancels a ticket.
    Cancel {
        /// Its name, as `Tickets` shows it.
        ticket: String,
    },
    /// Lets peers call a capability.
    Share {
        /// A capability id, or a prefix followed by `*`.
        capability: String,
        /// `member`, `trusted`, `anchor`, or a node.
        with: String,
    },
    /// Lets them no longer.
    Unshare {
        /// As it was shared.
        capability: String,
        /// As it was shared.
        with: String,
    },
    /// Says what a member is trusted with.
    Trust {
        /// Its name, or the beginning of its key.
        node: String,
        /// What it becomes.
        level: Level,
    },
    /// Revokes a member.
    Revoke {
        /// Its name, or the beginning of its key.
        node: String,
    },
    /// Takes no more calls of others, or takes them again.
    Drain {
        /// Whether it takes none.
        draining: bool,
    },
    /// Says where a member may be found.
    PeerAdd {
        /// Where.
        address: SocketAddr,
        /// Who.
        key: NodeKey,
    },
}

/// What a node answers about the mesh.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "value")]
pub enum MeshReply {
    /// A community was begun or entered.
    Entered(Box<Entered>),
    /// The node belongs to none any more.
    Left,
    /// Who is there.
    Status(Box<MeshStatus>),
    /// One member.
    Member(Box<MemberView>),
    /// A member answered.
    Pinged(Pinged),
    /// What became of every address.
    Checked(Vec<CheckedAddress>),
    /// A new ticket.
    Ticket(TicketText),
    /// The tickets of this node.
    Tickets(Vec<TicketView>),
    /// What this node shares now.
    Shares(Vec<Share>),
    /// Done.
    Done,
}

/// A community that was begun or entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// Its id.
    pub community: String,
    /// What people call it.
    pub community_name: String,
    /// This node.
    pub node: String,
    /// Its key.
    pub key: NodeKey,
    /// The key as words.
    pub fingerprint: String,
    /// Whether it is reachable for others now; else it is when it serves.
    pub serves: bool,
    /// The first ticket, of a community that was begun.
    pub ticket: Option<TicketText>,
    /// The node that let this one in, of a community that was entered.
    pub by: Option<String>,
    /// What is shared from the start.
    pub shares: Vec<Share>,
}

/// A ticket to hand over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketText {
    /// The ticket itself: whoever has it gets in.
    pub ticket: String,
    /// What it is called here.
    pub name: String,
    /// How many nodes it lets in.
    pub uses: u32,
    /// Until when, RFC 3339.
    pub expires: String,
    /// Where the joining node will look for this one.
    pub addresses: Vec<SocketAddr>,
}

/// A ticket as its issuer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketView {
    /// What it is called.
    pub name: String,
    /// How many nodes it lets in.
    pub uses: u32,
    /// Those it let in.
    pub joined: Vec<NodeKey>,
    /// Until when, RFC 3339.
    pub expires: String,
    /// Whether it still lets anybody in.
    pub usable: bool,
}

/// The mesh as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshStatus {
    /// The community's id.
    pub community: String,
    /// What people call it.
    pub community_name: String,
    /// This node's key.
    pub key: NodeKey,
    /// Whether others can connect to this node now.
    pub serves: bool,
    /// Where they find it.
    pub addresses: Vec<SocketAddr>,
    /// Everybody, this node first.
    pub members: Vec<MemberView>,
    /// What this node shares, and with whom.
    pub shares: Vec<Share>,
    /// How members are found on the local network; `None` when the configuration does not ask for it.
    pub discovery: Option<DiscoveryView>,
}

/// How members are found on the local network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveryView {
    /// The addresses of this node at which it announces itself.
    pub announced_at: Vec<Ipv4Addr>,
    /// What is wrong.
    pub problem: Option<String>,
}

/// One member as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// What it is called.
    pub name: String,
    /// Its key.
    pub key: NodeKey,
    /// The key as words.
    pub fingerprint: String,
    /// What it is trusted with.
    pub level: Level,
    /// By whose word.
    pub issuer: NodeKey,
    /// Whether it is this node.
    pub own: bool,
    /// Whether it is connected.
    pub connected: bool,
    /// Where it is, when connected; else where it was seen.
    pub addresses: Vec<SocketAddr>,
    /// What it is for, as it says.
    pub roles: Vec<String>,
    /// The version of meshhost that it runs, as it says.
    pub program: Option<String>,
    /// The version of its WebAssembly engine, as it says.
    pub engine: Option<String>,
    /// Whether it takes calls, as it says: `serving`, `draining`, `left`.
    pub state: Option<NodeState>,
    /// The models that it has loaded, as it says.
    pub models: Vec<ModelName>,
    /// How much of its GPU is in use, in thousandths, as it says; `None` without one.
    pub gpu: Option<u32>,
    /// Load of one of its processor cores, in thousandths, as it says.
    pub cpu: Option<u32>,
    /// Calls that it could start now, and runs at most at once, as it says.
    pub slots: Option<(u32, u32)>,
    /// Capabilities of it that this node may call.
    pub offers: Vec<String>,
    /// Microseconds there and back.
    pub round_trip_us: Option<u64>,
    /// Calls in flight between the two.
    pub calls: u32,
    /// What is wrong, and what to do.
    pub problem: Option<String>,
}

/// A member that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinged {
    /// Which.
    pub node: String,
    /// Microseconds there and back.
    pub round_trip_us: u64,
}

/// What became of one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedAddress {
    /// Whose.
    pub node: String,
    /// Which.
    pub address: SocketAddr,
    /// Whether the node was there.
    pub reached: bool,
    /// Microseconds until it had proved its key, when it was there; else why it was not.
    pub found: String,
}

/// With whom something is shared, before names were looked up.
#[must_use]
pub fn is_level(with: &str) -> Option<SharedWith> {
    with.parse().ok().filter(|with| matches!(with, SharedWith::Level(_)))
}
