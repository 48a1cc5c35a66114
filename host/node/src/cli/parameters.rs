//! The parameters of a capability as a person sees them, read from its input schema
//! (JSON Schema 2020-12, as the runtime derives it from WIT).

use serde_json::{Map, Value};

use super::text::{BOLD, clean, clean_line, styled, wrap};
use crate::api::CapabilityView;

/// How many references and alternatives deep a schema is followed.
const DEPTH_MAX: u32 = 16;

/// One parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    /// Its name in the input object.
    pub(crate) name: String,
    /// What `name=text` is read as.
    pub(crate) kind: Kind,
    /// Whether a call without it is refused.
    pub(crate) required: bool,
    /// From the WIT doc comment.
    pub(crate) description: String,
    /// Whether it is a path of this machine, which is made absolute.
    pub(crate) is_path: bool,
}

/// What the text of an argument is read as.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Text as it is.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Choice(Vec<String>),
    /// Bytes: from a file as a blob, or text as base64.
    Bytes,
    /// Several, one argument for each.
    List(Box<Kind>),
    /// Anything else: only as JSON.
    Json,
}

impl Kind {
    /// The type in words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Integer => "whole number".to_owned(),
            Self::Number => "number".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Choice(choices) => choices.join(" | "),
            Self::Bytes => "bytes".to_owned(),
            Self::List(kind) => format!("list of {}", kind.words()),
            Self::Json => "JSON".to_owned(),
        }
    }

    /// What an argument of this kind could look like.
    fn example(&self, name: &str) -> String {
        match self {
            Self::Text => format!("{name}=text"),
            Self::Integer => format!("{name}=5"),
            Self::Number => format!("{name}=0.5"),
            Self::Boolean => format!("{name}=true"),
            Self::Choice(choices) => {
                format!("{name}={}", choices.first().map_or("text", String::as_str))
            }
            Self::Bytes => format!("{name}=@FILE"),
            Self::List(kind) if **kind == Self::Json => format!("'{name}:=[]'"),
            Self::List(kind) => kind.example(name),
            Self::Json => format!("'{name}:={{}}'"),
        }
    }
}

/// The parameters of a capability, in the order of its schema.
pub(crate) fn parameters(capability: &CapabilityView) -> Vec<Parameter> {
    let root = &capability.input_schema;
    let required = root.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|entry| entry == name));
    let none = Map::new();
    let properties = root.get("properties").and_then(Value::as_object).unwrap_or(&none);
    properties
        .iter()
        .map(|(name, schema)| Parameter {
            name: name.clone(),
            kind: kind(schema, root, DEPTH_MAX),
            required: is_required(name),
            description: description(schema),
            is_path: capability.path_parameters.iter().any(|one| one.replace('-', "_") == *name),
        })
        .collect()
}

fn description(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn kind(schema: &Value, root: &Value, depth: u32) -> Kind {
    let Some(depth) = depth.checked_sub(1) else { return Kind::Json };
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let found = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return found.map_or(Kind::Json, |target| kind(target, root, depth));
    }
    if let Some(choices) = choices(schema) {
        return Kind::Choice(choices);
    }
    if let Some(alternatives) = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(*key)) {
        return kind_of_alternatives(alternatives, root, depth);
    }
    let types = types(schema);
    match types.as_slice() {
        ["string"] if schema.get("contentEncoding").is_some() => Kind::Bytes,
        ["string"] => Kind::Text,
        ["integer"] | ["integer", "string"] | ["string", "integer"] => Kind::Integer,
        ["number"] => Kind::Number,
        ["boolean"] => Kind::Boolean,
        ["array"] if schema.get("prefixItems").is_some() => Kind::Json,
        ["array"] => match schema.get("items").map(|items| kind(items, root, depth)) {
            None | Some(Kind::List(_)) => Kind::Json,
            Some(item) => Kind::List(Box::new(item)),
        },
        ["object"] if is_blob(schema) => Kind::Bytes,
        _ => Kind::Json,
    }
}

/// The words of an enumeration; `null` among them means that the parameter may be left out.
fn choices(schema: &Value) -> Option<Vec<String>> {
    let words = schema.get("enum")?.as_array()?;
    words
        .iter()
        .filter(|word| !word.is_null())
        .map(|word| word.as_str().map(str::to_owned))
        .collect()
}

/// The types that a schema names, without `null`.
fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect()
        }
        _ => Vec::new(),
    }
}

fn is_blob(schema: &Value) -> bool {
    schema.pointer("/properties/blob").is_some()
}

fn kind_of_alternatives(alternatives: &Value, root: &Value, depth: u32) -> Kind {
    let kinds: Vec<Kind> = alternatives
        .as_array()
        .into_iter()
        .flatten()
        .filter(|schema| schema.get("type").is_none_or(|name| name != "null"))
        .map(|schema| kind(schema, root, depth))
        .collect();
    match kinds.as_slice() {
        [] => Kind::Json,
        [only] => only.clone(),
        // Large whole numbers travel as strings, bytes as base64 or as a blob.
        several if several.contains(&Kind::Bytes) => Kind::Bytes,
        [Kind::Integer, Kind::Text] | [Kind::Text, Kind::Integer] => Kind::Integer,
        _ => Kind::Json,
    }
}

/// `meshhost call CAPABILITY --help`.
pub(crate) fn help(capability: &CapabilityView) -> String {
    let parameters = parameters(capability);
    let mut text = format!(
        "{}  {} of plugin {}, risk {}\n",
        styled(BOLD, capability.id.as_str()),
        clean_line(&capability.version),
        capability.plugin,
        clean_line(&capability.risk),
    );
    if !capability.description.is_empty() {
        text.push('\n');
        text.push_str(&wrap("  ", &clean(&capability.description)));
        text.push('\n');
    }
    text.push_str(&format!("\n{}\n", styled(BOLD, "Parameters:")));
    if parameters.is_empty() {
        text.push_str("  none\n");
    }
    for parameter in &parameters {
        let need = if parameter.required { "required" } else { "optional" };
        let path = if parameter.is_path { ", a path of this machine" } else { "" };
        let words = parameter.kind.words();
        let head = format!("{}  ({}{path}, {need})", parameter.name, words);
        text.push_str(&format!("{}\n", wrap("  ", &clean_line(&head))));
        if !parameter.description.is_empty() {
            text.push_str(&format!("{}\n", wrap("      ", &clean(&parameter.description))));
        }
    }
    text.push_str(&format!("\n{}\n", styled(BOLD, "Example:")));
    text.push_str(&format!("  {}\n", example(capability, &parameters)));
    text
}

/// A command line with the required parameters, else with the first.
fn example(capability: &CapabilityView, parameters: &[Parameter]) -> String {
    let required: Vec<&Parameter> = parameters.iter().filter(|one| one.required).collect();
    let shown = if required.is_empty() { parameters.iter().take(1).collect() } else { required };
    let arguments = shown.iter().map(|one| {
        let name = clean_line(&one.name);
        if one.is_path { format!(" {name}=.") } else { format!(" {}", one.kind.example(&name)) }
    });
    format!("meshhost call {}{}", capability.id, arguments.collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::fixture;

    #[test]
    fn schemas_become_kinds() {
        let list = |item| Kind::List(Box::new(item));
        let choice = || Kind::Choice(vec!["new".into(), "old".into()]);
        let base64 = || json!({"type": "string", "contentEncoding": "base64"});
        let blob = || json!({"type": "object", "properties": {"blob": {"type": "string"}}});
        let table = [
            (json!({"type": "string"}), Kind::Text),
            (json!({"type": ["string", "null"]}), Kind::Text),
            (json!({"type": "integer", "minimum": 0}), Kind::Integer),
            (json!({"type": ["integer", "string", "null"]}), Kind::Integer),
            (json!({"anyOf": [{"type": "integer"}, {"type": "string"}]}), Kind::Integer),
            (json!({"type": "number"}), Kind::Number),
            (json!({"type": "boolean"}), Kind::Boolean),
            (json!({"enum": ["new", "old"]}), choice()),
            (json!({"enum": ["new", "old", null]}), choice()),
            (json!({"anyOf": [{"enum": ["new", "old"]}, {"type": "null"}]}), choice()),
            (base64(), Kind::Bytes),
            (blob(), Kind::Bytes),
            (json!({"oneOf": [base64(), blob()]}), Kind::Bytes),
            (json!({"type": "array", "items": {"type": "string"}}), list(Kind::Text)),
            (json!({"type": "array", "items": {"enum": ["new", "old"]}}), list(choice())),
            (json!({"type": "array", "prefixItems": []}), Kind::Json),
            (json!({"type": "array", "items": {"type": "array", "items": {}}}), Kind::Json),
            (json!({"type": "object"}), Kind::Json),
            (json!({"$ref": "#/$defs/order"}), choice()),
            (json!({"$ref": "#/$defs/loop"}), Kind::Json),
            (json!({"$ref": "https://example.org/x"}), Kind::Json),
            (json!({}), Kind::Json),
            (json!(true), Kind::Json),
        ];
        let root = json!({"$defs": {
            "order": {"enum": ["new", "old"]},
            "loop": {"$ref": "#/$defs/loop"},
        }});
        for (schema, expected) in table {
            assert_eq!(kind(&schema, &root, DEPTH_MAX), expected, "{schema}");
        }
    }

    #[test]
    fn help_shows_every_parameter_and_an_example() {
        let text = anstream::adapter::strip_str(&help(&fixture::capability())).to_string();
        assert!(text.starts_with("git.log  0.1.0 of plugin git, risk low\n"), "{text}");
        assert!(text.contains("path  (text, a path of this machine, required)"), "{text}");
        assert!(text.contains("limit  (whole number, optional)"), "{text}");
        assert!(text.contains("meshhost call git.log path=."), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
