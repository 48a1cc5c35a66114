//! The tables against the WIT in the repository.

use std::path::Path;

use meshhost_core::capability::CONTRACTS;

use super::*;
use crate::inspect::imports::{Served, TABLE};

/// Every package in `wit/`, the vendored ones first.
fn repository() -> Resolve {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut resolve = Resolve::default();
    let mut waiting = folders(&root.join("deps"));
    for package in folders(&root) {
        if !package.ends_with("deps") {
            waiting.extend(folders(&package));
        }
    }
    // A package can be read once those that it uses have been.
    let mut left = usize::MAX;
    while waiting.len() < left {
        left = waiting.len();
        waiting.retain(|folder| {
            let mut extended = resolve.clone();
            let pushed = extended.push_dir(folder).is_ok();
            if pushed {
                resolve = extended;
            }
            !pushed
        });
    }
    assert!(waiting.is_empty(), "not read: {waiting:?}");
    resolve
}

fn folders(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

#[test]
fn the_contracts_are_the_interfaces_in_wit_that_a_plugin_provides() {
    let resolve = repository();
    let mut found = Vec::new();
    for (_, interface) in &resolve.interfaces {
        let package = &resolve.packages[interface.package.unwrap()].name;
        let provided = !["blob", "index", "inference", "mesh"].contains(&package.name.as_str());
        if package.namespace == "meshhost" && provided && !interface.functions.is_empty() {
            found.push((package.name.clone(), interface.name.clone().unwrap()));
        }
    }
    found.sort();
    let known: Vec<_> = CONTRACTS.iter().map(|row| (row.0.to_owned(), row.1.to_owned())).collect();
    assert_eq!(found, known);
}

#[test]
fn every_function_of_a_contract_is_a_capability() {
    let resolve = repository();
    for (_, world) in resolve.worlds.iter().filter(|(_, world)| world.name == "provider") {
        for item in world.exports.values() {
            let wit_parser::WorldItem::Interface { id, .. } = item else { continue };
            for function in resolve.interfaces[*id].functions.values() {
                let mut budget = crate::schema::SchemaBudget::new();
                let nothing = std::collections::BTreeMap::new();
                crate::schema::function_schemas(&resolve, function, &nothing, &mut budget)
                    .unwrap_or_else(|error| panic!("{}: {error}", function.name));
            }
        }
    }
}

#[test]
fn every_provided_interface_is_in_wit() {
    let resolve = repository();
    let names: Vec<String> =
        resolve.interfaces.iter().filter_map(|(id, _)| resolve.id_of(id)).collect();
    for (package, interface, served, _) in TABLE {
        let wanted = if *interface == "*" {
            format!("{package}/")
        } else {
            format!("{package}/{interface}@")
        };
        let version = match served {
            Served::Wasi02 => "@0.2.",
            Served::Wasi03 => "@0.3.",
            Served::Release01 => "@0.1.",
            Served::Exactly(version) => version,
        };
        let fits = |name: &&String| name.starts_with(&wanted) && name.contains(version);
        let name = names.iter().find(fits);
        let name = name.unwrap_or_else(|| panic!("{wanted} is not in wit/"));
        let (path, version) = name.split_once('@').unwrap();
        let (package, interface) = path.split_once('/').unwrap();
        let class = crate::inspect::imports::class(package, interface, version);
        let served = !matches!(class, ImportClass::Unknown | ImportClass::VersionMismatch { .. });
        assert!(served, "{name}: {class:?}");
    }
}
