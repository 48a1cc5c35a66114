//! WIT types to JSON Schema 2020-12, the same mapping as [`crate::convert`].
//!
//! The schema shows the canonical spelling (keys with `_`). Three things it cannot say and
//! [`crate::convert::lower`] checks as well: keys written with `-`, whether text is valid base64,
//! and whether digits given as text fit 64 bits.
//!
//! Types are written out in place, without `$ref`: every reader of schemas understands that. So a
//! type that is used twice is written twice, and [`SchemaBudget`] bounds what that adds up to.

#[cfg(test)]
mod tests;
mod types;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use wit_parser::{Function, Resolve, Type, TypeDefKind};

use types::{Direction, Writer};

/// Deepest nesting of types in a capability. Each level can add two levels of JSON, and readers
/// of JSON commonly stop at 128.
pub const TYPE_DEPTH_MAX: u32 = 32;
/// Bytes that the schemas of one function may take, about.
pub const FUNCTION_SCHEMA_BYTES_MAX: usize = 256 * 1024;
/// Bytes that the schemas of one component may take, about.
pub const COMPONENT_SCHEMA_BYTES_MAX: usize = 8 * 1024 * 1024;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Why a function has no JSON form and is no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMappable {
    /// It belongs to a resource.
    #[error("it belongs to the resource `{0}`; only functions outside resources are capabilities")]
    Method(String),
    /// It takes or returns a handle.
    #[error(
        "it passes the resource `{0}`; of resources only meshhost:blob/types.blob has a JSON form"
    )]
    Resource(String),
    /// It takes a stream or a future.
    #[error("it takes {0}; an input is whole before the call begins")]
    Takes(&'static str),
    /// It returns a stream or a future of something that the host cannot read one by one.
    #[error("it returns {0} of something else than numbers, texts, truth values or bytes")]
    Returns(&'static str),
    /// It passes an error context.
    #[error("it passes an error context, which this release does not run")]
    ErrorContext,
    /// Its types nest too deeply.
    #[error("its types nest deeper than {TYPE_DEPTH_MAX} levels")]
    TooDeep,
    /// Its schemas would be too large.
    #[error("its types are too large to describe")]
    TooLarge,
}

/// What one function takes and gives.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionSchemas {
    /// An object keyed by parameter name.
    pub input: Value,
    /// The output; null when the function returns nothing.
    pub output: Value,
    /// The error data, when the function returns a `result`; null when the error carries nothing.
    pub error: Option<Value>,
}

/// Bytes that schemas may still take.
#[derive(Debug)]
pub struct SchemaBudget {
    component: usize,
    function: usize,
}

impl SchemaBudget {
    /// The budget of one component.
    #[must_use]
    pub const fn new() -> Self {
        Self { component: COMPONENT_SCHEMA_BYTES_MAX, function: 0 }
    }

    fn charge(&mut self, bytes: usize) -> Result<(), NotMappable> {
        self.function = self.function.checked_sub(bytes).ok_or(NotMappable::TooLarge)?;
        self.component = self.component.checked_sub(bytes).ok_or(NotMappable::TooLarge)?;
        Ok(())
    }
}

impl Default for SchemaBudget {
    fn default() -> Self {
        Self::new()
    }
}

/// Describes a function. `parameters` are the doc comments of its parameters by WIT name, which
/// the WIT of a component cannot carry itself.
///
/// # Errors
/// When the function has no JSON form; it is then no capability.
pub fn function_schemas(
    resolve: &Resolve,
    function: &Function,
    parameters: &BTreeMap<String, String>,
    budget: &mut SchemaBudget,
) -> Result<FunctionSchemas, NotMappable> {
    if let Some(resource) = function.kind.resource() {
        let name = resolve.types.get(resource).and_then(|ty| ty.name.clone());
        return Err(NotMappable::Method(name.unwrap_or_default()));
    }
    budget.function = FUNCTION_SCHEMA_BYTES_MAX;
    let input = input_schema(resolve, function, parameters, budget)?;
    let mut writer = Writer { resolve, direction: Direction::Output, budget };
    let (ok, err) = match function.result.map(|ty| (ty, types::kind(resolve, &ty))) {
        None => (None, None),
        Some((_, Some(TypeDefKind::Result(result)))) => (result.ok, Some(result.err)),
        Some((ty, _)) => (Some(ty), None),
    };
    let output = root(writer.optional_type(ok.as_ref())?);
    let error = match err {
        Some(err) => Some(root(writer.optional_type(err.as_ref())?)),
        None => None,
    };
    Ok(FunctionSchemas { input, output, error })
}

fn input_schema(
    resolve: &Resolve,
    function: &Function,
    parameters: &BTreeMap<String, String>,
    budget: &mut SchemaBudget,
) -> Result<Value, NotMappable> {
    let mut writer = Writer { resolve, direction: Direction::Input, budget };
    let mut properties = Map::new();
    let mut required = Vec::new();
    for parameter in &function.params {
        let docs = parameters.get(&parameter.name).map(String::as_str);
        let schema = writer.member(&parameter.name, &parameter.ty, docs, 1)?;
        let name = parameter.name.replace('-', "_");
        if !is_option(resolve, &parameter.ty) {
            required.push(Value::String(name.clone()));
        }
        properties.insert(name, schema);
    }
    Ok(root(json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })))
}

/// The schema of `<plugin>.run`, for a component that exports `wasi:cli/run`.
#[must_use]
pub fn command_schemas() -> FunctionSchemas {
    let bytes = json!({
        "type": "object",
        "properties": { "base64": { "type": "string", "contentEncoding": "base64" } },
        "required": ["base64"],
        "additionalProperties": false,
    });
    let text_or_bytes = |description: &str| json!({ "description": description, "anyOf": [{ "type": "string" }, bytes] });
    let mut stdin = text_or_bytes("Standard input: text, or bytes as base64.");
    if let Some(forms) = stdin.get_mut("anyOf").and_then(Value::as_array_mut) {
        forms.push(json!({ "type": "null" }));
    }
    let input = json!({
        "type": "object",
        "properties": {
            "arguments": {
                "description": "The arguments after the program's name.",
                "type": ["array", "null"],
                "items": { "type": "string", "pattern": "^[^\\u0000]*$" },
                "maxItems": crate::convert::ARGUMENTS_MAX,
            },
            "stdin": stdin,
        },
        "additionalProperties": false,
    });
    let output = json!({
        "type": "object",
        "properties": {
            "exit_code": {
                "description": "0 when the command worked.",
                "type": "integer", "minimum": 0, "maximum": 255,
            },
            "stdout": text_or_bytes("Standard output: text, or bytes as base64."),
        },
        "required": ["exit_code", "stdout"],
        "additionalProperties": false,
    });
    FunctionSchemas { input: root(input), output: root(output), error: None }
}

/// Whether a member of this type may be absent.
fn is_option(resolve: &Resolve, ty: &Type) -> bool {
    matches!(types::kind(resolve, ty), Some(TypeDefKind::Option(_)))
}

/// Names the dialect, first.
fn root(schema: Value) -> Value {
    let mut object = Map::from_iter([("$schema".to_owned(), Value::from(DIALECT))]);
    if let Value::Object(members) = schema {
        object.extend(members);
    }
    Value::Object(object)
}
