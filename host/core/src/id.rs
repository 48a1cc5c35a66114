//! Names: opaque call ids, plugin names, capability ids and content digests.
//!
//! Every name that comes from outside is checked here once; past this module a name is known to
//! be bounded and printable.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest opaque id (invocation, correlation, causation) in bytes.
pub const OPAQUE_ID_BYTES_MAX: usize = 128;
/// Longest host id in bytes: correlations are named after it (`host-lifecycle-<host_id>`).
pub const HOST_ID_BYTES_MAX: usize = 64;
/// Longest plugin name in bytes.
pub const PLUGIN_NAME_BYTES_MAX: usize = 64;
/// Longest name of a model in bytes.
pub const MODEL_NAME_BYTES_MAX: usize = 64;
/// Longest capability id in bytes.
pub const CAPABILITY_ID_BYTES_MAX: usize = 256;

/// Why a name was refused. The message never repeats more than the bound of the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The id is empty, too long, or holds a byte outside printable ASCII.
    #[error("an id is 1 to {OPAQUE_ID_BYTES_MAX} printable ASCII characters without spaces")]
    Opaque,
    /// The host id is longer than other ids may be.
    #[error("a host id has at most {HOST_ID_BYTES_MAX} characters")]
    HostId,
    /// The plugin name does not match `^[a-z][a-z0-9-]*$` or is too long.
    #[error(
        "a plugin name starts with a-z, continues with a-z, 0-9 or -, and has at most \
         {PLUGIN_NAME_BYTES_MAX} characters"
    )]
    PluginName,
    /// The name of a model is not 1 to 64 of `a-z 0-9 -`, or begins with `-`.
    #[error(
        "a model's name is made of a-z, 0-9 and -, does not begin with -, and has at most \
         {MODEL_NAME_BYTES_MAX} characters"
    )]
    ModelName,
    /// The capability id does not match `^[A-Za-z0-9_.:-]+$` or is too long.
    #[error(
        "a capability id is made of A-Z, a-z, 0-9, _ . : - and has at most \
         {CAPABILITY_ID_BYTES_MAX} characters"
    )]
    CapabilityId,
    /// The digest is not `blake3:` and 64 lower-case hexadecimal digits.
    #[error("a digest is `blake3:` and 64 lower-case hexadecimal digits")]
    Digest,
}

fn check_opaque(text: &str) -> Result<(), IdError> {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > OPAQUE_ID_BYTES_MAX || !printable {
        return Err(IdError::Opaque);
    }
    Ok(())
}

fn check_host_id(text: &str) -> Result<(), IdError> {
    check_opaque(text)?;
    if text.len() > HOST_ID_BYTES_MAX { Err(IdError::HostId) } else { Ok(()) }
}

fn check_plugin_name(text: &str) -> Result<(), IdError> {
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let continues =
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !starts || !continues || text.len() > PLUGIN_NAME_BYTES_MAX {
        return Err(IdError::PluginName);
    }
    Ok(())
}

fn check_model_name(text: &str) -> Result<(), IdError> {
    let allowed =
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if text.is_empty() || text.starts_with('-') || text.len() > MODEL_NAME_BYTES_MAX || !allowed {
        return Err(IdError::ModelName);
    }
    Ok(())
}

fn check_capability_id(text: &str) -> Result<(), IdError> {
    let allowed = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-'));
    if text.is_empty() || text.len() > CAPABILITY_ID_BYTES_MAX || !allowed {
        return Err(IdError::CapabilityId);
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                $check(text)?;
                Ok(Self(Arc::from(text)))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:?}", &self.0)
            }
        }
    };
}

name_type! {
    /// Names one call. Taken from the caller where given, else a UUIDv7; also the idempotency key.
    InvocationId, check_opaque
}
name_type! {
    /// Names the group of calls that belong to one piece of work; evidence is chained per correlation.
    CorrelationId, check_opaque
}
name_type! {
    /// Names this node in evidence: chosen at init, never changed; the display name is apart.
    HostId, check_host_id
}
name_type! {
    /// Names an installed component on this node.
    PluginName, check_plugin_name
}
name_type! {
    /// Names a model on this node, as plugins ask for it.
    ModelName, check_model_name
}
name_type! {
    /// Names a capability as callers write it, `git.log`; `-` and `_` are told apart here and
    /// folded only by the lookup of ids that come from WIT.
    CapabilityId, check_capability_id
}

impl CapabilityId {
    /// The id with `-` folded to `_`: the key under which ids that come from WIT are looked up.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.replace('-', "_")
    }
}

/// A BLAKE3 digest of a component, manifest, grant or blob; written `blake3:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest with these 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lower-case hexadecimal digits, without the prefix: safe as a file name.
    #[must_use]
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }
}

impl FromStr for Digest {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let hex = text.strip_prefix("blake3:").ok_or(IdError::Digest)?;
        let lower = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex.len() != 64 || !lower {
            return Err(IdError::Digest);
        }
        let hash = blake3::Hash::from_hex(hex).map_err(|_| IdError::Digest)?;
        Ok(Self(*hash.as_bytes()))
    }
}

impl TryFrom<String> for Digest {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "blake3:{}", self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(text: &str) -> bool {
        text.parse::<PluginName>().is_ok()
    }

    fn capability(text: &str) -> bool {
        text.parse::<CapabilityId>().is_ok()
    }

    #[test]
    fn plugin_names_are_plain() {
        assert!(plugin("git") && plugin("file-system2"));
        for bad in ["", "-git", "Git", "a/../b", "gіt", "a b", "a.b", &"a".repeat(65)] {
            assert!(!plugin(bad), "{bad:?} must be refused");
        }
    }

    #[test]
    fn model_names_are_plain() {
        for good in ["a", "ppocr-det", "7b", &"a".repeat(64)] {
            assert!(good.parse::<ModelName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a/b", "..", "a.b", "a b", "m\u{43e}del", &"a".repeat(65)] {
            assert!(bad.parse::<ModelName>().is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn capability_ids_hold_no_path_and_no_look_alike() {
        assert!(capability("git.log") && capability("acme.weather.api.current"));
        for bad in ["", "git/log", "git log", "gіt.log", "git.log\0", &"a".repeat(257)] {
            assert!(!capability(bad), "{bad:?} must be refused");
        }
    }

    #[test]
    fn opaque_ids_are_bounded_printable_ascii() {
        assert!("a".repeat(128).parse::<InvocationId>().is_ok());
        for bad in ["", "a b", "a\n", "é", &"a".repeat(129)] {
            assert!(bad.parse::<InvocationId>().is_err(), "{bad:?} must be refused");
        }
        assert!("a".repeat(HOST_ID_BYTES_MAX).parse::<HostId>().is_ok());
        assert_eq!("a".repeat(65).parse::<HostId>(), Err(IdError::HostId));
        assert_eq!("a b".parse::<HostId>(), Err(IdError::Opaque));
    }

    #[test]
    fn digests_have_one_spelling() {
        let digest = Digest::of(b"x");
        assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        assert!(digest.to_string().to_uppercase().parse::<Digest>().is_err());
        assert!("blake3:12".parse::<Digest>().is_err());
    }
}
