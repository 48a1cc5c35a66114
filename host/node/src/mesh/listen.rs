//! Where a node listens, as the operator writes it: `IP:PORT`, or the name of a network interface and a
//! port, so that a private network's interface is as easy to name as an address.

use std::net::{IpAddr, SocketAddr};

use if_addrs::IfAddr;
use meshhost_core::{code::Code, mesh::announce::Lan, outcome::Refusal};

/// Most networks that a node announces itself in.
const LANS_MAX: usize = 16;

/// The address that is meant.
///
/// # Errors
/// [`Code::MeshAddress`] when it is neither, or there is no such interface.
pub(super) fn address(written: &str) -> Result<SocketAddr, Refusal> {
    if let Ok(address) = written.parse() {
        return Ok(address);
    }
    let interface = written.rsplit_once(':').and_then(|(name, port)| {
        let port: u16 = port.parse().ok()?;
        (!name.is_empty()).then_some((name, port))
    });
    let Some((name, port)) = interface else {
        let message = format!("{written:?} is no address: write IP:PORT, or INTERFACE:PORT");
        return Err(Refusal::new(Code::MeshAddress, message));
    };
    let mut own: Vec<_> = if_addrs::get_if_addrs()
        .unwrap_or_default()
        .into_iter()
        .filter(|interface| interface.name == name)
        .map(|interface| interface.ip())
        .collect();
    own.sort_by_key(std::net::IpAddr::is_ipv6);
    let first = own.first().copied();
    first.map(|ip| SocketAddr::new(ip, port)).ok_or_else(|| {
        let message = format!("this machine has no network interface {name:?} with an address");
        Refusal::new(Code::MeshAddress, message)
    })
}

/// Where others find a node that listens there: on that address, or on every one of the machine's when
/// it listens on all.
pub(super) fn reachable_at(address: SocketAddr) -> Vec<SocketAddr> {
    if !address.ip().is_unspecified() {
        return vec![address];
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut ips: Vec<_> = interfaces.iter().map(if_addrs::Interface::ip).collect();
    ips.retain(|ip| match ip {
        IpAddr::V4(ip) => !ip.is_link_local(),
        // A link-local address means nothing without its interface.
        IpAddr::V6(ip) => address.is_ipv6() && !ip.is_unicast_link_local(),
    });
    ips.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    ips.into_iter().map(|ip| SocketAddr::new(ip, address.port())).collect()
}

/// The IPv4 networks in which others find a node that listens there.
pub(super) fn lans_of(address: SocketAddr) -> Vec<Lan> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let lan = |interface: &if_addrs::Interface| match &interface.addr {
        IfAddr::V4(it) => Some(Lan { address: it.ip, mask: it.netmask }),
        IfAddr::V6(_) => None,
    };
    let mut lans: Vec<_> = interfaces.iter().filter_map(lan).collect();
    match address.ip() {
        IpAddr::V4(ip) if !ip.is_unspecified() => {
            lans.retain(|lan| lan.has(ip));
            lans.sort_by_key(|lan| lan.address != ip);
            lans.truncate(1);
            lans.iter_mut().for_each(|lan| lan.address = ip);
        }
        IpAddr::V6(ip) if !ip.is_unspecified() => lans.clear(),
        _ => lans.retain(|lan| !lan.address.is_link_local()),
    }
    lans.sort();
    lans.dedup();
    lans.truncate(LANS_MAX);
    lans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_an_interface_is_meant() {
        assert_eq!(address("127.0.0.1:7081").unwrap(), "127.0.0.1:7081".parse().unwrap());
        assert_eq!(address("[::1]:0").unwrap(), "[::1]:0".parse().unwrap());
        let loopback = address("lo:7081").unwrap();
        assert!(loopback.ip().is_loopback() && loopback.port() == 7081);
        for wrong in ["", "7081", ":7081", "nowhere0:7081", "lo:99999", "lo"] {
            assert_eq!(address(wrong).unwrap_err().code, Code::MeshAddress, "{wrong}");
        }
    }

    #[test]
    fn a_node_that_listens_at_one_address_is_announced_in_its_network_alone() {
        let lans = |address: &str| lans_of(address.parse().unwrap());
        let loopback = lans("127.0.0.1:7081");
        assert_eq!(loopback.len(), 1);
        assert!(loopback[0].address.is_loopback() && loopback[0].has([127, 0, 0, 9].into()));
        assert!(!loopback[0].has([192, 168, 1, 7].into()));
        assert_eq!(lans("127.0.0.9:7081")[0].address, std::net::Ipv4Addr::new(127, 0, 0, 9));
        assert!(lans("0.0.0.0:7081").contains(&loopback[0]));
        assert_eq!(lans("[::1]:7081"), []);
        assert_eq!(lans("203.0.113.9:7081"), [], "no address of this machine");
    }
}
