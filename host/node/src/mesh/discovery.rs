//! Members on the local network, when the configuration asks for it: this node announces itself where it
//! listens, and dials members that it misses and hears. What is said and what is made of it stands in
//! [`meshhost_core::mesh::announce`] and [`meshhost_core::mesh::hearing`].
//!
//! What goes wrong here is said and tried again: a node without discovery is a node all the same.

mod sockets;

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use meshhost_core::mesh::{
    announce::{BYTES, Lan, Tags},
    hearing::{Hearing, Now},
    key::NodeKey,
};
use tokio::time::{Instant, sleep, sleep_until};

use self::sockets::Sockets;
use super::running::Running;
use crate::api::DiscoveryView;

/// How often this node announces itself when nothing happens.
const AGAIN: Duration = Duration::from_secs(20);
/// How often it looks whether its addresses have changed, and how long it rests after a failure.
const LOOK: Duration = Duration::from_secs(5);

/// How discovery stands; nothing when it was not asked for.
#[derive(Debug, Default)]
pub(super) struct Standing(Mutex<Option<DiscoveryView>>);

impl Standing {
    fn view_mut(&self) -> MutexGuard<'_, Option<DiscoveryView>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As a person sees it.
    pub(super) fn view(&self) -> Option<DiscoveryView> {
        self.view_mut().clone()
    }

    fn works(&self, announced_at: Vec<Ipv4Addr>) {
        *self.view_mut() = Some(DiscoveryView { announced_at, problem: None });
    }

    /// Says it once, however often it happens.
    fn failed(&self, error: &io::Error) {
        let problem = Some(error.to_string());
        let mut view = self.view_mut();
        if view.as_ref().is_none_or(|view| view.problem != problem) {
            tracing::warn!("members are not found on the local network: {error}");
        }
        *view = Some(DiscoveryView { announced_at: Vec::new(), problem });
    }
}

/// Why discovery goes on no longer as it does.
enum Over {
    /// The mesh ends.
    Closing,
    /// This node is in other networks now.
    Moved,
}

/// Announces this node and listens for others, until the mesh ends.
pub(super) async fn discover(running: Arc<Running>) {
    loop {
        let lans = running.own_lans();
        let over = match Sockets::open(&lans) {
            Ok(sockets) => discover_in(&running, &sockets, &lans).await,
            Err(error) => Err(error),
        };
        match over {
            Ok(Over::Closing) => return,
            Ok(Over::Moved) => continue,
            Err(error) => running.discovery.failed(&error),
        }
        tokio::select! {
            biased;
            () = running.closing.cancelled() => return,
            () = sleep(LOOK) => {}
        }
    }
}

/// As [`discover`], as long as this node is in these networks.
///
/// # Errors
/// When the network refuses.
async fn discover_in(running: &Running, sockets: &Sockets, lans: &[Lan]) -> io::Result<Over> {
    let tags = running.community.membership(|membership| Tags::new(membership.genesis()));
    let mut hearing = Hearing::new(tags.clone(), lans.to_vec());
    let (mut speak, mut look) = (Instant::now(), Instant::now() + LOOK);
    // One byte more shows that a datagram is too long.
    let mut bytes = [0; BYTES + 1];
    loop {
        // What comes too soon is left to the system, which drops it.
        let pause = u64::try_from(hearing.wait_us(now(running))).unwrap_or(0);
        let received = async {
            sleep(Duration::from_micros(pause)).await;
            sockets.receive(&mut bytes).await
        };
        tokio::select! {
            biased;
            () = running.closing.cancelled() => return Ok(Over::Closing),
            () = sleep_until(speak) => {
                announce(running, sockets, &tags).await?;
                speak = Instant::now() + AGAIN;
            }
            () = sleep_until(look) => {
                if running.own_lans() != lans {
                    return Ok(Over::Moved);
                }
                look = Instant::now() + LOOK;
            }
            received = received => {
                let (length, from) = received?;
                let datagram = bytes.get(..length).unwrap_or_default();
                if hear(running, &mut hearing, datagram, from) {
                    speak = Instant::now();
                }
            }
        }
    }
}

fn now(running: &Running) -> Now {
    Now { clock_us: running.clock.now_us(), steady_us: running.steady_us() }
}

async fn announce(running: &Running, sockets: &Sockets, tags: &Tags) -> io::Result<()> {
    let own = running.community.own();
    let Some(port) = running.transport.address().map(|address| address.port()) else {
        return Err(io::Error::other("the mesh does not listen"));
    };
    let now_us = running.clock.now_us();
    let said = sockets.say(port, |address| tags.announce(&own, address, now_us).to_bytes());
    running.discovery.works(said.await?);
    Ok(())
}

/// Looks at a datagram: a member that is missed and says where it is, is dialled. Whether this node is to
/// announce itself now.
fn hear(running: &Running, hearing: &mut Hearing, datagram: &[u8], from: Ipv4Addr) -> bool {
    let found = hearing.hear(datagram, from, || missed(running), now(running));
    let Some(found) = found else { return false };
    tracing::debug!(peer = %found.node.short(), address = %found.address, "it announced itself");
    running.addresses.hear(found.node, found.address.into());
    running.links.hurry(&found.node);
    running.links.touch();
    found.answer
}

/// The members that are not connected.
fn missed(running: &Running) -> Vec<NodeKey> {
    let members = running.community.membership(|it| it.members().keys().copied().collect());
    let mut missed: Vec<NodeKey> = members;
    let own = running.community.own();
    missed.retain(|key| *key != own && running.links.find(key).is_none());
    missed
}
