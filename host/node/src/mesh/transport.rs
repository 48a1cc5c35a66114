//! QUIC between nodes: the only module that names quinn, with `transport/stream`. It opens and accepts connections whose other
//! end has proved its key, and hands out their streams; it knows nothing of communities.
//!
//! Until [`Channel::admit`], the other end may open one stream: a stranger holds hardly anything here.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use meshhost_core::{code::Code, mesh::key::NodeKey, outcome::Refusal};
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TransportConfig,
    VarInt,
    crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig},
};
use rustls::pki_types::CertificateDer;
use tokio::sync::Semaphore;

use super::tls::{Tls, presented};
pub(super) use stream::{Receiving, Sending, Stream, StreamError};

#[cfg(feature = "bench")]
pub(super) mod bare;
mod stream;

/// The protocol of control: membership, records, heads.
const CONTROL: &[u8] = b"meshhost-control/1";
/// The protocol of calls.
const CALLS: &[u8] = b"meshhost/1";

/// Handshakes at once; more are refused.
const HANDSHAKES_MAX: usize = 64;
/// Handshakes at once from which on an address has to show that it can be reached.
const HANDSHAKES_UNPROVED: usize = 16;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often the side that dialled shows on an idle connection of control that it lives, so that what lies
/// between does not forget the way. That a peer is gone is found out sooner, by asking it.
const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// Silence after which such a connection is dead: three signs of life that did not come.
const IDLE: Duration = Duration::from_secs(76);
/// The same for a connection for calls, which ends with the one for control beside it.
const CALLS_KEEP_ALIVE: Duration = Duration::from_secs(240);
const CALLS_IDLE: Duration = Duration::from_secs(600);
/// Streams that a member may have open at once on one connection.
const STREAMS_MAX: u32 = 256;
/// Bytes that a peer may send ahead of what is read: in one stream, and on one connection.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Bytes that are kept for a peer that does not read.
const SEND_WINDOW_BYTES: u64 = 8 * 1024 * 1024;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Membership, records, heads.
    Control,
    /// Calls, and what belongs to them.
    Calls,
}

impl Protocol {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Control => CONTROL,
            Self::Calls => CALLS,
        }
    }
}

/// Why a connection is closed, as the other end sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// The node ends, or leaves the community.
    Leaving,
    /// The other end is not let in. It learns no more than this.
    Refused,
    /// The two have another connection.
    Duplicate,
    /// What came was against the protocol.
    Protocol,
    /// The other end does not answer.
    Silent,
}

impl Closing {
    const fn number(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::Leaving => 0,
            Self::Refused => 1,
            Self::Duplicate => 2,
            Self::Protocol => 3,
            Self::Silent => 4,
        })
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum DialError {
    /// Nobody answered there, or not in time.
    #[error("nobody answered")]
    Unreachable,
    /// Somebody answered who has another key, or speaks another protocol.
    #[error("another node answered")]
    AnotherNode,
}

/// The socket of this node.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    endpoint: Endpoint,
    tls: Tls,
    control: Arc<TransportConfig>,
    calls: Arc<TransportConfig>,
    handshakes: Arc<Semaphore>,
}

impl Transport {
    /// Binds the socket.
    ///
    /// # Errors
    /// [`Code::MeshAddress`] when the address is taken or is not this machine's.
    pub(super) fn bind(address: SocketAddr, tls: Tls) -> Result<Self, Refusal> {
        // What is accepted is kept alive by the one who dialled, and dies of the shorter silence of both.
        let accepted = Arc::new(settings(None, CALLS_IDLE)?);
        let control = Arc::new(settings(Some(KEEP_ALIVE), IDLE)?);
        let calls = Arc::new(settings(Some(CALLS_KEEP_ALIVE), CALLS_IDLE)?);
        let server = tls.server(&[CONTROL, CALLS]).map_err(fault)?;
        let server = QuicServerConfig::try_from(server).map_err(fault)?;
        let mut server = ServerConfig::with_crypto(Arc::new(server));
        server.transport_config(accepted).max_incoming(HANDSHAKES_MAX * 4);
        let socket = std::net::UdpSocket::bind(address).map_err(|error| taken(address, &error))?;
        let runtime = quinn::default_runtime().ok_or_else(|| fault("no runtime"))?;
        let endpoint = Endpoint::new(EndpointConfig::default(), Some(server), socket, runtime)
            .map_err(fault)?;
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        Ok(Self { endpoint, tls, control, calls, handshakes })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.endpoint.local_addr().ok()
    }

    /// Handshakes that are half-way.
    #[cfg(test)]
    pub(super) fn handshakes(&self) -> usize {
        HANDSHAKES_MAX - self.handshakes.available_permits()
    }

    /// The same socket, for connections on which next to nothing is taken ahead of what is read.
    #[cfg(test)]
    pub(super) fn taking_little(mut self) -> Self {
        let mut settings = settings(None, IDLE).unwrap();
        settings.stream_receive_window(VarInt::from_u32(16));
        self.control = Arc::new(settings);
        self
    }

    /// The next connection that somebody makes; `None` when the socket is closed. The handshake is
    /// still to be made: [`Arriving::finish`].
    pub(super) async fn accept(&self) -> Option<Arriving> {
        loop {
            let incoming = self.endpoint.accept().await?;
            let free = self.handshakes.available_permits();
            let Ok(place) = Arc::clone(&self.handshakes).try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            if HANDSHAKES_MAX - free >= HANDSHAKES_UNPROVED && !incoming.remote_address_validated()
            {
                // It costs nothing here to ask; whoever lies about its address never hears it.
                let _ = incoming.retry();
                continue;
            }
            return Some(Arriving { incoming, _place: place });
        }
    }

    /// Connects to the node with the key `expected`.
    ///
    /// # Errors
    /// [`DialError`].
    pub(super) async fn dial(
        &self,
        address: SocketAddr,
        expected: NodeKey,
        protocol: Protocol,
    ) -> Result<Channel, DialError> {
        let tls = self.tls.client(expected, protocol.name()).ok();
        let crypto = tls.and_then(|tls| QuicClientConfig::try_from(tls).ok());
        let crypto = crypto.ok_or(DialError::AnotherNode)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::clone(match protocol {
            Protocol::Control => &self.control,
            Protocol::Calls => &self.calls,
        }));
        // The name is sent nowhere: keys tell nodes apart.
        let connecting = self
            .endpoint
            .connect_with(config, canonical(address), "node")
            .map_err(|_| DialError::Unreachable)?;
        match tokio::time::timeout(HANDSHAKE, connecting).await {
            Ok(Ok(connection)) => Ok(Channel { connection, peer: expected, protocol }),
            Ok(Err(quinn::ConnectionError::TransportError(_))) => Err(DialError::AnotherNode),
            Ok(Err(_)) | Err(_) => Err(DialError::Unreachable),
        }
    }

    /// Closes every connection and the socket, and waits until the other ends were told.
    pub(super) async fn close(&self) {
        self.endpoint.close(Closing::Leaving.number(), b"");
        let _ = tokio::time::timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await;
    }
}

/// An IPv4 address that was written as IPv6 is one.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => ip
            .to_ipv4_mapped()
            .map_or(address, |ip| SocketAddr::new(IpAddr::V4(ip), address.port())),
        IpAddr::V4(_) => address,
    }
}

fn settings(keep_alive: Option<Duration>, idle: Duration) -> Result<TransportConfig, Refusal> {
    let mut settings = TransportConfig::default();
    settings
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .keep_alive_interval(keep_alive)
        .max_idle_timeout(Some(idle.try_into().map_err(fault)?));
    Ok(settings)
}

fn fault(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::HostFault, format!("the mesh cannot start: {error}"))
}

fn taken(address: SocketAddr, error: &std::io::Error) -> Refusal {
    let message = format!(
        "the mesh cannot listen on {address}: {error}; name another address or port with --listen"
    );
    Refusal::new(Code::MeshAddress, message)
}

/// A connection that somebody makes, before its handshake.
#[derive(Debug)]
pub(super) struct Arriving {
    incoming: Incoming,
    _place: tokio::sync::OwnedSemaphorePermit,
}

impl Arriving {
    /// Makes the handshake. `None` when it failed or took too long: there is nobody to tell.
    pub(super) async fn finish(self) -> Option<Channel> {
        let connecting = self.incoming.accept().ok()?;
        let connection = tokio::time::timeout(HANDSHAKE, connecting).await.ok()?.ok()?;
        let handshake = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
        let protocol = match handshake.protocol.as_deref() {
            Some(CONTROL) => Protocol::Control,
            Some(CALLS) => Protocol::Calls,
            _ => return None,
        };
        let keys = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let peer = presented(keys.first()?)?;
        Some(Channel { connection, peer, protocol })
    }
}

/// A connection whose other end has proved to be `peer`.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    connection: Connection,
    peer: NodeKey,
    protocol: Protocol,
}

impl Channel {
    /// Who is at the other end.
    pub(super) const fn peer(&self) -> NodeKey {
        self.peer
    }

    /// What it is for.
    pub(super) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Where the other end is now.
    pub(super) fn address(&self) -> SocketAddr {
        canonical(self.connection.remote_address())
    }

    /// The round trip as QUIC measures it.
    pub(super) fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }

    /// Lets the other end open as many streams as a member may.
    pub(super) fn admit(&self) {
        self.connection.set_max_concurrent_bi_streams(VarInt::from_u32(STREAMS_MAX));
    }

    /// Opens a stream, when the other end has room for one.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) async fn open(&self) -> std::io::Result<Stream> {
        self.connection.open_bi().await.map(Stream::new).map_err(std::io::Error::other)
    }

    /// The next stream that the other end opens.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) async fn accept(&self) -> std::io::Result<Stream> {
        self.connection.accept_bi().await.map(Stream::new).map_err(std::io::Error::other)
    }

    /// Closes the connection.
    pub(super) fn close(&self, why: Closing) {
        self.connection.close(why.number(), b"");
    }

    /// Waits until it is gone.
    #[cfg(test)]
    pub(super) async fn closed(&self) {
        self.connection.closed().await;
    }

    /// How often the other end has said that it wants nothing more of a stream.
    #[cfg(test)]
    pub(super) fn told_to_stop(&self) -> u64 {
        self.connection.stats().frame_rx.stop_sending
    }

    /// Whether the other end takes what is sent outside of streams.
    #[cfg(test)]
    pub(super) fn takes_datagrams(&self) -> bool {
        self.connection.max_datagram_size().is_some()
    }

    /// Why the other end closed it, when it said so.
    pub(super) fn refused(&self) -> bool {
        matches!(
            self.connection.close_reason(),
            Some(quinn::ConnectionError::ApplicationClosed(closed))
                if closed.error_code == Closing::Refused.number()
        )
    }
}
