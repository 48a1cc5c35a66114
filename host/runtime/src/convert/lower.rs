//! JSON to the values that a guest takes.

mod members;
mod returned;

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value};
use wasmtime::component::{Type, Val, types::ComponentFunc};

use super::{
    BlobHandles, BlobSource, ConvertError, INPUT_HOST_BYTES_MAX, InputRules, UnknownInput,
    blob_reference,
    describe::{expected, found, listed, quoted},
    number,
    path::Path,
};
use members::Known;
pub(crate) use returned::lower_returned;

/// Base64 as callers write it: the standard alphabet, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Makes the arguments of a call from its input, an object keyed by parameter name.
///
/// # Errors
/// input-invalid with the place and what is expected there; limit-list-bytes when one
/// `list<u8>` is larger than the rules allow; limit-host-memory when the arguments
/// together are; or what `blobs` answered.
pub fn lower(
    input: &Value,
    function: &ComponentFunc,
    rules: &InputRules,
    blobs: &mut dyn BlobHandles,
) -> Result<Vec<Val>, ConvertError> {
    Lowering { rules, blobs: Some(blobs), host_bytes: INPUT_HOST_BYTES_MAX }
        .arguments(input, function)
}

/// Whether [`lower`] would make the arguments, as far as that shows before anything runs: what
/// blobs hold is looked at later.
///
/// # Errors
/// As [`lower`].
pub fn check(
    input: &Value,
    function: &ComponentFunc,
    rules: &InputRules,
) -> Result<(), ConvertError> {
    Lowering { rules, blobs: None, host_bytes: INPUT_HOST_BYTES_MAX }
        .arguments(input, function)
        .map(|_| ())
}

struct Lowering<'a> {
    rules: &'a InputRules,
    /// Absent when the input is only checked: then a blob becomes a value that nobody uses.
    blobs: Option<&'a mut dyn BlobHandles>,
    /// What is left of [`INPUT_HOST_BYTES_MAX`].
    host_bytes: usize,
}

impl Lowering<'_> {
    /// The arguments, in the order of the parameters.
    fn arguments(
        &mut self,
        input: &Value,
        function: &ComponentFunc,
    ) -> Result<Vec<Val>, ConvertError> {
        let root = Path::Root("input");
        let Some(object) = input.as_object() else {
            let message = format!("expected an object keyed by parameter, found {}", found(input));
            return Err(ConvertError::input(&root, &message));
        };
        let mut known = Known::new(object);
        let mut arguments = Vec::with_capacity(function.params().len());
        for (name, ty) in function.params() {
            arguments.push(self.field(&root, &mut known, name, &ty)?);
        }
        if known.has_unknown() {
            let names: Vec<&str> = function.params().map(|(name, _)| name).collect();
            self.unknown(&root, object, &names)?;
        }
        Ok(arguments)
    }

    /// Takes the memory of `count` values before they are made.
    fn charge(&mut self, count: usize) -> Result<(), ConvertError> {
        let left = self.host_bytes.checked_sub(count.saturating_mul(size_of::<Val>()));
        self.host_bytes = left.ok_or_else(ConvertError::input_host_bytes)?;
        Ok(())
    }

    fn value(&mut self, path: &Path<'_>, ty: &Type, value: &Value) -> Result<Val, ConvertError> {
        self.charge(1)?;
        let lowered = match ty {
            Type::Bool => value.as_bool().map(Val::Bool),
            Type::String => value.as_str().map(|text| Val::String(text.to_owned())),
            Type::Char => value.as_str().and_then(one_character).map(Val::Char),
            Type::List(list) => return self.list(path, ty, &list.ty(), value),
            Type::FixedLengthList(list) => {
                let length = usize::try_from(list.len()).ok();
                let items = value.as_array().filter(|items| Some(items.len()) == length);
                let items = items.ok_or_else(|| mismatch(path, ty, value))?;
                Some(Val::FixedLengthList(self.elements(path, &list.ty(), items)?))
            }
            Type::Map(map) => return self.map(path, ty, (&map.key(), &map.value()), value),
            Type::Record(_) => return self.record(path, ty, value),
            Type::Tuple(_) => return self.tuple(path, ty, value),
            Type::Variant(_) => return self.variant(path, ty, value),
            Type::Enum(names) => {
                let name = value.as_str().filter(|name| names.names().any(|known| known == *name));
                name.map(|name| Val::Enum(name.to_owned()))
            }
            Type::Flags(_) => return flags(path, ty, value),
            Type::Option(_) => return self.option(path, ty, value),
            Type::Result(_) => return self.result(path, ty, value),
            Type::Own(_) => Some(self.blob(path, ty, value, true)?),
            Type::Borrow(_) => Some(self.blob(path, ty, value, false)?),
            _ => number::lower(ty, value),
        };
        lowered.ok_or_else(|| mismatch(path, ty, value))
    }

    /// A parameter or a field: absent is null for an option, and an error for anything else.
    fn field(
        &mut self,
        path: &Path<'_>,
        known: &mut Known<'_>,
        name: &str,
        ty: &Type,
    ) -> Result<Val, ConvertError> {
        match known.take(path, name)? {
            Some(value) => self.value(&path.key(name), ty, value),
            None if matches!(ty, Type::Option(_)) => Ok(Val::Option(None)),
            None => {
                let message = format!("missing, expected {}", expected(ty));
                Err(ConvertError::input(&path.key(name), &message))
            }
        }
    }

    /// Refuses the first unknown key, unless the rules say to leave unknown keys out.
    fn unknown(
        &self,
        path: &Path<'_>,
        object: &Map<String, Value>,
        names: &[&str],
    ) -> Result<(), ConvertError> {
        if self.rules.unknown == UnknownInput::Ignore {
            return Ok(());
        }
        members::check_known(path, object, names)
    }

    fn list(
        &mut self,
        path: &Path<'_>,
        ty: &Type,
        element: &Type,
        value: &Value,
    ) -> Result<Val, ConvertError> {
        if matches!(element, Type::U8) {
            let bytes = self.byte_list(path, ty, value)?;
            self.charge(bytes.len())?;
            return Ok(Val::List(bytes.into_iter().map(Val::U8).collect()));
        }
        let items = value.as_array().ok_or_else(|| mismatch(path, ty, value))?;
        Ok(Val::List(self.elements(path, element, items)?))
    }

    fn elements(
        &mut self,
        path: &Path<'_>,
        element: &Type,
        items: &[Value],
    ) -> Result<Vec<Val>, ConvertError> {
        let mut lowered = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            lowered.push(self.value(&path.index(index), element, item)?);
        }
        Ok(lowered)
    }

    fn byte_list(
        &mut self,
        path: &Path<'_>,
        ty: &Type,
        value: &Value,
    ) -> Result<Vec<u8>, ConvertError> {
        let limit = self.rules.list_bytes;
        let too_long = |length: u64| ConvertError::list_bytes(path, length, limit);
        let bytes = if let Some(text) = value.as_str() {
            // Checked before decoding: three bytes of text cannot stand for fewer than two.
            let length_min =
                u64::try_from(text.len().saturating_sub(2) / 4 * 3).unwrap_or(u64::MAX);
            if length_min > limit.saturating_add(3) {
                return Err(too_long(length_min));
            }
            BASE64.decode(text).map_err(|_| mismatch(path, ty, value))?
        } else if let Some(text) = blob_reference(value) {
            let digest = text.parse().map_err(|_| mismatch(path, ty, value))?;
            match &mut self.blobs {
                Some(blobs) => blobs.bytes(&digest, limit).map_err(|error| error.at(path))?,
                None => Vec::new(),
            }
        } else {
            return Err(mismatch(path, ty, value));
        };
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > limit { Err(too_long(length)) } else { Ok(bytes) }
    }

    fn map(
        &mut self,
        path: &Path<'_>,
        ty: &Type,
        (key_type, value_type): (&Type, &Type),
        value: &Value,
    ) -> Result<Val, ConvertError> {
        let items = value.as_array().ok_or_else(|| mismatch(path, ty, value))?;
        let mut lowered = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = path.index(index);
            let Some([key, value]) = item.as_array().map(Vec::as_slice) else {
                let message = format!("expected a pair [key, value], found {}", found(item));
                return Err(ConvertError::input(&path, &message));
            };
            let key = self.value(&path.index(0), key_type, key)?;
            lowered.push((key, self.value(&path.index(1), value_type, value)?));
        }
        Ok(Val::Map(lowered))
    }

    fn record(&mut self, path: &Path<'_>, ty: &Type, value: &Value) -> Result<Val, ConvertError> {
        let (Type::Record(record), Some(object)) = (ty, value.as_object()) else {
            return Err(mismatch(path, ty, value));
        };
        let mut known = Known::new(object);
        let mut fields = Vec::with_capacity(record.fields().len());
        for field in record.fields() {
            let lowered = self.field(path, &mut known, field.name, &field.ty)?;
            fields.push((field.name.to_owned(), lowered));
        }
        if known.has_unknown() {
            let names: Vec<&str> = record.fields().map(|field| field.name).collect();
            self.unknown(path, object, &names)?;
        }
        Ok(Val::Record(fields))
    }

    fn tuple(&mut self, path: &Path<'_>, ty: &Type, value: &Value) -> Result<Val, ConvertError> {
        let (Type::Tuple(tuple), Some(items)) = (ty, value.as_array()) else {
            return Err(mismatch(path, ty, value));
        };
        if tuple.types().len() != items.len() {
            return Err(mismatch(path, ty, value));
        }
        let mut lowered = Vec::with_capacity(items.len());
        for (index, (ty, item)) in tuple.types().zip(items).enumerate() {
            lowered.push(self.value(&path.index(index), &ty, item)?);
        }
        Ok(Val::Tuple(lowered))
    }

    fn variant(&mut self, path: &Path<'_>, ty: &Type, value: &Value) -> Result<Val, ConvertError> {
        let (Type::Variant(variant), Some(object)) = (ty, value.as_object()) else {
            return Err(mismatch(path, ty, value));
        };
        let mut known = Known::new(object);
        let Some(tag) = known.take(path, "tag")?.and_then(Value::as_str) else {
            return Err(mismatch(path, ty, value));
        };
        let Some(case) = variant.cases().find(|case| case.name == tag) else {
            let names = listed(variant.cases().map(|case| case.name));
            let message = format!("expected one of {names}, found {}", quoted(tag));
            return Err(ConvertError::input(&path.key("tag"), &message));
        };
        let payload = match &case.ty {
            Some(ty) => Some(Box::new(self.field(path, &mut known, "value", ty)?)),
            None => None,
        };
        if known.has_unknown() {
            let names: &[&str] = if payload.is_some() { &["tag", "value"] } else { &["tag"] };
            self.unknown(path, object, names)?;
        }
        Ok(Val::Variant(tag.to_owned(), payload))
    }

    fn option(&mut self, path: &Path<'_>, ty: &Type, value: &Value) -> Result<Val, ConvertError> {
        let Type::Option(option) = ty else { return Err(mismatch(path, ty, value)) };
        if value.is_null() {
            return Ok(Val::Option(None));
        }
        let inner = option.ty();
        let lowered = match (&inner, only_member(value)) {
            (Type::Option(_), Some(("some", member))) => {
                self.value(&path.key("some"), &inner, member)?
            }
            (Type::Option(_), _) => return Err(mismatch(path, ty, value)),
            _ => self.value(path, &inner, value)?,
        };
        Ok(Val::Option(Some(Box::new(lowered))))
    }

    fn result(&mut self, path: &Path<'_>, ty: &Type, value: &Value) -> Result<Val, ConvertError> {
        let (Type::Result(result), Some((key, member))) = (ty, only_member(value)) else {
            return Err(mismatch(path, ty, value));
        };
        match key {
            "ok" => Ok(Val::Result(Ok(self.payload(&path.key("ok"), result.ok(), member)?))),
            "err" => Ok(Val::Result(Err(self.payload(&path.key("err"), result.err(), member)?))),
            _ => Err(mismatch(path, ty, value)),
        }
    }

    fn payload(
        &mut self,
        path: &Path<'_>,
        ty: Option<Type>,
        value: &Value,
    ) -> Result<Option<Box<Val>>, ConvertError> {
        match ty {
            Some(ty) => Ok(Some(Box::new(self.value(path, &ty, value)?))),
            None if value.is_null() => Ok(None),
            None => {
                let message = format!("expected null, found {}", found(value));
                Err(ConvertError::input(path, &message))
            }
        }
    }

    fn blob(
        &mut self,
        path: &Path<'_>,
        ty: &Type,
        value: &Value,
        own: bool,
    ) -> Result<Val, ConvertError> {
        let source = if let Some(text) = blob_reference(value) {
            text.parse().ok().map(BlobSource::Digest)
        } else {
            value.as_str().and_then(|text| BASE64.decode(text).ok()).map(BlobSource::Bytes)
        };
        let source = source.ok_or_else(|| mismatch(path, ty, value))?;
        match &mut self.blobs {
            Some(blobs) => {
                let handle = blobs.lower(source, own).map_err(|error| error.at(path))?;
                Ok(Val::Resource(handle))
            }
            None => Ok(Val::Bool(false)),
        }
    }
}

fn flags(path: &Path<'_>, ty: &Type, value: &Value) -> Result<Val, ConvertError> {
    let (Type::Flags(flags), Some(items)) = (ty, value.as_array()) else {
        return Err(mismatch(path, ty, value));
    };
    let mut set: Vec<String> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let name = item.as_str().filter(|name| flags.names().any(|known| known == *name));
        let Some(name) = name else {
            let message =
                format!("expected one of {}, found {}", listed(flags.names()), found(item));
            return Err(ConvertError::input(&path.index(index), &message));
        };
        if set.iter().any(|known| known == name) {
            let message = format!("`{name}` is there already");
            return Err(ConvertError::input(&path.index(index), &message));
        }
        set.push(name.to_owned());
    }
    Ok(Val::Flags(set))
}

fn one_character(text: &str) -> Option<char> {
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

fn only_member(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.iter().next().map(|(key, member)| (key.as_str(), member))
}

fn mismatch(path: &Path<'_>, ty: &Type, value: &Value) -> ConvertError {
    ConvertError::input(path, &format!("expected {}, found {}", expected(ty), found(value)))
}
