//! The values that a guest returned to JSON, within the output limit.

mod arguments;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use meshhost_core::json::number;
use serde_json::{Map, Value};
use wasmtime::component::{Type, Val, types::ComponentFunc};

pub(crate) use arguments::lift_arguments;

use super::{
    BlobHandles, ConvertError, ConvertedOutput, OutputRules, Received, Returned, budget::Budget,
    path::Path,
};

/// Makes JSON from what `function` returned. `received` are the contents of the streams and
/// futures in it, in the order in which they stand there.
///
/// # Errors
/// output-invalid when a value has no JSON form (NaN, an infinity) or is not of the function's
/// type; limit-output and limit-list-bytes when it is larger than the rules allow, found before
/// the value is built; or what `blobs` answered.
pub fn lift(
    results: &[Val],
    received: Vec<Received>,
    function: &ComponentFunc,
    rules: &OutputRules,
    blobs: &mut dyn BlobHandles,
) -> Result<ConvertedOutput, ConvertError> {
    let (budget, received) = (Budget::new(rules.output_bytes), received.into_iter());
    let mut lifting = Lifting { budget, rules, received, blobs };
    let returned = match (results, function.results().next()) {
        ([], None) => Returned::Output(lifting.null()?),
        ([Val::Result(Ok(value))], Some(Type::Result(ty))) => {
            let path = Path::Root("output");
            Returned::Output(lifting.payload(&path, ty.ok(), value.as_deref())?)
        }
        ([Val::Result(Err(value))], Some(Type::Result(ty))) => {
            let path = Path::Root("error");
            Returned::PluginError(lifting.payload(&path, ty.err(), value.as_deref())?)
        }
        ([value], Some(ty)) => {
            Returned::Output(lifting.value(&Path::Root("output"), &ty, value)?)
        }
        _ => return Err(wrong_type(&Path::Root("output"))),
    };
    Ok(ConvertedOutput { returned, bytes: lifting.budget.used() })
}

struct Lifting<'a> {
    budget: Budget,
    rules: &'a OutputRules,
    received: std::vec::IntoIter<Received>,
    blobs: &'a mut dyn BlobHandles,
}

impl Lifting<'_> {
    fn null(&mut self) -> Result<Value, ConvertError> {
        self.budget.charge(4)?;
        Ok(Value::Null)
    }

    fn scalar(&mut self, value: Value) -> Result<Value, ConvertError> {
        self.budget.charge_scalar(&value)?;
        Ok(value)
    }

    /// Charged before it is copied.
    fn text(&mut self, text: &str) -> Result<Value, ConvertError> {
        self.budget.charge_scalar(text)?;
        Ok(Value::String(text.to_owned()))
    }

    fn value(&mut self, path: &Path<'_>, ty: &Type, value: &Val) -> Result<Value, ConvertError> {
        match (ty, value) {
            (Type::Bool, Val::Bool(truth)) => self.scalar(Value::Bool(*truth)),
            (Type::S8, Val::S8(number)) => self.scalar((*number).into()),
            (Type::U8, Val::U8(number)) => self.scalar((*number).into()),
            (Type::S16, Val::S16(number)) => self.scalar((*number).into()),
            (Type::U16, Val::U16(number)) => self.scalar((*number).into()),
            (Type::S32, Val::S32(number)) => self.scalar((*number).into()),
            (Type::U32, Val::U32(number)) => self.scalar((*number).into()),
            (Type::S64, Val::S64(number)) => self.scalar(number::wide((*number).into())),
            (Type::U64, Val::U64(number)) => self.scalar(number::wide((*number).into())),
            (Type::Float32, Val::Float32(float)) => self.float(path, number::fraction32(*float)),
            (Type::Float64, Val::Float64(float)) => self.float(path, number::fraction(*float)),
            (Type::Char, Val::Char(character)) => self.scalar(character.to_string().into()),
            (Type::String, Val::String(text)) => self.text(text),
            (Type::Enum(_), Val::Enum(name)) => self.text(name),
            (Type::Own(_) | Type::Borrow(_), Val::Resource(handle)) => {
                let digest = self.blobs.lift(*handle).map_err(|error| error.at(path))?;
                let text = self.text(&digest.to_string())?;
                self.object_of("blob", text)
            }
            _ => self.composite(path, ty, value),
        }
    }

    fn composite(
        &mut self,
        path: &Path<'_>,
        ty: &Type,
        value: &Val,
    ) -> Result<Value, ConvertError> {
        match (ty, value) {
            (Type::List(list), Val::List(items)) => match list.ty() {
                Type::U8 => self.byte_list(path, items),
                element => self.elements(path, &element, items),
            },
            (Type::FixedLengthList(list), Val::FixedLengthList(items)) => {
                self.elements(path, &list.ty(), items)
            }
            (Type::Stream(stream), Val::Stream(_)) => self.stream(path, stream.ty()),
            (Type::Future(future), Val::Future(_)) => self.future(path, future.ty()),
            (Type::Map(map), Val::Map(pairs)) => self.map(path, &map.key(), &map.value(), pairs),
            (Type::Record(_), Val::Record(fields)) => self.record(path, ty, fields),
            (Type::Tuple(tuple), Val::Tuple(items)) => {
                self.budget.charge_brackets(items.len())?;
                let types = tuple.types().zip(items).enumerate();
                let lifted =
                    types.map(|(index, (ty, item))| self.value(&path.index(index), &ty, item));
                Ok(Value::Array(lifted.collect::<Result<_, _>>()?))
            }
            (Type::Variant(_), Val::Variant(tag, payload)) => {
                self.variant(path, ty, tag, payload.as_deref())
            }
            (Type::Flags(_), Val::Flags(names)) => {
                self.budget.charge_brackets(names.len())?;
                let names = names.iter().map(|name| self.text(name));
                Ok(Value::Array(names.collect::<Result<_, _>>()?))
            }
            (Type::Option(_), Val::Option(None)) => self.null(),
            (Type::Option(option), Val::Option(Some(inner))) => {
                let ty = option.ty();
                let lifted = self.value(path, &ty, inner)?;
                if matches!(ty, Type::Option(_)) {
                    self.object_of("some", lifted)
                } else {
                    Ok(lifted)
                }
            }
            (Type::Result(result), Val::Result(Ok(payload))) => {
                let lifted = self.payload(&path.key("ok"), result.ok(), payload.as_deref())?;
                self.object_of("ok", lifted)
            }
            (Type::Result(result), Val::Result(Err(payload))) => {
                let lifted = self.payload(&path.key("err"), result.err(), payload.as_deref())?;
                self.object_of("err", lifted)
            }
            _ => Err(wrong_type(path)),
        }
    }

    fn payload(
        &mut self,
        path: &Path<'_>,
        ty: Option<Type>,
        value: Option<&Val>,
    ) -> Result<Value, ConvertError> {
        match (ty, value) {
            (Some(ty), Some(value)) => self.value(path, &ty, value),
            (None, None) => self.null(),
            _ => Err(wrong_type(path)),
        }
    }

    /// An object with one member whose value is charged already.
    fn object_of(&mut self, key: &str, value: Value) -> Result<Value, ConvertError> {
        self.budget.charge_brackets(1)?;
        self.budget.charge_key(key)?;
        Ok(Value::Object(Map::from_iter([(key.to_owned(), value)])))
    }

    fn float(&mut self, path: &Path<'_>, value: Option<Value>) -> Result<Value, ConvertError> {
        let value = value.ok_or_else(|| {
            ConvertError::output(path, "NaN and the infinities have no form in JSON")
        })?;
        self.scalar(value)
    }

    fn elements(
        &mut self,
        path: &Path<'_>,
        element: &Type,
        items: &[Val],
    ) -> Result<Value, ConvertError> {
        self.budget.charge_brackets(items.len())?;
        let mut lifted = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            lifted.push(self.value(&path.index(index), element, item)?);
        }
        Ok(Value::Array(lifted))
    }

    fn byte_list(&mut self, path: &Path<'_>, items: &[Val]) -> Result<Value, ConvertError> {
        let length = u64::try_from(items.len()).unwrap_or(u64::MAX);
        if length > self.rules.list_bytes {
            return Err(ConvertError::list_bytes(path, length, self.rules.list_bytes));
        }
        self.charge_bytes(length)?;
        let bytes = items.iter().map(|item| match item {
            Val::U8(byte) => Ok(*byte),
            _ => Err(wrong_type(path)),
        });
        Ok(Value::String(STANDARD.encode(bytes.collect::<Result<Vec<u8>, _>>()?)))
    }

    /// Takes the length of base64 text.
    fn charge_bytes(&mut self, length: u64) -> Result<(), ConvertError> {
        self.budget.charge(length.div_ceil(3).saturating_mul(4).saturating_add(2))
    }

    /// The bytes of a stream are not bounded like those of a list: they never were a list of
    /// values.
    fn stream(&mut self, path: &Path<'_>, item: Option<Type>) -> Result<Value, ConvertError> {
        match (self.received.next(), item) {
            (Some(Received::Bytes(bytes)), Some(Type::U8)) => {
                self.charge_bytes(bytes.len() as u64)?;
                Ok(Value::String(STANDARD.encode(bytes)))
            }
            (Some(Received::Items(items)), Some(item)) => self.elements(path, &item, &items),
            _ => Err(wrong_type(path)),
        }
    }

    fn future(&mut self, path: &Path<'_>, value: Option<Type>) -> Result<Value, ConvertError> {
        let Some(ty) = value else { return Err(wrong_type(path)) };
        match self.received.next() {
            Some(Received::Items(values)) => match values.first() {
                Some(value) => self.value(path, &ty, value),
                None => Err(ConvertError::output(path, "the future ended without a value")),
            },
            _ => Err(wrong_type(path)),
        }
    }

    fn map(
        &mut self,
        path: &Path<'_>,
        key_type: &Type,
        value_type: &Type,
        pairs: &[(Val, Val)],
    ) -> Result<Value, ConvertError> {
        self.budget.charge_brackets(pairs.len())?;
        let mut lifted = Vec::with_capacity(pairs.len());
        for (index, (key, value)) in pairs.iter().enumerate() {
            let path = path.index(index);
            self.budget.charge_brackets(2)?;
            let key = self.value(&path.index(0), key_type, key)?;
            let value = self.value(&path.index(1), value_type, value)?;
            lifted.push(Value::Array(vec![key, value]));
        }
        Ok(Value::Array(lifted))
    }

    fn record(
        &mut self,
        path: &Path<'_>,
        ty: &Type,
        fields: &[(String, Val)],
    ) -> Result<Value, ConvertError> {
        let Type::Record(record) = ty else { return Err(wrong_type(path)) };
        if record.fields().len() != fields.len() {
            return Err(wrong_type(path));
        }
        self.budget.charge_brackets(fields.len())?;
        let mut object = Map::with_capacity(fields.len());
        for (field, (_, value)) in record.fields().zip(fields) {
            self.budget.charge_key(field.name)?;
            let value = self.value(&path.key(field.name), &field.ty, value)?;
            object.insert(field.name.replace('-', "_"), value);
        }
        Ok(Value::Object(object))
    }

    fn variant(
        &mut self,
        path: &Path<'_>,
        ty: &Type,
        tag: &str,
        payload: Option<&Val>,
    ) -> Result<Value, ConvertError> {
        let Type::Variant(variant) = ty else { return Err(wrong_type(path)) };
        let case = variant.cases().find(|case| case.name == tag);
        let Some(case) = case else { return Err(wrong_type(path)) };
        self.budget.charge_key("tag")?;
        let mut object = Map::with_capacity(2);
        object.insert("tag".to_owned(), self.text(tag)?);
        match (case.ty, payload) {
            (Some(ty), Some(value)) => {
                self.budget.charge_key("value")?;
                object.insert("value".to_owned(), self.value(&path.key("value"), &ty, value)?);
            }
            (None, None) => {}
            _ => return Err(wrong_type(path)),
        }
        self.budget.charge_brackets(object.len())?;
        Ok(Value::Object(object))
    }
}

/// Cannot happen with what wasmtime returned for this function; typed instead of a panic.
fn wrong_type(path: &Path<'_>) -> ConvertError {
    ConvertError::output(path, "the value is not of the function's type")
}
