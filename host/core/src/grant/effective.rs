//! Manifest ∩ grant ∩ ceiling.

use super::{Ceiling, EffectiveGrants, FolderGrant, GrantEntry, GrantFile, looks_like_secret};
use crate::{
    capability::Risk,
    code::Code,
    limits::Limits,
    manifest::{Ask, Manifest},
    permission::{FolderMode, Permission, risk_of},
};

/// What a plugin really may do, and what was left out on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// The plain values for the runtime.
    pub grants: EffectiveGrants,
    /// The limits of its calls.
    pub limits: Limits,
    /// What is effective, in the grammar: the granted permissions, reduced to the ceiling.
    pub permissions: Vec<Permission>,
    /// What the manifest asks for and no effective permission covers, in the manifest's order.
    pub missing: Vec<Ask>,
    /// What was granted and is not effective, or not all of it.
    pub refused: Vec<RefusedGrant>,
}

impl Effective {
    /// The risk that the effective permissions imply.
    #[must_use]
    pub fn risk(&self) -> Risk {
        risk_of(&self.permissions)
    }
}

/// A granted permission that is not effective, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedGrant {
    /// As granted.
    pub permission: Permission,
    /// Why.
    pub reason: GrantRefusal,
}

/// Why a permission cannot be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefusal {
    /// The manifest does not ask for it, or for less.
    #[error("the manifest does not ask for this, or for less")]
    NotAsked,
    /// The node's configuration allows less.
    #[error("it is above the ceiling in the node's configuration")]
    AboveCeiling,
    /// The variable's name looks like a secret's.
    #[error(
        "the variable's name looks like a secret's; grant it with --reveal if the plugin may see the value"
    )]
    Secret,
    /// It names no folder, or is not written absolutely.
    #[error("it names no folder, or not absolutely")]
    NotConcrete,
}

impl GrantRefusal {
    /// The code of this error, always the same.
    pub const CODE: Code = Code::GrantRefused;
}

/// Whether a permission may be granted: the manifest asks for at least that much (a component
/// without a manifest may be granted anything by hand), and the ceiling allows all of it. `home`
/// is the operator's home folder, for asks with `~`.
///
/// # Errors
/// The reason why not.
pub fn check_grant(
    manifest: Option<&Manifest>,
    permission: &Permission,
    reveal: bool,
    ceiling: &Ceiling,
    home: Option<&str>,
) -> Result<(), GrantRefusal> {
    if !permission.is_concrete() {
        return Err(GrantRefusal::NotConcrete);
    }
    if let Some(manifest) = manifest {
        let asked = manifest.asks.iter().any(|ask| asks_for(ask, permission, home));
        if !asked {
            return Err(GrantRefusal::NotAsked);
        }
    }
    if let Permission::Environment { name, .. } = permission
        && looks_like_secret(name)
        && !reveal
    {
        return Err(GrantRefusal::Secret);
    }
    match reduced(permission, ceiling) {
        Some(whole) if whole == *permission => Ok(()),
        _ => Err(GrantRefusal::AboveCeiling),
    }
}

fn asks_for(ask: &Ask, permission: &Permission, home: Option<&str>) -> bool {
    match home {
        Some(home) => with_home(ask, home).is_some_and(|ask| ask.covers(permission)),
        None => ask.permission.covers(permission),
    }
}

/// The ask with `~` replaced. The working folder does not matter: asks are absolute or below `~`.
fn with_home(ask: &Ask, home: &str) -> Option<Permission> {
    ask.permission.clone().absolute("/", home).ok()
}

/// As much of a permission as the ceiling allows.
fn reduced(permission: &Permission, ceiling: &Ceiling) -> Option<Permission> {
    match permission {
        Permission::Folder { mode, guest, host } => Some(Permission::Folder {
            mode: ceiling.folders?.min(*mode),
            guest: guest.clone(),
            host: host.clone(),
        }),
        Permission::Network(_) | Permission::NetworkRange(_) => {
            ceiling.network.then(|| permission.clone())
        }
        Permission::KeyValue { bytes } => {
            let bytes = (*bytes).min(ceiling.key_value_bytes);
            (bytes > 0).then_some(Permission::KeyValue { bytes })
        }
        Permission::Index { bytes } => {
            let bytes = (*bytes).min(ceiling.index_bytes);
            (bytes > 0).then_some(Permission::Index { bytes })
        }
        Permission::Stdout { bytes } => {
            let bytes = (*bytes).min(ceiling.limits.output_bytes);
            (bytes > 0).then_some(Permission::Stdout { bytes })
        }
        Permission::Log { bytes } => {
            let bytes = (*bytes).min(ceiling.limits.log_bytes);
            (bytes > 0).then_some(Permission::Log { bytes })
        }
        Permission::Environment { .. }
        | Permission::Clock
        | Permission::Random
        | Permission::Model { .. }
        | Permission::Call(_) => Some(permission.clone()),
    }
}

/// For each ask of a manifest, why `--yes` does not grant it, or `None` when it does: it grants
/// what is concrete, within the ceiling, and below high risk, also together with the rest.
/// `home` is the operator's home folder.
#[must_use]
pub fn needs_choice(
    manifest: &Manifest,
    ceiling: &Ceiling,
    home: &str,
) -> Vec<Option<&'static str>> {
    let mut granted: Vec<Permission> = Vec::new();
    let mut reasons = Vec::new();
    for ask in &manifest.asks {
        let Some(permission) = with_home(ask, home) else {
            reasons.push(Some("it cannot be written with this home folder"));
            continue;
        };
        let checked = check_grant(Some(manifest), &permission, false, ceiling, Some(home));
        let reason = match checked {
            Err(GrantRefusal::NotConcrete) => Some("the folder is yours to choose"),
            Err(GrantRefusal::AboveCeiling) => Some("it is above the node's ceiling"),
            Err(GrantRefusal::Secret) => Some("the variable's name looks like a secret's"),
            Err(GrantRefusal::NotAsked) => Some("the manifest does not ask for it"),
            Ok(()) if permission.risk() >= Risk::High => Some("it is of high risk"),
            Ok(()) if risk_of(granted.iter().chain([&permission])) >= Risk::High => {
                Some("writing together with the network is of high risk")
            }
            Ok(()) => None,
        };
        if reason.is_none() {
            granted.push(permission);
        }
        reasons.push(reason);
    }
    reasons
}

/// What is left of the grants after manifest and ceiling. `environment` gives the node's own
/// variables; `HOME` is asked for asks with `~`. Deterministic: the same values give the same
/// answer.
#[must_use]
pub fn effective(
    manifest: Option<&Manifest>,
    grants: &GrantFile,
    ceiling: &Ceiling,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Effective {
    let home = environment("HOME");
    let mut values = EffectiveGrants::default();
    let mut permissions = Vec::new();
    let mut refused = Vec::new();
    for entry in &grants.entries {
        let permission = &entry.permission;
        let checked = check_grant(manifest, permission, entry.reveal, ceiling, home.as_deref());
        if let Err(reason) = checked {
            refused.push(RefusedGrant { permission: permission.clone(), reason });
            if reason != GrantRefusal::AboveCeiling {
                continue;
            }
        }
        if let Some(left) = reduced(permission, ceiling) {
            add(&mut values, entry, &left, environment);
            permissions.push(left);
        }
    }
    let covered = |ask: &Ask| {
        let asked = home.as_deref().and_then(|home| with_home(ask, home));
        let asked = asked.unwrap_or_else(|| ask.permission.clone());
        permissions.iter().any(|permission| permission.covers(&asked))
    };
    let asks = manifest.map(|manifest| manifest.asks.as_slice()).unwrap_or_default();
    let missing = asks.iter().filter(|ask| !covered(ask)).cloned().collect();
    let limits = limits(manifest, grants, ceiling);
    Effective { grants: values, limits, permissions, missing, refused }
}

/// The operator's limits over the author's wishes over the node's default, all below the ceiling
/// and the overlay. The one instance of a stateful plugin runs one call at a time.
fn limits(manifest: Option<&Manifest>, grants: &GrantFile, ceiling: &Ceiling) -> Limits {
    let (wishes, caps) =
        manifest.map(|manifest| (manifest.limits, manifest.limit_caps)).unwrap_or_default();
    let wanted = grants.limits.over(wishes.over(ceiling.default_limits));
    let limits = wanted.min(ceiling.limits).min(caps.over(ceiling.limits));
    let one_at_a_time = manifest.is_some_and(|manifest| manifest.stateful);
    Limits { concurrency: if one_at_a_time { 1 } else { limits.concurrency }, ..limits }
}

fn add(
    values: &mut EffectiveGrants,
    entry: &GrantEntry,
    permission: &Permission,
    environment: &dyn Fn(&str) -> Option<String>,
) {
    match permission {
        Permission::Folder { mode, guest, host } => {
            let named = guest.as_ref().or(host.as_ref());
            if let (Some(identity), Some(guest)) = (&entry.folder, named) {
                add_folder(
                    values,
                    FolderGrant {
                        guest: guest.clone(),
                        host: identity.path.clone(),
                        mode: *mode,
                        device: identity.device,
                        inode: identity.inode,
                    },
                );
            }
        }
        Permission::Network(rule) => values.network.push(rule.clone()),
        Permission::NetworkRange(range) => values.network_ranges.push(range.clone()),
        Permission::Environment { name, value } => {
            let value = value.clone().or_else(|| environment(name));
            values.environment.retain(|(other, _)| other != name);
            values.environment.extend(value.map(|value| (name.clone(), value)));
        }
        Permission::Clock => values.clock = true,
        Permission::Random => values.random = true,
        Permission::KeyValue { bytes } => {
            values.key_value_bytes = values.key_value_bytes.max(Some(*bytes));
        }
        Permission::Index { bytes } => {
            values.index_bytes = values.index_bytes.max(Some(*bytes));
        }
        Permission::Call(rule) => values.calls.push(rule.clone()),
        Permission::Model { name } => {
            if !values.models.contains(name) {
                values.models.push(name.clone());
            }
        }
        Permission::Stdout { bytes } => values.stdout_bytes = values.stdout_bytes.max(*bytes),
        Permission::Log { bytes } => values.log_bytes = values.log_bytes.max(*bytes),
    }
}

/// Two grants under one name: of the same folder the higher mode counts, of another folder the
/// later grant.
fn add_folder(values: &mut EffectiveGrants, mut folder: FolderGrant) {
    let same = |other: &FolderGrant| (other.device, other.inode) == (folder.device, folder.inode);
    let earlier = values.folders.iter().find(|other| other.guest == folder.guest);
    let mode: Option<FolderMode> = earlier.filter(|other| same(other)).map(|other| other.mode);
    folder.mode = mode.map_or(folder.mode, |mode| mode.max(folder.mode));
    values.folders.retain(|other| other.guest != folder.guest);
    values.folders.push(folder);
}
