//! The community that this node belongs to, as the node knows it now: who is in it, what this node
//! shares with them, which tickets it issued. Every change is kept, and written down as evidence,
//! before it counts.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use meshhost_core::{
    code::Code,
    evidence::{event::EventType, fact::Facts, sign::Signer},
    id::Digest,
    mesh::{
        key::NodeKey,
        membership::{Genesis, Level, MEMBERS_MAX, Member, MemberStatement, Membership, is_name},
        share::{SHARES_MAX, Share, SharedWith, shared_with},
        signed::{Signed, Statement},
        ticket::{ADDRESSES_MAX, IssuedTicket, TICKETS_MAX, Ticket, USES_MAX},
    },
    outcome::Refusal,
};
use tokio::sync::watch;

use crate::{
    entrance::Entrance,
    lifecycle::Lifecycle,
    store::mesh::{CommunityRow, MeshRows, MeshTables, PeerRow},
};

/// The community of this node.
#[derive(Debug)]
pub(super) struct Community {
    signer: Arc<Signer>,
    own: NodeKey,
    name: String,
    listen: String,
    tables: MeshTables,
    lifecycle: Lifecycle,
    state: RwLock<State>,
    /// One change at a time: what is decided on must still hold when it is kept.
    changing: tokio::sync::Mutex<()>,
    /// Counts changes of who belongs and of what is shared.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    membership: Membership,
    shares: Vec<Share>,
    tickets: Vec<IssuedTicket>,
}

/// What a community is made with.
#[derive(Debug)]
pub(super) struct Founding {
    /// What people call it.
    pub(super) community: String,
    /// What this node is called in it.
    pub(super) name: String,
    /// Where this node listens, as the operator wrote it.
    pub(super) listen: String,
}

/// What the parts of a community need of the node.
#[derive(Debug, Clone)]
pub(super) struct Means {
    /// Signs what this node says.
    pub(super) signer: Arc<Signer>,
    /// Keeps it.
    pub(super) tables: MeshTables,
    /// Writes it down.
    pub(super) lifecycle: Lifecycle,
}

impl Community {
    /// The community that was kept.
    ///
    /// # Errors
    /// When what was kept does not hold.
    pub(super) fn restore(means: Means, rows: MeshRows) -> Result<Self, Refusal> {
        let membership = Membership::new(rows.community.genesis.clone());
        let mut membership = membership.map_err(|error| damaged(&error))?;
        membership.learn(rows.statements);
        let state = State { membership, shares: rows.shares, tickets: rows.tickets };
        Ok(Self::with(means, rows.community.name, rows.community.listen, state))
    }

    fn with(means: Means, name: String, listen: String, state: State) -> Self {
        let Means { signer, tables, lifecycle } = means;
        let own = signer.node_key();
        let (state, changing) = (RwLock::new(state), tokio::sync::Mutex::new(()));
        let changes = watch::Sender::new(0);
        Self { signer, own, name, listen, tables, lifecycle, state, changing, changes }
    }

    /// Begins a community.
    ///
    /// # Errors
    /// When a name is none, or it cannot be written down.
    pub(super) async fn found(
        means: Means,
        entrance: &Entrance,
        founding: Founding,
    ) -> Result<Self, Refusal> {
        check_name("community", &founding.community)?;
        check_name("node", &founding.name)?;
        let lifecycle = &means.lifecycle;
        let mut random = [0; 16];
        lifecycle.entropy.fill(&mut random);
        let genesis = Genesis {
            name: founding.community,
            founder: means.signer.node_key(),
            founder_name: founding.name.clone(),
            made_us: lifecycle.clock.now_us(),
            random,
        };
        let genesis = Signed::sign(&genesis, &means.signer).map_err(|error| damaged(&error))?;
        let membership = Membership::new(genesis.clone()).map_err(|error| damaged(&error))?;
        let facts = Facts::new()
            .text("community", membership.community().to_string())
            .text("name", membership.name().to_owned());
        lifecycle.record(entrance, EventType::CommunityFounded, facts).await?;
        let row =
            CommunityRow { genesis, name: founding.name.clone(), listen: founding.listen.clone() };
        means.tables.enter(&row, &[], &[]).await.map_err(|error| error.refusal())?;
        let state = State { membership, shares: Vec::new(), tickets: Vec::new() };
        Ok(Self::with(means, founding.name, founding.listen, state))
    }

    /// Enters a community by the word of one of its members.
    ///
    /// # Errors
    /// When what it said does not hold, or it cannot be written down.
    pub(super) async fn enter(
        means: Means,
        entrance: &Entrance,
        (genesis, statements): (Signed<Genesis>, Vec<Signed<MemberStatement>>),
        joining: Joining,
    ) -> Result<Self, Refusal> {
        let Joining { community, name, listen, shares } = joining;
        let refused = |text: &str| Refusal::new(Code::PeerProtocol, text.to_owned());
        let membership = Membership::new(genesis.clone());
        let mut membership = membership.map_err(|error| refused(&error.to_string()))?;
        if membership.community() != community {
            return Err(refused(
                "the node that issued the ticket belongs to another community now",
            ));
        }
        membership.learn(statements);
        if membership.member(&means.signer.node_key()).is_none() {
            return Err(refused("the node that issued the ticket said nothing that lets this in"));
        }
        let facts = Facts::new()
            .text("community", community.to_string())
            .text("name", membership.name().to_owned())
            .texts("shares", shares.iter().map(said).collect());
        means.lifecycle.record(entrance, EventType::CommunityJoined, facts).await?;
        let row = CommunityRow { genesis, name: name.clone(), listen: listen.clone() };
        let kept: Vec<_> = membership.statements().cloned().collect();
        means.tables.enter(&row, &kept, &shares).await.map_err(|error| error.refusal())?;
        let state = State { membership, shares, tickets: Vec::new() };
        Ok(Self::with(means, name, listen, state))
    }

    /// This node's key.
    pub(super) const fn own(&self) -> NodeKey {
        self.own
    }

    /// What this node is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where this node listens, as the operator wrote it.
    pub(super) fn listen(&self) -> &str {
        &self.listen
    }

    /// The number of changes so far, to wait for the next.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at who belongs to it.
    pub(super) fn membership<T>(&self, look: impl FnOnce(&Membership) -> T) -> T {
        look(&self.read().membership)
    }

    /// A member; `None` for a stranger.
    pub(super) fn member(&self, key: &NodeKey) -> Option<Member> {
        self.read().membership.member(key).cloned()
    }

    /// What is shared.
    pub(super) fn shares(&self) -> Vec<Share> {
        self.read().shares.clone()
    }

    /// What a peer may call here; `None` for a stranger.
    pub(super) fn shared_with(&self, peer: &NodeKey) -> Option<Vec<String>> {
        let state = self.read();
        let member = state.membership.member(peer)?;
        Some(shared_with(&state.shares, peer, member))
    }

    /// The tickets of this node that can still be used, or were not cleared away yet.
    pub(super) fn tickets(&self) -> Vec<IssuedTicket> {
        self.read().tickets.clone()
    }

    /// The member that a person means: by its name or the beginning of its key.
    ///
    /// # Errors
    /// When nobody is called so, or several are.
    pub(super) fn named(&self, wanted: &str) -> Result<(NodeKey, Member), Refusal> {
        let state = self.read();
        let fits = |(key, member): &(&NodeKey, &Member)| {
            member.name == wanted || (wanted.len() >= 4 && key.to_string().starts_with(wanted))
        };
        let mut found = state.membership.members().iter().filter(fits);
        match (found.next(), found.next()) {
            (Some((key, member)), None) => Ok((*key, member.clone())),
            (None, _) => Err(Refusal::new(
                Code::NotFound,
                format!("no member is called {wanted}; `meshhost mesh status` lists all"),
            )),
            (Some(_), Some(_)) => Err(Refusal::new(
                Code::UsageError,
                format!("several members are called {wanted}: name one by its key"),
            )),
        }
    }

    /// Signs something that this node says; `None` when it is too long.
    pub(super) fn sign<T: Statement>(&self, statement: &T) -> Option<Signed<T>> {
        Signed::sign(statement, &self.signer).ok()
    }

    /// Takes in what others signed. Answers how much was new.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub(super) async fn learn(
        &self,
        heard: Vec<Signed<MemberStatement>>,
    ) -> Result<usize, Refusal> {
        let _changing = self.changing.lock().await;
        let mut membership = self.membership(Membership::clone);
        let (learnt, refused) = membership.learn(heard);
        if let Some(refused) = refused {
            tracing::debug!("a statement about a member was not taken: {refused}");
        }
        if learnt > 0 {
            let kept: Vec<_> = membership.statements().cloned().collect();
            self.tables.save(&kept).await.map_err(|error| error.refusal())?;
            self.set(|state| state.membership = membership);
        }
        Ok(learnt)
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|count| *count += 1);
    }

    /// Issues a ticket.
    ///
    /// # Errors
    /// When this node may let nobody in, or has issued as many as it may.
    pub(super) async fn issue(
        &self,
        entrance: &Entrance,
        (uses, seconds): (u32, u32),
        addresses: Vec<SocketAddr>,
    ) -> Result<Ticket, Refusal> {
        let _changing = self.changing.lock().await;
        let now_us = self.lifecycle.clock.now_us();
        let may = self.membership(|membership| {
            membership.member(&self.own).is_some_and(|member| member.level >= Level::Trusted)
        });
        if !may {
            return Err(not_allowed(
                "a member lets nobody in; ask for a ticket where an anchor is",
            ));
        }
        let mut tickets = self.tickets();
        for old in tickets.extract_if(.., |ticket| ticket.expires_us <= now_us) {
            self.tables.remove_ticket(&old).await.map_err(|error| error.refusal())?;
        }
        if tickets.len() >= TICKETS_MAX || uses == 0 || uses > USES_MAX {
            let message =
                format!("a node has at most {TICKETS_MAX} tickets, each of 1 to {USES_MAX} uses");
            return Err(Refusal::new(Code::UsageError, message));
        }
        let mut secret = [0; 32];
        self.lifecycle.entropy.fill(&mut secret);
        let expires_us = now_us.saturating_add(i64::from(seconds) * 1_000_000);
        let issued =
            IssuedTicket { secret: Digest::of(&secret), expires_us, uses, joined: Vec::new() };
        let facts = Facts::new().text("ticket", issued.name()).count("uses", uses.into());
        self.lifecycle.record(entrance, EventType::TicketIssued, facts).await?;
        self.tables.save_ticket(&issued).await.map_err(|error| error.refusal())?;
        tickets.push(issued);
        self.set(|state| state.tickets = tickets);
        let addresses = addresses.into_iter().take(ADDRESSES_MAX).collect();
        let community = self.membership(Membership::community);
        Ok(Ticket { community, issuer: self.own, addresses, expires_us, secret })
    }

    /// Cancels a ticket.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(super) async fn cancel(&self, entrance: &Entrance, name: &str) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let mut tickets = self.tickets();
        let Some(at) = tickets.iter().position(|ticket| ticket.name() == name) else {
            let message = format!("there is no ticket {name}; `meshhost mesh tickets` lists all");
            return Err(Refusal::new(Code::NotFound, message));
        };
        let ticket = tickets.remove(at);
        let facts = Facts::new().text("ticket", ticket.name());
        self.lifecycle.record(entrance, EventType::TicketCancelled, facts).await?;
        self.tables.remove_ticket(&ticket).await.map_err(|error| error.refusal())?;
        self.set(|state| state.tickets = tickets);
        Ok(())
    }

    /// Lets in whoever presents a ticket's secret. `None` when nothing lets it in; it is told no
    /// more than that.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub(super) async fn redeem(
        &self,
        secret: &[u8; 32],
        key: NodeKey,
        name: &str,
    ) -> Result<bool, Refusal> {
        let changing = self.changing.lock().await;
        let digest = Digest::of(secret);
        let now_us = self.lifecycle.clock.now_us();
        let mut tickets = self.tickets();
        let Some(ticket) = tickets.iter_mut().find(|ticket| ticket.secret == digest) else {
            return Ok(false);
        };
        let fits = is_name(name) && self.membership(|it| it.members().len()) < MEMBERS_MAX;
        if !fits || ticket.admit(key, now_us).is_err() {
            return Ok(false);
        }
        let ticket = ticket.clone();
        self.tables.save_ticket(&ticket).await.map_err(|error| error.refusal())?;
        self.set(|state| state.tickets = tickets);
        drop(changing);
        let entrance = Entrance::peer(&key, Vec::new(), meshhost_core::capability::Risk::Low);
        match self.member(&key) {
            Some(_) => Ok(true),
            None => self.say(&entrance, key, name, Some(Level::Member)).await.map(|()| true),
        }
    }

    /// Says what another node is in the community; `None` revokes it.
    ///
    /// # Errors
    /// When this node may not say that, or it cannot be written down.
    pub(super) async fn say(
        &self,
        entrance: &Entrance,
        member: NodeKey,
        name: &str,
        level: Option<Level>,
    ) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let mut membership = self.membership(Membership::clone);
        if !membership.may_say(&self.own, &member, level) {
            return Err(not_allowed("this node may not say that of that member"));
        }
        let statement = MemberStatement {
            community: membership.community(),
            member,
            name: name.to_owned(),
            level,
            version: membership.next_version(&member),
            issued_us: self.lifecycle.clock.now_us(),
            issuer: self.own,
        };
        let signed = Signed::sign(&statement, &self.signer).map_err(|error| damaged(&error))?;
        let word = level.map_or("revoked", Level::word);
        let facts = Facts::new().text("member", member.to_string()).text("level", word);
        self.lifecycle.record(entrance, EventType::MemberStated, facts).await?;
        if let (_, Some(refused)) = membership.learn([signed]) {
            return Err(not_allowed(&refused.to_string()));
        }
        let kept: Vec<_> = membership.statements().cloned().collect();
        self.tables.save(&kept).await.map_err(|error| error.refusal())?;
        self.set(|state| state.membership = membership);
        Ok(())
    }

    /// Shares a capability.
    ///
    /// # Errors
    /// When too much is shared, or it cannot be written down.
    pub(super) async fn share(&self, entrance: &Entrance, share: Share) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let mut shares = self.shares();
        if shares.contains(&share) {
            return Ok(());
        }
        if shares.len() >= SHARES_MAX {
            let message = format!("a node has at most {SHARES_MAX} shares");
            return Err(Refusal::new(Code::UsageError, message));
        }
        let event = EventType::CapabilityShared;
        self.lifecycle.record(entrance, event, share_facts(&share)).await?;
        self.tables.share(&share).await.map_err(|error| error.refusal())?;
        shares.push(share);
        self.set(|state| state.shares = shares);
        Ok(())
    }

    /// Shares something no longer.
    ///
    /// # Errors
    /// When it is not shared, or it cannot be written down.
    pub(super) async fn unshare(&self, entrance: &Entrance, share: &Share) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let mut shares = self.shares();
        if !shares.contains(share) {
            let message = format!("{} is not shared", said(share));
            return Err(Refusal::new(Code::NotFound, message));
        }
        let event = EventType::CapabilityUnshared;
        self.lifecycle.record(entrance, event, share_facts(share)).await?;
        self.tables.unshare(share).await.map_err(|error| error.refusal())?;
        shares.retain(|one| one != share);
        self.set(|state| state.shares = shares);
        Ok(())
    }

    /// Leaves: the others are told by a statement of this node's own, when it can be made.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub(super) async fn leave(
        &self,
        entrance: &Entrance,
    ) -> Result<Option<Signed<MemberStatement>>, Refusal> {
        let _changing = self.changing.lock().await;
        let community = self.membership(Membership::community);
        let facts = Facts::new().text("community", community.to_string());
        self.lifecycle.record(entrance, EventType::CommunityLeft, facts).await?;
        self.tables.leave().await.map_err(|error| error.refusal())?;
        let farewell = self.membership(|membership| MemberStatement {
            community,
            member: self.own,
            name: self.name.clone(),
            level: None,
            version: membership.next_version(&self.own),
            issued_us: self.lifecycle.clock.now_us(),
            issuer: self.own,
        });
        Ok(Signed::sign(&farewell, &self.signer).ok())
    }
}

/// What a node joins with.
#[derive(Debug)]
pub(super) struct Joining {
    /// The community that the ticket is for.
    pub(super) community: Digest,
    /// What this node is called in it.
    pub(super) name: String,
    /// Where this node listens, as the operator wrote it.
    pub(super) listen: String,
    /// What it shares from the start.
    pub(super) shares: Vec<Share>,
}

/// Where peers were seen, kept for the next start.
#[derive(Debug)]
pub(super) struct Addresses {
    tables: MeshTables,
    known: Mutex<BTreeMap<NodeKey, PeerRow>>,
}

impl Addresses {
    /// What was kept.
    pub(super) fn new(tables: MeshTables, rows: Vec<PeerRow>) -> Self {
        let known = rows.into_iter().map(|row| (row.peer, row)).collect();
        Self { tables, known: Mutex::new(known) }
    }

    /// Where a peer may be, the best first.
    pub(super) fn of(&self, peer: &NodeKey) -> Vec<SocketAddr> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(peer).map(|row| row.addresses.clone()).unwrap_or_default()
    }

    /// Notes where a peer is or says to be; the first is the best.
    pub(super) async fn note(&self, peer: NodeKey, addresses: &[SocketAddr], seen_us: i64) {
        let row = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let row = known.entry(peer).or_insert_with(|| PeerRow {
                peer,
                addresses: Vec::new(),
                seen_us: 0,
            });
            let mut all = addresses.to_vec();
            all.extend(row.addresses.iter().filter(|old| !addresses.contains(old)));
            all.truncate(ADDRESSES_MAX);
            if all == row.addresses && seen_us <= row.seen_us {
                return;
            }
            *row = PeerRow { peer, addresses: all, seen_us: row.seen_us.max(seen_us) };
            row.clone()
        };
        if let Err(error) = self.tables.save_peer(&row).await {
            tracing::debug!("where a peer is was not kept: {error}");
        }
    }
}

fn share_facts(share: &Share) -> Facts {
    Facts::new()
        .text("capability", share.capability.clone())
        .text("shared_with", share.with.to_string())
}

fn said(share: &Share) -> String {
    match share.with {
        SharedWith::Level(level) => format!("{} with every {}", share.capability, level.word()),
        SharedWith::Peer(key) => format!("{} with {}", share.capability, key.short()),
    }
}

/// Whether a name can stand in tables and on command lines.
///
/// # Errors
/// Says what a name is made of.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    if is_name(name) {
        return Ok(());
    }
    let message = format!(
        "the name of a {what} has 1 to 64 letters, digits, `-`, `_` or `.`; give one with --name"
    );
    Err(Refusal::new(Code::UsageError, message))
}

fn not_allowed(text: &str) -> Refusal {
    Refusal::new(Code::MeshNotAllowed, text.to_owned())
}

fn damaged(error: &dyn std::fmt::Display) -> Refusal {
    let message = format!("what is kept of the community does not hold: {error}");
    Refusal::new(Code::StoreFault, message)
}
