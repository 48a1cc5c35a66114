//! A component that may become a plugin: its bytes, read once, and everything that follows from
//! them. What was hashed is what is shown and installed.

use std::{io::ErrorKind, path::Path, sync::Arc};

use bytes::Bytes;
use meshhost_core::{
    code::Code,
    grant::GrantFile,
    id::{Digest, PluginName},
    limits::Limits,
    link::Link,
    manifest::{CapabilityRules, MANIFEST_BYTES_MAX, Manifest, consent_digest},
    outcome::Refusal,
};
use meshhost_runtime::inspect::{ImportClass, Inspection, inspect};

use super::Installer;
use crate::{
    api::Source, blocking, builtin, registry::Snapshot, regular_file, store::plugins::PluginVersion,
};

/// A component that may become a plugin.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// The name that it has or would have.
    pub(crate) name: PluginName,
    /// Its bytes.
    pub(crate) bytes: Bytes,
    /// What they are.
    pub(crate) inspection: Inspection,
    /// Its manifest and the manifest's text.
    pub(crate) manifest: Option<(Manifest, String)>,
    /// What the manifest says of each capability, in the order of the inspection.
    pub(crate) rules: Vec<CapabilityRules>,
    /// What consent binds.
    pub(crate) consent: Digest,
    /// How a command names it again.
    pub(super) word: String,
}

/// Bytes, the name that they came under, and the manifest beside them.
struct Found {
    bytes: Bytes,
    stem: String,
    beside: Option<Written>,
    word: String,
}

/// A manifest and where it is written.
struct Written {
    file: String,
    text: String,
}

impl Installer {
    /// Reads and inspects a component, on a thread that may block. One that nobody waits for any
    /// more keeps its place until it is through, so that no more are ever in memory.
    pub(crate) async fn read(
        &self,
        source: &Source,
        name: Option<PluginName>,
    ) -> Result<Candidate, Refusal> {
        let closed = |_| Refusal::new(Code::HostFault, "the node reads no components any more");
        let place = Arc::clone(&self.reading).acquire_owned().await.map_err(closed)?;
        let (source, bytes_max) = (source.clone(), self.component_bytes);
        blocking::run(move || {
            let read = candidate(&source, name, bytes_max);
            drop(place);
            read
        })
        .await?
    }
}

fn candidate(
    source: &Source,
    name: Option<PluginName>,
    bytes_max: u64,
) -> Result<Candidate, Refusal> {
    let Found { bytes, stem, beside, word } = match source {
        Source::BuiltIn(name) => built_in(name)?,
        Source::File(path) => file(path, bytes_max)?,
    };
    let provisional = name.clone().map_or_else(|| plain_name(&stem), Ok)?;
    let mut inspection = inspect_as(&bytes, &provisional)?;
    let written = match (inspection.manifest.take(), beside) {
        (Some(_), Some(_)) => {
            let message = "the component carries a manifest and another lies beside it; remove one";
            return Err(Refusal::new(Code::ManifestTwice, message));
        }
        (Some(text), None) => Some(Written { file: "plugin.toml".to_owned(), text }),
        (None, beside) => beside,
    };
    let manifest = match written {
        Some(Written { file, text }) => Some((Manifest::parse(&file, &text)?, text)),
        None => None,
    };
    let own_name = manifest.as_ref().map(|(manifest, _)| manifest.name.clone());
    let name = name.or(own_name).unwrap_or_else(|| provisional.clone());
    if name != provisional {
        // Functions that the world exports itself are called by the plugin's name.
        inspection = inspect_as(&bytes, &name)?;
        inspection.manifest = None;
    }
    let rules = match &manifest {
        Some((manifest, _)) => manifest
            .bind(&inspection.capabilities)
            .map_err(|error| Refusal::new(Code::ManifestInvalid, error.to_string()))?,
        None => Vec::new(),
    };
    if let Some((manifest, _)) = &manifest {
        for capability in &mut inspection.capabilities {
            // The WIT package's version counts; the manifest's stands in where it has none.
            if capability.version == semver::Version::new(0, 0, 0) {
                capability.version = manifest.version.clone();
            }
        }
    }
    let consent =
        consent_digest(&inspection.digest, manifest.as_ref().map(|(_, text)| text.as_str()));
    Ok(Candidate { name, bytes, inspection, manifest, rules, consent, word })
}

fn inspect_as(bytes: &[u8], name: &PluginName) -> Result<Inspection, Refusal> {
    inspect(bytes, name.as_str()).map_err(|error| Refusal::new(error.code, error.message))
}

fn built_in(name: &str) -> Result<Found, Refusal> {
    let bytes = builtin::find(name).ok_or_else(|| {
        let message = format!(
            "no component {name} is inside this binary and no such file was named; inside are: {}",
            builtin::names().collect::<Vec<_>>().join(", ")
        );
        Refusal::new(Code::NotFound, message)
    })?;
    Ok(Found {
        bytes: Bytes::from_static(bytes),
        stem: name.to_owned(),
        beside: None,
        word: name.to_owned(),
    })
}

fn file(path: &Path, bytes_max: u64) -> Result<Found, Refusal> {
    let bytes = regular_file::read(path, bytes_max).map_err(|error| unreadable(path, &error))?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let beside = read_beside(&path.with_extension("plugin.toml"))?;
    Ok(Found { bytes: bytes.into(), stem, beside, word: path.display().to_string() })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Refusal {
    let code = match error.kind() {
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::FileTooLarge => Code::ComponentTooLarge,
        _ => Code::UsageError,
    };
    Refusal::new(code, format!("{} cannot be read: {error}", path.display()))
}

/// `ocr.wasm` may have its manifest beside it in `ocr.plugin.toml`.
fn read_beside(path: &Path) -> Result<Option<Written>, Refusal> {
    match regular_file::read_text(path, MANIFEST_BYTES_MAX) {
        Ok(text) => Ok(Some(Written { file: path.display().to_string(), text })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("the manifest {} cannot be read: {error}", path.display());
            Err(Refusal::new(Code::ManifestInvalid, message))
        }
    }
}

/// The file's name as a plugin's name: `My_Tool.wasm` becomes `my-tool`.
fn plain_name(stem: &str) -> Result<PluginName, Refusal> {
    let folded: String = stem
        .chars()
        .map(|letter| if matches!(letter, '_' | '.') { '-' } else { letter.to_ascii_lowercase() })
        .collect();
    folded.parse().map_err(|_| {
        let message = "the file's name is no plugin name; choose one with --name NAME";
        Refusal::new(Code::UsageError, message)
    })
}

impl Candidate {
    /// What is kept of this version.
    pub(crate) fn version(&self, grants: &GrantFile) -> PluginVersion {
        let manifest = self.manifest.as_ref();
        PluginVersion {
            version: manifest
                .map_or(semver::Version::new(0, 0, 0), |(manifest, _)| manifest.version.clone()),
            component: self.inspection.digest,
            manifest_digest: manifest.map(|(_, text)| Digest::of(text.as_bytes())),
            manifest: manifest.map(|(_, text)| text.clone()),
            consent: self.consent,
            size_bytes: self.inspection.size_bytes,
            capabilities: self.inspection.capabilities.clone(),
            can_reach: self.can_reach(),
            links: self.links(),
            grants: grants.to_toml(),
        }
    }

    /// The functions that it imports from other plugins.
    pub(crate) fn links(&self) -> Vec<Link> {
        let imports = self.inspection.imports.iter();
        let links = imports.filter_map(|import| match &import.class {
            ImportClass::FromPlugin { links } => Some(links),
            _ => None,
        });
        links.flatten().cloned().collect()
    }

    /// What the imports could use, in the grammar of permissions.
    pub(super) fn can_reach(&self) -> Vec<String> {
        let mut reach: Vec<String> = Vec::new();
        for import in &self.inspection.imports {
            match &import.class {
                ImportClass::NeedsGrant { permissions } => {
                    reach.extend(permissions.iter().cloned())
                }
                ImportClass::FromPlugin { links } => {
                    reach.extend(
                        links.iter().map(|link| format!("call={}", link.callee.capability)),
                    );
                }
                _ => {}
            }
        }
        reach.sort();
        reach.dedup();
        reach
    }

    /// Refuses imports that nothing provides, and names that would take over another's.
    pub(crate) fn check_names(&self, snapshot: &Snapshot) -> Result<(), Refusal> {
        if let Some(problem) = self.inspection.reserved.first() {
            return Err(Refusal::new(Code::ReservedName, problem.clone()));
        }
        if let Some(problem) = self.inspection.unsupported.first() {
            return Err(Refusal::new(Code::InvalidComponent, problem.clone()));
        }
        for import in &self.inspection.imports {
            let missing = match &import.class {
                ImportClass::NotSupported { reason } => reason.clone(),
                ImportClass::Unknown => "which this host does not have".to_owned(),
                ImportClass::VersionMismatch { provided } => {
                    format!("which this host has in version {provided}")
                }
                _ => continue,
            };
            let message = format!("the component imports {}, {missing}", import.name);
            return Err(Refusal::new(Code::UnknownImport, message));
        }
        for plugin in snapshot.plugins() {
            let takes_name = |id: &str| {
                id.split('.').next() == Some(self.name.as_str())
                    && plugin.record.name != self.name
                    && !self.provides_prefix(self.name.as_str())
            };
            let mut ids = plugin.record.current.capabilities.iter();
            if ids.any(|capability| takes_name(capability.id.as_str())) {
                let message = format!(
                    "{} is the package of the plugin {}; choose another name with --name",
                    self.name, plugin.record.name
                );
                return Err(Refusal::new(Code::ReservedName, message));
            }
        }
        Ok(())
    }

    /// Refuses what this release's engine does not run, and what no call could ever start.
    pub(crate) fn check_fits(&self, ceiling: &Limits) -> Result<(), Refusal> {
        if let Some(problem) = self.inspection.unsupported.first() {
            return Err(Refusal::new(Code::InvalidComponent, problem.clone()));
        }
        let (instances, most) = (self.inspection.core_instances, ceiling.instances);
        if instances > most {
            let message =
                format!("the component makes {instances} core instances; a call may have {most}");
            return Err(Refusal::new(Code::LimitInstances, message));
        }
        Ok(())
    }

    /// Another provider of the same contract may be called like it.
    fn provides_prefix(&self, prefix: &str) -> bool {
        let mut ids = self.inspection.capabilities.iter();
        ids.all(|capability| {
            capability.export.interface.is_some()
                && capability.id.as_str().split('.').next() == Some(prefix)
        })
    }
}
