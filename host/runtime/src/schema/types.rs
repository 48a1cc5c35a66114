//! One WIT type to its schema.

use serde_json::{Map, Value, json};
use wit_parser::{Handle, Record, Resolve, Result_, Type, TypeDefKind, TypeId, TypeOwner, Variant};

use super::{NotMappable, SchemaBudget, TYPE_DEPTH_MAX, is_option};
use crate::convert::SAFE_INTEGER_MAX;

/// What one node of a schema costs besides its texts, about.
const NODE_BYTES: usize = 64;

/// Most fields of a record, cases of a variant or an enum, or flags. A value of such a type is
/// compared with each of them.
const MEMBERS_MAX: usize = 512;

/// Halfway between the largest f32 and the number after it: everything nearer to zero rounds to
/// an f32, 2^128 − 2^103.
const FLOAT32_BOUND: f64 = 340_282_356_779_733_661_637_539_395_458_142_568_448.0;

/// Whether the schema describes what a caller writes or what comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// What a caller writes: every accepted form.
    Input,
    /// What comes back: the one form that is produced.
    Output,
}

pub(super) struct Writer<'a, 'b> {
    pub(super) resolve: &'a Resolve,
    pub(super) direction: Direction,
    pub(super) budget: &'b mut SchemaBudget,
}

impl Writer<'_, '_> {
    /// The type of a payload; null when there is none.
    pub(super) fn optional_type(&mut self, ty: Option<&Type>) -> Result<Value, NotMappable> {
        self.payload(ty, 1)
    }

    fn payload(&mut self, ty: Option<&Type>, depth: u32) -> Result<Value, NotMappable> {
        match ty {
            Some(ty) => self.ty(ty, depth),
            None => Ok(json!({ "type": "null" })),
        }
    }

    /// A parameter or field, with its own description before that of its type.
    pub(super) fn member(
        &mut self,
        name: &str,
        ty: &Type,
        docs: Option<&str>,
        depth: u32,
    ) -> Result<Value, NotMappable> {
        self.budget.charge(name.len() + docs.map_or(0, str::len))?;
        let schema = self.ty(ty, depth)?;
        Ok(described(schema, docs, true))
    }

    fn ty(&mut self, ty: &Type, depth: u32) -> Result<Value, NotMappable> {
        if depth > TYPE_DEPTH_MAX {
            return Err(NotMappable::TooDeep);
        }
        self.budget.charge(NODE_BYTES)?;
        Ok(match ty {
            Type::Bool => json!({ "type": "boolean" }),
            Type::U8 => integer(0, u8::MAX.into()),
            Type::U16 => integer(0, u16::MAX.into()),
            Type::U32 => integer(0, u32::MAX.into()),
            Type::S8 => integer(i8::MIN.into(), i8::MAX.into()),
            Type::S16 => integer(i16::MIN.into(), i16::MAX.into()),
            Type::S32 => integer(i32::MIN.into(), i32::MAX.into()),
            Type::U64 => self.wide_integer(json!(0), json!(u64::MAX), "^(0|[1-9][0-9]{0,19})$"),
            Type::S64 => {
                self.wide_integer(json!(i64::MIN), json!(i64::MAX), "^(0|-?[1-9][0-9]{0,18})$")
            }
            Type::F32 => json!({
                "type": "number",
                "exclusiveMinimum": -FLOAT32_BOUND,
                "exclusiveMaximum": FLOAT32_BOUND,
            }),
            Type::F64 => json!({ "type": "number" }),
            Type::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
            Type::String => json!({ "type": "string" }),
            Type::ErrorContext => return Err(NotMappable::ErrorContext),
            Type::Id(id) => return self.defined(*id, depth),
        })
    }

    /// A 64-bit integer: a number, or its digits as text. What comes back is text exactly when
    /// it lies beyond 2^53 − 1.
    fn wide_integer(&self, minimum: Value, maximum: Value, digits: &str) -> Value {
        let safe = i64::try_from(SAFE_INTEGER_MAX).unwrap_or(i64::MAX);
        let (minimum, maximum) = match self.direction {
            Direction::Input => (minimum, maximum),
            Direction::Output if minimum == json!(0) => (minimum, json!(safe)),
            Direction::Output => (json!(-safe), json!(safe)),
        };
        json!({ "anyOf": [
            { "type": "integer", "minimum": minimum, "maximum": maximum },
            { "type": "string", "pattern": digits },
        ] })
    }

    fn defined(&mut self, id: TypeId, depth: u32) -> Result<Value, NotMappable> {
        let resolve = self.resolve;
        let (id, docs) = unalias(resolve, id);
        let Some(definition) = id.and_then(|id| resolve.types.get(id)) else {
            return Err(NotMappable::Resource(String::new()));
        };
        self.budget.charge(docs.map_or(0, str::len))?;
        if let TypeDefKind::Type(primitive) = &definition.kind {
            return Ok(described(self.ty(primitive, depth + 1)?, docs, false));
        }
        if members(&definition.kind) > MEMBERS_MAX {
            return Err(NotMappable::TooLarge);
        }
        let schema = match &definition.kind {
            TypeDefKind::Record(record) => self.record(record, depth)?,
            TypeDefKind::Tuple(tuple) => {
                let mut items = Vec::with_capacity(tuple.types.len());
                for ty in &tuple.types {
                    items.push(self.ty(ty, depth + 1)?);
                }
                let count = items.len();
                json!({ "type": "array", "prefixItems": items, "items": false, "minItems": count })
            }
            TypeDefKind::Variant(variant) => self.variant(variant, depth)?,
            TypeDefKind::Enum(names) => {
                let names = names.cases.iter().map(|case| case.name.as_str());
                json!({ "type": "string", "enum": self.names(names)? })
            }
            TypeDefKind::Flags(names) => {
                let names = names.flags.iter().map(|flag| flag.name.as_str());
                let names = self.names(names)?;
                json!({ "type": "array", "items": { "type": "string", "enum": names }, "uniqueItems": true })
            }
            TypeDefKind::Option(inner) => self.option(inner, depth)?,
            TypeDefKind::Result(result) => self.result(result, depth)?,
            TypeDefKind::List(element) if is_byte(resolve, element) => self.bytes(),
            TypeDefKind::List(element) => {
                json!({ "type": "array", "items": self.ty(element, depth + 1)? })
            }
            TypeDefKind::FixedLengthList(element, length) => json!({
                "type": "array",
                "items": self.ty(element, depth + 1)?,
                "minItems": length,
                "maxItems": length,
            }),
            TypeDefKind::Map(key, value) => {
                let pair = [self.ty(key, depth + 1)?, self.ty(value, depth + 1)?];
                let pair =
                    json!({ "type": "array", "prefixItems": pair, "items": false, "minItems": 2 });
                json!({ "type": "array", "items": pair })
            }
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => self.handle(*id)?,
            TypeDefKind::Stream(item) => {
                let item = self.received("a stream", item.as_ref())?;
                if is_byte(resolve, &item) {
                    self.bytes()
                } else {
                    json!({ "type": "array", "items": self.ty(&item, depth + 1)? })
                }
            }
            TypeDefKind::Future(value) => {
                let value = self.received("a future", value.as_ref())?;
                self.ty(&value, depth + 1)?
            }
            TypeDefKind::Resource | TypeDefKind::Type(_) | TypeDefKind::Unknown => {
                return Err(NotMappable::Resource(definition.name.clone().unwrap_or_default()));
            }
        };
        Ok(described(schema, docs, false))
    }

    /// The type of what comes out of a stream or future, which the host must know beforehand: it
    /// cannot read one of any type.
    fn received(&self, what: &'static str, ty: Option<&Type>) -> Result<Type, NotMappable> {
        if self.direction == Direction::Input {
            return Err(NotMappable::Takes(what));
        }
        let ty = ty.map(|ty| unalias_type(self.resolve, ty));
        ty.filter(|ty| is_receivable(self.resolve, ty)).ok_or(NotMappable::Returns(what))
    }

    fn record(&mut self, record: &Record, depth: u32) -> Result<Value, NotMappable> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in &record.fields {
            let docs = field.docs.contents.as_deref();
            let schema = self.member(&field.name, &field.ty, docs, depth + 1)?;
            let name = field.name.replace('-', "_");
            if self.direction == Direction::Output || !is_option(self.resolve, &field.ty) {
                required.push(Value::String(name.clone()));
            }
            properties.insert(name, schema);
        }
        Ok(object(properties, required))
    }

    fn variant(&mut self, variant: &Variant, depth: u32) -> Result<Value, NotMappable> {
        let mut cases = Vec::with_capacity(variant.cases.len());
        for case in &variant.cases {
            self.budget.charge(NODE_BYTES + case.name.len())?;
            let tag = json!({ "const": case.name });
            let mut properties = Map::from_iter([("tag".to_owned(), tag)]);
            let mut required = vec![Value::from("tag")];
            if let Some(ty) = &case.ty {
                properties.insert("value".to_owned(), self.ty(ty, depth + 1)?);
                if self.direction == Direction::Output || !is_option(self.resolve, ty) {
                    required.push(Value::from("value"));
                }
            }
            let docs = case.docs.contents.as_deref();
            self.budget.charge(docs.map_or(0, str::len))?;
            cases.push(described(object(properties, required), docs, true));
        }
        Ok(json!({ "oneOf": cases }))
    }

    fn option(&mut self, inner: &Type, depth: u32) -> Result<Value, NotMappable> {
        let schema = self.ty(inner, depth + 1)?;
        if is_option(self.resolve, inner) {
            return Ok(or_null(wrapped("some", schema)));
        }
        Ok(or_null(schema))
    }

    fn result(&mut self, result: &Result_, depth: u32) -> Result<Value, NotMappable> {
        let ok = self.payload(result.ok.as_ref(), depth + 1)?;
        let err = self.payload(result.err.as_ref(), depth + 1)?;
        Ok(json!({ "oneOf": [wrapped("ok", ok), wrapped("err", err)] }))
    }

    fn names<'n>(
        &mut self,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<Vec<Value>, NotMappable> {
        names
            .map(|name| {
                self.budget.charge(name.len() + 4)?;
                Ok(Value::from(name))
            })
            .collect()
    }

    fn bytes(&self) -> Value {
        let text = json!({ "type": "string", "contentEncoding": "base64" });
        match self.direction {
            Direction::Input => json!({ "anyOf": [text, blob_reference()] }),
            Direction::Output => text,
        }
    }

    fn handle(&self, id: TypeId) -> Result<Value, NotMappable> {
        if !is_blob(self.resolve, id) {
            let (id, _) = unalias(self.resolve, id);
            let definition = id.and_then(|id| self.resolve.types.get(id));
            let name = definition.and_then(|definition| definition.name.clone());
            return Err(NotMappable::Resource(name.unwrap_or_default()));
        }
        Ok(match self.direction {
            Direction::Input => json!({ "anyOf": [
                blob_reference(),
                { "type": "string", "contentEncoding": "base64" },
            ] }),
            Direction::Output => blob_reference(),
        })
    }
}

fn members(kind: &TypeDefKind) -> usize {
    match kind {
        TypeDefKind::Record(record) => record.fields.len(),
        TypeDefKind::Tuple(tuple) => tuple.types.len(),
        TypeDefKind::Variant(variant) => variant.cases.len(),
        TypeDefKind::Enum(names) => names.cases.len(),
        TypeDefKind::Flags(names) => names.flags.len(),
        _ => 0,
    }
}

/// The kind behind all aliases; `None` for a primitive type.
pub(super) fn kind<'a>(resolve: &'a Resolve, ty: &Type) -> Option<&'a TypeDefKind> {
    match unalias_type(resolve, ty) {
        Type::Id(id) => resolve.types.get(id).map(|definition| &definition.kind),
        _ => None,
    }
}

/// Follows aliases to the last definition, which may be an alias of a primitive type; the first
/// doc comment on the way describes the type.
fn unalias(resolve: &Resolve, id: TypeId) -> (Option<TypeId>, Option<&str>) {
    let mut current = id;
    let mut docs = None;
    loop {
        let Some(definition) = resolve.types.get(current) else { return (None, docs) };
        docs = docs.or(definition.docs.contents.as_deref());
        match &definition.kind {
            TypeDefKind::Type(Type::Id(next)) => current = *next,
            _ => return (Some(current), docs),
        }
    }
}

fn unalias_type(resolve: &Resolve, ty: &Type) -> Type {
    let mut current = *ty;
    while let Type::Id(id) = current {
        match resolve.types.get(id).map(|definition| &definition.kind) {
            Some(TypeDefKind::Type(next)) => current = *next,
            _ => break,
        }
    }
    current
}

fn is_byte(resolve: &Resolve, ty: &Type) -> bool {
    unalias_type(resolve, ty) == Type::U8
}

/// Whether the host reads such items out of a stream or future: see `crate::execute::received`.
fn is_receivable(resolve: &Resolve, ty: &Type) -> bool {
    match ty {
        Type::ErrorContext => false,
        Type::Id(_) => {
            matches!(kind(resolve, ty), Some(TypeDefKind::List(item)) if is_byte(resolve, item))
        }
        _ => true,
    }
}

/// Whether the resource is the host's `meshhost:blob/types.blob`, version 0.1.
fn is_blob(resolve: &Resolve, id: TypeId) -> bool {
    let (Some(id), _) = unalias(resolve, id) else { return false };
    let Some(definition) = resolve.types.get(id) else { return false };
    let TypeOwner::Interface(interface) = definition.owner else { return false };
    let Some(interface) = resolve.interfaces.get(interface) else { return false };
    let package = interface.package.and_then(|package| resolve.packages.get(package));
    let Some(package) = package.map(|package| &package.name) else { return false };
    let version = package.version.as_ref();
    package.namespace == "meshhost"
        && package.name == "blob"
        && version.is_some_and(|version| (version.major, version.minor) == (0, 1))
        && interface.name.as_deref() == Some("types")
        && definition.name.as_deref() == Some("blob")
}

fn integer(minimum: i64, maximum: i64) -> Value {
    json!({ "type": "integer", "minimum": minimum, "maximum": maximum })
}

fn object(properties: Map<String, Value>, required: Vec<Value>) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn wrapped(key: &str, schema: Value) -> Value {
    object(Map::from_iter([(key.to_owned(), schema)]), vec![Value::from(key)])
}

fn blob_reference() -> Value {
    wrapped("blob", json!({ "type": "string", "pattern": "^blake3:[0-9a-f]{64}$" }))
}

/// The same, or null. A schema with one plain type stays one schema, which is easier to read.
fn or_null(schema: Value) -> Value {
    match schema {
        Value::Object(mut object) if object.get("type").is_some_and(Value::is_string) => {
            if let Some(kind) = object.get_mut("type") {
                *kind = json!([kind.take(), "null"]);
            }
            if let Some(Value::Array(names)) = object.get_mut("enum") {
                names.push(Value::Null);
            }
            Value::Object(object)
        }
        schema => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

/// Adds a description; `replace` says that it goes before the one that is there.
fn described(schema: Value, docs: Option<&str>, replace: bool) -> Value {
    match (schema, docs) {
        (Value::Object(object), Some(docs)) if replace || !object.contains_key("description") => {
            let mut described = Map::from_iter([("description".to_owned(), Value::from(docs))]);
            described.extend(object.into_iter().filter(|(key, _)| key != "description"));
            Value::Object(described)
        }
        (schema, _) => schema,
    }
}
