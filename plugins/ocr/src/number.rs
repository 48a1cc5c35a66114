//! Conversions between kinds of numbers. None can fail: what does not fit becomes the nearest value
//! that does, and what is not a number becomes 0.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` between floats and integers saturates"
)]

/// Toward zero.
pub(crate) fn whole(value: f32) -> i32 {
    value as i32
}

/// To the nearest, halves away from zero.
pub(crate) fn nearest(value: f64) -> i32 {
    value.round() as i32
}

/// Toward zero; negative values become 0.
pub(crate) fn size(value: f64) -> usize {
    value as usize
}

/// To the nearest, halves to the even one.
pub(crate) fn byte(value: f32) -> u8 {
    value.round_ties_even() as u8
}

/// A length or an index as a float: exact below 16 million.
pub(crate) fn float(value: usize) -> f32 {
    value as f32
}

/// A length or an index as a float: exact for every length of memory.
pub(crate) fn double(value: usize) -> f64 {
    value as f64
}

/// A length as the contract gives it.
pub(crate) fn contract(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// An index into rows and columns: negative ones become 0.
pub(crate) fn index(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// A row or column as a signed number.
pub(crate) fn signed(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// A fraction of `one`, to the nearest, halves to the even one.
pub(crate) fn share(fraction: f64, one: i32) -> i32 {
    (fraction * f64::from(one)).round_ties_even() as i32
}

/// With the precision of the models.
pub(crate) fn single(value: f64) -> f32 {
    value as f32
}
