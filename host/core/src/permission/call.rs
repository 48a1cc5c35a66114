//! Rules for calling other capabilities.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{folder, glob};

/// Most arguments that one rule can fix.
pub const ARGUMENTS_MAX: usize = 8;

/// Which capabilities a plugin may call, and with which arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallRule {
    /// A capability id, a prefix that ends in `.*`, or `*`.
    pub capability: String,
    /// Arguments that must match: name and glob.
    pub arguments: Vec<(String, String)>,
}

impl CallRule {
    /// Whether this rule allows the call. Every fixed argument must be present, as a text or a
    /// boolean that the glob matches; a parameter given twice, with `-` and with `_`, must match
    /// both times. `capability` is the resolved id. Allocates nothing.
    #[must_use]
    pub fn allows(&self, capability: &str, input: &Value) -> bool {
        covers_id(&self.capability, capability)
            && self.arguments.iter().all(|(name, glob)| argument_matches(input, name, glob))
    }

    /// Whether every call that `other` allows is allowed by this rule too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let fixed = |(name, own): &(String, String)| {
            let mut others = other.arguments.iter();
            others
                .any(|(other_name, other)| same_name(name, other_name) && glob::covers(own, other))
        };
        covers_id(&self.capability, &other.capability) && self.arguments.iter().all(fixed)
    }

    /// The rule with `~` at the start of an argument replaced by the home folder.
    pub(super) fn with_home(self, home: &str) -> Self {
        let expand = |(name, own): (String, String)| {
            let expanded = own.strip_prefix('~').filter(|_| folder::is_in_home(&own));
            let glob = expanded.map(|rest| format!("{}{rest}", glob::escape(home)));
            (name, glob.unwrap_or(own))
        };
        Self {
            capability: self.capability,
            arguments: self.arguments.into_iter().map(expand).collect(),
        }
    }
}

/// Whether a capability pattern covers an id or another pattern. The rule's `-` may stand for the
/// id's `_`, because ids that come from WIT are resolved to `_`.
pub(crate) fn covers_id(pattern: &str, id: &str) -> bool {
    let Some(prefix) = pattern.strip_suffix('*') else { return folds_to(pattern, id) };
    let (own, other) = (prefix.as_bytes(), id.as_bytes());
    other.get(..other.len().min(own.len())).is_some_and(|start| folds_to_bytes(own, start))
}

fn folds_to(pattern: &str, id: &str) -> bool {
    folds_to_bytes(pattern.as_bytes(), id.as_bytes())
}

fn folds_to_bytes(pattern: &[u8], id: &[u8]) -> bool {
    let same = |(own, other): (&u8, &u8)| own == other || (*own == b'-' && *other == b'_');
    pattern == id || (pattern.len() == id.len() && pattern.iter().zip(id).all(same))
}

/// Whether two parameter names are one: callers may write `-` or `_`.
pub(crate) fn same_name(left: &str, right: &str) -> bool {
    let fold = |byte: u8| if byte == b'-' { b'_' } else { byte };
    left == right
        || (left.len() == right.len() && left.bytes().map(fold).eq(right.bytes().map(fold)))
}

fn argument_matches(input: &Value, name: &str, glob: &str) -> bool {
    let Some(object) = input.as_object() else { return false };
    let mut found = false;
    for (_, value) in object.iter().filter(|(key, _)| same_name(key, name)) {
        let matches = match value {
            Value::String(text) => glob::matches(glob, text),
            Value::Bool(true) => glob::matches(glob, "true"),
            Value::Bool(false) => glob::matches(glob, "false"),
            _ => false,
        };
        if !matches {
            return false;
        }
        found = true;
    }
    found
}

impl fmt::Display for CallRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.capability)?;
        for (name, glob) in &self.arguments {
            write!(formatter, " {name}={glob}")?;
        }
        Ok(())
    }
}
