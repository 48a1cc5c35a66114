//! The custom section `meshhost:docs`: the doc comments of the WIT that a component was built
//! from.
//!
//! ```json
//! {
//!   "interfaces": {
//!     "meshhost:git/repository@0.1.0": {
//!       "docs": "A git repository.",
//!       "functions": { "log": { "docs": "Lists commits.", "parameters": { "limit": "At most." } } },
//!       "types": { "change": { "docs": "One file.", "items": { "path": "Its path." } } }
//!     }
//!   },
//!   "world": { "functions": {}, "types": {} }
//! }
//! ```
//!
//! What names nothing in the component is passed over: the section describes whole packages, and
//! a component keeps only what it uses. The texts are the plugin's own words; who shows them
//! escapes them.

use std::collections::BTreeMap;

use serde::Deserialize;
use wit_parser::{Docs, Function, InterfaceId, Resolve, TypeDefKind, TypeId, WorldId, WorldItem};

use super::{InspectError, bounded};

/// Most bytes of one doc comment.
const COMMENT_BYTES_MAX: usize = 16 * 1024;

/// The section.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Documentation {
    #[serde(default)]
    interfaces: BTreeMap<String, Comments>,
    #[serde(default)]
    world: Comments,
}

/// The comments of an interface, or of what a world exports itself.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Comments {
    #[serde(default)]
    docs: Option<String>,
    #[serde(default)]
    functions: BTreeMap<String, FunctionComments>,
    #[serde(default)]
    types: BTreeMap<String, TypeComments>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionComments {
    #[serde(default)]
    docs: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeComments {
    #[serde(default)]
    docs: Option<String>,
    #[serde(default)]
    items: BTreeMap<String, String>,
}

impl Documentation {
    /// Reads the section; nothing when there is none.
    ///
    /// # Errors
    /// When the section is not of this form.
    pub(super) fn parse(section: Option<&[u8]>) -> Result<Self, InspectError> {
        let Some(section) = section else { return Ok(Self::default()) };
        serde_json::from_slice(section).map_err(|error| {
            InspectError::invalid(format!("the section `meshhost:docs` is damaged: {error}"))
        })
    }

    /// The comments of a function's parameters by WIT name. `interface` is `None` for a function
    /// that the world exports itself.
    pub(super) fn parameters(
        &self,
        interface: Option<&str>,
        function: &str,
    ) -> Option<&BTreeMap<String, String>> {
        let comments = match interface {
            Some(interface) => self.interfaces.get(interface)?,
            None => &self.world,
        };
        comments.functions.get(function).map(|comments| &comments.parameters)
    }

    /// Writes the comments into the WIT.
    pub(super) fn apply(&self, resolve: &mut Resolve, world: WorldId) {
        let names: Vec<(InterfaceId, String)> = resolve
            .interfaces
            .iter()
            .filter(|(_, interface)| interface.package.is_some() && interface.name.is_some())
            .filter_map(|(id, _)| Some((id, resolve.id_of(id)?)))
            .collect();
        for (id, name) in names {
            if let Some(comments) = self.interfaces.get(&name) {
                comments.apply_to_interface(resolve, id);
            }
        }
        if let Some(world) = resolve.worlds.get_mut(world) {
            for item in world.exports.values_mut() {
                if let WorldItem::Function(function) = item {
                    self.world.apply_to_function(function);
                }
            }
        }
    }
}

impl Comments {
    fn apply_to_interface(&self, resolve: &mut Resolve, id: InterfaceId) {
        let Some(interface) = resolve.interfaces.get_mut(id) else { return };
        set(&mut interface.docs, self.docs.as_ref());
        for function in interface.functions.values_mut() {
            self.apply_to_function(function);
        }
        let types: Vec<(String, TypeId)> =
            interface.types.iter().map(|(name, id)| (name.clone(), *id)).collect();
        for (name, id) in types {
            if let Some(comments) = self.types.get(&name) {
                comments.apply(resolve, id);
            }
        }
    }

    fn apply_to_function(&self, function: &mut Function) {
        if let Some(comments) = self.functions.get(&function.name) {
            set(&mut function.docs, comments.docs.as_ref());
        }
    }
}

impl TypeComments {
    fn apply(&self, resolve: &mut Resolve, id: TypeId) {
        let Some(definition) = resolve.types.get_mut(id) else { return };
        set(&mut definition.docs, self.docs.as_ref());
        let item = |name: &str| self.items.get(name);
        match &mut definition.kind {
            TypeDefKind::Record(record) => {
                record.fields.iter_mut().for_each(|field| set(&mut field.docs, item(&field.name)));
            }
            TypeDefKind::Variant(variant) => {
                variant.cases.iter_mut().for_each(|case| set(&mut case.docs, item(&case.name)));
            }
            TypeDefKind::Enum(names) => {
                names.cases.iter_mut().for_each(|case| set(&mut case.docs, item(&case.name)));
            }
            TypeDefKind::Flags(names) => {
                names.flags.iter_mut().for_each(|flag| set(&mut flag.docs, item(&flag.name)));
            }
            _ => {}
        }
    }
}

fn set(docs: &mut Docs, comment: Option<&String>) {
    if let Some(comment) = comment {
        docs.contents = Some(bounded(comment.clone(), COMMENT_BYTES_MAX));
    }
}
