//! The grant file: what was agreed to for one plugin, and when.
//!
//! ```toml
//! plugin = "notes"
//! consent = "blake3:…"                     # what was reviewed: component and manifest
//! profile = "reader"
//!
//! [limits]
//! deadline_ms = 60000
//!
//! [[entries]]
//! permission = "fs:ro=/home/me/notes"
//! granted_at = "2026-01-02T03:04:05Z"
//!
//! [entries.folder]                         # which folder that was
//! path = "/home/me/notes"
//! device = "64769"
//! inode = "1048577"
//! ```
//!
//! The node writes it; a person may read it and may change it while the node does not run.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::{
    code::Code,
    diagnostic::{Diagnostic, Source, read_toml},
    id::{Digest, PluginName},
    limits::LimitsWanted,
    manifest::RawLimits,
    permission::{PATH_BYTES_MAX, Permission},
};

/// Largest grant file in bytes.
pub const GRANT_FILE_BYTES_MAX: usize = 1024 * 1024;
/// Most entries in one grant file.
const ENTRIES_MAX: usize = 1_024;
/// Longest profile name in bytes.
const PROFILE_BYTES_MAX: usize = 64;
/// Longest time of a grant in bytes.
const TIME_BYTES_MAX: usize = 40;

/// What was granted to one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantFile {
    /// The plugin.
    pub plugin: PluginName,
    /// What consent binds: [`crate::manifest::consent_digest`] of what was reviewed.
    pub consent: Digest,
    /// The shipped profile that the grants came from, when one was used.
    pub profile: Option<String>,
    /// The operator's limits; they stand above the manifest's wishes and below the ceiling.
    pub limits: LimitsWanted,
    /// The permissions, in the order in which they were granted.
    pub entries: Vec<GrantEntry>,
}

/// One granted permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantEntry {
    /// The permission, concrete: no folder left open, no `~`.
    pub permission: Permission,
    /// Which folder it was when it was granted; given exactly for folder permissions.
    pub folder: Option<FolderIdentity>,
    /// RFC 3339, UTC.
    pub granted_at: String,
    /// An environment variable may be given although its name looks like a secret's.
    pub reveal: bool,
}

/// Which folder was granted. Another device or inode under the same path is another folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderIdentity {
    /// The canonical path.
    pub path: String,
    /// The device number; a text in the file, because TOML integers end at 2^63.
    #[serde(with = "decimal")]
    pub device: u64,
    /// The inode number, likewise.
    #[serde(with = "decimal")]
    pub inode: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    plugin: PluginName,
    consent: Digest,
    profile: Option<Spanned<String>>,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    entries: Vec<Spanned<RawEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    permission: Spanned<String>,
    folder: Option<FolderIdentity>,
    granted_at: Spanned<String>,
    #[serde(default)]
    reveal: bool,
}

#[derive(Serialize)]
struct WrittenFile<'file> {
    plugin: &'file PluginName,
    consent: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'file str>,
    limits: LimitsWanted,
    entries: Vec<WrittenEntry<'file>>,
}

#[derive(Serialize)]
struct WrittenEntry<'file> {
    permission: &'file Permission,
    granted_at: &'file str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reveal: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<&'file FolderIdentity>,
}

impl GrantFile {
    /// A file that grants nothing.
    #[must_use]
    pub fn empty(plugin: PluginName, consent: Digest) -> Self {
        let limits = LimitsWanted::default();
        Self { plugin, consent, profile: None, limits, entries: Vec::new() }
    }

    /// Reads a grant file. `file` is its name as given, for errors.
    ///
    /// # Errors
    /// When it is too large, is not TOML, has unknown keys or wrong values; with the place.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostic> {
        let source = Source { code: Code::GrantInvalid, file, text };
        let raw: RawFile = read_toml(&source, GRANT_FILE_BYTES_MAX)?;
        let mut entries = Vec::new();
        for entry in &raw.entries {
            if entries.len() == ENTRIES_MAX {
                let message = format!("there are more than {ENTRIES_MAX} entries");
                return Err(source.error(entry.span(), message));
            }
            entries.push(read_entry(&source, entry)?);
        }
        let profile = raw.profile.as_ref();
        if let Some(profile) = profile.filter(|name| name.get_ref().len() > PROFILE_BYTES_MAX) {
            return Err(source.error(profile.span(), "this is not the name of a profile"));
        }
        Ok(Self {
            plugin: raw.plugin,
            consent: raw.consent,
            profile: profile.map(|name| name.get_ref().clone()),
            limits: raw.limits.validate(&source)?,
            entries,
        })
    }

    /// The file as text, always in the same order.
    #[must_use]
    #[expect(clippy::expect_used, reason = "names, texts and numbers always have a TOML form")]
    pub fn to_toml(&self) -> String {
        let written = WrittenFile {
            plugin: &self.plugin,
            consent: self.consent,
            profile: self.profile.as_deref(),
            limits: self.limits,
            entries: self.entries.iter().map(WrittenEntry::of).collect(),
        };
        toml::to_string(&written).expect("a grant file has a TOML form")
    }
}

impl<'file> WrittenEntry<'file> {
    fn of(entry: &'file GrantEntry) -> Self {
        Self {
            permission: &entry.permission,
            granted_at: &entry.granted_at,
            reveal: entry.reveal,
            folder: entry.folder.as_ref(),
        }
    }
}

fn read_entry(source: &Source<'_>, entry: &Spanned<RawEntry>) -> Result<GrantEntry, Diagnostic> {
    let RawEntry { permission: written, folder, granted_at, reveal } = entry.get_ref();
    let permission = crate::manifest::read_permission(source, written)?;
    if !permission.is_concrete() {
        let message = "a granted permission names its folder absolutely, without `~` and `..`";
        return Err(source.error(written.span(), message));
    }
    let is_folder = matches!(permission, Permission::Folder { .. });
    if is_folder != folder.is_some() {
        let message = "the entry of a folder, and no other, says which folder it was";
        let hint = "write a table [entries.folder] with path, device and inode, or grant it again";
        return Err(source.error_with_hint(entry.span(), message, hint));
    }
    let canonical = |folder: &FolderIdentity| {
        folder.path.starts_with('/') && folder.path.len() <= PATH_BYTES_MAX
    };
    if !folder.as_ref().is_none_or(canonical) {
        return Err(source.error(entry.span(), "the folder's path is not absolute"));
    }
    if *reveal && !matches!(permission, Permission::Environment { .. }) {
        let message = "`reveal` belongs to environment variables only";
        return Err(source.error(entry.span(), message));
    }
    let time = granted_at.get_ref();
    let plain = time.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TZ".contains(&byte));
    if !plain || time.is_empty() || time.len() > TIME_BYTES_MAX {
        return Err(source.error(granted_at.span(), "a time is written 2026-01-02T03:04:05Z"));
    }
    Ok(GrantEntry { permission, folder: folder.clone(), granted_at: time.clone(), reveal: *reveal })
}

/// Unsigned 64-bit numbers as decimal texts.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number.ok_or_else(|| D::Error::custom("expected a decimal number as text"))
    }
}
