//! TLS between nodes: version 1.3, each side known by its raw Ed25519 key (RFC 7250), no certificates,
//! no names. Resumption and early data are off: either would pass over the proof of the key.
//!
//! TLS proves which key the other end has, and nothing else; whether that key may say anything is
//! decided by [`super::admission`].

use std::sync::Arc;

use meshhost_core::mesh::key::NodeKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key,
    },
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer,
        UnixTime,
    },
    server::{
        AlwaysResolvesServerRawPublicKeys,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};

/// What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const PUBLIC_KEY_INFO: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What stands before the 32 bytes of an Ed25519 seed in PKCS #8 (RFC 8410).
const PRIVATE_KEY_INFO: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// This node's end of TLS.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    own: Arc<CertifiedKey>,
}

impl Tls {
    /// The end of the node with this key.
    ///
    /// # Errors
    /// Never for a key that was made here; the library cannot say so.
    pub(super) fn new(seed: &[u8; 32], key: &NodeKey) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let private = [&PRIVATE_KEY_INFO[..], seed].concat();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(private));
        let private = provider.key_provider.load_private_key(private)?;
        let public = [&PUBLIC_KEY_INFO[..], key.as_bytes()].concat();
        let own = Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], private));
        Ok(Self { provider, own })
    }

    /// For connections that others make, with any of these protocols.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn server(&self, protocols: &[&[u8]]) -> Result<ServerConfig, Error> {
        let verifier = Arc::new(AnyNode { algorithms: self.algorithms() });
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(
                &self.own,
            ))));
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// For a connection to the node with the key `expected`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn client(&self, expected: NodeKey, protocol: &[u8]) -> Result<ClientConfig, Error> {
        let verifier = Arc::new(ThisNode { expected, algorithms: self.algorithms() });
        let own = AlwaysResolvesClientRawPublicKeys::new(Arc::clone(&self.own));
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(own));
        config.alpn_protocols = vec![protocol.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(config)
    }

    fn algorithms(&self) -> WebPkiSupportedAlgorithms {
        self.provider.signature_verification_algorithms
    }
}

/// The key in what the other end presented.
pub(super) fn presented(public_key_info: &CertificateDer<'_>) -> Option<NodeKey> {
    let key = public_key_info.strip_prefix(&PUBLIC_KEY_INFO)?;
    NodeKey::from_bytes(key.try_into().ok()?).ok()
}

fn checked(end: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<NodeKey, Error> {
    let key = presented(end).filter(|_| others.is_empty());
    key.ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}

fn verify(
    message: &[u8],
    public_key_info: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = SubjectPublicKeyInfoDer::from(public_key_info.as_ref());
    verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
}

/// Nothing older than TLS 1.3 is offered.
fn too_old() -> Error {
    Error::General("nothing older than TLS 1.3 is spoken here".to_owned())
}

/// Lets in whoever proves to have a key, whichever: who it is decides what it may say.
#[derive(Debug)]
struct AnyNode {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyNode {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        checked(end_entity, intermediates).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Speaks to one node and nobody else, wherever its address leads.
#[derive(Debug)]
struct ThisNode {
    expected: NodeKey,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ThisNode {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if checked(end_entity, intermediates)? == self.expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
