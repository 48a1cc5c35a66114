//! Members that find each other by announcements on the local network: real processes, real multicast on
//! loopback. Where a machine does not allow that, these tests say that they are skipped.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    time::Duration,
};

use meshhost_core::mesh::announce::{BYTES, GROUP};
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::{Home, Ran, Serving, until};

const LISTEN: [&str; 2] = ["--listen", "127.0.0.1:0"];
/// How long a test waits for a datagram before it looks at something else.
const TURN: Duration = Duration::from_millis(100);

/// A node that serves and looks for others on the local network.
struct Node {
    home: Home,
    serving: Option<Serving>,
}

impl Node {
    fn new() -> Self {
        let home = Home::new();
        home.configure("[mesh]\ndiscovery = \"lan\"\n");
        let serving = Some(home.serve());
        Self { home, serving }
    }

    fn founder(name: &str) -> Self {
        let node = Self::new();
        node.home.run([&["mesh", "init", "home", "--name", name], &LISTEN[..]].concat()).expect(0);
        node
    }

    fn joined(name: &str, founder: &Self) -> Self {
        let node = Self::new();
        let ticket = founder.home.run(["mesh", "ticket"]).expect(0).stdout;
        let ticket = node.home.file("ticket", ticket);
        let ticket = ticket.to_str().expect("a path that is text");
        join(&node.home, name, ticket).expect(0);
        node
    }

    /// Ends it; the next start is at another port.
    fn stop(&mut self) {
        self.serving.take().expect("it serves").stop_well();
    }

    fn start(&mut self) {
        self.serving = Some(self.home.serve());
    }

    fn status(&self) -> Value {
        self.home.json(["mesh", "status"])
    }

    /// Where it listens.
    fn address(&self) -> SocketAddrV4 {
        let status = self.status();
        let address = status["addresses"][0].as_str().expect("an address");
        address.parse().expect("an address of IPv4")
    }

    /// Whether it is connected with as many others.
    fn sees(&self, others: usize) -> bool {
        let status = self.status();
        let members = status["members"].as_array().expect("members");
        members.iter().filter(|member| member["connected"] == true).count() == others
    }
}

fn join(home: &Home, name: &str, ticket: &str) -> Ran {
    home.run([&["mesh", "join", ticket, "--name", name], &LISTEN[..]].concat())
}

/// Hears the group on loopback, as anybody on this machine can.
fn listener() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::V4(GROUP).into())?;
    socket.join_multicast_v4(GROUP.ip(), &Ipv4Addr::LOCALHOST)?;
    socket.set_read_timeout(Some(TURN))?;
    Ok(socket.into())
}

/// Speaks to the group on loopback.
fn speaker() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST)?;
    Ok(socket.into())
}

/// What speaks to the group and what hears it. `None`, said as skipped, where this machine does not let
/// the two meet.
fn multicast(what: &str) -> Option<(UdpSocket, UdpSocket)> {
    let met = || {
        let (speaker, listener) = (speaker()?, listener()?);
        let word = format!("a test of {}", std::process::id());
        speaker.send_to(word.as_bytes(), GROUP)?;
        let mut bytes = [0; 64];
        // Others may speak to the group as well.
        for _ in 0..50 {
            match listener.recv_from(&mut bytes) {
                Ok((length, _)) if bytes[..length] == *word.as_bytes() => {
                    return Ok((speaker, listener));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("what was said was not heard"))
    };
    met()
        .inspect_err(|error: &io::Error| {
            println!("skipped: {what}, because multicast does not work on loopback here: {error}");
        })
        .ok()
}

/// What a node announces.
fn announcement(listener: &UdpSocket, node: SocketAddrV4) -> [u8; BYTES] {
    until("an announcement", || {
        let mut bytes = [0; 512];
        let (length, from) = listener.recv_from(&mut bytes).ok()?;
        let bytes: [u8; BYTES] = bytes.get(..length)?.try_into().ok()?;
        let own = from.ip() == *node.ip() && bytes.ends_with(&node.port().to_le_bytes());
        own.then_some(bytes)
    })
}

#[test]
fn members_that_have_both_moved_find_each_other() {
    let Some(_) = multicast("that members find each other") else { return };
    let mut laptop = Node::founder("laptop");
    let mut nas = Node::joined("nas", &laptop);
    until("they are connected", || (laptop.sees(1) && nas.sees(1)).then_some(()));
    let before = [laptop.address(), nas.address()];
    laptop.stop();
    nas.stop();
    // Each knows where the other was. Nobody answers there, and neither gets its port again.
    let _silent = before.map(|address| UdpSocket::bind(address).ok());
    laptop.start();
    nas.start();
    until("they are connected again", || (laptop.sees(1) && nas.sees(1)).then_some(()));
    assert!([laptop.address(), nas.address()].iter().all(|now| !before.contains(now)));
    let status = laptop.status();
    assert_eq!(status["discovery"]["announced_at"][0], "127.0.0.1", "{status}");
    assert_eq!(status["discovery"]["problem"], Value::Null, "{status}");
    laptop.stop();
    nas.stop();
}

#[test]
fn garbage_and_repeated_announcements_lead_nowhere() {
    let Some((speaker, listener)) = multicast("that garbage leads nowhere") else { return };
    let mut laptop = Node::founder("laptop");
    let mut nas = Node::joined("nas", &laptop);
    until("they are connected", || (laptop.sees(1) && nas.sees(1)).then_some(()));
    nas.stop();
    nas.start();
    let said = announcement(&listener, nas.address());
    nas.stop();
    laptop.stop();
    laptop.start();
    until("it hears", || laptop.status()["discovery"]["announced_at"][0].as_str().map(drop));
    let other = announcement(&listener, laptop.address());
    assert_ne!(said[..BYTES - 2], other[..BYTES - 2], "no two nodes have one tag");
    // Whoever dials what is said from here meets this socket.
    let trap = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    trap.set_nonblocking(true).expect("a socket");
    let port = trap.local_addr().expect("an address").port().to_le_bytes();
    let mut wrong = said;
    wrong[BYTES - 2..].copy_from_slice(&port);
    let strange = [&b"mha1"[..], &[7; 16], &port].concat();
    let long = [&wrong[..], &[0; 400]].concat();
    for garbage in [&wrong[..], &strange, &long, &wrong[1..], b"", b"mha1"] {
        speaker.send_to(garbage, GROUP).expect("it is sent");
    }
    nas.start();
    until("they are connected again", || (laptop.sees(1) && nas.sees(1)).then_some(()));
    let dialled = trap.recv_from(&mut [0; 2048]).map_err(|error| error.kind());
    assert_eq!(dialled, Err(io::ErrorKind::WouldBlock), "nobody was dialled there");
    laptop.stop();
    nas.stop();
}

#[test]
fn a_node_that_cannot_announce_itself_says_so_and_goes_on() {
    let mut node = Node::new();
    let init = ["mesh", "init", "home", "--name", "alone", "--listen", "[::1]:0"];
    node.home.run(init).expect(0);
    let problem = until("it says so", || {
        let status = node.status();
        status["discovery"]["problem"].as_str().map(str::to_owned)
    });
    assert!(problem.contains("no IPv4 address"), "{problem}");
    let status = node.home.run(["mesh", "status"]).expect(0).stdout;
    assert!(status.contains("members are not found on the local network"), "{status}");
    node.stop();
}

#[test]
fn a_node_that_is_not_asked_to_announces_nothing() {
    let home = Home::new();
    let serving = home.serve();
    home.run([&["mesh", "init", "home", "--name", "quiet"], &LISTEN[..]].concat()).expect(0);
    assert_eq!(home.json(["mesh", "status"])["discovery"], Value::Null);
    serving.stop_well();
}
