//! Shipped profiles: named answers to a review. `--profile reader` grants those asks of a
//! manifest that fit the profile, and for a component without a manifest the few harmless
//! permissions that the profile lists. A profile never widens an ask.
//!
//! The files lie in `policies/` with their table tests and are part of the binary. Deliberately
//! absent: profiles of the operator's own; grants by name do that.

use serde::Deserialize;

use crate::{
    capability::Risk,
    code::Code,
    diagnostic::{Diagnostic, Source, read_toml},
    limits::LimitsWanted,
    manifest::{Ask, RawLimits, read_permission},
    permission::{FolderMode, Permission},
};

/// Largest profile in bytes.
const PROFILE_BYTES_MAX: usize = 16 * 1024;

/// The shipped profiles with their texts, in the order in which they are shown.
const SHIPPED: [(&str, &str); 3] = [
    ("reader", include_str!("../../../policies/reader.toml")),
    ("editor", include_str!("../../../policies/editor.toml")),
    ("network", include_str!("../../../policies/network.toml")),
];

/// A named answer to a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// Asks for folders are granted up to this mode, once the folder is named.
    pub folders: Option<FolderMode>,
    /// Asks for requests to named hosts are granted; those of high risk are not.
    pub network: bool,
    /// Asks that one of these covers are granted; without a manifest all of these are.
    pub permissions: Vec<Permission>,
    /// The operator's limits that come with it.
    pub limits: LimitsWanted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    name: String,
    description: String,
    folders: Option<FolderMode>,
    #[serde(default)]
    network: bool,
    permissions: Vec<toml::Spanned<String>>,
    #[serde(default)]
    limits: RawLimits,
}

impl Profile {
    /// The names of the shipped profiles.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    /// The shipped profile with this name, or `None` when there is none.
    #[must_use]
    pub fn shipped(name: &str) -> Option<Self> {
        let (file, text) = SHIPPED.iter().find(|(own, _)| *own == name)?;
        // A test reads each of them, so that this is never an error.
        Self::parse(file, text).ok()
    }

    /// Reads a profile. `file` is its name as given, for errors.
    ///
    /// # Errors
    /// When it is too large, is not TOML, has unknown keys or wrong values; with the place.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostic> {
        let source = Source { code: Code::ConfigInvalid, file, text };
        let raw: RawProfile = read_toml(&source, PROFILE_BYTES_MAX)?;
        let mut permissions = Vec::new();
        for written in &raw.permissions {
            let permission = read_permission(&source, written)?;
            if permission.risk() != Risk::Low || !permission.is_concrete() {
                let message = "a profile lists only concrete permissions of low risk";
                return Err(source.error(written.span(), message));
            }
            permissions.push(permission);
        }
        Ok(Self {
            name: raw.name,
            description: raw.description,
            folders: raw.folders,
            network: raw.network,
            permissions,
            limits: raw.limits.validate(&source)?,
        })
    }

    /// Whether the profile grants this ask, as far as it is concrete.
    #[must_use]
    pub fn grants(&self, ask: &Permission) -> bool {
        match ask {
            Permission::Folder { mode, .. } => self.folders.is_some_and(|highest| *mode <= highest),
            Permission::Network(_) => self.network && ask.risk() < Risk::High,
            other => self.permissions.iter().any(|own| own.covers(other)),
        }
    }

    /// The permissions that the profile grants: those asks that fit, or, without a manifest, its
    /// own list. A folder that an ask leaves open is still to be named by the operator.
    #[must_use]
    pub fn select(&self, asks: Option<&[Ask]>) -> Vec<Permission> {
        let Some(asks) = asks else { return self.permissions.clone() };
        let fitting = asks.iter().map(|ask| &ask.permission).filter(|ask| self.grants(ask));
        fitting.cloned().collect()
    }
}

#[cfg(test)]
mod tests;
