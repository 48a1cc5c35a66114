//! A plugin's grants while calls run under them: folders opened once, rules as plain values. The
//! operator's change replaces the value; running calls meet it at their next host call.
//!
//! A folder is opened by its path exactly once, compared with the device and inode that were
//! granted, and reached through that descriptor from then on. A folder that left the grants is
//! marked revoked: every descriptor and stream that a guest opened below it looks at the mark
//! before each operation. What the guest already read stays with it.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use meshhost_core::{
    grant::{
        EffectiveGrants, FolderGrant, lies_in_repository, may_hold_executed, needed_to_bring,
        needed_to_change,
    },
    network::NetworkRules,
    permission::{CallRules, FolderMode},
};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

/// Levels of folders that are looked at between a granted folder and the root of the system.
const PARENTS_MAX: usize = 256;

/// How a directory is opened that is only walked through.
#[cfg(target_os = "linux")]
pub(crate) const SEARCH: OFlags = OFlags::PATH;
/// How a directory is opened that is only walked through.
#[cfg(not(target_os = "linux"))]
pub(crate) const SEARCH: OFlags = OFlags::RDONLY;

/// A file or folder that no granted folder may reach, by device and inode: the node's own data,
/// configuration, cache and binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Excluded {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

impl Excluded {
    /// The identity of an open file or folder.
    ///
    /// # Errors
    /// When the system refuses to describe it.
    pub fn of(descriptor: impl AsFd) -> std::io::Result<Self> {
        Ok(Self::from_stat(&rustix::fs::fstat(descriptor)?))
    }

    pub(crate) fn from_stat(stat: &rustix::fs::Stat) -> Self {
        Self { device: number(stat.st_dev), inode: number(stat.st_ino) }
    }
}

/// A number of the system's as 64 bits, whatever width and sign the system gives it.
pub(crate) fn number(value: impl TryInto<u64>) -> u64 {
    value.try_into().unwrap_or(u64::MAX)
}

/// A granted folder, open.
#[derive(Debug)]
pub(crate) struct Folder {
    grant: FolderGrant,
    directory: Arc<OwnedFd>,
    excluded: Arc<[Excluded]>,
    revoked: AtomicBool,
}

impl Folder {
    fn open(grant: &FolderGrant, excluded: &Arc<[Excluded]>) -> std::io::Result<Self> {
        let flags = SEARCH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&grant.host, flags, Mode::empty())?;
        let identity = Excluded::of(&directory)?;
        let granted = Excluded { device: grant.device, inode: grant.inode };
        if identity != granted || lies_in(&directory, excluded)? {
            return Err(Errno::STALE.into());
        }
        Ok(Self {
            grant: grant.clone(),
            directory: Arc::new(directory),
            excluded: Arc::clone(excluded),
            revoked: AtomicBool::new(false),
        })
    }

    /// The name under which the guest knows it, absolute.
    pub(crate) fn guest(&self) -> &str {
        &self.grant.guest
    }

    /// What it may be used for.
    pub(crate) fn mode(&self) -> FolderMode {
        self.grant.mode
    }

    /// The open folder.
    pub(crate) fn directory(&self) -> &Arc<OwnedFd> {
        &self.directory
    }

    /// Whether this file or folder is one that no grant reaches.
    pub(crate) fn excludes(&self, identity: Excluded) -> bool {
        self.excluded.contains(&identity)
    }

    /// The least mode that a change of this path needs. The path is the real one below the folder.
    pub(crate) fn needed_to_change(&self, path: &[String]) -> FolderMode {
        needed_to_change(self.components(path))
    }

    /// The least mode that bringing a link or a whole folder to this path needs. The path is the real
    /// one below the folder.
    pub(crate) fn needed_to_bring(&self, path: &[String]) -> FolderMode {
        needed_to_bring(self.components(path))
    }

    /// Whether the path lies in what git keeps of a repository.
    pub(crate) fn lies_in_repository(&self, path: &[String]) -> bool {
        lies_in_repository(self.components(path))
    }

    /// Whether a directory that is moved to or from this path may bring along names through which
    /// others execute.
    pub(crate) fn may_hold_executed(&self, path: &[String]) -> bool {
        may_hold_executed(self.components(path))
    }

    fn components<'a>(&'a self, path: &'a [String]) -> impl Iterator<Item = &'a str> + Clone {
        let own = self.grant.host.split('/').filter(|name| !name.is_empty());
        own.chain(path.iter().map(String::as_str))
    }

    /// Whether the operator took the grant back.
    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }
}

/// Whether a folder is one of the excluded ones or lies in one.
fn lies_in(directory: &OwnedFd, excluded: &[Excluded]) -> std::io::Result<bool> {
    let flags = SEARCH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut current = rustix::fs::openat(directory, ".", flags, Mode::empty())?;
    let mut identity = Excluded::of(&current)?;
    for _ in 0..PARENTS_MAX {
        if excluded.contains(&identity) {
            return Ok(true);
        }
        let parent = rustix::fs::openat(&current, "..", flags, Mode::empty())?;
        let above = Excluded::of(&parent)?;
        if above == identity {
            return Ok(false);
        }
        (current, identity) = (parent, above);
    }
    Ok(true)
}

/// What a plugin may do, ready to be asked. Never changes: a new grant is a new value.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The folders that could be opened, in the order of the grants.
    pub(crate) folders: Vec<Arc<Folder>>,
    /// Everything as granted.
    pub(crate) grants: EffectiveGrants,
    /// The capabilities that may be called, in order.
    pub(crate) calls: CallRules,
    /// The requests that may leave, in order.
    pub(crate) network: NetworkRules,
}

/// Grants that are open and do not hold yet.
#[derive(Debug)]
pub struct NextGrants(Arc<Rules>);

/// The grants of one plugin, live.
#[derive(Debug)]
pub struct LiveGrants {
    excluded: Arc<[Excluded]>,
    rules: RwLock<Arc<Rules>>,
}

impl LiveGrants {
    /// Opens what is granted. Folders that are not what was granted (gone, another device or
    /// inode, inside the node's own data) are left out and named in the returned list (guest
    /// names).
    #[must_use]
    pub fn open(grants: &EffectiveGrants, excluded: Arc<[Excluded]>) -> (Arc<Self>, Vec<String>) {
        let (rules, left_out) = open_rules(grants, &excluded, &[]);
        let live = Self { excluded, rules: RwLock::new(Arc::new(rules)) };
        (Arc::new(live), left_out)
    }

    /// Opens other grants for the same plugin, which hold from [`LiveGrants::replace`] on. Folders
    /// that stay as they are stay open. Returns what [`LiveGrants::open`] returns.
    #[must_use]
    pub fn open_next(&self, grants: &EffectiveGrants) -> (NextGrants, Vec<String>) {
        let (rules, left_out) = open_rules(grants, &self.excluded, &self.rules().folders);
        (NextGrants(Arc::new(rules)), left_out)
    }

    /// Replaces the grants; running calls see it at their next host call. Folders that are not
    /// among the new ones are revoked.
    pub fn replace(&self, next: NextGrants) {
        let mut slot = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        for folder in &slot.folders {
            if !next.0.folders.iter().any(|kept| Arc::ptr_eq(kept, folder)) {
                folder.revoked.store(true, Ordering::Release);
            }
        }
        *slot = next.0;
    }

    /// What holds now.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn open_rules(
    grants: &EffectiveGrants,
    excluded: &Arc<[Excluded]>,
    open: &[Arc<Folder>],
) -> (Rules, Vec<String>) {
    let mut folders = Vec::with_capacity(grants.folders.len());
    let mut left_out = Vec::new();
    for grant in &grants.folders {
        if let Some(folder) = open.iter().find(|folder| folder.grant == *grant) {
            folders.push(Arc::clone(folder));
            continue;
        }
        match Folder::open(grant, excluded) {
            Ok(folder) => folders.push(Arc::new(folder)),
            Err(error) => {
                tracing::warn!(guest = %grant.guest, %error, "a granted folder is left out");
                left_out.push(grant.guest.clone());
            }
        }
    }
    let calls = CallRules::new(&grants.calls);
    let network = NetworkRules::new(&grants.network);
    (Rules { folders, grants: grants.clone(), calls, network }, left_out)
}

#[cfg(test)]
mod tests;
