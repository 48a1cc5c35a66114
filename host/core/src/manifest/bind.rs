//! Which capability each part of a manifest means.

use serde_json::Value;

use super::{CapabilityRules, Manifest};
use crate::{capability::Capability, code::Code, diagnostic::nearest, permission::same_name};

/// A manifest that does not fit the component. The message names the key in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the manifest describes `{key}`, {problem}")]
pub struct BindError {
    /// The key in the manifest.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

impl BindError {
    /// The code of this error, always the same.
    pub const CODE: Code = Code::ManifestInvalid;
}

impl Manifest {
    /// The rules of each capability, in the order given; those that the manifest does not mention
    /// have the default ones. A key is an id, or its last parts where only one capability ends so.
    ///
    /// # Errors
    /// When a key means no capability, several, or one that another key means too; when a rule
    /// names a parameter that the function does not have.
    pub fn bind(&self, capabilities: &[Capability]) -> Result<Vec<CapabilityRules>, BindError> {
        let mut bound: Vec<Option<CapabilityRules>> = vec![None; capabilities.len()];
        for (key, rules) in &self.capabilities {
            let error = |problem: String| BindError { key: key.clone(), problem };
            let index = find(key, capabilities).map_err(error)?;
            let (Some(capability), Some(slot)) = (capabilities.get(index), bound.get_mut(index))
            else {
                continue;
            };
            if slot.is_some() {
                return Err(error(format!("but {} is described twice", capability.id)));
            }
            check_parameters(capability, rules).map_err(error)?;
            *slot = Some(rules.clone());
        }
        Ok(bound.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// The one capability that a key means.
fn find(key: &str, capabilities: &[Capability]) -> Result<usize, String> {
    let exact = |capability: &Capability| {
        capability.id.folded() == key || capability.long_id.folded() == key
    };
    if let Some(index) = capabilities.iter().position(exact) {
        return Ok(index);
    }
    let ending = format!(".{key}");
    let ends = |capability: &Capability| {
        capability.id.folded().ends_with(&ending) || capability.long_id.folded().ends_with(&ending)
    };
    let found: Vec<usize> =
        (0..).zip(capabilities).filter(|(_, one)| ends(one)).map(|(index, _)| index).collect();
    match found.as_slice() {
        [index] => Ok(*index),
        [] => {
            let known = nearest(key, capabilities.iter().map(|capability| capability.id.as_str()));
            let hint = known.map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
            Err(format!("which the component does not export{hint}"))
        }
        _ => Err("but several capabilities end so; write the whole id".to_owned()),
    }
}

/// Whether every parameter that a rule names exists, as far as the schema tells.
fn check_parameters(capability: &Capability, rules: &CapabilityRules) -> Result<(), String> {
    let properties = capability.input_schema.get("properties").and_then(Value::as_object);
    let Some(properties) = properties else { return Ok(()) };
    let invariants = rules.invariants.iter().map(|invariant| &invariant.parameter);
    for name in rules.path_parameters.iter().chain(invariants) {
        if !properties.keys().any(|key| same_name(key, name)) {
            let known = nearest(name, properties.keys().map(String::as_str));
            let hint = known.map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
            return Err(format!("which has no parameter `{name}`{hint}"));
        }
    }
    Ok(())
}
