//! What `plugin inspect` shows beyond the review: the engine, imports and exports one by one, and
//! the WIT.

use serde_json::Value;

use super::{
    print::indented,
    review,
    table::indented_table,
    text::{BOLD, clean, clean_line, styled},
};
use crate::api::Review;

/// The WIT of the component's world.
pub(crate) fn wit(review: &Review) -> String {
    let wit = review.inspection.get("wit").and_then(Value::as_str).unwrap_or_default();
    format!("{}\n", clean(wit).trim_end())
}

/// The card, then the engine, and imports and exports one by one.
pub(crate) fn card(review: &Review) -> String {
    let mut text = review::card(review);
    text.push_str(&engine(&review.inspection));
    let imports = review.inspection.get("imports").and_then(Value::as_array);
    if let Some(imports) = imports.filter(|imports| !imports.is_empty()) {
        text.push_str(&format!("{}\n", styled(BOLD, "Imports")));
        let rows = imports.iter().map(|import| [field(import, "name"), import_class(import)]);
        text.push_str(&indented_table(2, ["INTERFACE", "HERE"], rows));
    }
    let exports = review.inspection.get("exports").and_then(Value::as_array);
    if let Some(exports) = exports.filter(|exports| !exports.is_empty()) {
        text.push_str(&format!("\n{}\n", styled(BOLD, "Exports")));
        let rows = exports.iter().map(|export| {
            let reason = field(export, "reason");
            let capability = field(export, "capability");
            [field(export, "name"), if capability.is_empty() { reason } else { capability }]
        });
        text.push_str(&indented_table(2, ["FUNCTION", "CAPABILITY"], rows));
    }
    text
}

/// Which engine runs the component and why, and what none runs; nothing when it is the first one.
fn engine(inspection: &Value) -> String {
    let names = |list: Option<&Value>| {
        let names = list.and_then(Value::as_array).into_iter().flatten();
        names.filter_map(Value::as_str).map(|name| clean_line(name).into_owned()).collect()
    };
    let reasons: Vec<String> = names(inspection.pointer("/engine/reasons"));
    let unsupported: Vec<String> = names(inspection.get("unsupported"));
    let mut text = String::new();
    for (title, uses) in [("Runs on the second engine", reasons), ("Does not run", unsupported)] {
        if !uses.is_empty() {
            text.push_str(&format!("{}\n", styled(BOLD, title)));
            for part in uses {
                text.push_str(&indented("  ", &format!("it uses {part}\n")));
            }
            text.push('\n');
        }
    }
    text
}

fn import_class(import: &Value) -> String {
    // The class is an object with a tag of the same name.
    let class = import.get("class").unwrap_or(&Value::Null);
    let word = class.as_str().map_or_else(|| field(class, "class"), str::to_owned);
    match word.as_str() {
        "provided" => "provided".to_owned(),
        "needs-grant" => {
            let permissions = class.get("permissions").and_then(Value::as_array);
            let names: Vec<&str> =
                permissions.into_iter().flatten().filter_map(Value::as_str).collect();
            format!("needs {}", clean_line(&names.join(" or ")))
        }
        "from-plugin" => {
            let links = class.get("links").and_then(Value::as_array).into_iter().flatten();
            let called: Vec<_> = links
                .filter_map(|link| link.pointer("/callee/capability").and_then(Value::as_str))
                .collect();
            format!("from another plugin: needs call={}", clean_line(&called.join(", call=")))
        }
        "always-denied" => "always denied".to_owned(),
        "not-supported" => format!("imported, {}", field(class, "reason")),
        "version-mismatch" => format!("other version: {} is here", field(class, "provided")),
        _ => "unknown".to_owned(),
    }
}

/// A text field made harmless; empty when it is absent.
fn field(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).map(clean_line).unwrap_or_default().into_owned()
}
