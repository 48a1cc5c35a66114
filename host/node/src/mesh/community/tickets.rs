//! Tickets of this node: issued, presented and cancelled here.

use std::net::SocketAddr;

use meshhost_core::{
    capability::Risk,
    code::Code,
    evidence::{event::EventType, fact::Facts},
    id::Digest,
    mesh::{
        key::NodeKey,
        membership::{Level, MEMBERS_MAX, Membership, is_name},
        ticket::{ADDRESSES_MAX, IssuedTicket, TICKETS_MAX, Ticket, USES_MAX},
    },
    outcome::Refusal,
};

use super::{Community, not_allowed};
use crate::entrance::Entrance;

impl Community {
    /// The tickets of this node that can still be used, or were not cleared away yet.
    pub(in crate::mesh) fn tickets(&self) -> Vec<IssuedTicket> {
        self.read().tickets.clone()
    }

    /// Issues a ticket.
    ///
    /// # Errors
    /// When this node may let nobody in, or has issued as many as it may.
    pub(in crate::mesh) async fn issue(
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
    pub(in crate::mesh) async fn cancel(
        &self,
        entrance: &Entrance,
        name: &str,
    ) -> Result<(), Refusal> {
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
    pub(in crate::mesh) async fn redeem(
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
        let entrance = Entrance::peer(&key, Vec::new(), Risk::Low);
        match self.member(&key) {
            Some(_) => Ok(true),
            None => self.say(&entrance, key, name, Some(Level::Member)).await.map(|()| true),
        }
    }
}
