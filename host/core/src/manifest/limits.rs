//! Limits as a file wishes them, each with its place: manifests, overlays, grant files and the
//! node's configuration write them in one way.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;

use crate::{
    diagnostic::{Diagnostic, Source, nearest},
    limits::{Limits, LimitsWanted},
};

/// Limits that may be zero: nothing at all is kept, written or waiting.
const MAY_BE_ZERO: [&str; 4] = ["waiting", "log_bytes", "output_bytes", "blob_bytes"];

/// The table `[limits]` of a file.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct RawLimits(BTreeMap<Spanned<String>, Spanned<u64>>);

impl RawLimits {
    /// The limits that are named, each known, none zero where zero makes no sense.
    pub(crate) fn validate(&self, source: &Source<'_>) -> Result<LimitsWanted, Diagnostic> {
        let known = fields(&Limits::DEFAULT);
        let mut wanted = Map::new();
        for (name, value) in &self.0 {
            let (key, number) = (name.get_ref(), *value.get_ref());
            if !known.contains_key(key) {
                let message = format!("there is no limit `{key}`");
                let names = known.keys().map(String::as_str);
                return Err(match nearest(key, names) {
                    Some(near) => source.error_with_hint(
                        name.span(),
                        message,
                        format!("did you mean `{near}`?"),
                    ),
                    None => source.error(name.span(), message),
                });
            }
            if number == 0 && !MAY_BE_ZERO.contains(&key.as_str()) {
                return Err(source.error(value.span(), format!("`{key}` must be at least 1")));
            }
            wanted.insert(key.clone(), Value::from(number));
            // Some limits are narrower numbers than others: the type says which.
            if serde_json::from_value::<LimitsWanted>(Value::Object(wanted.clone())).is_err() {
                return Err(source.error(value.span(), format!("`{key}` is too large")));
            }
        }
        Ok(serde_json::from_value(Value::Object(wanted)).unwrap_or_default())
    }

    /// The same, refusing the first limit that is above `bound`. `why` stands in the
    /// message before the bound.
    pub(crate) fn validate_within(
        &self,
        source: &Source<'_>,
        bound: &Limits,
        why: &str,
    ) -> Result<LimitsWanted, Diagnostic> {
        let wanted = self.validate(source)?;
        let bound = fields(bound);
        for (name, value) in &self.0 {
            let highest = bound.get(name.get_ref()).and_then(Value::as_u64).unwrap_or(u64::MAX);
            if *value.get_ref() > highest {
                let message = format!("`{}` is above {why} {highest}", name.get_ref());
                let hint = format!("write {highest} or less");
                return Err(source.error_with_hint(value.span(), message, hint));
            }
        }
        Ok(wanted)
    }
}

/// The limits by name.
fn fields(limits: &Limits) -> Map<String, Value> {
    match serde_json::to_value(limits) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}
