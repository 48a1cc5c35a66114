//! The operator's words turned into grants: each checked against the manifest and the ceiling, each
//! folder looked at and remembered by device and inode.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use meshhost_core::{
    code::Code,
    evidence::time::Timestamp,
    grant::{FolderIdentity, GrantEntry, GrantFile, check_grant, effective, needs_choice},
    manifest::{Ask, Manifest},
    outcome::Refusal,
    permission::{FolderMode, Permission},
    profile::Profile,
};
use meshhost_runtime::live::Excluded;

use super::{Installer, candidate::Candidate};
use crate::{api::Consent, sys};

impl Installer {
    /// What is granted by `consent` on top of `before`; `None` when nobody has consented yet to
    /// something that is asked for.
    pub(super) fn agreed(
        &self,
        candidate: &Candidate,
        before: Option<&GrantFile>,
        consent: &Consent,
    ) -> Result<Option<GrantFile>, Refusal> {
        if let Some(review) = consent.review
            && review != candidate.consent
        {
            let message = "the component or its manifest changed since it was shown; look again";
            return Err(Refusal::new(Code::ConsentNeeded, message));
        }
        let manifest = candidate.manifest.as_ref().map(|(manifest, _)| manifest);
        let asks = manifest.is_some_and(|manifest| !manifest.asks.is_empty());
        let spoken = consent.asks
            || consent.review.is_some()
            || consent.profile.is_some()
            || !consent.permissions.is_empty();
        if asks && before.is_none() && !spoken {
            return Ok(None);
        }
        let mut grants = before
            .cloned()
            .unwrap_or_else(|| GrantFile::empty(candidate.name.clone(), candidate.consent));
        grants.consent = candidate.consent;
        for permission in self.wished(manifest, consent)? {
            self.grant(&mut grants, manifest, permission)?;
        }
        if before.is_none() && !consent.partial && self.lacks(manifest, &grants) {
            return Ok(None);
        }
        grants.profile = consent.profile.clone().or(grants.profile);
        grants.limits = consent.limits.or(grants.limits);
        Ok(Some(grants))
    }

    /// Whether something is asked for that the plugin does not work without and does not get.
    fn lacks(&self, manifest: Option<&Manifest>, grants: &GrantFile) -> bool {
        let effective = effective(manifest, grants, &self.ceiling, &sys::environment);
        // A narrower grant is an answer to an ask: `fs:ro=…` to `fs:rw`.
        let answered = |ask: &Ask| {
            effective.permissions.iter().any(|permission| ask.permission.covers(permission))
        };
        effective.missing.iter().any(|ask| !ask.optional && !answered(ask))
    }

    /// Everything that the operator's words name.
    pub(super) fn wished(
        &self,
        manifest: Option<&Manifest>,
        consent: &Consent,
    ) -> Result<Vec<Permission>, Refusal> {
        let mut wished = Vec::new();
        if let Some(name) = &consent.profile {
            let profile = Profile::shipped(name).ok_or_else(|| {
                let names: Vec<_> = Profile::names().collect();
                let message = format!("there is no profile {name}; there are {}", names.join(", "));
                Refusal::new(Code::GrantInvalid, message)
            })?;
            let asks = manifest.map(|manifest| manifest.asks.as_slice());
            let fitting = profile.select(asks).into_iter();
            // A folder that an ask leaves open is named by the operator, in a grant of its own.
            wished.extend(
                fitting.filter(|permission| {
                    !matches!(permission, Permission::Folder { host: None, .. })
                }),
            );
        }
        if let Some(manifest) = manifest.filter(|_| consent.asks) {
            let home = sys::home_folder().unwrap_or_default().display().to_string();
            let choices = needs_choice(manifest, &self.ceiling, &home);
            let granted = manifest.asks.iter().zip(choices).filter(|(_, choice)| choice.is_none());
            for (ask, _) in granted {
                wished.push(absolute(ask.permission.clone(), &home)?);
            }
        }
        for text in &consent.permissions {
            wished.push(parse(text)?);
        }
        Ok(wished)
    }

    /// Adds one permission.
    pub(super) fn grant(
        &self,
        grants: &mut GrantFile,
        manifest: Option<&Manifest>,
        permission: Permission,
    ) -> Result<(), Refusal> {
        let home = sys::home_folder().map(|home| home.display().to_string());
        let permission = absolute(permission, home.as_deref().unwrap_or("/"))?;
        // A variable that looks like a secret's has no way in before secrets exist.
        check_grant(manifest, &permission, false, &self.ceiling, home.as_deref()).map_err(
            |reason| {
                let message = format!("{permission} cannot be granted: {reason}");
                Refusal::new(Code::GrantRefused, message)
            },
        )?;
        let folder = match &permission {
            Permission::Folder { host: Some(host), mode, .. } => {
                Some(self.folder(Path::new(host), *mode)?)
            }
            _ => None,
        };
        let granted_at = Timestamp::from_micros(self.clock.now_us()).to_string();
        grants.entries.retain(|entry| entry.permission != permission);
        grants.entries.push(GrantEntry { permission, folder, granted_at, reveal: false });
        Ok(())
    }

    /// Looks at a folder and remembers which one it is.
    fn folder(&self, host: &Path, mode: FolderMode) -> Result<FolderIdentity, Refusal> {
        let refuse = |problem: &str| {
            let message = format!("the folder {} cannot be granted: {problem}", host.display());
            Refusal::new(Code::GrantRefused, message)
        };
        let path = host.canonicalize().map_err(|_| refuse("it cannot be found"))?;
        let metadata = std::fs::metadata(&path).map_err(|_| refuse("it cannot be read"))?;
        if !metadata.is_dir() {
            return Err(refuse("it is not a folder"));
        }
        if self.lies_in_own_data(&path) {
            return Err(refuse("it is or lies in the node's own data"));
        }
        if mode != FolderMode::Ro && self.own_folder().is_some_and(|own| own.starts_with(&path)) {
            return Err(refuse(
                "the node's own data lies below it and could be moved; grant it for reading, or a \
                 folder beside",
            ));
        }
        let text = path.to_str().ok_or_else(|| refuse("its path is not UTF-8"))?;
        Ok(FolderIdentity { path: text.to_owned(), device: metadata.dev(), inode: metadata.ino() })
    }

    /// The data directory, without links on the way to it.
    fn own_folder(&self) -> Option<PathBuf> {
        self.folders.components.canonicalize().ok()?.parent().map(Path::to_owned)
    }

    /// A folder above the node's data may be read: the walk inside refuses what is excluded.
    fn lies_in_own_data(&self, path: &Path) -> bool {
        let mut above: Option<PathBuf> = Some(path.to_owned());
        while let Some(folder) = above {
            if std::fs::metadata(&folder).is_ok_and(|metadata| self.is_excluded(&metadata)) {
                return true;
            }
            above = folder.parent().map(Path::to_owned);
        }
        false
    }

    fn is_excluded(&self, metadata: &Metadata) -> bool {
        self.excluded.contains(&Excluded { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// Reads a permission as the operator wrote it.
pub(super) fn parse(text: &str) -> Result<Permission, Refusal> {
    text.parse().map_err(|error: meshhost_core::permission::PermissionError| {
        let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        Refusal::new(Code::GrantInvalid, format!("{error}{hint}"))
    })
}

fn absolute(permission: Permission, home: &str) -> Result<Permission, Refusal> {
    permission
        .absolute("/", home)
        .map_err(|error| Refusal::new(Code::GrantInvalid, error.to_string()))
}
