//! Puts tensors into messages and takes them out again: small ones go in the message's body, large
//! ones by shared memory.

use std::io;

use meshhost_core::inference::{ElementType, Elements, InferenceError, Tensor};

use crate::{
    frame::BODY_BYTES_MAX,
    memory::{Range, Ranges, SharedMemory},
    message::{Place, WireTensor},
};

/// The shared memory that this side writes.
#[derive(Debug)]
pub(crate) struct Outbox {
    memory: SharedMemory,
    ranges: Ranges,
}

/// A message that is being made: its body, and the ranges that it needs until it was read.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    pub(crate) body: Vec<u8>,
    pub(crate) held: Vec<Range>,
}

impl Outbox {
    pub(crate) fn new(memory: SharedMemory) -> Self {
        let ranges = Ranges::new(memory.bytes());
        Self { memory, ranges }
    }

    /// Puts the chunks into the message, one behind the other. Fails when no range is free.
    pub(crate) fn put(&mut self, parcel: &mut Parcel, chunks: &[&[u8]]) -> io::Result<Place> {
        let length: usize = chunks.iter().map(|chunk| chunk.len()).sum();
        if parcel.body.len() + length <= BODY_BYTES_MAX {
            for chunk in chunks {
                parcel.body.extend_from_slice(chunk);
            }
            return Ok(Place::Body { length: length as u64 });
        }
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let range = self.ranges.take(length as u64).ok_or_else(full)?;
        parcel.held.push(range);
        self.memory.write(range.offset, chunks)?;
        Ok(Place::Shared(range))
    }

    /// Puts tensors that lie behind one another in their first dimension into the message as one.
    /// All but the first dimension are the same, and none holds texts when there are several.
    pub(crate) fn put_tensor(
        &mut self,
        parcel: &mut Parcel,
        parts: &[&Tensor],
    ) -> io::Result<WireTensor> {
        let first = parts.first().ok_or_else(|| io::Error::other("a tensor without parts"))?;
        let mut shape = first.shape().to_vec();
        if let Some(rows) = shape.first_mut() {
            let sizes = parts.iter().filter_map(|part| part.shape().first());
            *rows = sizes.sum();
        }
        let place = match first.elements() {
            Elements::Texts(texts) => {
                let encoded = postcard::to_allocvec(texts).map_err(io::Error::other)?;
                self.put(parcel, &[&encoded])?
            }
            Elements::Bytes(_) => {
                let chunks: Vec<&[u8]> = parts.iter().filter_map(|part| bytes_of(part)).collect();
                self.put(parcel, &chunks)?
            }
        };
        let (name, element_type) = (first.name().to_owned(), first.element_type());
        Ok(WireTensor { name, element_type, shape, place })
    }

    /// Frees what a message needed.
    pub(crate) fn give(&mut self, held: Vec<Range>) {
        for range in held {
            self.ranges.give(range);
        }
    }
}

fn bytes_of(tensor: &Tensor) -> Option<&[u8]> {
    match tensor.elements() {
        Elements::Bytes(bytes) => Some(bytes),
        Elements::Texts(_) => None,
    }
}

/// A message that was received, and the shared memory that its sender writes.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    memory: &'a SharedMemory,
    body: &'a [u8],
    /// Bytes that may still be taken out.
    left: u64,
}

/// Why a message's contents were refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    /// The other side does not keep to the protocol.
    #[error("the message does not hold what it says")]
    Broken,
    /// More than may be taken.
    #[error("more than the bound")]
    TooLarge,
    /// The parts do not make a tensor.
    #[error(transparent)]
    Tensor(#[from] InferenceError),
}

impl<'a> Opened<'a> {
    /// At most `bytes_max` bytes come out of it in all.
    pub(crate) const fn new(memory: &'a SharedMemory, body: &'a [u8], bytes_max: u64) -> Self {
        Self { memory, body, left: bytes_max }
    }

    /// The bytes at a place. Those of the body come in their order.
    pub(crate) fn take(&mut self, place: Place) -> Result<Vec<u8>, TakeError> {
        let (Place::Body { length } | Place::Shared(Range { length, .. })) = place;
        self.left = self.left.checked_sub(length).ok_or(TakeError::TooLarge)?;
        match place {
            Place::Shared(range) => self.memory.read(range).map_err(|_| TakeError::Broken),
            Place::Body { length } => {
                let length = usize::try_from(length).map_err(|_| TakeError::Broken)?;
                let split = self.body.split_at_checked(length).ok_or(TakeError::Broken)?;
                self.body = split.1;
                Ok(split.0.to_vec())
            }
        }
    }

    pub(crate) fn tensor(&mut self, wire: WireTensor) -> Result<Tensor, TakeError> {
        let bytes = self.take(wire.place)?;
        let elements = if wire.element_type == ElementType::Text {
            Elements::Texts(postcard::from_bytes(&bytes).map_err(|_| TakeError::Broken)?)
        } else {
            Elements::Bytes(bytes)
        };
        let WireTensor { name, element_type, shape, .. } = wire;
        Ok(Tensor::new(name, element_type, shape, elements, u64::MAX)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(rows: u32, value: u8) -> Tensor {
        let bytes = vec![value; rows as usize * 4096 * 4];
        let elements = Elements::Bytes(bytes);
        let shape = vec![rows, 4096];
        Tensor::new("x".into(), ElementType::Float32, shape, elements, u64::MAX).unwrap()
    }

    #[test]
    fn small_and_large_tensors_arrive_whole_and_several_as_one() {
        let memory = SharedMemory::create(1 << 20).unwrap();
        let other = memory.descriptor().try_clone_to_owned().unwrap();
        let other = SharedMemory::open(other, 1 << 20).unwrap();
        let mut outbox = Outbox::new(memory);
        let mut parcel = Parcel::default();
        let (small, large) = (tensor(1, 1), tensor(9, 2));
        let texts = Elements::Texts(vec!["ä".into(), String::new()]);
        let texts = Tensor::new("t".into(), ElementType::Text, vec![2], texts, 100).unwrap();
        let wires = [
            outbox.put_tensor(&mut parcel, &[&small]).unwrap(),
            outbox.put_tensor(&mut parcel, &[&large, &small]).unwrap(),
            outbox.put_tensor(&mut parcel, &[&texts]).unwrap(),
        ];
        assert_eq!(parcel.held.len(), 1);
        let mut opened = Opened::new(&other, &parcel.body, 1 << 20);
        let [a, b, c] = wires.map(|wire| opened.tensor(wire).unwrap());
        assert_eq!((a, c), (small, texts));
        assert_eq!(b.shape(), [10, 4096]);
        let Elements::Bytes(bytes) = b.elements() else { panic!() };
        assert_eq!((bytes[9 * 16384 - 1], bytes[9 * 16384]), (2, 1));
    }

    #[test]
    fn a_message_that_lies_is_refused() {
        let memory = SharedMemory::create(4096).unwrap();
        let wire = |place, shape| WireTensor {
            name: "x".into(),
            element_type: ElementType::Uint8,
            shape,
            place,
        };
        let take = |wire, left| Opened::new(&memory, &[0; 8], left).tensor(wire);
        let body = |length| Place::Body { length };
        let shared = |offset, length| Place::Shared(Range { offset, length });
        assert!(take(wire(body(8), vec![8]), 8).is_ok());
        assert!(matches!(take(wire(body(9), vec![9]), 99), Err(TakeError::Broken)));
        assert!(matches!(take(wire(body(8), vec![8]), 7), Err(TakeError::TooLarge)));
        assert!(matches!(take(wire(body(8), vec![9]), 99), Err(TakeError::Tensor(_))));
        assert!(matches!(take(wire(shared(4090, 8), vec![8]), 99), Err(TakeError::Broken)));
        assert!(matches!(take(wire(shared(0, 1 << 40), vec![8]), 99), Err(TakeError::TooLarge)));
    }
}
