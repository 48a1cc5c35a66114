//! The community that this node belongs to, as the node knows it now: who is in it, what this node
//! shares with them, which tickets it issued. Every change is kept, and written down as evidence,
//! before it counts.

mod begin;
mod tickets;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use meshhost_core::{
    code::Code,
    evidence::{event::EventType, fact::Facts, sign::Signer},
    mesh::{
        checks::Checks,
        key::NodeKey,
        membership::{Level, Member, MemberStatement, Membership, MembershipError, is_name},
        share::{SHARES_MAX, Share, SharedWith, shared_with},
        signed::{Signed, Statement},
        ticket::IssuedTicket,
    },
    outcome::Refusal,
};
use tokio::sync::watch;

use crate::{
    blocking,
    entrance::Entrance,
    lifecycle::Lifecycle,
    store::mesh::{MeshRows, MeshTables},
};

pub(super) use begin::{Founding, Joining};

/// Statements that are checked where they came; more are on a thread of their own.
const AT_ONCE: usize = 32;

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
    /// How many signatures of statements are checked of what each peer sends.
    checks: Mutex<Checks>,
    /// Counts changes of who belongs and of what is shared.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    membership: Membership,
    shares: Vec<Share>,
    tickets: Vec<IssuedTicket>,
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
        let checks = Mutex::new(Checks::none());
        Self { signer, own, name, listen, tables, lifecycle, state, changing, checks, changes }
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

    /// Takes in what others signed and the peer `from` sent now, at `steady_us` of a clock that never goes
    /// back. `false` when that is more than is checked of one peer; the rest was not looked at.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub(super) async fn learn(
        &self,
        (from, steady_us): (NodeKey, i64),
        heard: Vec<Signed<MemberStatement>>,
    ) -> Result<bool, Refusal> {
        let _changing = self.changing.lock().await;
        let mut membership = self.membership(Membership::clone);
        let mut pace = *self.checks().of(&from, &membership);
        let few = heard.len() <= AT_ONCE;
        let read = move || {
            let learnt = membership.learn_within(heard, || pace.take(steady_us));
            Ok((membership, pace, learnt))
        };
        let (membership, pace, (learnt, refused)) = blocking::unless_small(few, read).await?;
        *self.checks().of(&from, &membership) = pace;
        if let Some(refused) = refused {
            tracing::debug!("a statement about a member was not taken: {refused}");
        }
        if learnt > 0 {
            let kept: Vec<_> = membership.statements().cloned().collect();
            self.tables.save(&kept).await.map_err(|error| error.refusal())?;
            self.set(|state| state.membership = membership);
        }
        Ok(refused != Some(MembershipError::Pace))
    }

    fn checks(&self) -> MutexGuard<'_, Checks> {
        // Nothing panics while it holds the lock.
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|count| *count += 1);
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
