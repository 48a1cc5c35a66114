//! A tensor that is known to be whole.

use serde::{Deserialize, Serialize};

use super::{InferenceError, InferenceErrorCode, NAME_BYTES_MAX, RANK_MAX};

/// Bytes that one text costs beside its characters.
const TEXT_COST_BYTES: u64 = 24;

/// The type of a tensor's elements, as ONNX names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the case of the WIT enum with the same name")]
pub enum ElementType {
    Float32,
    Float64,
    Float16,
    Bfloat16,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Boolean,
    Text,
}

impl ElementType {
    /// Bytes of one element; none for text, whose elements differ.
    #[must_use]
    pub const fn size_bytes(self) -> Option<u64> {
        match self {
            Self::Int8 | Self::Uint8 | Self::Boolean => Some(1),
            Self::Float16 | Self::Bfloat16 | Self::Int16 | Self::Uint16 => Some(2),
            Self::Float32 | Self::Int32 | Self::Uint32 => Some(4),
            Self::Float64 | Self::Int64 | Self::Uint64 => Some(8),
            Self::Text => None,
        }
    }

    /// The name that ONNX and the WIT interface use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Boolean => "boolean",
            Self::Text => "text",
        }
    }
}

/// The elements of a tensor, in row-major order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elements {
    /// Little endian, without gaps.
    Bytes(Vec<u8>),
    /// One text for each element.
    Texts(Vec<String>),
}

impl Elements {
    /// Bytes that they count for in quotas.
    #[must_use]
    pub fn cost_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Texts(texts) => {
                texts.iter().map(|text| text.len() as u64 + TEXT_COST_BYTES).sum()
            }
        }
    }
}

/// A tensor whose name, type, shape and elements fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    name: String,
    element_type: ElementType,
    shape: Vec<u32>,
    elements: Elements,
}

impl Tensor {
    /// A tensor of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`InferenceErrorCode::InvalidArgument`] when the parts do not fit together, more than
    /// [`RANK_MAX`] dimensions are given or a boolean is neither 0 nor 1;
    /// [`InferenceErrorCode::TooLarge`] above the bound.
    pub fn new(
        name: String,
        element_type: ElementType,
        shape: Vec<u32>,
        elements: Elements,
        bytes_max: u64,
    ) -> Result<Self, InferenceError> {
        if name.len() > NAME_BYTES_MAX {
            return Err(invalid("a tensor's name is longer than 256 bytes"));
        }
        if shape.len() > RANK_MAX {
            return Err(about(&name, &format!("has more than {RANK_MAX} dimensions")));
        }
        let count = shape.iter().try_fold(1_u64, |count, size| count.checked_mul((*size).into()));
        let count = count.ok_or_else(|| about(&name, "has a shape with too many elements"))?;
        if elements.cost_bytes() > bytes_max {
            let message = format!("the tensor `{name}` is larger than {bytes_max} bytes");
            return Err(InferenceError::new(InferenceErrorCode::TooLarge, &message));
        }
        let fits = match (&elements, element_type.size_bytes()) {
            (Elements::Bytes(bytes), Some(size)) => {
                count.checked_mul(size) == Some(bytes.len() as u64)
            }
            (Elements::Texts(texts), None) => count == texts.len() as u64,
            _ => return Err(about(&name, "has texts where bytes belong, or bytes for texts")),
        };
        if !fits {
            return Err(about(&name, "does not have as many elements as its shape says"));
        }
        if let (ElementType::Boolean, Elements::Bytes(bytes)) = (element_type, &elements)
            && bytes.iter().any(|byte| *byte > 1)
        {
            return Err(about(&name, "has a boolean that is neither 0 nor 1"));
        }
        Ok(Self { name, element_type, shape, elements })
    }

    /// Its name among the model's inputs or outputs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of its elements.
    #[must_use]
    pub const fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// Its dimensions, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[u32] {
        &self.shape
    }

    /// Its elements.
    #[must_use]
    pub const fn elements(&self) -> &Elements {
        &self.elements
    }

    /// Its elements, without the rest.
    #[must_use]
    pub fn into_elements(self) -> Elements {
        self.elements
    }

    /// Whether every float in it is finite; true for all other types.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let Elements::Bytes(bytes) = &self.elements else { return true };
        // A float with all bits of its exponent set is infinite or no number.
        match self.element_type {
            ElementType::Float32 => every(bytes, |word| finite32(u32::from_le_bytes(word))),
            ElementType::Bfloat16 => {
                every(bytes, |word| finite32(u32::from(u16::from_le_bytes(word)) << 16))
            }
            ElementType::Float16 => {
                every(bytes, |word| u16::from_le_bytes(word) & 0x7c00 != 0x7c00)
            }
            ElementType::Float64 => every(bytes, |word| {
                u64::from_le_bytes(word) & 0x7ff0_0000_0000_0000 != 0x7ff0_0000_0000_0000
            }),
            _ => true,
        }
    }
}

/// Words that are looked at together.
const PIECE_WORDS: usize = 1024;

const fn finite32(bits: u32) -> bool {
    bits & 0x7f80_0000 != 0x7f80_0000
}

/// Whether it is true of every word. Pieces are looked at whole: without an end in their middle,
/// the processor compares many words at once.
fn every<const SIZE: usize>(bytes: &[u8], is: impl Fn([u8; SIZE]) -> bool) -> bool {
    let words = bytes.as_chunks::<SIZE>().0;
    words.chunks(PIECE_WORDS).all(|piece| piece.iter().fold(true, |all, word| all & is(*word)))
}

fn about(name: &str, what: &str) -> InferenceError {
    invalid(&format!("the tensor `{name}` {what}"))
}

fn invalid(message: &str) -> InferenceError {
    InferenceError::new(InferenceErrorCode::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(element_type: ElementType, shape: &[u32], elements: Elements) -> &'static str {
        match Tensor::new("x".to_owned(), element_type, shape.to_vec(), elements, 64) {
            Ok(_) => "whole",
            Err(error) => match error.code {
                InferenceErrorCode::InvalidArgument => "invalid",
                InferenceErrorCode::TooLarge => "too large",
                other => panic!("{other:?}"),
            },
        }
    }

    fn bytes(count: usize) -> Elements {
        Elements::Bytes(vec![0; count])
    }

    #[test]
    fn only_what_fits_together_is_a_tensor() {
        use ElementType::{Boolean, Float32, Int64, Text};
        let texts = |count| Elements::Texts(vec![String::new(); count]);
        for (element_type, shape, elements, expected) in [
            (Float32, &[2, 3][..], bytes(24), "whole"),
            (Float32, &[], bytes(4), "whole"),
            (Float32, &[0, 7], bytes(0), "whole"),
            (Text, &[2], texts(2), "whole"),
            (Boolean, &[2], Elements::Bytes(vec![0, 1]), "whole"),
            (Boolean, &[2], Elements::Bytes(vec![0, 2]), "invalid"),
            (Float32, &[2, 3], bytes(23), "invalid"),
            (Int64, &[3], bytes(12), "invalid"),
            (Text, &[2], texts(1), "invalid"),
            (Text, &[2], bytes(2), "invalid"),
            (Float32, &[1], texts(1), "invalid"),
            (Float32, &[1; 9], bytes(4), "invalid"),
            (Float32, &[u32::MAX; 3], bytes(0), "invalid"),
            (Float32, &[1 << 31, 1 << 31, 2], bytes(0), "invalid"),
            (Float32, &[17], bytes(68), "too large"),
            (Text, &[3], texts(3), "too large"),
        ] {
            assert_eq!(
                check(element_type, shape, elements),
                expected,
                "{element_type:?} {shape:?}"
            );
        }
    }

    #[test]
    fn what_is_not_finite_is_seen_in_every_float_type() {
        use ElementType::{Bfloat16, Float16, Float32, Float64, Int32};
        let cases: [(ElementType, Vec<u8>, bool); 9] = [
            (Float32, f32::MAX.to_le_bytes().to_vec(), true),
            (Float32, f32::NAN.to_le_bytes().to_vec(), false),
            (Float32, f32::NEG_INFINITY.to_le_bytes().to_vec(), false),
            (Float64, f64::INFINITY.to_le_bytes().to_vec(), false),
            (Float64, f64::MIN.to_le_bytes().to_vec(), true),
            (Float16, vec![0x00, 0x7c], false),
            (Float16, vec![0xff, 0x7b], true),
            (Bfloat16, vec![0x80, 0xff], false),
            (Int32, vec![0xff; 4], true),
        ];
        for (element_type, bytes, finite) in cases {
            let tensor =
                Tensor::new("x".into(), element_type, vec![], Elements::Bytes(bytes), 64).unwrap();
            assert_eq!(tensor.is_finite(), finite, "{tensor:?}");
        }
    }
}
