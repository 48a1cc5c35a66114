//! Items of the stream that a function returns, on their way to a caller on another node: what a frame
//! of them holds, and how many one call may have.
//!
//! What a caller takes as one item is the JSON of one, or, of a stream of bytes, a piece of it as base64
//! text: as the whole stream is in the answer.

use serde_json::Value;

use super::{
    value::{self, ValueError},
    wire::{Body, Bytes, Items},
};
use crate::{
    function_type::FunctionType,
    json::{self, Bounds},
};

/// Most items in one frame.
pub const ITEMS_MAX: usize = 256;

impl Items {
    /// A frame of these: in binary form where the type is known and they have one, else as JSON.
    ///
    /// # Errors
    /// [`ValueError::Form`] when there are none, [`ValueError::Large`] when there are too many.
    pub fn new(items: &[Value], function: Option<&FunctionType>) -> Result<Self, ValueError> {
        match items.len() {
            0 => return Err(ValueError::Form),
            1..=ITEMS_MAX => {}
            _ => return Err(ValueError::Large),
        }
        let binary = function.and_then(|function| value::encode_items(function, items).ok());
        let body = match binary {
            Some(bytes) => Body::Binary(Bytes::from(bytes)),
            None => {
                let text = serde_json::to_vec(items).map_err(|_| ValueError::Mismatch)?;
                Body::Json(Bytes::from(text))
            }
        };
        Ok(Self { body })
    }

    /// The items of a frame. `function` is the type, where values travel in binary form.
    ///
    /// # Errors
    /// [`ValueError`] when they are no items, none, or more than there may be.
    pub fn read(
        self,
        function: Option<&FunctionType>,
        bounds: Bounds,
    ) -> Result<Vec<Value>, ValueError> {
        let items = match (self.body, function) {
            (Body::Binary(bytes), Some(function)) => {
                value::decode_items(function, &bytes, bounds, ITEMS_MAX)?
            }
            (Body::Binary(_), None) => return Err(ValueError::Type),
            (Body::Json(bytes), _) => match json::parse(&bytes, bounds) {
                Ok(Value::Array(items)) => items,
                Ok(_) | Err(_) => return Err(ValueError::Form),
            },
        };
        match items.len() {
            0 => Err(ValueError::Form),
            1..=ITEMS_MAX => Ok(items),
            _ => Err(ValueError::Large),
        }
    }
}

/// What the items of one call may still be together.
#[derive(Debug, Clone)]
pub struct Allowance {
    bytes_left: u64,
}

impl Allowance {
    /// As much as the answer of a call may have that may give so many bytes.
    #[must_use]
    pub fn new(output_bytes: Option<u64>) -> Self {
        let most = Bounds::CALL.bytes_max as u64;
        Self { bytes_left: output_bytes.map_or(most, |bytes| bytes.min(most)) }
    }

    /// Takes items: each counts as what it takes of an answer at the least. So the items of a call
    /// that stays within what it may give are never too many.
    ///
    /// # Errors
    /// [`ValueError::Large`] when no answer could have them all.
    pub fn take(&mut self, items: &[Value]) -> Result<(), ValueError> {
        let bytes = items.iter().map(least_bytes).fold(0, u64::saturating_add);
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(ValueError::Large)?;
        Ok(())
    }
}

/// Bytes that an item takes of an answer at the least. A text may be a piece of a stream of bytes: then
/// it is longer as base64 than its part of the whole, by padding and quotes.
fn least_bytes(item: &Value) -> u64 {
    let bytes = match item {
        Value::String(text) => (text.len() - text.len() / 4).saturating_sub(2),
        other => other.to_string().len(),
    };
    u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn function(result: &str) -> FunctionType {
        format!("func() -> {result}").parse().unwrap()
    }

    #[test]
    fn items_travel_in_binary_form_where_the_type_is_known_and_as_json_else() {
        let numbers = vec![json!(1), json!(300)];
        for (result, items, binary) in [
            ("stream<u16, >", numbers.clone(), true),
            ("result<stream<u16, >, string, >", numbers.clone(), true),
            ("stream<u8, >", vec![json!("aGVs"), json!("bG8=")], true),
            ("stream<string, >", vec![json!("one"), json!("two")], true),
            ("stream<list<u8, >, >", vec![json!(""), json!("bG8=")], true),
            // What is not of the type, and what streams nothing.
            ("stream<u8, >", numbers.clone(), false),
            ("list<u16, >", numbers.clone(), false),
            ("_", numbers.clone(), false),
        ] {
            let function = (result != "_").then(|| function(result));
            let frame = Items::new(&items, function.as_ref()).unwrap();
            assert_eq!(matches!(frame.body, Body::Binary(_)), binary, "{result}");
            assert_eq!(frame.read(function.as_ref(), Bounds::CALL), Ok(items), "{result}");
        }
    }

    #[test]
    fn a_frame_has_items_and_no_more_than_it_may() {
        let function = function("stream<bool, >");
        let many = vec![json!(true); ITEMS_MAX];
        let more = vec![json!(true); ITEMS_MAX + 1];
        for function in [None, Some(&function)] {
            let frame = Items::new(&many, function).unwrap();
            assert_eq!(frame.read(function, Bounds::CALL).map(|it| it.len()), Ok(ITEMS_MAX));
            assert_eq!(Items::new(&[], function), Err(ValueError::Form));
            assert_eq!(Items::new(&more, function), Err(ValueError::Large));
        }
        let json = |text: &str| Body::Json(text.as_bytes().to_vec().into());
        let binary = |bytes: &[u8]| Body::Binary(bytes.to_vec().into());
        let long = serde_json::to_string(&more).unwrap();
        for (body, error) in [
            (json("[]"), ValueError::Form),
            (json("{}"), ValueError::Form),
            (json("[1"), ValueError::Form),
            (json(&long), ValueError::Large),
            (binary(&[0]), ValueError::Form),
            (binary(&[1, 2]), ValueError::Form),
            (binary(&[1, 1, 1]), ValueError::Form),
            (binary(&[0x81, 2]), ValueError::Large),
        ] {
            assert_eq!(Items { body }.read(Some(&function), Bounds::CALL), Err(error));
        }
        let unasked = Items { body: binary(&[1, 1]) };
        assert_eq!(unasked.read(None, Bounds::CALL), Err(ValueError::Type));
    }

    #[test]
    fn a_piece_of_bytes_is_no_blob() {
        let function = function("stream<u8, >");
        let blob = [&[1, 0][..], &[7; 32]].concat();
        let frame = Items { body: Body::Binary(blob.into()) };
        assert_eq!(frame.read(Some(&function), Bounds::CALL), Err(ValueError::Form));
    }

    #[test]
    fn what_no_answer_could_have_is_too_much() {
        let mut allowance = Allowance::new(Some(10));
        assert_eq!(allowance.take(&[json!(1), json!(23), json!("")]), Ok(()));
        assert_eq!(allowance.take(&vec![json!(""); 6]), Ok(()));
        assert_eq!(allowance.take(&[json!("")]), Err(ValueError::Large), "none is free");
        let mut usual = Allowance::new(None);
        assert_eq!(usual.take(&[json!("a".repeat(7 << 20))]), Ok(()));
        assert_eq!(usual.take(&[json!("a".repeat(7 << 20))]), Err(ValueError::Large));
        assert!(Allowance::new(Some(u64::MAX)).take(&[json!("a".repeat(12 << 20))]).is_err());
    }

    proptest! {
        /// However the bytes of a stream are cut, its pieces count for no more than the whole.
        #[test]
        fn pieces_of_what_fits_fit(pieces in prop::collection::vec(1_usize..9, 1..200)) {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            let bytes: usize = pieces.iter().sum();
            let mut allowance = Allowance::new(Some(bytes as u64));
            for piece in pieces {
                let item = json!(STANDARD.encode(vec![1; piece]));
                prop_assert_eq!(allowance.take(&[item]), Ok(()));
            }
        }
    }
}
