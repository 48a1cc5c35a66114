//! This node's part in a mesh: it belongs to at most one community, listens for its members, dials them,
//! serves what it shares with them, and takes calls to them.
//!
//! Reading order: [`community`] is who belongs and what is shared; [`admission`] decides who is let in;
//! [`running`] is the socket and the tasks, [`links`] who is connected, [`link`] one peer,
//! [`conversation`] what is said on its control connection, [`discovery`] how members are found on the local
//! network; [`serving`] is
//! what peers ask of this node, [`calling`] what this node asks of them. [`transport`] is QUIC,
//! [`tls`] who is at the other end.

mod addresses;
mod admission;
mod borrowing;
mod calling;
mod community;
mod conversation;
mod discovery;
mod fleet;
mod handing;
mod join;
mod known;
mod lending;
mod link;
mod links;
mod listen;
mod receipts;
mod routed;
mod running;
mod serving;
mod tls;
mod transport;
mod types;
mod view;
mod warm;

use std::{
    net::SocketAddr,
    sync::{Arc, RwLock, Weak},
    time::Duration,
};

use async_trait::async_trait;
use meshhost_core::{
    code::Code,
    config::MeshConfig,
    evidence::time::Timestamp,
    id::{CapabilityId, InvocationId},
    invocation::{EntranceKind, Invocation},
    link::Callee,
    mesh::key::NodeKey,
    outcome::{CallResult, Outcome, Refusal},
    ports::Clock,
};
use meshhost_runtime::execute::ItemSender;
use serde_json::{Value, json};

#[cfg(feature = "bench")]
pub use transport::bare::Bare;
pub use warm::WarmModels;

use self::{
    addresses::Addresses,
    community::{Community, Founding, Means},
    link::Link,
    running::{Running, Settings},
    tls::Tls,
};
use crate::{
    door::{Door, Elsewhere, Placement, unwritten},
    entrance::Entrance,
    lifecycle::Lifecycle,
    registry::Served,
    store::{Store, audit::Audit, blobs::Blobs, directory::Access},
};

/// How long a command that has just started waits for the peers that it needs.
const CONNECTING: Duration = Duration::from_secs(3);

/// What a mesh is made of.
#[derive(Debug)]
pub struct Parts {
    /// The way of every call.
    pub door: Weak<Door>,
    /// Writes down what happens to the node.
    pub lifecycle: Lifecycle,
    /// Whether the node serves, or works for one command.
    pub access: Access,
    /// Where calls run.
    pub policy: MeshConfig,
    /// What this node says of its models.
    pub models: WarmModels,
}

/// This node's part in a mesh.
#[derive(Debug)]
pub struct Mesh {
    means: Means,
    seed: [u8; 32],
    own: NodeKey,
    door: Weak<Door>,
    blobs: Blobs,
    audit: Audit,
    access: Access,
    policy: MeshConfig,
    models: WarmModels,
    clock: Arc<dyn Clock>,
    /// One change at a time: begin, enter, leave, start.
    changing: tokio::sync::Mutex<()>,
    state: RwLock<State>,
}

/// The community, and the mesh while it runs.
#[derive(Debug, Default, Clone)]
struct State {
    community: Option<(Arc<Community>, Arc<Addresses>)>,
    running: Option<Arc<Running>>,
}

impl Mesh {
    /// What was kept, not running yet.
    ///
    /// # Errors
    /// When what was kept does not hold.
    pub async fn open(store: &Store, parts: Parts) -> Result<Arc<Self>, Refusal> {
        let signer = Arc::new(store.keys.node());
        let own = signer.node_key();
        let clock = Arc::clone(&parts.lifecycle.clock);
        let means = Means { signer, tables: store.mesh.clone(), lifecycle: parts.lifecycle };
        let rows = means.tables.load().await.map_err(|error| error.refusal())?;
        let community = match rows {
            Some(mut rows) => {
                let peers = std::mem::take(&mut rows.peers);
                let addresses = Addresses::new(means.tables.clone(), peers);
                let community = Community::restore(means.clone(), rows)?;
                Some((Arc::new(community), Arc::new(addresses)))
            }
            None => None,
        };
        let state = RwLock::new(State { community, running: None });
        Ok(Arc::new(Self {
            means,
            seed: store.keys.node_seed(),
            own,
            door: parts.door,
            blobs: store.blobs.clone(),
            audit: store.audit.clone(),
            access: parts.access,
            policy: parts.policy,
            models: parts.models,
            clock,
            changing: tokio::sync::Mutex::new(()),
            state,
        }))
    }

    fn state(&self) -> State {
        self.state.read().map_or_else(|poisoned| poisoned.into_inner().clone(), |it| it.clone())
    }

    fn set(&self, state: State) {
        match self.state.write() {
            Ok(mut it) => *it = state,
            Err(poisoned) => *poisoned.into_inner() = state,
        }
    }

    /// The community.
    ///
    /// # Errors
    /// [`Code::NoCommunity`].
    fn community(&self) -> Result<(Arc<Community>, Arc<Addresses>), Refusal> {
        self.state().community.ok_or_else(|| {
            let message = "this node belongs to no community: `meshhost mesh init` begins one, \
                           `meshhost mesh join < TICKET` enters one";
            Refusal::new(Code::NoCommunity, message)
        })
    }

    /// Starts to listen and to dial, when the node belongs to a community.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn serve(&self) -> Result<(), Refusal> {
        if self.state().community.is_some() {
            self.running().await?;
        }
        Ok(())
    }

    /// The mesh while it runs; it is started when it does not yet.
    async fn running(&self) -> Result<Arc<Running>, Refusal> {
        let _changing = self.changing.lock().await;
        self.start()
    }

    /// As [`Self::running`], for one who changes it.
    fn start(&self) -> Result<Arc<Running>, Refusal> {
        let state = self.state();
        if let Some(running) = state.running {
            return Ok(running);
        }
        let (community, addresses) = self.community()?;
        let address = listen::address(community.listen())?;
        let settings = self.settings(self.bound(address))?;
        let running = Running::start(Arc::clone(&community), Arc::clone(&addresses), settings)?;
        let started = Arc::clone(&running);
        self.set(State { community: Some((community, addresses)), running: Some(running) });
        Ok(started)
    }

    /// Where this process listens: a command is gone soon, and takes no address that others know.
    fn bound(&self, address: SocketAddr) -> SocketAddr {
        match self.access {
            Access::Node => address,
            Access::Command => SocketAddr::new(address.ip(), 0),
        }
    }

    fn settings(&self, address: SocketAddr) -> Result<Settings, Refusal> {
        let tls = Tls::new(&self.seed, &self.own).map_err(|error| {
            Refusal::new(Code::HostFault, format!("the node's key is of no use to TLS: {error}"))
        })?;
        let (door, clock) = (self.door.clone(), Arc::clone(&self.clock));
        let (policy, serves) = (self.policy.clone(), self.serves());
        let (tables, blobs) = (self.means.tables.clone(), self.blobs.clone());
        let (audit, models) = (self.audit.clone(), self.models.clone());
        Ok(Settings { address, tls, tables, blobs, audit, policy, models, serves, door, clock })
    }

    /// Whether others can connect to this node.
    const fn serves(&self) -> bool {
        matches!(self.access, Access::Node)
    }

    /// Begins a community.
    ///
    /// # Errors
    /// When the node belongs to one already, a name or an address is not right, or it cannot be
    /// written down.
    async fn found(&self, entrance: &Entrance, founding: Founding) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        self.belongs_to_none()?;
        self.findable(listen::address(&founding.listen)?)?;
        let community = Community::found(self.means.clone(), entrance, founding).await?;
        self.settle(community)
    }

    /// A node that does not serve yet has to say at which port it will: its tickets name it.
    fn findable(&self, address: SocketAddr) -> Result<(), Refusal> {
        if self.serves() || address.port() != 0 {
            return Ok(());
        }
        let message = "port 0 is chosen when the node serves, and a ticket has to name it: start \
                       `meshhost serve` first, or name a port";
        Err(Refusal::new(Code::MeshAddress, message))
    }

    fn belongs_to_none(&self) -> Result<(), Refusal> {
        match self.state().community {
            None => Ok(()),
            Some((community, _)) => {
                let message = format!(
                    "this node belongs to the community {} already; `meshhost mesh leave` leaves it",
                    community.membership(|it| it.name().to_owned())
                );
                Err(Refusal::new(Code::CommunityExists, message))
            }
        }
    }

    /// Takes its place in a community, and starts when the node serves.
    fn settle(&self, community: Community) -> Result<(), Refusal> {
        let addresses = Arc::new(Addresses::new(self.means.tables.clone(), Vec::new()));
        let community = Some((Arc::new(community), addresses));
        self.set(State { community, running: None });
        if self.serves() {
            self.start()?;
        }
        Ok(())
    }

    /// Leaves the community: the others are told, and everything of it is forgotten.
    ///
    /// # Errors
    /// When there is none, or it cannot be written down.
    async fn leave(&self, entrance: &Entrance) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let (community, _) = self.community()?;
        // Also a command that has just started tells those whom it reaches.
        let running = self.start().ok();
        if let Some(running) = &running {
            running.settled(CONNECTING).await;
        }
        let farewell = community.leave(entrance).await?;
        self.set(State::default());
        if let Some(running) = running {
            if let Some(farewell) = farewell {
                running.say_farewell(farewell);
            }
            running.close().await;
        }
        Ok(())
    }

    /// Ends.
    pub async fn close(&self) {
        let running = self.state().running;
        if let Some(running) = running {
            running.close().await;
        }
        self.means.tables.flush_routes().await;
    }

    /// A connected member, by name or key; a command that has just started waits for it.
    async fn connected(&self, node: &str) -> Result<(String, Arc<Link>), Refusal> {
        let (community, _) = self.community()?;
        let (key, member) = community.named(node)?;
        if key == self.own {
            let message = format!("{} is this node itself", member.name);
            return Err(Refusal::new(Code::UsageError, message));
        }
        let running = self.running().await?;
        match running.connected(&key, CONNECTING).await {
            Some(link) => Ok((member.name, link)),
            None => Err(self.unreachable(&running, &key, &member.name)),
        }
    }

    fn unreachable(&self, running: &Running, key: &NodeKey, name: &str) -> Refusal {
        if running.links.was_refused(key) {
            let message = format!("{name} does not let this node in");
            return Refusal::new(Code::PeerRefused, message);
        }
        let known = running.addresses.of(key);
        let message = if known.is_empty() {
            format!(
                "{name} is not connected, and no address of it is known; `meshhost peer add ADDRESS \
                 --key {key}` says where it is"
            )
        } else {
            format!("{name} is not connected; `meshhost mesh netcheck` tries its addresses")
        };
        Refusal::new(Code::PeerUnreachable, message)
    }

    /// Waits a moment for the receipts of calls that have just ended.
    async fn receipts_settled(&self) {
        if let Some(running) = self.state().running {
            running.receipts.settled().await;
        }
    }

    /// Where a call ran and why there, when it ran on another node; `None` for every other call.
    ///
    /// # Errors
    /// When what was kept cannot be read.
    pub async fn why(&self, invocation: &InvocationId) -> Result<Option<Value>, Refusal> {
        self.receipts_settled().await;
        let row = self.means.tables.route(invocation).await.map_err(|error| error.refusal())?;
        let Some(row) = row else { return Ok(None) };
        let at = Timestamp::from_micros(row.at_us);
        let mut explanation = vec![format!("At {at}, it was taken to other nodes: {}.", row.words)];
        explanation.push(match &row.receipt {
            Some(_) => "The node that answered signed a receipt, which is kept here.".to_owned(),
            None => "No receipt of another node is kept.".to_owned(),
        });
        let route: Value = serde_json::from_str(&row.route).unwrap_or_default();
        Ok(Some(json!({
            "invocation_id": invocation,
            "capability_id": row.capability,
            "outcome": row.outcome,
            "code": null,
            "ran_on": row.ran_on.map(|key| key.to_string()),
            "route": route,
            "receipt": row.receipt.and_then(|signed| receipts::about(&signed, invocation)),
            "explanation": explanation,
        })))
    }

    /// How a capability of another node is called, as that node says; `None` when nobody says it.
    pub async fn describe(&self, capability: &CapabilityId, node: Option<&str>) -> Option<Value> {
        if let Some(node) = node {
            let (_, link) = self.connected(node).await.ok()?;
            return calling::describe(&link, capability).await;
        }
        let running = self.running().await.ok()?;
        running.settled(CONNECTING).await;
        let wanted = capability.folded();
        let mut offered = running.known.offered(&running);
        offered.retain(|(_, one)| one.id.folded() == wanted || one.long_id.folded() == wanted);
        for (node, _) in offered {
            if let Some(link) = running.links.find(&node)
                && let Some(described) = calling::describe(&link, capability).await
            {
                return Some(described);
            }
        }
        None
    }
}

/// A result that no node gave, as a plugin may read it: which nodes there are, where, and how each of them
/// is, this node's own people are told and no guest.
fn without_names(mut result: CallResult) -> CallResult {
    let capability = &result.capability_id;
    if let Some(refusal) = result.outcome.refusal_mut() {
        tracing::debug!("a plugin's call of {capability} was not answered: {refusal}");
        let title = refusal.code.info().title;
        refusal.message = format!("no other node answered the call of {capability}: {title}");
        refusal.details = None;
    }
    result
}

#[async_trait]
impl Elsewhere for Mesh {
    fn is_own(&self, node: &str) -> bool {
        let own = self.own.to_string();
        self.community().is_ok_and(|(community, _)| community.name() == node) || own == node
    }

    fn exists(&self) -> bool {
        self.state().community.is_some_and(|(it, _)| it.membership(|it| it.members().len()) > 1)
    }

    async fn offers(&self, callee: &Callee) -> bool {
        let Ok(running) = self.running().await else { return false };
        running.settled(CONNECTING).await;
        let (wanted, versions) = (callee.capability.folded(), callee.versions());
        running.known.offered(&running).iter().any(|(_, one)| {
            (one.id.folded() == wanted || one.long_id.folded() == wanted)
                && versions.as_ref().is_none_or(|range| range.matches(&one.version))
                && (callee.type_hash.is_none() || callee.type_hash == one.type_hash)
        })
    }

    async fn is_better(
        &self,
        invocation: &Invocation,
        here: &Served,
        prefer: Option<&str>,
    ) -> bool {
        if prefer.is_some() {
            let Ok(running) = self.running().await else { return false };
            running.settled(CONNECTING).await;
            return running.known.is_better(&running, invocation, here, prefer);
        }
        // A command that has just started knows of nobody yet.
        self.state().running.is_some_and(|running| {
            running.known.is_busy(&running)
                && running.known.is_better(&running, invocation, here, None)
        })
    }

    async fn call(
        &self,
        invocation: &Arc<Invocation>,
        placement: &Placement,
        items: Option<&ItemSender>,
    ) -> CallResult {
        let called = async {
            let running = self.running().await?;
            let node = match placement {
                Placement::On(node) => {
                    // Whoever names a node waits until it is there, and is told why it is not.
                    self.connected(node).await?;
                    Some(node.as_str())
                }
                Placement::Anywhere | Placement::Rather(_) | Placement::Here => None,
            };
            running.settled(CONNECTING).await;
            let route =
                running.known.route(&running, invocation, (node, placement.preferred()), &[])?;
            Ok(routed::call(&running, invocation, route, items).await)
        };
        let result = called.await.unwrap_or_else(|refusal| {
            unwritten(invocation, Outcome::Denied(refusal), self.clock.now_us())
        });
        // What a node answered speaks of no other one.
        if invocation.entrance == EntranceKind::Component && result.node.is_none() {
            without_names(result)
        } else {
            result
        }
    }
}

#[cfg(test)]
mod tests;
