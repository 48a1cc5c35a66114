//! Nodes on networks that are not like loopback: slow, lossy, and cut off for a while.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use meshhost_core::{code::Exit, mesh::ticket::Ticket};

use crate::{
    components::with_clock,
    mesh::{Node, echo, join_at, offered, text},
    mesh_faults::runs,
    support::{Home, Serving, guest, until, wat},
};

/// How long each datagram is on its way, one way.
const DELAY: Duration = Duration::from_millis(25);
/// One of so many datagrams is lost.
const LOST: usize = 20;

/// A way to an address that delays what it carries and loses some of it, until it is dropped.
struct Way {
    address: SocketAddr,
    lost: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    carrying: Option<JoinHandle<()>>,
}

impl Way {
    fn to(target: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("an address");
        let (lost, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let carrying = {
            let (lost, over) = (Arc::clone(&lost), Arc::clone(&over));
            std::thread::spawn(move || carry(&socket, target, &lost, &over))
        };
        Self { address, lost, over, carrying: Some(carrying) }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = self.carrying.take().map(JoinHandle::join);
    }
}

/// A datagram on its way.
struct Datagram {
    /// Who sent it, or whom it goes back to.
    peer: SocketAddr,
    back: bool,
    bytes: Vec<u8>,
}

/// Carries datagrams both ways. Each who sends has a socket of its own beyond, so that answers find back.
fn carry(front: &UdpSocket, target: SocketAddr, lost: &AtomicUsize, over: &AtomicBool) {
    front.set_nonblocking(true).expect("a socket");
    let mut beyond: BTreeMap<SocketAddr, UdpSocket> = BTreeMap::new();
    let mut waiting: BTreeMap<(Instant, usize), Datagram> = BTreeMap::new();
    let mut count = 0_usize;
    while !over.load(Ordering::SeqCst) {
        for datagram in arrived(front, &beyond) {
            count += 1;
            // Spread, and not in step with what either end repeats.
            if (count.wrapping_mul(7_919) % 1_009).is_multiple_of(LOST) {
                lost.fetch_add(1, Ordering::SeqCst);
            } else {
                waiting.insert((Instant::now() + DELAY, count), datagram);
            }
        }
        while let Some(first) = waiting.first_entry()
            && first.key().0 <= Instant::now()
        {
            let Datagram { peer, back, bytes } = first.remove();
            let there = beyond.entry(peer).or_insert_with(|| connected(target));
            let _ = if back { front.send_to(&bytes, peer) } else { there.send(&bytes) };
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn connected(target: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(target).expect("an address");
    socket.set_nonblocking(true).expect("a socket");
    socket
}

/// What has come from either side.
fn arrived(front: &UdpSocket, beyond: &BTreeMap<SocketAddr, UdpSocket>) -> Vec<Datagram> {
    let mut buffer = vec![0; 65_536];
    let mut arrived = Vec::new();
    while let Ok((length, peer)) = front.recv_from(&mut buffer) {
        arrived.push(Datagram { peer, back: false, bytes: buffer[..length].to_vec() });
    }
    for (peer, socket) in beyond {
        while let Ok(length) = socket.recv(&mut buffer) {
            let bytes = buffer[..length].to_vec();
            arrived.push(Datagram { peer: *peer, back: true, bytes });
        }
    }
    arrived
}

/// Bytes of which no two groups are the same.
fn large() -> Vec<u8> {
    (0_u32..100_000).flat_map(u32::to_le_bytes).collect()
}

/// What the node calls the other one's address.
fn address(node: &Node, name: &str) -> String {
    let status = node.home.json(["mesh", "status"]);
    let members = status["members"].as_array().expect("members");
    let member = members.iter().find(|member| member["name"] == name).expect("a member");
    text(&member["addresses"][0]).to_owned()
}

#[test]
fn a_slow_and_lossy_way_carries_a_join_calls_and_a_blob() {
    let (laptop, ticket) = Node::founder("laptop");
    let mut ticket: Ticket = ticket.parse().expect("a ticket");
    let way = Way::to(ticket.addresses[0]);
    ticket.addresses = vec![way.address];
    let nas = Node::joined("nas", &ticket.to_string(), &["*"]).with_repeatable_echo();
    nas.home.install(&guest("blob-reader"), &[]);
    laptop.sees(1);
    until("it is callable", || (echo(&laptop.home, &[]).code == 0).then_some(()));
    let before = Instant::now();
    for _ in 0..20 {
        assert_eq!(echo(&laptop.home, &[]).expect(0).json()["node"], "nas");
    }
    assert!(before.elapsed() >= 40 * DELAY, "each went there and back");
    let file = laptop.home.file("large.bin", large());
    let content = format!("content=@{}", file.display());
    let peek = ["offset=320000", "length=8", "--timeout", "60s"];
    let peek = [&["blob_reader.peek", &content], &peek[..]].concat();
    // On a machine that does other things as well three signs of life may be too late; the way is then made anew.
    let lost = [Exit::Unreachable as i32, Exit::Indeterminate as i32];
    let mut tries = (0..10).map(|_| offered(&laptop.home, &peek));
    let answer = tries.find(|ran| !lost.contains(&ran.code)).expect("it is carried");
    // The numbers 80,000 and 80,001.
    assert_eq!(answer.expect(0).json()["data"], "gDgBAIE4AQA=");
    assert_eq!(address(&nas, "laptop"), way.address.to_string(), "nothing went another way");
    assert!(way.lost.load(Ordering::SeqCst) > 0, "nothing was lost");
}

/// Two networks with a cable between them, as long as it lives.
struct Networks {
    holders: Vec<Child>,
}

/// What makes a process run in the network that this one holds.
fn within(holder: &Child) -> Vec<String> {
    let target = holder.id().to_string();
    ["nsenter", "-t", &target, "-U", "-n", "--preserve-credentials"].map(str::to_owned).to_vec()
}

/// Runs a line of shell in a network.
fn shell(holder: &Child, line: &str) -> Result<(), String> {
    let enter = within(holder);
    let output = Command::new(&enter[0]).args(&enter[1..]).args(["sh", "-c", line]).output();
    let output = output.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("`{line}`: {said}")) }
}

/// Holds a network of its own, within that of `outer` when there is one.
fn hold(outer: Option<&Child>) -> Result<Child, String> {
    let script = "ip link set lo up && echo ready && exec sleep 600";
    let mut words = outer.map(within).unwrap_or_default();
    words.extend(["unshare".to_owned(), if outer.is_some() { "-n" } else { "-rn" }.to_owned()]);
    words.extend(["sh", "-c", script].map(str::to_owned));
    let mut command = Command::new(&words[0]);
    let command = command.args(&words[1..]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", words[0]))?;
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("a pipe");
    let read = std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line);
    if read.is_ok() && line == "ready\n" {
        return Ok(child);
    }
    let said = child.wait_with_output().map(|it| String::from_utf8_lossy(&it.stderr).into_owned());
    Err(format!("`unshare`: {}", said.unwrap_or_default().trim()))
}

impl Networks {
    fn new() -> Result<Self, String> {
        let mut networks = Self { holders: vec![hold(None)?] };
        networks.holders.push(hold(networks.holders.first())?);
        let [one, other] = networks.holders.as_slice() else { return Err("not two".to_owned()) };
        shell(one, &format!("ip link add mh0 type veth peer name mh1 netns {}", other.id()))?;
        shell(one, "ip addr add 10.99.7.1/24 dev mh0 && ip link set mh0 up")?;
        shell(other, "ip addr add 10.99.7.2/24 dev mh1 && ip link set mh1 up")?;
        Ok(networks)
    }

    /// Delays what goes through the cable and loses some of it.
    fn slow_down(&self) -> Result<(), String> {
        shell(&self.holders[0], "tc qdisc add dev mh0 root netem delay 25ms loss 5%")?;
        shell(&self.holders[1], "tc qdisc add dev mh1 root netem delay 25ms loss 5%")
    }

    /// Pulls the cable out, or puts it in again.
    fn set_cable(&self, state: &str) {
        shell(&self.holders[1], &format!("ip link set mh1 {state}")).expect("a cable");
    }

    /// Starts a node in one of the two.
    fn serve(&self, network: usize, home: &Home) -> Serving {
        let plain = home.command(["serve", "--allow-root"]);
        let enter = within(&self.holders[network]);
        let mut command = Command::new(&enter[0]);
        command.args(&enter[1..]).arg(plain.get_program()).args(plain.get_args()).env_clear();
        for (name, value) in plain.get_envs() {
            command.env(name, value.expect("a value"));
        }
        command.current_dir(home.work()).stdout(Stdio::null()).stderr(Stdio::piped());
        Serving::ready(command.spawn().expect("the node starts"))
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for holder in &mut self.holders {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

#[test]
fn nodes_that_are_cut_off_from_each_other_find_back_and_nothing_has_run_twice() {
    let what = "nodes in networks of their own";
    let networks = match Networks::new() {
        Ok(networks) => networks,
        Err(why) => {
            println!("skipped: {what}, because this machine makes none: {why}");
            return;
        }
    };
    if let Err(why) = networks.slow_down() {
        println!("skipped: delay and loss between {what}, because the kernel has none: {why}");
    }
    let (laptop, nas) = (Home::new(), Home::new());
    let _serving = [networks.serve(0, &laptop), networks.serve(1, &nas)];
    let init = ["mesh", "init", "home", "--name", "laptop", "--listen", "10.99.7.1:0"];
    let ticket = laptop.run(init).expect(0).stdout;
    join_at(&nas, "nas", &ticket, &["*"], "10.99.7.2:0").expect(0);
    let slow = with_clock("(call $block (call $sleep (i64.const 600000000000)))");
    nas.install(&wat(&nas, "slow", &slow), &["--limit", "deadline_ms=600000"]);
    nas.install(&guest("conformance-echo"), &[]);
    until("it is callable", || (echo(&laptop, &[]).code == 0).then_some(()));
    let mut call = laptop.command(["call", "slow.f", "--id", "cut", "--json"]);
    let call = call.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a call");
    until("it runs", || (nas.run(["audit", "show", "cut"]).code == 0).then_some(()));
    networks.set_cable("down");
    let connected = |home: &Home| {
        let status = home.json(["mesh", "status"]);
        let members = status["members"].as_array().expect("members");
        members.iter().any(|member| member["connected"] == true)
    };
    until("both miss each other", || (!connected(&laptop) && !connected(&nas)).then_some(()));
    let alone = echo(&laptop, &["--timeout", "2s"]);
    alone.expect(Exit::Unreachable as i32);
    networks.set_cable("up");
    let ended = crate::support::ran(call.wait_with_output().expect("it ends"));
    assert_eq!(ended.expect(Exit::Indeterminate as i32).json()["outcome"], "indeterminate");
    assert_eq!(runs(&nas, "cut"), 1, "however often it was asked for");
    until("they find back", || (echo(&laptop, &[]).code == 0).then_some(()));
    for home in [&laptop, &nas] {
        home.run(["audit", "verify"]).expect(0);
    }
}
