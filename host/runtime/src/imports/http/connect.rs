//! From a decided target to an open connection: one resolution, every address decided, TLS with
//! the certificates of the web's authorities.

use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{Arc, LazyLock},
};

use http::HeaderValue;
use hyper_util::rt::TokioIo;
use meshhost_core::{
    decide,
    network::{Host, NetworkRule, Scheme},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};
use wasmtime_wasi_http::Error;

use crate::imports::Context;

/// Names that the node resolves at once: each holds a thread until the system answers.
static RESOLVING: Semaphore = Semaphore::const_new(16);
/// Addresses of one name that are tried, one after the other.
const ADDRESSES_MAX: usize = 8;

/// Where a decided request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    scheme: Scheme,
    host: TargetHost,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TargetHost {
    Name(String),
    Address(IpAddr),
}

/// A connection, with or without TLS.
pub(super) type Connection = TokioIo<Box<dyn Stream>>;

/// What a connection is made of.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Target {
    /// The target of a request that was decided for this host and port.
    ///
    /// # Errors
    /// When the host has no single reading.
    pub(super) fn new(scheme: Scheme, host: &str, port: u16) -> Result<Self, Error> {
        let host = match Host::parse(host).ok_or(Error::HttpRequestUriInvalid)? {
            Host::Name(name) => TargetHost::Name(name.as_str().to_owned()),
            Host::Address(address) => TargetHost::Address(address),
        };
        Ok(Self { scheme, host, port })
    }

    /// The `Host` header that says the same (RFC 9110, section 7.2).
    ///
    /// # Errors
    /// Never for a name that was parsed.
    pub(super) fn host_header(&self) -> Result<HeaderValue, Error> {
        let mut text = match &self.host {
            TargetHost::Name(name) => name.clone(),
            TargetHost::Address(IpAddr::V4(address)) => address.to_string(),
            TargetHost::Address(IpAddr::V6(address)) => format!("[{address}]"),
        };
        if self.port != self.scheme.default_port() {
            text = format!("{text}:{}", self.port);
        }
        HeaderValue::try_from(text).map_err(|_| Error::HttpRequestUriInvalid)
    }

    fn server_name(&self) -> Result<ServerName<'static>, Error> {
        match &self.host {
            TargetHost::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)
            }
            TargetHost::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        }
    }

    async fn addresses(&self) -> Result<Vec<IpAddr>, Error> {
        match &self.host {
            TargetHost::Address(address) => Ok(vec![*address]),
            TargetHost::Name(name) => resolve(name.clone()).await,
        }
    }
}

/// Resolves a name once, on a thread that may block.
async fn resolve(name: String) -> Result<Vec<IpAddr>, Error> {
    let place = RESOLVING.acquire().await.map_err(|_| Error::DnsTimeout)?;
    let found = tokio::task::spawn_blocking(move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        drop(place);
        found.map(|addresses| addresses.take(ADDRESSES_MAX).map(|found| found.ip()).collect())
    });
    let addresses: Vec<IpAddr> = found
        .await
        .map_err(|_| Error::DnsTimeout)?
        .map_err(|_| Error::DnsError { rcode: None, info_code: None })?;
    if addresses.is_empty() {
        return Err(Error::DestinationNotFound);
    }
    Ok(addresses)
}

/// Opens a connection to an address that is allowed for this rule.
///
/// # Errors
/// When no address is allowed (recorded), none answers, or TLS does not verify.
pub(super) async fn open(
    context: &Context,
    rule: &NetworkRule,
    target: &Target,
    authorities: &Authorities,
) -> Result<Connection, Error> {
    let stream = connect(context, rule, target).await?;
    let stream: Box<dyn Stream> = match target.scheme {
        Scheme::Http => Box::new(stream),
        Scheme::Https => {
            let connector = authorities.connector()?;
            let stream = connector.connect(target.server_name()?, stream).await;
            Box::new(stream.map_err(Error::Tls)?)
        }
    };
    Ok(TokioIo::new(stream))
}

async fn connect(
    context: &Context,
    rule: &NetworkRule,
    target: &Target,
) -> Result<TcpStream, Error> {
    let mut outcome = Error::DestinationIpProhibited;
    for address in target.addresses().await? {
        // The grants are asked again: they may have changed while the name was resolved.
        let rules = context.rules();
        if !rules.grants.network.contains(rule) {
            return Err(Error::HttpRequestDenied);
        }
        if let Err(denied) = decide::address(address, rule, &rules.grants.network_ranges) {
            context.record.deny(denied.permission, super::FUNCTION, &denied.target);
            continue;
        }
        match TcpStream::connect(SocketAddr::new(address, target.port)).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(Error::Connect)?;
                return Ok(stream);
            }
            Err(error) => outcome = Error::Connect(error),
        }
    }
    Err(outcome)
}

/// Whose certificates are believed.
#[derive(Debug, Clone)]
pub(super) struct Authorities(Option<Arc<ClientConfig>>);

impl Authorities {
    /// The authorities of the web (Mozilla's list).
    pub(super) fn of_the_web() -> Self {
        static CONFIG: LazyLock<Option<Arc<ClientConfig>>> = LazyLock::new(|| {
            client_config(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() })
        });
        Self(CONFIG.clone())
    }

    /// Exactly this certificate.
    #[cfg(test)]
    pub(super) fn only(certificate: tokio_rustls::rustls::pki_types::CertificateDer<'_>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        Self(client_config(roots))
    }

    fn connector(&self) -> Result<TlsConnector, Error> {
        self.0.clone().map(TlsConnector::from).ok_or(Error::ConfigurationError)
    }
}

/// TLS 1.2 and 1.3, HTTP/1.1 only; `None` when the provider has neither version.
fn client_config(roots: RootCertStore) -> Option<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(scheme: Scheme, host: &str, port: u16) -> String {
        let target = Target::new(scheme, host, port).unwrap();
        target.host_header().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn the_host_header_says_where_the_request_goes() {
        assert_eq!(header(Scheme::Https, "API.example.org.", 443), "api.example.org");
        assert_eq!(header(Scheme::Http, "api.example.org", 8080), "api.example.org:8080");
        assert_eq!(header(Scheme::Http, "[::1]", 80), "[::1]");
    }

    #[test]
    fn a_host_with_two_readings_is_no_target() {
        for host in ["0x7f.1", "127.1", "a b", "a/b", "user@host", ""] {
            assert!(Target::new(Scheme::Http, host, 80).is_err(), "{host}");
        }
    }

    #[tokio::test]
    async fn an_address_is_not_resolved() {
        let target = Target::new(Scheme::Http, "192.0.2.7", 80).unwrap();
        assert_eq!(target.addresses().await.unwrap(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    }
}
