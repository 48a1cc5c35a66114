//! Ed25519 statements about the record: who the host is, where its store ended at a time, and
//! that its evidence key and its node key belong together.
//!
//! Every message begins with the purpose of the signature and a zero byte, so that a signature
//! for one purpose never holds for another. The protocol's own two statements (host identity and
//! bundle header) have no prefix because it fixes their bytes; those begin with `{`, which no
//! purpose does.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    canonical::{self, CanonicalError},
    hash::Hash,
    time::Timestamp,
};
use crate::{
    code::Code,
    id::HostId,
    json::{Bounds, JsonError, parse},
};

pub use key::{PublicKey, Signer};

mod key;

/// Why a statement does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The text is not strict JSON within the bounds.
    #[error("the statement cannot be read")]
    Json(#[source] JsonError),
    /// A member is missing, unknown or of the wrong kind.
    #[error("the statement does not have the form of a {0}")]
    Form(&'static str),
    /// The bytes are not an Ed25519 public key, or a weak one.
    #[error("the public key is not a usable Ed25519 key")]
    PublicKey,
    /// The signature does not hold for this statement and key.
    #[error("the signature does not hold")]
    Signature,
    /// The key id is not that of the public key.
    #[error("the key id is not that of the key")]
    KeyId,
    /// The statement is about another host.
    #[error("the statement is about another host")]
    Host,
    /// The key was not valid at the time.
    #[error("the key was not valid at that time")]
    Validity,
}

impl StatementError {
    /// The code of this error.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::EvidenceBroken
    }
}

/// What a signature of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    StoreHead,
    KeyLink,
}

impl Purpose {
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::StoreHead => b"meshhost-store-head-v1\0",
            Self::KeyLink => b"meshhost-key-link-v1\0",
        }
    }

    fn message(self, statement: &Value) -> Result<Vec<u8>, CanonicalError> {
        Ok([self.prefix(), canonical::to_string(statement)?.as_bytes()].concat())
    }
}

/// The host's own statement that a key speaks for a host id (`host_identity` of the protocol).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostIdentity {
    /// The host.
    pub host_id: String,
    /// The first 16 hexadecimal digits of the key's SHA-256.
    pub key_id: String,
    /// Base64.
    pub public_key: String,
    /// From when the key counts, RFC 3339.
    pub valid_from: String,
    /// Until when, when there is an end.
    pub valid_until: Option<String>,
    /// External roots that vouch for the key; part of what is signed when present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchors: Option<Value>,
    /// The host's encryption key; part of what is signed when present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enc_public_key: Option<String>,
    /// Base64.
    pub signature: String,
}

impl HostIdentity {
    /// The statement of `signer` that it speaks for `host_id` from `valid_from` on.
    #[must_use]
    pub fn sign(signer: &Signer, host_id: &HostId, valid_from: Timestamp) -> Self {
        let key = signer.public_key();
        let mut identity = Self {
            host_id: host_id.as_str().to_owned(),
            key_id: key.key_id(),
            public_key: key.to_base64(),
            valid_from: valid_from.to_string(),
            valid_until: None,
            anchors: None,
            enc_public_key: None,
            signature: String::new(),
        };
        // The claim holds strings only, so it always has a canonical text.
        let claim = identity.claim().unwrap_or_default();
        identity.signature = signer.sign(claim.as_bytes());
        identity
    }

    /// The key, when the statement is signed by it, names `host_id`, and holds at `at` (RFC 3339
    /// text of the same spelling as the validity; compared as text).
    ///
    /// # Errors
    /// [`StatementError`] says what does not hold.
    pub fn verify(&self, host_id: &str, at: &str) -> Result<PublicKey, StatementError> {
        let key = PublicKey::from_base64(&self.public_key)?;
        if key.key_id() != self.key_id {
            return Err(StatementError::KeyId);
        }
        if self.host_id != host_id {
            return Err(StatementError::Host);
        }
        let claim = self.claim().map_err(|_| StatementError::Form("host identity"))?;
        key.check(claim.as_bytes(), &self.signature)?;
        let ended = self.valid_until.as_deref().is_some_and(|until| instant(until) < instant(at));
        if instant(at) < instant(&self.valid_from) || ended {
            return Err(StatementError::Validity);
        }
        Ok(key)
    }

    fn claim(&self) -> Result<String, CanonicalError> {
        let mut claim = json!({
            "host_id": self.host_id,
            "key_id": self.key_id,
            "public_key": self.public_key,
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
        });
        if let Some(members) = claim.as_object_mut() {
            if let Some(anchors) = &self.anchors {
                members.insert("anchors".to_owned(), anchors.clone());
            }
            if let Some(key) = &self.enc_public_key {
                members.insert("enc_public_key".to_owned(), Value::from(key.as_str()));
            }
        }
        canonical::to_string(&claim)
    }
}

/// A time in UTC as text that sorts: without the `Z` or `+00:00` that ends it, so that a time
/// with decimals sorts after the same second without.
fn instant(text: &str) -> &str {
    text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00")).unwrap_or(text)
}

/// Where a store ended at a time, signed. Kept outside the store, by peers, or on paper, it
/// shows later that nothing before it was changed or taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHead {
    /// The host.
    pub host_id: HostId,
    /// The key that signed.
    pub key_id: String,
    /// Always [`HEAD_KIND`].
    pub kind: String,
    /// The root of the tree of the first `sequence` events.
    pub root: Hash,
    /// Always [`HEAD_SCHEME`].
    pub scheme: String,
    /// The last event that it covers.
    pub sequence: u64,
    /// Base64.
    pub signature: String,
    /// When it was signed.
    pub timestamp: String,
}

/// What a [`SignedHead`] says it is.
pub const HEAD_KIND: &str = "meshhost-store-head";
/// How the root of a [`SignedHead`] is made.
pub const HEAD_SCHEME: &str = "chp-store-head-v2";

impl SignedHead {
    /// Signs `root` as the head at `sequence`.
    #[must_use]
    pub fn sign(
        signer: &Signer,
        host_id: &HostId,
        sequence: u64,
        root: Hash,
        at: Timestamp,
    ) -> Self {
        let mut head = Self {
            host_id: host_id.clone(),
            key_id: signer.public_key().key_id(),
            kind: HEAD_KIND.to_owned(),
            root,
            scheme: HEAD_SCHEME.to_owned(),
            sequence,
            signature: String::new(),
            timestamp: at.to_string(),
        };
        // Strings and one integer always have a canonical text.
        let message = Purpose::StoreHead.message(&head.statement()).unwrap_or_default();
        head.signature = signer.sign(&message);
        head
    }

    /// One line of canonical JSON, without line feed.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut statement = self.statement();
        if let Some(members) = statement.as_object_mut() {
            members.insert("signature".to_owned(), Value::from(self.signature.as_str()));
        }
        // Strings and one integer always have a canonical text.
        canonical::to_string(&statement).unwrap_or_default()
    }

    /// Reads a head; [`SignedHead::verify`] then checks it.
    ///
    /// # Errors
    /// [`StatementError`] when the line is not one.
    pub fn parse(line: &[u8]) -> Result<Self, StatementError> {
        let value = parse(line, Bounds::SMALL).map_err(StatementError::Json)?;
        let head: Self =
            serde_json::from_value(value).map_err(|_| StatementError::Form("store head"))?;
        if head.kind != HEAD_KIND || head.scheme != HEAD_SCHEME {
            return Err(StatementError::Form("store head"));
        }
        Ok(head)
    }

    /// Whether `key` signed it for `host_id`.
    ///
    /// # Errors
    /// [`StatementError`] says what does not hold.
    pub fn verify(&self, host_id: &HostId, key: &PublicKey) -> Result<(), StatementError> {
        if self.host_id != *host_id {
            return Err(StatementError::Host);
        }
        if self.key_id != key.key_id() {
            return Err(StatementError::KeyId);
        }
        let message = Purpose::StoreHead
            .message(&self.statement())
            .map_err(|_| StatementError::Form("store head"))?;
        key.check(&message, &self.signature)
    }

    fn statement(&self) -> Value {
        json!({
            "host_id": self.host_id.as_str(),
            "key_id": self.key_id,
            "kind": self.kind,
            "root": self.root.to_string(),
            "scheme": self.scheme,
            "sequence": self.sequence,
            "timestamp": self.timestamp,
        })
    }
}

/// The statement that a host's evidence key and node key belong together, signed by both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyLink {
    /// The host.
    pub host_id: HostId,
    /// The key that signs heads and bundles, base64.
    pub evidence_key: String,
    /// The key that identifies the node to peers, base64.
    pub node_key: String,
    /// From when, RFC 3339.
    pub linked_at: String,
    /// By the evidence key, base64.
    pub evidence_signature: String,
    /// By the node key, base64.
    pub node_signature: String,
}

impl KeyLink {
    /// Links the two keys.
    #[must_use]
    pub fn sign(evidence: &Signer, node: &Signer, host_id: &HostId, at: Timestamp) -> Self {
        let mut link = Self {
            host_id: host_id.clone(),
            evidence_key: evidence.public_key().to_base64(),
            node_key: node.public_key().to_base64(),
            linked_at: at.to_string(),
            evidence_signature: String::new(),
            node_signature: String::new(),
        };
        // Strings always have a canonical text.
        let message = Purpose::KeyLink.message(&link.statement()).unwrap_or_default();
        link.evidence_signature = evidence.sign(&message);
        link.node_signature = node.sign(&message);
        link
    }

    /// The evidence key and the node key, when both signed for `host_id`.
    ///
    /// # Errors
    /// [`StatementError`] says what does not hold.
    pub fn verify(&self, host_id: &HostId) -> Result<(PublicKey, PublicKey), StatementError> {
        if self.host_id != *host_id {
            return Err(StatementError::Host);
        }
        let evidence = PublicKey::from_base64(&self.evidence_key)?;
        let node = PublicKey::from_base64(&self.node_key)?;
        let message = Purpose::KeyLink
            .message(&self.statement())
            .map_err(|_| StatementError::Form("key link"))?;
        evidence.check(&message, &self.evidence_signature)?;
        node.check(&message, &self.node_signature)?;
        Ok((evidence, node))
    }

    fn statement(&self) -> Value {
        json!({
            "evidence_key": self.evidence_key,
            "host_id": self.host_id.as_str(),
            "kind": "meshhost-key-link",
            "linked_at": self.linked_at,
            "node_key": self.node_key,
        })
    }
}

#[cfg(test)]
mod tests;
