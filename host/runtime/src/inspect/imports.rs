//! How the host stands to what a component imports.

use std::collections::BTreeMap;

use meshhost_core::{
    function_type::{FunctionType, Type as ValueType},
    link::{Callee, Link},
};
use semver::Version;
use wit_parser::{Function, Interface, Resolve, Type, TypeDefKind, TypeId, WorldId, WorldItem};

use super::{
    ImportClass, ImportReport,
    exports::{id_of_import, package_of},
    function_type,
};
use crate::schema::{SchemaBudget, function_schemas};

/// Which versions of an interface the host serves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Served {
    /// Every 0.2: newer and older releases of it are compatible.
    Wasi02,
    /// Every 0.3, on the second engine.
    Wasi03,
    /// One draft, exactly.
    Exactly(&'static str),
    /// Every 0.1.
    Release01,
}

/// What an interface needs to do something.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    Nothing,
    Never,
    OneOf(&'static [&'static str]),
}

const FOLDERS: Need = Need::OneOf(&["fs:ro=PATH", "fs:git=PATH", "fs:rw=PATH"]);
const NETWORK: Need = Need::OneOf(&["net=https://HOST"]);
const CLOCK: Need = Need::OneOf(&["clock"]);
const RANDOM: Need = Need::OneOf(&["random"]);
const ENVIRONMENT: Need = Need::OneOf(&["env=NAME"]);
const STDOUT: Need = Need::OneOf(&["stdout=SIZE"]);
const LOG: Need = Need::OneOf(&["log=SIZE"]);
const KEY_VALUE: Need = Need::OneOf(&["kv=SIZE"]);
const INDEX: Need = Need::OneOf(&["index=SIZE"]);
const MODEL: Need = Need::OneOf(&["model=NAME"]);
const CALL: Need = Need::OneOf(&["call=CAPABILITY"]);

/// Every interface that the linker serves: package, interface, versions, need. `*` stands for
/// every interface of the package that has no line of its own.
pub(super) const TABLE: &[(&str, &str, Served, Need)] = &[
    ("wasi:cli", "environment", Served::Wasi02, ENVIRONMENT),
    ("wasi:cli", "exit", Served::Wasi02, Need::Nothing),
    ("wasi:cli", "stdin", Served::Wasi02, Need::Nothing),
    ("wasi:cli", "stdout", Served::Wasi02, STDOUT),
    ("wasi:cli", "stderr", Served::Wasi02, LOG),
    ("wasi:cli", "terminal-input", Served::Wasi02, Need::Nothing),
    ("wasi:cli", "terminal-output", Served::Wasi02, Need::Nothing),
    ("wasi:cli", "terminal-stdin", Served::Wasi02, Need::Nothing),
    ("wasi:cli", "terminal-stdout", Served::Wasi02, Need::Nothing),
    ("wasi:cli", "terminal-stderr", Served::Wasi02, Need::Nothing),
    ("wasi:io", "error", Served::Wasi02, Need::Nothing),
    ("wasi:io", "poll", Served::Wasi02, Need::Nothing),
    ("wasi:io", "streams", Served::Wasi02, Need::Nothing),
    ("wasi:clocks", "monotonic-clock", Served::Wasi02, CLOCK),
    ("wasi:clocks", "wall-clock", Served::Wasi02, CLOCK),
    ("wasi:random", "random", Served::Wasi02, RANDOM),
    ("wasi:random", "insecure", Served::Wasi02, Need::Nothing),
    ("wasi:random", "insecure-seed", Served::Wasi02, Need::Nothing),
    ("wasi:filesystem", "types", Served::Wasi02, FOLDERS),
    ("wasi:filesystem", "preopens", Served::Wasi02, FOLDERS),
    ("wasi:sockets", "*", Served::Wasi02, Need::Never),
    ("wasi:http", "types", Served::Wasi02, Need::Nothing),
    ("wasi:http", "outgoing-handler", Served::Wasi02, NETWORK),
    ("wasi:cli", "environment", Served::Wasi03, ENVIRONMENT),
    ("wasi:cli", "exit", Served::Wasi03, Need::Nothing),
    ("wasi:cli", "stdin", Served::Wasi03, Need::Nothing),
    ("wasi:cli", "stdout", Served::Wasi03, STDOUT),
    ("wasi:cli", "stderr", Served::Wasi03, LOG),
    ("wasi:cli", "terminal-input", Served::Wasi03, Need::Nothing),
    ("wasi:cli", "terminal-output", Served::Wasi03, Need::Nothing),
    ("wasi:cli", "terminal-stdin", Served::Wasi03, Need::Nothing),
    ("wasi:cli", "terminal-stdout", Served::Wasi03, Need::Nothing),
    ("wasi:cli", "terminal-stderr", Served::Wasi03, Need::Nothing),
    ("wasi:clocks", "monotonic-clock", Served::Wasi03, CLOCK),
    ("wasi:clocks", "system-clock", Served::Wasi03, CLOCK),
    ("wasi:random", "random", Served::Wasi03, RANDOM),
    ("wasi:random", "insecure", Served::Wasi03, Need::Nothing),
    ("wasi:random", "insecure-seed", Served::Wasi03, Need::Nothing),
    ("wasi:keyvalue", "store", Served::Exactly("0.2.0-draft"), KEY_VALUE),
    ("wasi:keyvalue", "atomics", Served::Exactly("0.2.0-draft"), KEY_VALUE),
    ("wasi:keyvalue", "batch", Served::Exactly("0.2.0-draft"), KEY_VALUE),
    ("wasi:config", "store", Served::Exactly("0.2.0-rc.1"), ENVIRONMENT),
    ("wasi:logging", "logging", Served::Exactly("0.1.0-draft"), LOG),
    ("wasi:nn", "errors", Served::Exactly("0.2.0-rc-2024-10-28"), Need::Nothing),
    ("wasi:nn", "graph", Served::Exactly("0.2.0-rc-2024-10-28"), MODEL),
    ("wasi:nn", "inference", Served::Exactly("0.2.0-rc-2024-10-28"), MODEL),
    ("wasi:nn", "tensor", Served::Exactly("0.2.0-rc-2024-10-28"), Need::Nothing),
    ("meshhost:blob", "types", Served::Release01, Need::Nothing),
    ("meshhost:index", "store", Served::Release01, INDEX),
    ("meshhost:inference", "sessions", Served::Release01, MODEL),
    ("meshhost:inference", "text", Served::Release01, MODEL),
    ("meshhost:mesh", "invoke", Served::Release01, CALL),
];

/// Classes every import. `unnamed` are those that WIT cannot express: modules, components, values.
pub(super) fn classify(resolve: &Resolve, world: WorldId, unnamed: &[String]) -> Vec<ImportReport> {
    let mut reports = Vec::new();
    let imports = resolve.worlds.get(world).map(|world| &world.imports);
    for (key, item) in imports.into_iter().flatten() {
        let name = resolve.name_world_key(key);
        let class = match item {
            WorldItem::Interface { id, .. } => match resolve.interfaces.get(*id) {
                Some(interface) => of_interface(resolve, &name, interface),
                None => ImportClass::Unknown,
            },
            WorldItem::Function(_) => ImportClass::Unknown,
            WorldItem::Type { .. } => continue,
        };
        reports.push(ImportReport { name, class });
    }
    reports.extend(
        unnamed.iter().map(|name| ImportReport { name: name.clone(), class: ImportClass::Unknown }),
    );
    reports
}

fn of_interface(resolve: &Resolve, name: &str, interface: &Interface) -> ImportClass {
    if only_types(resolve, interface) {
        return ImportClass::Provided;
    }
    let (path, version) = name.split_once('@').unwrap_or((name, ""));
    let Some((package, short)) = path.split_once('/') else { return ImportClass::Unknown };
    match class(package, short, version) {
        ImportClass::Unknown => links(resolve, name, interface)
            .map_or(ImportClass::Unknown, |links| ImportClass::FromPlugin { links }),
        class => class,
    }
}

/// The functions of an interface that another plugin can provide: those whose values can cross from
/// one component into another, which resources cannot.
fn links(resolve: &Resolve, name: &str, interface: &Interface) -> Option<Vec<Link>> {
    let package = package_of(resolve, name, interface)?;
    if package.namespace == "wasi" || !interface.types.values().all(|id| is_plain(resolve, *id)) {
        return None;
    }
    let link = |function: &Function| {
        function_schemas(resolve, function, &BTreeMap::new(), &mut SchemaBudget::new()).ok()?;
        let ty = function_type::function_type(resolve, function)?;
        Some(Link {
            carries_call_errors: carries_call_errors(&ty),
            interface: name.to_owned(),
            function: function.name.clone(),
            callee: Callee {
                capability: id_of_import(name, package, interface, function)?,
                version: package.version.clone(),
                type_hash: Some(ty.hash()),
            },
        })
    };
    interface.functions.values().map(link).collect()
}

/// Whether a function's error has a case `call` for what keeps a provider from answering
/// (`meshhost:mesh/invoke.call-error`).
fn carries_call_errors(function: &FunctionType) -> bool {
    let Some(ValueType::Result { err: Some(error), .. }) = function.result() else { return false };
    let payload = |ty: &ValueType, name: &str| match ty {
        ValueType::Variant(cases) => {
            cases.iter().find(|case| case.name == name).and_then(|case| case.ty.clone())
        }
        _ => None,
    };
    payload(error, "call").is_some_and(|carried| payload(&carried, "denied").is_some())
}

/// Whether a type that an interface names is none of a resource.
fn is_plain(resolve: &Resolve, id: TypeId) -> bool {
    match resolve.types.get(id).map(|definition| &definition.kind) {
        Some(TypeDefKind::Type(Type::Id(aliased))) => is_plain(resolve, *aliased),
        Some(TypeDefKind::Resource | TypeDefKind::Unknown) | None => false,
        Some(_) => true,
    }
}

/// An interface without functions and resources only names types: there is nothing to provide.
fn only_types(resolve: &Resolve, interface: &Interface) -> bool {
    interface.functions.is_empty()
        && interface.types.values().all(|id| {
            let kind = resolve.types.get(*id).map(|definition| &definition.kind);
            !matches!(kind, Some(TypeDefKind::Resource))
        })
}

pub(super) fn class(package: &str, interface: &str, version: &str) -> ImportClass {
    let parsed = Version::parse(version).ok();
    let is_release = |minor: u64| {
        parsed.as_ref().is_some_and(|version| {
            (version.major, version.minor) == (0, minor) && version.pre.is_empty()
        })
    };
    let fits = |served: Served| match served {
        Served::Wasi02 => is_release(2),
        Served::Wasi03 => is_release(3),
        Served::Release01 => is_release(1),
        Served::Exactly(exact) => version == exact,
    };
    let rows = || {
        let named = |name| TABLE.iter().filter(move |row| row.0 == package && row.1 == name);
        named(interface).chain(named("*"))
    };
    let Some((_, _, _, need)) = rows().find(|row| fits(row.2)) else {
        return unserved(package, is_release(3), rows().next());
    };
    match need {
        Need::Nothing => ImportClass::Provided,
        Need::Never => ImportClass::AlwaysDenied,
        Need::OneOf(permissions) => ImportClass::NeedsGrant {
            permissions: permissions.iter().map(|&text| text.to_owned()).collect(),
        },
    }
}

/// Why an interface is not served in the version that is asked for. `other` is a row of the table
/// for another version of it.
fn unserved(
    package: &str,
    is_release_03: bool,
    other: Option<&(&str, &str, Served, Need)>,
) -> ImportClass {
    if is_release_03 && package.starts_with("wasi:") {
        let reason =
            "which this release does not provide: of WASI 0.3 it has clocks, random numbers \
                      and the command line; the plugin can use WASI 0.2 for it"
                .to_owned();
        return ImportClass::NotSupported { reason };
    }
    let Some((_, _, served, _)) = other else { return ImportClass::Unknown };
    let provided = match served {
        Served::Wasi02 => "0.2",
        Served::Wasi03 => "0.3",
        Served::Release01 => "0.1",
        Served::Exactly(exact) => exact,
    };
    ImportClass::VersionMismatch { provided: provided.to_owned() }
}
