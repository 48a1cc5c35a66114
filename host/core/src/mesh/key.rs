//! A node's key: who a node is to others. Addresses are where it was last seen, never who it is.

use std::{cell::RefCell, collections::VecDeque, fmt, str::FromStr};

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Words of a fingerprint. Six of 2,048 are 66 bits: nobody makes a second key with the same in
/// the time in which two people read them to each other.
const FINGERPRINT_WORDS: usize = 6;
/// Bits that one word says.
const WORD_BITS: u32 = 11;

/// Keys that one thread remembers as usable.
const USABLE_MAX: usize = 64;

thread_local! {
    // To find out is a square root in the field of the curve, and each call carries the same few keys.
    static USABLE: RefCell<VecDeque<[u8; 32]>> = const { RefCell::new(VecDeque::new()) };
}

/// Why a text or some bytes are no node key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 lower-case hexadecimal digits.
    #[error("a node's key is 64 lower-case hexadecimal digits; `meshhost mesh whois` prints them")]
    Text,
    /// No point of the curve, or a weak one.
    #[error("this is not a usable Ed25519 key")]
    Key,
}

/// The public half of a node's Ed25519 key (RFC 8032): 32 bytes, checked to be a usable key.
/// In JSON it is its text, between nodes its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey([u8; 32]);

impl NodeKey {
    /// The key with these bytes.
    ///
    /// # Errors
    /// [`KeyError::Key`] when they are no point of the curve or a weak one.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        if USABLE.with_borrow(|usable| usable.contains(&bytes)) {
            return Ok(Self(bytes));
        }
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Key)?;
        if key.is_weak() {
            return Err(KeyError::Key);
        }
        USABLE.with_borrow_mut(|usable| {
            if usable.len() == USABLE_MAX {
                usable.pop_front();
            }
            usable.push_back(bytes);
        });
        Ok(Self(bytes))
    }

    /// The key of a signer.
    pub(crate) fn of(key: &VerifyingKey) -> Self {
        Self(*key.as_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` is this node's under `message`.
    #[must_use]
    pub fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }

    /// The key as words that people can read to each other: the first bits of its BLAKE3, in words
    /// of the English list of BIP 39.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let hash = blake3::hash(&self.0);
        let mut bits: u128 = 0;
        for byte in hash.as_bytes().iter().take(16) {
            bits = (bits << 8) | u128::from(*byte);
        }
        let words = bip39::Language::English.word_list();
        let word = |number: usize| {
            let shift = u128::BITS - WORD_BITS * (u32::try_from(number).unwrap_or(0) + 1);
            let index = usize::try_from((bits >> shift) & ((1 << WORD_BITS) - 1)).unwrap_or(0);
            words.get(index).copied().unwrap_or_default()
        };
        (0..FINGERPRINT_WORDS).map(word).collect::<Vec<_>>().join("-")
    }

    /// The first digits, for tables and logs; never to tell nodes apart.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(8);
        text
    }
}

impl Serialize for NodeKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for NodeKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse()
        } else {
            Self::from_bytes(<[u8; 32]>::deserialize(deserializer)?)
        };
        key.map_err(D::Error::custom)
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NodeKey({})", self.short())
    }
}

impl FromStr for NodeKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() {
            return Err(KeyError::Text);
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = hexadecimal(digits).ok_or(KeyError::Text)?;
        }
        Self::from_bytes(bytes)
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((value << 4) | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::sign::Signer;

    #[test]
    fn a_key_has_one_text_and_reads_it_back() {
        let key = Signer::from_seed(&[7; 32]).node_key();
        let text = key.to_string();
        assert_eq!(text.len(), 64);
        assert_eq!(text.parse(), Ok(key));
        assert_eq!(text.to_uppercase().parse::<NodeKey>(), Err(KeyError::Text));
        assert_eq!(text[1..].parse::<NodeKey>(), Err(KeyError::Text));
        assert_eq!("é".repeat(32).parse::<NodeKey>(), Err(KeyError::Text));
        let json = serde_json::to_value(key).unwrap();
        assert_eq!(json, text);
        assert_eq!(serde_json::from_value::<NodeKey>(json).unwrap(), key);
        let bytes = postcard::to_allocvec(&key).unwrap();
        assert_eq!(bytes, key.as_bytes());
        assert_eq!(postcard::from_bytes::<NodeKey>(&bytes).unwrap(), key);
        assert!(postcard::from_bytes::<NodeKey>(&[0; 32]).is_err());
    }

    #[test]
    fn bytes_that_are_no_key_or_a_weak_one_are_refused() {
        assert_eq!(NodeKey::from_bytes([0; 32]), Err(KeyError::Key), "the point of order 4");
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(NodeKey::from_bytes(identity), Err(KeyError::Key));
    }

    #[test]
    fn the_fingerprint_is_six_words_and_another_for_another_key() {
        let words = |seed| Signer::from_seed(&[seed; 32]).node_key().fingerprint();
        assert_eq!(words(1).split('-').count(), 6);
        assert_eq!(words(1), words(1));
        assert_ne!(words(1), words(2));
    }
}
