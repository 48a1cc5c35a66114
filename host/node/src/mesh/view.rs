//! What requests about the mesh are answered with.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use meshhost_core::{
    code::Code,
    evidence::time::Timestamp,
    mesh::{
        key::NodeKey,
        membership::{Level, Member, Membership},
        share::{Share, SharedWith},
        ticket::{IssuedTicket, Ticket},
    },
    outcome::Refusal,
};
use tokio::time::Instant;

use super::{
    CONNECTING, Mesh,
    community::{Community, Founding, Joining},
    join, listen,
    running::Running,
    transport::{Closing, Protocol, Transport},
};
use crate::{
    api::{
        CheckedAddress, Entered, MemberView, MeshReply, MeshRequest, MeshStatus, Pinged,
        TicketText, TicketView, is_level,
    },
    entrance::Entrance,
    sys,
};

/// How long the first ticket of a community is good for, in seconds.
const FIRST_TICKET_SECONDS: u32 = 3600;
/// How long a member may take to answer a ping.
const PING: Duration = Duration::from_secs(3);

impl Mesh {
    /// Answers a request of the operator about the mesh.
    ///
    /// # Errors
    /// As the request says.
    pub async fn handle(
        &self,
        entrance: &Entrance,
        request: MeshRequest,
    ) -> Result<MeshReply, Refusal> {
        match request {
            MeshRequest::Init { community, name, listen } => {
                let name = name.unwrap_or_else(sys::machine_name);
                self.found(entrance, Founding { community, name, listen }).await?;
                let ticket = Some(self.ticket(entrance, 1, FIRST_TICKET_SECONDS).await?);
                Ok(MeshReply::Entered(Box::new(self.entered(ticket, None)?)))
            }
            MeshRequest::Join { ticket, name, listen, shares } => {
                self.join(entrance, &ticket, name, listen, shares).await
            }
            MeshRequest::Leave => self.leave(entrance).await.map(|()| MeshReply::Left),
            MeshRequest::Status => Ok(MeshReply::Status(Box::new(self.status().await?))),
            MeshRequest::Whois { node } => {
                let (community, _) = self.community()?;
                let (key, member) = community.named(&node)?;
                let running = self.running().await?;
                Ok(MeshReply::Member(Box::new(member_view(&running, key, &member))))
            }
            MeshRequest::Ping { node } => self.ping(&node).await.map(MeshReply::Pinged),
            MeshRequest::Netcheck => self.netcheck().await.map(MeshReply::Checked),
            MeshRequest::Ticket { uses, seconds } => {
                self.ticket(entrance, uses, seconds).await.map(MeshReply::Ticket)
            }
            MeshRequest::Tickets => {
                let (community, _) = self.community()?;
                let now_us = self.clock.now_us();
                let views = community.tickets().iter().map(|it| ticket_view(it, now_us)).collect();
                Ok(MeshReply::Tickets(views))
            }
            MeshRequest::Cancel { ticket } => {
                let (community, _) = self.community()?;
                community.cancel(entrance, &ticket).await.map(|()| MeshReply::Done)
            }
            request => self.change(entrance, request).await,
        }
    }

    /// The requests that say something of members and shares.
    async fn change(
        &self,
        entrance: &Entrance,
        request: MeshRequest,
    ) -> Result<MeshReply, Refusal> {
        let (community, addresses) = self.community()?;
        match request {
            MeshRequest::Share { capability, with } => {
                let share = share(&community, capability, &with)?;
                community.share(entrance, share).await?;
                Ok(MeshReply::Shares(community.shares()))
            }
            MeshRequest::Unshare { capability, with } => {
                let share = share(&community, capability, &with)?;
                community.unshare(entrance, &share).await?;
                Ok(MeshReply::Shares(community.shares()))
            }
            MeshRequest::Trust { node, level } => {
                let (key, member) = community.named(&node)?;
                community.say(entrance, key, &member.name, Some(level)).await?;
                Ok(MeshReply::Done)
            }
            MeshRequest::Revoke { node } => {
                let (key, member) = community.named(&node)?;
                community.say(entrance, key, &member.name, None).await?;
                if let Some(running) = self.state().running
                    && let Some(link) = running.links.find(&key)
                {
                    link.close(Closing::Refused);
                }
                Ok(MeshReply::Done)
            }
            MeshRequest::Drain { draining } => {
                if !self.serves() {
                    let message = "this node does not serve: nobody calls it";
                    return Err(Refusal::new(Code::UsageError, message));
                }
                self.running().await?.drain(draining);
                Ok(MeshReply::Done)
            }
            MeshRequest::PeerAdd { address, key } => {
                if community.member(&key).is_none() {
                    let message = "no member has this key; an address gives nobody a right";
                    return Err(Refusal::new(Code::NotFound, message));
                }
                addresses.note(key, &[address], 0).await;
                if let Some(running) = self.state().running {
                    running.links.hurry(&key);
                    running.links.touch();
                }
                Ok(MeshReply::Done)
            }
            _ => Err(Refusal::new(Code::HostFault, "the request took a wrong turn")),
        }
    }

    async fn join(
        &self,
        entrance: &Entrance,
        ticket: &str,
        name: Option<String>,
        listen: String,
        shares: Vec<String>,
    ) -> Result<MeshReply, Refusal> {
        let ticket: Ticket =
            ticket.parse().map_err(|error: meshhost_core::mesh::ticket::NoTicket| {
                Refusal::new(Code::TicketInvalid, error.to_string())
            })?;
        let name = name.unwrap_or_else(sys::machine_name);
        super::community::check_name("node", &name)?;
        let address = listen::address(&listen)?;
        let shares = shares.into_iter().map(|capability| {
            check_pattern(&capability)?;
            Ok(Share { capability, with: SharedWith::Level(Level::Member) })
        });
        let shares = shares.collect::<Result<Vec<_>, Refusal>>()?;
        let _changing = self.changing.lock().await;
        self.belongs_to_none()?;
        let dialler = self.settings(SocketAddr::new(address.ip(), 0))?;
        let transport = Transport::bind(dialler.address, dialler.tls)?;
        let welcomed = join::present(&transport, &ticket, &name, &*self.clock).await;
        transport.close().await;
        let join::Welcomed { welcome, address } = welcomed?;
        let said = (welcome.genesis, welcome.statements);
        let joining = Joining { community: ticket.community, name, listen, shares };
        let community = Community::enter(self.means.clone(), entrance, said, joining).await?;
        let by = community.member(&ticket.issuer).map(|member| member.name);
        self.settle(community)?;
        let (_, addresses) = self.community()?;
        addresses.note(ticket.issuer, &[address], 0).await;
        if let Some(running) = self.state().running {
            running.links.touch();
        }
        Ok(MeshReply::Entered(Box::new(self.entered(None, by)?)))
    }

    fn entered(&self, ticket: Option<TicketText>, by: Option<String>) -> Result<Entered, Refusal> {
        let (community, _) = self.community()?;
        let (id, community_name) =
            community.membership(|it| (it.community().to_string(), it.name().to_owned()));
        Ok(Entered {
            community: id,
            community_name,
            node: community.name().to_owned(),
            key: self.own,
            fingerprint: self.own.fingerprint(),
            serves: self.serves(),
            ticket,
            by,
            shares: community.shares(),
        })
    }

    /// Issues a ticket with the addresses at which this node can be found.
    async fn ticket(
        &self,
        entrance: &Entrance,
        uses: u32,
        seconds: u32,
    ) -> Result<TicketText, Refusal> {
        let (community, _) = self.community()?;
        let addresses = match (self.serves(), self.state().running) {
            (true, Some(running)) => running.own_addresses(),
            _ => {
                let address = listen::address(community.listen())?;
                self.findable(address)?;
                listen::reachable_at(address)
            }
        };
        let ticket = community.issue(entrance, (uses, seconds), addresses).await?;
        let issued = community.tickets();
        let name = issued.last().map(IssuedTicket::name).unwrap_or_default();
        Ok(TicketText {
            ticket: ticket.to_string(),
            name,
            uses,
            expires: Timestamp::from_micros(ticket.expires_us).to_string(),
            addresses: ticket.addresses,
        })
    }

    async fn status(&self) -> Result<MeshStatus, Refusal> {
        let running = self.running().await?;
        running.settled(CONNECTING).await;
        let community = &running.community;
        let (id, community_name) =
            community.membership(|it| (it.community().to_string(), it.name().to_owned()));
        let members: BTreeMap<_, _> = community.membership(|it: &Membership| it.members().clone());
        let mut members: Vec<_> =
            members.iter().map(|(key, member)| member_view(&running, *key, member)).collect();
        members.sort_by(|one, other| (!one.own, &one.name).cmp(&(!other.own, &other.name)));
        Ok(MeshStatus {
            community: id,
            community_name,
            key: self.own,
            serves: self.serves(),
            addresses: if self.serves() { running.own_addresses() } else { Vec::new() },
            members,
            shares: community.shares(),
            discovery: running.discovery.view(),
        })
    }

    async fn ping(&self, node: &str) -> Result<Pinged, Refusal> {
        let (name, link) = self.connected(node).await?;
        let Some(round_trip) = link.ping(PING).await else {
            let message = format!("{name} is connected and does not answer");
            return Err(Refusal::new(Code::PeerUnreachable, message));
        };
        let round_trip_us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
        Ok(Pinged { node: name, round_trip_us })
    }

    async fn netcheck(&self) -> Result<Vec<CheckedAddress>, Refusal> {
        let running = self.running().await?;
        let members: BTreeMap<_, _> =
            running.community.membership(|it: &Membership| it.members().clone());
        let mut checked = Vec::new();
        for (key, member) in members.iter().filter(|(key, _)| **key != self.own) {
            for address in running.addresses.of(key) {
                checked.push(check(&running, *key, &member.name, address).await);
            }
        }
        Ok(checked)
    }
}

async fn check(running: &Running, key: NodeKey, name: &str, address: SocketAddr) -> CheckedAddress {
    let before = Instant::now();
    let dialled = running.transport.dial(address, key, Protocol::Control).await;
    let (reached, found) = match dialled {
        Ok(channel) => {
            channel.close(Closing::Leaving);
            (true, format!("{:.1} ms", before.elapsed().as_secs_f64() * 1000.0))
        }
        Err(error) => (false, error.to_string()),
    };
    CheckedAddress { node: name.to_owned(), address, reached, found }
}

fn member_view(running: &Running, key: NodeKey, member: &Member) -> MemberView {
    let own = key == running.community.own();
    let link = running.links.find(&key);
    let addresses = match &link {
        Some(link) => vec![link.address()],
        None if own => running.own_addresses(),
        None => running.addresses.of(&key),
    };
    let problem = match &link {
        _ if own => None,
        Some(_) => None,
        None if running.links.was_refused(&key) => Some("it does not let this node in".to_owned()),
        None if addresses.is_empty() => {
            Some("no address is known: `meshhost peer add ADDRESS --key KEY`".to_owned())
        }
        None => Some("it does not answer: `meshhost mesh netcheck`".to_owned()),
    };
    let us = |link: &std::sync::Arc<super::Link>| {
        u64::try_from(link.round_trip().as_micros()).unwrap_or(u64::MAX)
    };
    let record = running.known.record(running, &key);
    let said = record.as_ref();
    let offers = running.known.offered(running).into_iter();
    let offers = offers.filter(|(node, _)| *node == key).map(|(_, one)| one.id.to_string());
    MemberView {
        roles: said.map(|record| record.roles.clone()).unwrap_or_default(),
        program: said.map(|record| record.program.to_string()),
        engine: said.map(|record| record.engine.to_string()),
        state: said.map(|record| record.state),
        models: said.map(|record| record.models.clone()).unwrap_or_default(),
        gpu: said.and_then(|record| record.load.gpu),
        cpu: said.and_then(|record| record.load.cpu),
        slots: said.map(|record| (record.load.slots_free, record.load.slots)),
        offers: offers.collect(),
        name: member.name.clone(),
        key,
        fingerprint: key.fingerprint(),
        level: member.level,
        issuer: member.issuer,
        own,
        connected: link.is_some(),
        addresses,
        round_trip_us: link.as_ref().map(us),
        calls: link.as_ref().map_or(0, |link| link.calls_in_flight()),
        problem,
    }
}

fn ticket_view(ticket: &IssuedTicket, now_us: i64) -> TicketView {
    let used = u32::try_from(ticket.joined.len()).unwrap_or(u32::MAX);
    TicketView {
        name: ticket.name(),
        uses: ticket.uses,
        joined: ticket.joined.clone(),
        expires: Timestamp::from_micros(ticket.expires_us).to_string(),
        usable: now_us < ticket.expires_us && used < ticket.uses,
    }
}

/// A share as it is kept: nodes by their keys.
fn share(community: &Community, capability: String, with: &str) -> Result<Share, Refusal> {
    check_pattern(&capability)?;
    let with = match is_level(with) {
        Some(level) => level,
        None => SharedWith::Peer(community.named(with)?.0),
    };
    Ok(Share { capability, with })
}

/// A capability id, or the beginning of one and `*`.
fn check_pattern(pattern: &str) -> Result<(), Refusal> {
    let id = pattern.strip_suffix('*').unwrap_or(pattern);
    let fits =
        (id.is_empty() && pattern == "*") || id.parse::<meshhost_core::id::CapabilityId>().is_ok();
    if fits {
        return Ok(());
    }
    let message = format!(
        "{pattern:?} is no capability: write an id such as ocr.recognize, or ocr.* for all of them"
    );
    Err(Refusal::new(Code::UsageError, message))
}
