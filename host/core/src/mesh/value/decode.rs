//! Bytes to JSON, within bounds.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{NAMES_MAX, ValueError};
use crate::{
    function_type::{Case, Member, Plain, Type},
    id::Digest,
    json::{Bounds, number},
};

/// Bytes of JSON that a value takes besides its text: a comma, quotes, a colon.
const VALUE_BYTES: usize = 4;

/// Reads values. Recursion is bounded by the depth of the type.
pub(super) struct Decoder<'a> {
    rest: &'a [u8],
    /// What is left.
    bounds: Bounds,
}

impl<'a> Decoder<'a> {
    pub(super) const fn new(bytes: &'a [u8], bounds: Bounds) -> Self {
        Self { rest: bytes, bounds }
    }

    /// The value, when no bytes are left.
    pub(super) fn end<T>(&self, value: T) -> Result<T, ValueError> {
        if self.rest.is_empty() { Ok(value) } else { Err(ValueError::Form) }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ValueError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ValueError::Form)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], ValueError> {
        self.take(COUNT)?.try_into().map_err(|_| ValueError::Form)
    }

    fn byte(&mut self) -> Result<u8, ValueError> {
        self.array().map(|[byte]| byte)
    }

    fn truth(&mut self) -> Result<bool, ValueError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(ValueError::Form),
        }
    }

    /// A number as short as it can be written.
    fn number(&mut self) -> Result<u64, ValueError> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return Err(ValueError::Form);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(ValueError::Form)
    }

    fn signed(&mut self) -> Result<i64, ValueError> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn count(&mut self) -> Result<usize, ValueError> {
        usize::try_from(self.number()?).map_err(|_| ValueError::Form)
    }

    /// One of `count` cases.
    fn index(&mut self, count: usize) -> Result<usize, ValueError> {
        if count > NAMES_MAX {
            return Err(ValueError::Type);
        }
        self.count().and_then(|index| if index < count { Ok(index) } else { Err(ValueError::Form) })
    }

    /// Takes bytes of JSON before they are made.
    fn charge(&mut self, bytes: usize) -> Result<(), ValueError> {
        let left = self.bounds.bytes_max.checked_sub(bytes);
        self.bounds.bytes_max = left.ok_or(ValueError::Large)?;
        Ok(())
    }

    /// Goes into an array or object that `depth` others are around.
    const fn enter(&self, depth: usize) -> Result<usize, ValueError> {
        if depth < self.bounds.depth_max { Ok(depth + 1) } else { Err(ValueError::Large) }
    }

    fn string(&mut self, text: &str) -> Result<Value, ValueError> {
        self.charge(text.len())?;
        Ok(Value::String(text.to_owned()))
    }

    fn object_of(&mut self, key: &str, value: Value) -> Result<Value, ValueError> {
        self.charge(key.len() + VALUE_BYTES)?;
        Ok(Value::Object(Map::from_iter([(key.to_owned(), value)])))
    }

    fn value(&mut self, ty: &Type, depth: usize) -> Result<Value, ValueError> {
        self.bounds.values_max = self.bounds.values_max.checked_sub(1).ok_or(ValueError::Large)?;
        self.charge(VALUE_BYTES)?;
        match ty {
            Type::Plain(plain) => self.plain(*plain),
            Type::Record(members) => self.members(members, depth),
            Type::Variant(cases) => self.variant(cases, depth),
            Type::Enum(names) => {
                let index = self.index(names.len())?;
                let name = names.get(index).ok_or(ValueError::Form)?;
                self.string(name)
            }
            Type::Flags(names) => self.flags(names, depth),
            Type::Tuple(types) => {
                let depth = self.enter(depth)?;
                types.iter().map(|ty| self.value(ty, depth)).collect()
            }
            Type::Option(ty) => self.option(ty, depth),
            Type::Result { ok, err } => {
                let depth = self.enter(depth)?;
                let (key, ty) = if self.truth()? { ("err", err) } else { ("ok", ok) };
                let value = self.payload(ty.as_deref(), depth)?;
                self.object_of(key, value)
            }
            Type::List(ty) if matches!(**ty, Type::Plain(Plain::U8)) => self.contents(depth),
            Type::List(ty) => {
                let length = self.count()?;
                self.items(ty, length, depth)
            }
            Type::FixedLengthList(ty, length) => {
                let length = usize::try_from(*length).map_err(|_| ValueError::Large)?;
                self.items(ty, length, depth)
            }
            Type::Map(key, value) => self.map(key, value, depth),
            Type::Handle { .. } if ty.is_blob() => self.contents(depth),
            Type::Handle { .. } | Type::Future(_) | Type::Stream(_) => Err(ValueError::Type),
        }
    }

    fn plain(&mut self, plain: Plain) -> Result<Value, ValueError> {
        Ok(match plain {
            Plain::Bool => Value::Bool(self.truth()?),
            Plain::U8 => self.byte()?.into(),
            Plain::S8 => i8::from_le_bytes(self.array()?).into(),
            Plain::U16 => narrow::<u16>(self.number()?)?.into(),
            Plain::U32 => narrow::<u32>(self.number()?)?.into(),
            Plain::U64 => number::wide(self.number()?.into()),
            Plain::S16 => narrow_signed::<i16>(self.signed()?)?.into(),
            Plain::S32 => narrow_signed::<i32>(self.signed()?)?.into(),
            Plain::S64 => number::wide(self.signed()?.into()),
            Plain::F32 => {
                number::fraction32(f32::from_le_bytes(self.array()?)).ok_or(ValueError::Form)?
            }
            Plain::F64 => {
                number::fraction(f64::from_le_bytes(self.array()?)).ok_or(ValueError::Form)?
            }
            Plain::Char => {
                let character = char::from_u32(narrow(self.number()?)?).ok_or(ValueError::Form)?;
                Value::String(character.to_string())
            }
            Plain::String => {
                let length = self.count()?;
                let text = std::str::from_utf8(self.take(length)?);
                self.string(text.map_err(|_| ValueError::Form)?)?
            }
            Plain::ErrorContext => return Err(ValueError::Type),
        })
    }

    /// The fields of a record, or the parameters of a function.
    pub(super) fn members(
        &mut self,
        members: &[Member],
        depth: usize,
    ) -> Result<Value, ValueError> {
        let depth = self.enter(depth)?;
        let mut object = Map::new();
        for member in members {
            self.charge(member.name.len() + VALUE_BYTES)?;
            object.insert(member.name.replace('-', "_"), self.value(&member.ty, depth)?);
        }
        Ok(Value::Object(object))
    }

    fn variant(&mut self, cases: &[Case], depth: usize) -> Result<Value, ValueError> {
        let depth = self.enter(depth)?;
        let index = self.index(cases.len())?;
        let case = cases.get(index).ok_or(ValueError::Form)?;
        let mut object = Map::new();
        self.charge("tagvalue".len() + 2 * VALUE_BYTES)?;
        object.insert("tag".to_owned(), self.string(&case.name)?);
        if let Some(ty) = &case.ty {
            object.insert("value".to_owned(), self.value(ty, depth)?);
        }
        Ok(Value::Object(object))
    }

    fn flags(&mut self, names: &[String], depth: usize) -> Result<Value, ValueError> {
        self.enter(depth)?;
        if names.len() > NAMES_MAX {
            return Err(ValueError::Type);
        }
        let bits = self.take(names.len().div_ceil(8))?;
        let is_set = |place: usize| {
            bits.get(place / 8).is_some_and(|byte| byte & (1_u8 << (place % 8)) != 0)
        };
        if (names.len()..bits.len() * 8).any(is_set) {
            return Err(ValueError::Form);
        }
        let set = names.iter().enumerate().filter(|(place, _)| is_set(*place));
        set.map(|(_, name)| {
            self.charge(VALUE_BYTES)?;
            self.string(name)
        })
        .collect()
    }

    fn option(&mut self, ty: &Type, depth: usize) -> Result<Value, ValueError> {
        if !self.truth()? {
            return Ok(Value::Null);
        }
        if !matches!(ty, Type::Option(_)) {
            return self.value(ty, depth);
        }
        let depth = self.enter(depth)?;
        let value = self.value(ty, depth)?;
        self.object_of("some", value)
    }

    /// A value of a type that need not be there; then it is null.
    pub(super) fn payload(&mut self, ty: Option<&Type>, depth: usize) -> Result<Value, ValueError> {
        match ty {
            Some(ty) => self.value(ty, depth),
            None => Ok(Value::Null),
        }
    }

    /// Items of a stream, at most so many; of a stream of bytes each is a piece of it.
    pub(super) fn streamed(
        &mut self,
        item: &Type,
        items_max: usize,
    ) -> Result<Vec<Value>, ValueError> {
        let count = self.count()?;
        if count > items_max {
            return Err(ValueError::Large);
        }
        (0..count).map(|_| if is_byte(item) { self.piece() } else { self.value(item, 1) }).collect()
    }

    /// A piece of a stream of bytes: they themselves, and never the digest of a blob.
    fn piece(&mut self) -> Result<Value, ValueError> {
        match self.contents(1)? {
            piece @ Value::String(_) => Ok(piece),
            _ => Err(ValueError::Form),
        }
    }

    /// An item may take no bytes at all, so that `length` proves nothing: each is charged.
    fn items(&mut self, ty: &Type, length: usize, depth: usize) -> Result<Value, ValueError> {
        let depth = self.enter(depth)?;
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(self.value(ty, depth)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, key: &Type, value: &Type, depth: usize) -> Result<Value, ValueError> {
        let depth = self.enter(depth).and_then(|depth| self.enter(depth))?;
        let mut pairs = Vec::new();
        for _ in 0..self.count()? {
            self.charge(VALUE_BYTES)?;
            let pair = vec![self.value(key, depth)?, self.value(value, depth)?];
            pairs.push(Value::Array(pair));
        }
        Ok(Value::Array(pairs))
    }

    /// What a blob or a list of bytes holds.
    fn contents(&mut self, depth: usize) -> Result<Value, ValueError> {
        let Some(length) = self.count()?.checked_sub(1) else {
            self.enter(depth)?;
            let digest = Digest::from_bytes(self.array()?);
            let text = self.string(&digest.to_string())?;
            return self.object_of("blob", text);
        };
        let bytes = self.take(length)?;
        self.charge(length.div_ceil(3).saturating_mul(4))?;
        Ok(Value::String(STANDARD.encode(bytes)))
    }
}

/// Whether a stream of these is one of bytes.
pub(super) const fn is_byte(item: &Type) -> bool {
    matches!(item, Type::Plain(Plain::U8))
}

fn narrow<T: TryFrom<u64>>(number: u64) -> Result<T, ValueError> {
    T::try_from(number).map_err(|_| ValueError::Form)
}

fn narrow_signed<T: TryFrom<i64>>(number: i64) -> Result<T, ValueError> {
    T::try_from(number).map_err(|_| ValueError::Form)
}
