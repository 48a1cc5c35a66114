//! Statements that nodes sign with their keys. A statement is signed as the bytes that travel, so
//! that nobody has to write it again to check it. Every message begins with what the signature is
//! for: one for one purpose never holds for another.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::key::NodeKey;
use crate::{evidence::sign::Signer, id::Digest};

/// Why a signed statement does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// It has more bytes than its kind may.
    #[error("the statement is too long")]
    Size,
    /// Its bytes are no statement of its kind.
    #[error("the statement cannot be read")]
    Form,
    /// Somebody else signed, or signed something else.
    #[error("the signature does not hold")]
    Signature,
}

/// A kind of statement.
pub trait Statement: Serialize + DeserializeOwned {
    /// What the signature is for. It ends with a zero byte and never changes.
    const PURPOSE: &'static [u8];
    /// Most bytes of one.
    const BYTES_MAX: usize;

    /// Who has to have signed it.
    fn signer(&self) -> NodeKey;
}

/// The signature of one statement: 64 bytes (RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq)]
struct SignatureBytes([u8; 64]);

impl std::fmt::Debug for SignatureBytes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SignatureBytes")
    }
}

impl Serialize for SignatureBytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for SignatureBytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <Vec<u8>>::deserialize(deserializer)?;
        bytes.try_into().map(Self).map_err(|_| serde::de::Error::custom("a signature has 64 bytes"))
    }
}

/// A statement with its signature, as it travels and as it is kept. What it says is had by
/// checking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Signed<T> {
    body: Vec<u8>,
    signature: SignatureBytes,
    #[serde(skip)]
    kind: PhantomData<T>,
}

impl<T: Statement> Signed<T> {
    /// Signs.
    ///
    /// # Errors
    /// [`SignedError::Size`] when the statement is longer than its kind may be.
    pub fn sign(statement: &T, signer: &Signer) -> Result<Self, SignedError> {
        let body = postcard::to_allocvec(statement).map_err(|_| SignedError::Form)?;
        if body.len() > T::BYTES_MAX {
            return Err(SignedError::Size);
        }
        let signature = SignatureBytes(signer.sign_bytes(&message::<T>(&body)));
        Ok(Self { body, signature, kind: PhantomData })
    }

    /// What it says, when it holds.
    ///
    /// # Errors
    /// [`SignedError`]: too long, unreadable, or not signed by whom it names.
    pub fn open(&self) -> Result<T, SignedError> {
        let statement = self.unchecked()?;
        if !statement.signer().signed(&message::<T>(&self.body), &self.signature.0) {
            return Err(SignedError::Signature);
        }
        Ok(statement)
    }

    /// What it says, whoever signed it: enough to see that it need not be checked, and for nothing else.
    ///
    /// # Errors
    /// [`SignedError`]: too long or unreadable.
    pub fn unchecked(&self) -> Result<T, SignedError> {
        if self.body.len() > T::BYTES_MAX {
            return Err(SignedError::Size);
        }
        let (statement, rest) =
            postcard::take_from_bytes::<T>(&self.body).map_err(|_| SignedError::Form)?;
        if !rest.is_empty() {
            return Err(SignedError::Form);
        }
        Ok(statement)
    }

    /// Tells it from others.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// Everything of it: the signature, and what it holds for.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [&self.signature.0[..], &self.body].concat()
    }

    /// Bytes that it takes, about.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.body.len() + 64
    }
}

fn message<T: Statement>(body: &[u8]) -> Vec<u8> {
    [T::PURPOSE, body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Said {
        by: NodeKey,
        what: String,
    }

    impl Statement for Said {
        const PURPOSE: &'static [u8] = b"test\0";
        const BYTES_MAX: usize = 100;

        fn signer(&self) -> NodeKey {
            self.by
        }
    }

    #[test]
    fn a_statement_holds_until_any_byte_changes() {
        let signer = Signer::from_seed(&[1; 32]);
        let said = Said { by: signer.node_key(), what: "hello".to_owned() };
        let signed = Signed::sign(&said, &signer).unwrap();
        let bytes = postcard::to_allocvec(&signed).unwrap();
        let read = |bytes: &[u8]| postcard::from_bytes::<Signed<Said>>(bytes).ok()?.open().ok();
        assert_eq!(read(&bytes), Some(said));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(read(&changed), None, "byte {at}");
        }
    }

    #[test]
    fn nobody_signs_for_another_and_nothing_goes_beyond_its_size() {
        let said = |seed: u8, what: &str| Said {
            by: Signer::from_seed(&[seed; 32]).node_key(),
            what: what.to_owned(),
        };
        let signer = Signer::from_seed(&[1; 32]);
        let signed = Signed::sign(&said(2, "x"), &signer).unwrap();
        assert_eq!(signed.open(), Err(SignedError::Signature));
        let long = Signed::sign(&said(1, &"x".repeat(100)), &signer);
        assert_eq!(long, Err(SignedError::Size));
    }
}
