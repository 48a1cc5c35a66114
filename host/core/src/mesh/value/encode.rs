//! JSON to bytes.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value};

use super::{NAMES_MAX, ValueError, decode::is_byte};
use crate::{
    function_type::{Case, Member, Plain, Type},
    id::Digest,
    json::number,
};

/// Base64 as callers write it: the standard alphabet, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Writes values. Recursion is bounded by the depth of the type.
pub(super) struct Encoder {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Encoder {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), ValueError> {
        if self.bytes.len().saturating_add(bytes.len()) > self.bytes_max {
            return Err(ValueError::Large);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn number(&mut self, mut number: u64) -> Result<(), ValueError> {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                return self.push(&[low & 0x7f]);
            }
            self.push(&[low | 0x80])?;
        }
    }

    /// 0, -1, 1, -2, … as 0, 1, 2, 3, …
    fn signed(&mut self, number: i64) -> Result<(), ValueError> {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned())
    }

    fn count(&mut self, count: usize) -> Result<(), ValueError> {
        self.number(u64::try_from(count).map_err(|_| ValueError::Large)?)
    }

    fn value(&mut self, ty: &Type, value: &Value) -> Result<(), ValueError> {
        match ty {
            Type::Plain(plain) => self.plain(*plain, value),
            Type::Record(members) => self.members(members, value),
            Type::Variant(cases) => self.variant(cases, value),
            Type::Enum(names) => self.count(place(names, value)?),
            Type::Flags(names) => self.flags(names, value),
            Type::Tuple(types) => {
                let items = exactly(value, types.len())?;
                types.iter().zip(items).try_for_each(|(ty, item)| self.value(ty, item))
            }
            Type::Option(ty) => self.option(ty, value),
            Type::Result { ok, err } => self.result(ok.as_deref(), err.as_deref(), value),
            Type::List(ty) if matches!(**ty, Type::Plain(Plain::U8)) => self.contents(value),
            Type::List(ty) => {
                let items = array(value)?;
                self.count(items.len())?;
                items.iter().try_for_each(|item| self.value(ty, item))
            }
            Type::FixedLengthList(ty, length) => {
                let length = usize::try_from(*length).map_err(|_| ValueError::Large)?;
                exactly(value, length)?.iter().try_for_each(|item| self.value(ty, item))
            }
            Type::Map(key_type, value_type) => {
                let pairs = array(value)?;
                self.count(pairs.len())?;
                for pair in pairs {
                    let [key, value] = array(pair)?.as_slice() else {
                        return Err(ValueError::Mismatch);
                    };
                    self.value(key_type, key)?;
                    self.value(value_type, value)?;
                }
                Ok(())
            }
            Type::Handle { .. } if ty.is_blob() => self.contents(value),
            Type::Handle { .. } | Type::Future(_) | Type::Stream(_) => Err(ValueError::Type),
        }
    }

    /// Items of a stream; of a stream of bytes each is a piece of it.
    pub(super) fn streamed(&mut self, item: &Type, items: &[Value]) -> Result<(), ValueError> {
        self.count(items.len())?;
        items.iter().try_for_each(|one| match one {
            Value::String(_) if is_byte(item) => self.contents(one),
            _ if is_byte(item) => Err(ValueError::Mismatch),
            _ => self.value(item, one),
        })
    }

    fn plain(&mut self, plain: Plain, value: &Value) -> Result<(), ValueError> {
        let whole = || number::integer(value).ok_or(ValueError::Mismatch);
        let wide = || number::integer_or_digits(value).ok_or(ValueError::Mismatch);
        match plain {
            Plain::Bool => {
                let truth = value.as_bool().ok_or(ValueError::Mismatch)?;
                self.push(&[u8::from(truth)])
            }
            Plain::U8 => self.push(&[fits::<u8>(whole()?)?]),
            Plain::S8 => self.push(&fits::<i8>(whole()?)?.to_le_bytes()),
            Plain::U16 => self.number(fits::<u16>(whole()?)?.into()),
            Plain::U32 => self.number(fits::<u32>(whole()?)?.into()),
            Plain::U64 => self.number(fits(wide()?)?),
            Plain::S16 => self.signed(fits::<i16>(whole()?)?.into()),
            Plain::S32 => self.signed(fits::<i32>(whole()?)?.into()),
            Plain::S64 => self.signed(fits(wide()?)?),
            Plain::F32 => {
                let float = number::float32(value).ok_or(ValueError::Mismatch)?;
                self.push(&float.to_le_bytes())
            }
            Plain::F64 => {
                let float = value.as_f64().filter(|float| float.is_finite());
                self.push(&float.ok_or(ValueError::Mismatch)?.to_le_bytes())
            }
            Plain::Char => {
                let mut characters = text(value)?.chars();
                match (characters.next(), characters.next()) {
                    (Some(character), None) => self.number(u32::from(character).into()),
                    _ => Err(ValueError::Mismatch),
                }
            }
            Plain::String => {
                let text = text(value)?;
                self.count(text.len())?;
                self.push(text.as_bytes())
            }
            Plain::ErrorContext => Err(ValueError::Type),
        }
    }

    /// The fields of a record, or the parameters of a function.
    pub(super) fn members(&mut self, members: &[Member], value: &Value) -> Result<(), ValueError> {
        let object = value.as_object().ok_or(ValueError::Mismatch)?;
        let mut taken = 0;
        for member in members {
            match take(object, &member.name)? {
                Some(value) => {
                    taken += 1;
                    self.value(&member.ty, value)?;
                }
                None => self.absent(&member.ty)?,
            }
        }
        all(object, taken)
    }

    /// What is absent is null for an option, and wrong for anything else.
    fn absent(&mut self, ty: &Type) -> Result<(), ValueError> {
        if matches!(ty, Type::Option(_)) { self.push(&[0]) } else { Err(ValueError::Mismatch) }
    }

    fn variant(&mut self, cases: &[Case], value: &Value) -> Result<(), ValueError> {
        few(cases)?;
        let object = value.as_object().ok_or(ValueError::Mismatch)?;
        let tag = object.get("tag").and_then(Value::as_str);
        let found = cases.iter().enumerate().find(|(_, case)| Some(case.name.as_str()) == tag);
        let (index, case) = found.ok_or(ValueError::Mismatch)?;
        self.count(index)?;
        match (&case.ty, object.get("value")) {
            (Some(ty), Some(value)) => self.value(ty, value).and_then(|()| all(object, 2)),
            (Some(ty), None) => self.absent(ty).and_then(|()| all(object, 1)),
            (None, _) => all(object, 1),
        }
    }

    fn flags(&mut self, names: &[String], value: &Value) -> Result<(), ValueError> {
        let mut bits = vec![0_u8; names.len().div_ceil(8)];
        few(names)?;
        for item in array(value)? {
            let place = place(names, item)?;
            let byte = bits.get_mut(place / 8).ok_or(ValueError::Mismatch)?;
            let bit = 1_u8 << (place % 8);
            if *byte & bit != 0 {
                return Err(ValueError::Mismatch);
            }
            *byte |= bit;
        }
        self.push(&bits)
    }

    fn option(&mut self, ty: &Type, value: &Value) -> Result<(), ValueError> {
        if value.is_null() {
            return self.push(&[0]);
        }
        self.push(&[1])?;
        if !matches!(ty, Type::Option(_)) {
            return self.value(ty, value);
        }
        match only_member(value) {
            Some(("some", value)) => self.value(ty, value),
            _ => Err(ValueError::Mismatch),
        }
    }

    fn result(
        &mut self,
        ok: Option<&Type>,
        err: Option<&Type>,
        value: &Value,
    ) -> Result<(), ValueError> {
        let (index, ty, value) = match only_member(value) {
            Some(("ok", value)) => (0, ok, value),
            Some(("err", value)) => (1, err, value),
            _ => return Err(ValueError::Mismatch),
        };
        self.push(&[index])?;
        self.payload(ty, value)
    }

    /// A value of a type that need not be there: then it is null, and nothing is written.
    pub(super) fn payload(&mut self, ty: Option<&Type>, value: &Value) -> Result<(), ValueError> {
        match ty {
            Some(ty) => self.value(ty, value),
            None if value.is_null() => Ok(()),
            None => Err(ValueError::Mismatch),
        }
    }

    /// What a blob or a list of bytes holds: a zero and the digest of a blob, or one more than the
    /// number of bytes and they.
    fn contents(&mut self, value: &Value) -> Result<(), ValueError> {
        if let Some(text) = value.as_str() {
            let bytes = BASE64.decode(text).map_err(|_| ValueError::Mismatch)?;
            self.count(bytes.len().saturating_add(1))?;
            return self.push(&bytes);
        }
        let Some(("blob", Value::String(digest))) = only_member(value) else {
            return Err(ValueError::Mismatch);
        };
        let digest: Digest = digest.parse().map_err(|_| ValueError::Mismatch)?;
        self.push(&[0])?;
        self.push(digest.as_bytes())
    }
}

fn fits<T: TryFrom<i128>>(number: i128) -> Result<T, ValueError> {
    T::try_from(number).map_err(|_| ValueError::Mismatch)
}

fn text(value: &Value) -> Result<&str, ValueError> {
    value.as_str().ok_or(ValueError::Mismatch)
}

fn array(value: &Value) -> Result<&Vec<Value>, ValueError> {
    value.as_array().ok_or(ValueError::Mismatch)
}

fn exactly(value: &Value, length: usize) -> Result<&Vec<Value>, ValueError> {
    array(value).and_then(
        |items| {
            if items.len() == length { Ok(items) } else { Err(ValueError::Mismatch) }
        },
    )
}

fn few<T>(names: &[T]) -> Result<(), ValueError> {
    if names.len() > NAMES_MAX { Err(ValueError::Type) } else { Ok(()) }
}

/// Where a name stands among others.
fn place(names: &[String], value: &Value) -> Result<usize, ValueError> {
    few(names)?;
    let name = text(value)?;
    names.iter().position(|known| known == name).ok_or(ValueError::Mismatch)
}

/// The member of that WIT name, written with `-` or with `_`.
pub(super) fn take<'a>(
    object: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Value>, ValueError> {
    let written = object.get(name);
    let folded = if name.contains('-') { object.get(&name.replace('-', "_")) } else { None };
    match (written, folded) {
        (Some(_), Some(_)) => Err(ValueError::Mismatch),
        (written, folded) => Ok(written.or(folded)),
    }
}

/// Whether the members that were taken are all.
fn all(object: &Map<String, Value>, taken: usize) -> Result<(), ValueError> {
    if object.len() == taken { Ok(()) } else { Err(ValueError::Mismatch) }
}

pub(super) fn only_member(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.iter().next().map(|(key, member)| (key.as_str(), member))
}
