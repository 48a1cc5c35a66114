//! Puts the manifest and the WIT's doc comments into a built component, as the custom sections
//! `meshhost:manifest` and `meshhost:docs` that `meshhost plugin inspect` reads. The second is
//! JSON: comments by interface, function, parameter and type (`host/runtime/src/inspect/docs.rs`
//! shows the form).

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Serialize;
use wasm_encoder::{CustomSection, Encode as _};
use wit_parser::{Docs, Function, Interface, Resolve, Span, TypeDef, TypeDefKind, WorldItem};

/// The doc comments of WIT packages.
#[derive(Debug, Default, Serialize)]
struct Documentation {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    interfaces: BTreeMap<String, Comments>,
    #[serde(skip_serializing_if = "Comments::is_empty")]
    world: Comments,
}

#[derive(Debug, Default, Serialize)]
struct Comments {
    #[serde(skip_serializing_if = "Option::is_none")]
    docs: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    functions: BTreeMap<String, FunctionComments>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    types: BTreeMap<String, TypeComments>,
}

#[derive(Debug, Serialize)]
struct FunctionComments {
    #[serde(skip_serializing_if = "Option::is_none")]
    docs: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct TypeComments {
    #[serde(skip_serializing_if = "Option::is_none")]
    docs: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    items: BTreeMap<String, String>,
}

impl Comments {
    fn is_empty(&self) -> bool {
        self.docs.is_none() && self.functions.is_empty() && self.types.is_empty()
    }
}

/// A component with the manifest (TOML) and the doc comments (from [`docs_of_wit`]) added at its
/// end. The component must not carry them already: `inspect` refuses two of a kind.
pub(crate) fn embed(component: &[u8], manifest: Option<&str>, docs: Option<&str>) -> Vec<u8> {
    let mut bytes = component.to_vec();
    for (name, text) in [("meshhost:manifest", manifest), ("meshhost:docs", docs)] {
        if let Some(text) = text {
            let section = CustomSection { name: name.into(), data: text.as_bytes().into() };
            bytes.push(wasm_encoder::SectionId::Custom.into());
            section.encode(&mut bytes);
        }
    }
    bytes
}

/// The doc comments of the packages in `folders` (each one package; later ones may use earlier
/// ones), as JSON. `world` names the world that the component implements, `package/world` or,
/// in the last package, its plain name; it is needed only for functions that a world exports
/// itself. WASI packages are left out.
///
/// # Errors
/// When a folder is no WIT package, or there is no such world.
pub(crate) fn docs_of_wit(folders: &[&Path], world: Option<&str>) -> Result<String> {
    let mut resolve = Resolve::default();
    let mut last = None;
    for folder in folders {
        let pushed = resolve.push_path(folder);
        let (package, _) = pushed.with_context(|| format!("reading {}", folder.display()))?;
        last = Some(package);
    }
    let mut sources = Sources::default();
    let mut documentation = Documentation::default();
    for (id, interface) in &resolve.interfaces {
        let Some(name) = resolve.id_of(id).filter(|name| !name.starts_with("wasi:")) else {
            continue;
        };
        let comments = of_interface(&resolve, interface, &mut sources)?;
        if !comments.is_empty() {
            documentation.interfaces.insert(name, comments);
        }
    }
    if let (Some(world), Some(last)) = (world, last) {
        let id = resolve.select_world(&[last], Some(world))?;
        let world = resolve.worlds.get(id).context("the world is gone")?;
        documentation.world.docs.clone_from(&world.docs.contents);
        for item in world.exports.values() {
            if let WorldItem::Function(function) = item {
                let comments = of_function(&resolve, function, &mut sources)?;
                documentation.world.functions.insert(function.name.clone(), comments);
            }
        }
    }
    Ok(serde_json::to_string(&documentation)?)
}

fn of_interface(
    resolve: &Resolve,
    interface: &Interface,
    sources: &mut Sources,
) -> Result<Comments> {
    let mut comments = Comments { docs: interface.docs.contents.clone(), ..Comments::default() };
    for function in interface.functions.values() {
        let found = of_function(resolve, function, sources)?;
        if found.docs.is_some() || !found.parameters.is_empty() {
            comments.functions.insert(function.name.clone(), found);
        }
    }
    for (name, id) in &interface.types {
        let Some(definition) = resolve.types.get(*id) else { continue };
        let found = of_type(definition);
        if found.docs.is_some() || !found.items.is_empty() {
            comments.types.insert(name.clone(), found);
        }
    }
    Ok(comments)
}

fn of_function(
    resolve: &Resolve,
    function: &Function,
    sources: &mut Sources,
) -> Result<FunctionComments> {
    let mut parameters = BTreeMap::new();
    for parameter in &function.params {
        if let Some(comment) = sources.comment_above(resolve, parameter.span)? {
            parameters.insert(parameter.name.clone(), comment);
        }
    }
    Ok(FunctionComments { docs: function.docs.contents.clone(), parameters })
}

fn of_type(definition: &TypeDef) -> TypeComments {
    let items: Vec<(&String, &Docs)> = match &definition.kind {
        TypeDefKind::Record(record) => {
            record.fields.iter().map(|field| (&field.name, &field.docs)).collect()
        }
        TypeDefKind::Variant(variant) => {
            variant.cases.iter().map(|case| (&case.name, &case.docs)).collect()
        }
        TypeDefKind::Enum(names) => {
            names.cases.iter().map(|case| (&case.name, &case.docs)).collect()
        }
        TypeDefKind::Flags(names) => {
            names.flags.iter().map(|flag| (&flag.name, &flag.docs)).collect()
        }
        _ => Vec::new(),
    };
    let items = items
        .into_iter()
        .filter_map(|(name, docs)| Some((name.clone(), docs.contents.clone()?)))
        .collect();
    TypeComments { docs: definition.docs.contents.clone(), items }
}

/// The text of the WIT files, read once each. wit-parser keeps no doc comments of parameters, so
/// they are taken from the lines above.
#[derive(Debug, Default)]
struct Sources {
    files: BTreeMap<String, String>,
}

impl Sources {
    fn comment_above(&mut self, resolve: &Resolve, span: Span) -> Result<Option<String>> {
        let Some(location) = resolve.source_map.resolve_span(span) else { return Ok(None) };
        if !self.files.contains_key(location.path) {
            let text = fs::read_to_string(location.path)
                .with_context(|| format!("reading {}", location.path))?;
            self.files.insert(location.path.to_owned(), text);
        }
        let text = self.files.get(location.path).map(String::as_str).unwrap_or_default();
        let above = text.get(..location.range.start).unwrap_or_default();
        // The last piece is what stands before the parameter on its own line.
        let mut lines: Vec<&str> = above
            .lines()
            .rev()
            .skip(1)
            .map_while(|line| line.trim_start().strip_prefix("///"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
            .collect();
        lines.reverse();
        Ok((!lines.is_empty()).then(|| lines.join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIT: &str = "
package acme:weather@1.2.0;

/// Weather.
interface api {
  /// One reading.
  record reading {
    /// Degrees.
    degrees: f32,
  }
  /// Asks for the weather.
  current: func(
    /// Where: a place,
    /// or a postal code.
    place: string,
    plain: bool,
  ) -> reading;
}

world provider {
  export api;
  /// Says hello.
  export hello: func(/// not above
    name: string);
}
";

    fn docs(world: Option<&str>) -> serde_json::Value {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("weather.wit"), WIT).unwrap();
        serde_json::from_str(&docs_of_wit(&[folder.path()], world).unwrap()).unwrap()
    }

    #[test]
    fn comments_are_found_at_every_place_that_can_have_one() {
        let docs = docs(Some("provider"));
        let api = &docs["interfaces"]["acme:weather/api@1.2.0"];
        assert_eq!(api["docs"], "Weather.");
        assert_eq!(api["types"]["reading"]["docs"], "One reading.");
        assert_eq!(api["types"]["reading"]["items"]["degrees"], "Degrees.");
        let current = &api["functions"]["current"];
        assert_eq!(current["docs"], "Asks for the weather.");
        assert_eq!(current["parameters"]["place"], "Where: a place,\nor a postal code.");
        assert!(current["parameters"].get("plain").is_none());
        assert_eq!(docs["world"]["functions"]["hello"]["docs"], "Says hello.");
    }

    #[test]
    fn an_unknown_world_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("weather.wit"), WIT).unwrap();
        assert!(docs_of_wit(&[folder.path()], Some("nothing")).is_err());
        assert!(docs_of_wit(&[&folder.path().join("absent")], None).is_err());
    }

    #[test]
    fn sections_go_at_the_end_and_only_when_given() {
        let component = b"\0asm\x0d\0\x01\0";
        assert_eq!(embed(component, None, None), component);
        let bytes = embed(component, Some("name = \"x\""), None);
        let expected: &[u8] = b"\0\x1c\x11meshhost:manifestname = \"x\"";
        assert_eq!(&bytes[component.len()..], expected);
    }
}
