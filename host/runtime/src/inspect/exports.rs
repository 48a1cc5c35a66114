//! What a component exports: capabilities with their ids and schemas, and the reason where a
//! function is none.

use std::collections::{BTreeMap, BTreeSet};

use meshhost_core::{
    capability::{CONTRACTS, Capability, ExportPath},
    function_type::FunctionType,
    id::CapabilityId,
};
use semver::Version;
use wit_parser::{Function, Interface, InterfaceId, PackageName, Resolve, WorldId, WorldItem};

use super::{ExportReport, docs::Documentation, function_type, is_run};
use crate::schema::{FunctionSchemas, SchemaBudget, command_schemas, function_schemas};

/// Interfaces that toolchains export for themselves: package-less name and function.
const LEAKED: &[(&str, &str)] = &[("exports", "init")];

/// What the exports say.
#[derive(Debug, Default)]
pub(super) struct Exports {
    pub(super) capabilities: Vec<Capability>,
    pub(super) reports: Vec<ExportReport>,
    pub(super) is_command: bool,
    pub(super) reserved: Vec<String>,
}

/// Reads the exports of the world.
pub(super) fn read(
    resolve: &Resolve,
    world: WorldId,
    plugin: &str,
    documentation: &Documentation,
) -> Exports {
    let mut reader = Reader {
        resolve,
        plugin,
        documentation,
        budget: SchemaBudget::new(),
        ids: BTreeSet::new(),
        exports: Exports::default(),
    };
    if plugin == "chp" {
        reader.reserve("the plugin name `chp` is reserved for the Capability Host Protocol".into());
    }
    let Some(world) = resolve.worlds.get(world) else { return reader.exports };
    for (key, item) in &world.exports {
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Interface { id, .. } => reader.interface(&name, *id),
            WorldItem::Function(function) => {
                let id = format!("{plugin}.{}", function.name);
                reader.function(Exported { interface: None, package: None, function, id });
            }
            WorldItem::Type { .. } => {}
        }
    }
    reader.exports
}

/// One exported function with what names it.
struct Exported<'a> {
    interface: Option<&'a str>,
    package: Option<&'a PackageName>,
    function: &'a Function,
    id: String,
}

struct Reader<'a> {
    resolve: &'a Resolve,
    plugin: &'a str,
    documentation: &'a Documentation,
    budget: SchemaBudget,
    ids: BTreeSet<String>,
    exports: Exports,
}

impl Reader<'_> {
    fn interface(&mut self, name: &str, id: InterfaceId) {
        let Some(interface) = self.resolve.interfaces.get(id) else { return };
        let package = package_of(self.resolve, name, interface);
        if let Some(package) = package
            && let Some(reason) = reserved(package, interface)
        {
            self.reserve(format!("`{name}`: {reason}"));
        }
        let special = package.is_some_and(|package| package.namespace == "wasi");
        for function in interface.functions.values() {
            if special {
                self.standard(name, package, function);
            } else {
                let id = long_id(self.plugin, name, package, interface, function);
                self.function(Exported { interface: Some(name), package, function, id });
            }
        }
    }

    /// An interface of WASI, which a component exports to be called by its host.
    fn standard(&mut self, name: &str, package: Option<&PackageName>, function: &Function) {
        let is_run = is_run(name) && function.name == "run";
        if is_run {
            let id = format!("{}.run", self.plugin);
            let exported = Exported { interface: Some(name), package: None, function, id };
            let added = self.add(exported, command_schemas());
            self.exports.is_command |= added;
            return;
        }
        let known = package
            .and_then(|package| package.version.as_ref())
            .is_some_and(|version| version.major == 0 && matches!(version.minor, 2 | 3));
        let reason = match (known, package.map(|package| package.name.as_str())) {
            (true, Some("http")) => "HTTP handlers are not capabilities",
            (true, _) => "it is called by a host of its own kind, not by name",
            (false, _) => "this release runs WASI 0.2 and 0.3",
        };
        self.report(Some(name), &function.name, None, Some(reason.to_owned()));
    }

    fn function(&mut self, exported: Exported<'_>) {
        let Exported { interface, function, .. } = &exported;
        if LEAKED.contains(&(interface.unwrap_or_default(), function.name.as_str())) {
            let reason = "a toolchain exports it for itself".to_owned();
            return self.report(*interface, &function.name, None, Some(reason));
        }
        let nothing = BTreeMap::new();
        let parameters = self.documentation.parameters(*interface, &function.name);
        let parameters = parameters.unwrap_or(&nothing);
        match function_schemas(self.resolve, function, parameters, &mut self.budget) {
            Ok(schemas) => {
                self.add(exported, schemas);
            }
            Err(error) => {
                self.report(*interface, &function.name, None, Some(error.to_string()));
            }
        }
    }

    /// Adds a capability, unless its id cannot be one or is taken.
    fn add(&mut self, exported: Exported<'_>, schemas: FunctionSchemas) -> bool {
        let Exported { interface, package, function, id } = exported;
        let short = package.and_then(|package| short_id(package, interface, function));
        let long_id = id.replace('-', "_");
        let id = short.map_or_else(|| long_id.clone(), |short| short.replace('-', "_"));
        let parsed = (id.parse::<CapabilityId>(), long_id.parse::<CapabilityId>());
        let (Ok(parsed_id), Ok(parsed_long)) = parsed else {
            let reason = "its name is too long for a capability id".to_owned();
            self.report(interface, &function.name, None, Some(reason));
            return false;
        };
        if self.ids.contains(&id) || self.ids.contains(&long_id) {
            let reason = format!("another export has the id `{id}` already");
            self.report(interface, &function.name, None, Some(reason));
            return false;
        }
        let function_type = function_type::function_type(self.resolve, function);
        let is_command = interface.is_some_and(is_run);
        self.ids.insert(id.clone());
        self.ids.insert(long_id);
        self.exports.capabilities.push(Capability {
            id: parsed_id,
            long_id: parsed_long,
            version: package
                .and_then(|package| package.version.clone())
                .unwrap_or(Version::new(0, 0, 0)),
            description: function.docs.contents.clone().unwrap_or_default(),
            input_schema: schemas.input,
            output_schema: schemas.output,
            error_schema: schemas.error,
            export: ExportPath {
                interface: interface.map(str::to_owned),
                function: function.name.clone(),
            },
            type_hash: function_type.as_ref().map(FunctionType::hash),
            // The input of a command is none of its function.
            function_type: function_type.filter(|_| !is_command),
        });
        self.report(interface, &function.name, Some(id), None);
        true
    }

    fn report(
        &mut self,
        interface: Option<&str>,
        function: &str,
        capability: Option<String>,
        reason: Option<String>,
    ) {
        let name = match interface {
            Some(interface) => format!("{interface}#{function}"),
            None => function.to_owned(),
        };
        self.exports.reports.push(ExportReport { name, capability, reason });
    }

    fn reserve(&mut self, reason: String) {
        self.exports.reserved.push(reason);
    }
}

/// The package of an interface that has a name of its own; `None` for one that the world
/// declares in place.
pub(super) fn package_of<'a>(
    resolve: &'a Resolve,
    name: &str,
    interface: &Interface,
) -> Option<&'a PackageName> {
    let package = interface.package.and_then(|package| resolve.packages.get(package));
    package.filter(|_| name.contains(':')).map(|package| &package.name)
}

/// The id by which a function of another component is called; none where it cannot be one.
pub(super) fn id_of_import(
    name: &str,
    package: &PackageName,
    interface: &Interface,
    function: &Function,
) -> Option<CapabilityId> {
    let short = short_id(package, Some(name), function);
    let id = short.unwrap_or_else(|| long_id("", name, Some(package), interface, function));
    id.replace('-', "_").parse().ok()
}

/// `meshhost:git/repository#log` is `git.repository.log`; every other namespace is spelt out.
fn long_id(
    plugin: &str,
    name: &str,
    package: Option<&PackageName>,
    interface: &Interface,
    function: &Function,
) -> String {
    let function = &function.name;
    let Some(package) = package else { return format!("{plugin}.{name}.{function}") };
    let interface = interface.name.as_deref().unwrap_or_default();
    let PackageName { namespace, name, .. } = package;
    if namespace == "meshhost" {
        format!("{name}.{interface}.{function}")
    } else {
        format!("{namespace}.{name}.{interface}.{function}")
    }
}

fn short_id(package: &PackageName, interface: Option<&str>, function: &Function) -> Option<String> {
    let (_, path) = interface?.split_once('/')?;
    let interface = path.split_once('@').map_or(path, |(interface, _)| interface);
    let shipped =
        package.namespace == "meshhost" && CONTRACTS.contains(&(package.name.as_str(), interface));
    shipped.then(|| format!("{}.{}", package.name, function.name))
}

/// Why a plugin may not export this interface.
fn reserved(package: &PackageName, interface: &Interface) -> Option<&'static str> {
    let interface = interface.name.as_deref().unwrap_or_default();
    match (package.namespace.as_str(), package.name.as_str()) {
        ("chp", _) => Some("ids under `chp.` belong to the Capability Host Protocol"),
        ("meshhost", name) if CONTRACTS.contains(&(name, interface)) => None,
        ("meshhost", "blob" | "index" | "inference" | "mesh") => {
            Some("the host provides it, a plugin imports it")
        }
        ("meshhost", _) => Some("it is no shipped contract; use a namespace of your own"),
        _ => None,
    }
}
