//! Messages between the node and its worker: two lengths, a head in postcard, and a body of raw
//! bytes. Both sides read and write with the same functions, which bound both parts.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

/// Longest head in bytes: a description with its metadata is the longest.
const HEAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest body in bytes: what is larger goes by shared memory.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Writes one message.
pub(crate) fn write<T: Serialize>(to: &mut impl Write, head: &T, body: &[u8]) -> io::Result<()> {
    let head = postcard::to_allocvec(head).map_err(io::Error::other)?;
    if head.len() > HEAD_BYTES_MAX || body.len() > BODY_BYTES_MAX {
        return Err(io::Error::other("a message is too long"));
    }
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map(u32::to_le_bytes);
    let mut message = Vec::with_capacity(8 + head.len() + body.len());
    message.extend_from_slice(&length(&head).map_err(io::Error::other)?);
    message.extend_from_slice(&length(body).map_err(io::Error::other)?);
    message.extend_from_slice(&head);
    message.extend_from_slice(body);
    to.write_all(&message)
}

/// Reads one message; none when the other side has closed its end.
pub(crate) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<(T, Vec<u8>)>> {
    let mut lengths = [0; 8];
    if from.read(&mut lengths[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut lengths[1..])?;
    let [a, b, c, d, e, f, g, h] = lengths;
    let head = part(from, u32::from_le_bytes([a, b, c, d]), HEAD_BYTES_MAX)?;
    let body = part(from, u32::from_le_bytes([e, f, g, h]), BODY_BYTES_MAX)?;
    let head = postcard::from_bytes(&head).map_err(io::Error::other)?;
    Ok(Some((head, body)))
}

fn part(from: &mut impl Read, length: u32, bytes_max: usize) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    if length > bytes_max {
        return Err(io::Error::other("a message is too long"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in() {
        let mut wire = Vec::new();
        write(&mut wire, &("head", 7_u64), b"body").unwrap();
        write(&mut wire, &("", 0_u64), b"").unwrap();
        let mut from = wire.as_slice();
        let first: (String, u64) = ("head".to_owned(), 7);
        assert_eq!(read(&mut from).unwrap(), Some((first, b"body".to_vec())));
        assert_eq!(read(&mut from).unwrap(), Some(((String::new(), 0_u64), Vec::new())));
        assert_eq!(read::<(String, u64)>(&mut from).unwrap(), None);
        assert!(write(&mut wire, &0_u8, &vec![0; BODY_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_read() {
        for lengths in [[0xff; 8], [0, 0, 0, 0, 1, 0, 1, 0]] {
            assert!(read::<u8>(&mut lengths.as_slice()).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read::<crate::message::Reply>(&mut bytes.as_slice());
            let _ = read::<crate::message::Request>(&mut bytes.as_slice());
        }
    }
}
