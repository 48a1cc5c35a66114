//! Ed25519 keys as statements write them.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::StatementError;
use crate::{evidence::hash::Hash, mesh::key::NodeKey};

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The key with these 32 bytes.
    ///
    /// # Errors
    /// [`StatementError::PublicKey`] when they are no point of the curve or a weak one.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, StatementError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| StatementError::PublicKey)?;
        if key.is_weak() { Err(StatementError::PublicKey) } else { Ok(Self(key)) }
    }

    /// The key in base64, as statements write it.
    ///
    /// # Errors
    /// As [`PublicKey::from_bytes`], and when it is not base64 of 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, StatementError> {
        Self::from_bytes(&decode(text).ok_or(StatementError::PublicKey)?)
    }

    /// The key in base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0.as_bytes())
    }

    /// The first 16 hexadecimal digits of the key's SHA-256.
    #[must_use]
    pub fn key_id(&self) -> String {
        let mut digits = Hash::of(self.0.as_bytes()).to_string();
        digits.truncate(16);
        digits
    }

    /// Whether `signature` (base64) holds for `message`.
    pub(in crate::evidence) fn check(
        &self,
        message: &[u8],
        signature: &str,
    ) -> Result<(), StatementError> {
        let bytes = decode::<64>(signature).ok_or(StatementError::Signature)?;
        let signature = Signature::from_bytes(&bytes);
        self.0.verify_strict(message, &signature).map_err(|_| StatementError::Signature)
    }
}

/// Base64 of exactly `N` bytes.
fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    // The length is looked at first, so that foreign text is not decoded without bound.
    if text.len() > N * 2 {
        return None;
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// A private key.
pub struct Signer(SigningKey);

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Signer({})", self.public_key().key_id())
    }
}

impl Signer {
    /// The key of 32 secret bytes (RFC 8032), from secure randomness.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Its public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Its public half as the key of a node.
    #[must_use]
    pub fn node_key(&self) -> NodeKey {
        // A key that was made from a seed is a point of the curve, and no weak one.
        NodeKey::of(&self.0.verifying_key())
    }

    /// The signature.
    pub(crate) fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The signature in base64.
    pub(in crate::evidence) fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(message).to_bytes())
    }
}
