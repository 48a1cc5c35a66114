//! What `plugin inspect` shows beyond the review: imports and exports one by one, and the WIT.

use serde_json::Value;

use super::{
    print::indented,
    review,
    table::table,
    text::{BOLD, clean, clean_line, styled},
};
use crate::api::Review;

/// The WIT of the component's world.
pub(crate) fn wit(review: &Review) -> String {
    let wit = review.inspection.get("wit").and_then(Value::as_str).unwrap_or_default();
    format!("{}\n", clean(wit).trim_end())
}

/// The card, then imports and exports one by one.
pub(crate) fn card(review: &Review) -> String {
    let mut text = review::card(review);
    let imports = review.inspection.get("imports").and_then(Value::as_array);
    if let Some(imports) = imports.filter(|imports| !imports.is_empty()) {
        text.push_str(&format!("{}\n", styled(BOLD, "Imports")));
        let rows = imports.iter().map(|import| [field(import, "name"), import_class(import)]);
        text.push_str(&indented("  ", &table(["INTERFACE", "HERE"], rows)));
    }
    let exports = review.inspection.get("exports").and_then(Value::as_array);
    if let Some(exports) = exports.filter(|exports| !exports.is_empty()) {
        text.push_str(&format!("\n{}\n", styled(BOLD, "Exports")));
        let rows = exports.iter().map(|export| {
            let reason = field(export, "reason");
            let capability = field(export, "capability");
            [field(export, "name"), if capability.is_empty() { reason } else { capability }]
        });
        text.push_str(&indented("  ", &table(["FUNCTION", "CAPABILITY"], rows)));
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
        "version-mismatch" => format!("other version: {} is here", field(class, "provided")),
        _ => "unknown".to_owned(),
    }
}

/// A text field made harmless; empty when it is absent.
fn field(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).map(clean_line).unwrap_or_default().into_owned()
}
