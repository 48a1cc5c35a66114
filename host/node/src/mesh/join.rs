//! Entering a community with a ticket: one connection to the ticket's issuer, which says how the
//! community began, who belongs to it, and that this node does now.

use std::time::Duration;

use meshhost_core::{
    code::Code,
    mesh::{
        peer::{End, Input, Output, Peer},
        ticket::Ticket,
        wire::{ControlFrame, Hello, PROTOCOL, Secret, Welcome},
    },
    outcome::Refusal,
    ports::Clock,
};

use super::transport::{Channel, Closing, DialError, Protocol, Stream, Transport};

/// How long the issuer may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What the issuer of a ticket said, and where it was.
pub(super) struct Welcomed {
    /// How the community began, and who belongs to it.
    pub(super) welcome: Welcome,
    /// Where the issuer is.
    pub(super) address: std::net::SocketAddr,
}

/// Presents a ticket to its issuer.
///
/// # Errors
/// When the issuer cannot be reached, or lets nobody in with it.
pub(super) async fn present(
    transport: &Transport,
    ticket: &Ticket,
    name: &str,
    clock: &dyn Clock,
) -> Result<Welcomed, Refusal> {
    let mut another = false;
    for address in &ticket.addresses {
        match transport.dial(*address, ticket.issuer, Protocol::Control).await {
            Ok(channel) => {
                let hello = Hello {
                    protocol: PROTOCOL,
                    community: ticket.community,
                    ticket: Some(Secret::from(ticket.secret)),
                    name: name.to_owned(),
                };
                let welcomed = tokio::time::timeout(ANSWER, greet(&channel, hello, clock)).await;
                channel.close(Closing::Leaving);
                let welcome = welcomed.map_err(|_| unreachable(ticket))??;
                return Ok(Welcomed { welcome, address: *address });
            }
            Err(error) => another |= error == DialError::AnotherNode,
        }
    }
    if another {
        let message = "at the addresses of the ticket is another node than the one that issued it";
        return Err(Refusal::new(Code::PeerRefused, message));
    }
    Err(unreachable(ticket))
}

fn unreachable(ticket: &Ticket) -> Refusal {
    let addresses: Vec<_> = ticket.addresses.iter().map(ToString::to_string).collect();
    let message = format!(
        "the node that issued the ticket answers at none of its addresses ({}); it has to run: \
         `meshhost serve`",
        addresses.join(", ")
    );
    Refusal::new(Code::PeerUnreachable, message)
}

async fn greet(channel: &Channel, hello: Hello, clock: &dyn Clock) -> Result<Welcome, Refusal> {
    let broken = || Refusal::new(Code::PeerUnreachable, "the connection broke");
    let refused = || {
        let message = "the ticket lets this node in no more: it may have expired, be used up or \
                       cancelled; ask for another";
        Refusal::new(Code::PeerRefused, message)
    };
    let Stream { mut sending, mut receiving } = channel.open().await.map_err(|_| broken())?;
    let (mut machine, mut outputs) = Peer::dial(hello, clock.now_us());
    loop {
        let mut genesis = None;
        for output in outputs {
            match output {
                Output::Send(frame) => sending.write(&frame).await.map_err(|_| broken())?,
                Output::Genesis(said) => genesis = Some(said),
                Output::Learn(statements) => {
                    if let Some(genesis) = genesis.take() {
                        return Ok(Welcome { genesis, statements });
                    }
                }
                Output::Close(End::RefusedByPeer) => return Err(refused()),
                Output::Close(_) => return Err(broken()),
                _ => {}
            }
        }
        let frame = receiving.read::<ControlFrame>().await;
        let Ok(Some(frame)) = frame else {
            return Err(if channel.refused() { refused() } else { broken() });
        };
        outputs = machine.handle(Input::Frame(frame), clock.now_us());
    }
}
