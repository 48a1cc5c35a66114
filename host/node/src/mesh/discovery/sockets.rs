//! The sockets of discovery: one that hears the group, and in each network one that speaks to it. The only
//! module that names socket2.
//!
//! Several nodes of one machine hear the group at once: the system gives each its own copy.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
};

use meshhost_core::mesh::announce::{BYTES, GROUP, Lan};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// What one node speaks and hears with.
#[derive(Debug)]
pub(super) struct Sockets {
    hears: UdpSocket,
    speaks: Vec<(Ipv4Addr, UdpSocket)>,
}

impl Sockets {
    /// Joins the group in these networks.
    ///
    /// # Errors
    /// When it can be joined in none of them.
    pub(super) fn open(lans: &[Lan]) -> io::Result<Self> {
        let hears = hearing()?;
        let (mut speaks, mut refused) = (Vec::new(), None);
        for lan in lans {
            match join(&hears, lan.address).and_then(|()| speaking(lan.address)) {
                Ok(socket) => speaks.push((lan.address, socket)),
                Err(error) => refused = Some(error),
            }
        }
        if speaks.is_empty() {
            let none = "this node listens at no IPv4 address of a network";
            return Err(refused.unwrap_or_else(|| io::Error::other(none)));
        }
        Ok(Self { hears: UdpSocket::from_std(hears.into())?, speaks })
    }

    /// The next datagram: how much of it is in `bytes`, and who sent it.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) async fn receive(&self, bytes: &mut [u8]) -> io::Result<(usize, Ipv4Addr)> {
        let (length, from) = self.hears.recv_from(bytes).await?;
        match from.ip() {
            IpAddr::V4(from) => Ok((length, from)),
            IpAddr::V6(_) => Err(io::Error::other("a datagram of IPv6 at a socket of IPv4")),
        }
    }

    /// Says in each network what is to be said by one who listens there at this port. Answers where it was
    /// said.
    ///
    /// # Errors
    /// When it could be said in none of them.
    pub(super) async fn say(
        &self,
        port: u16,
        what: impl Fn(SocketAddrV4) -> [u8; BYTES],
    ) -> io::Result<Vec<Ipv4Addr>> {
        let (mut said, mut refused) = (Vec::new(), None);
        for (address, socket) in &self.speaks {
            let bytes = what(SocketAddrV4::new(*address, port));
            match socket.send_to(&bytes, SocketAddr::V4(GROUP)).await {
                Ok(_) => said.push(*address),
                Err(error) => {
                    tracing::debug!(%address, "not announced there: {error}");
                    refused = Some(error);
                }
            }
        }
        match refused {
            Some(error) if said.is_empty() => Err(error),
            _ => Ok(said),
        }
    }
}

fn hearing() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    // Linux would want all of them to be of one user then.
    #[cfg(not(target_os = "linux"))]
    socket.set_reuse_port(true)?;
    // Nothing of the networks that other programs joined the group in.
    #[cfg(target_os = "linux")]
    socket.set_multicast_all_v4(false)?;
    socket.bind(&SocketAddr::V4(GROUP).into())?;
    Ok(socket)
}

fn join(socket: &Socket, address: Ipv4Addr) -> io::Result<()> {
    match socket.join_multicast_v4(GROUP.ip(), &address) {
        // Another address of the same network interface.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
        joined => joined,
    }
}

/// A socket whose datagrams come from this address and do not leave its network.
fn speaking(address: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(IpAddr::V4(address), 0).into())?;
    socket.set_multicast_if_v4(&address)?;
    socket.set_multicast_ttl_v4(1)?;
    socket.set_multicast_loop_v4(true)?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_this_machine_is_not_in_is_said() {
        let elsewhere = Lan { address: [203, 0, 113, 9].into(), mask: [255; 4].into() };
        assert!(Sockets::open(&[elsewhere]).is_err());
        let none = Sockets::open(&[]).unwrap_err().to_string();
        assert!(none.contains("no IPv4 address"), "{none}");
    }
}
