//! What the interface's functions share: finding what a descriptor stands for, running the
//! operation on a thread that may block, and recording what was denied.

use std::sync::Arc;

use meshhost_core::grant::commit_writes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynOutputStream;

use super::{
    FileError, FileResult,
    bindings::wasi::filesystem::types::{DescriptorFlags, ErrorCode, PathFlags},
    failure::{Denied, Failure},
    node::{Descriptor, OpenFile},
    stream::FileOutput,
    walk::Directory,
};
use crate::{
    imports::{Context, View},
    live::Folder,
};

impl Context {
    /// Runs work on files on a thread that may block.
    pub(super) async fn file_job<T, F>(&self, job: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Failure> + Send + 'static,
    {
        let ran = self.shared.files.run(&self.call.plugin, job).await;
        ran.unwrap_or(Err(Failure { code: ErrorCode::Io, denied: None }))
    }

    /// Runs an operation; one that changes something counts as an effect until it has ended.
    pub(super) async fn access<T, F>(&self, access: Access, job: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Failure> + Send + 'static,
    {
        if access == Access::Look {
            return self.file_job(job).await;
        }
        let effect = self.record.begin_effect();
        let job = move || {
            let result = job();
            effect.complete();
            result
        };
        self.file_job(job).await
    }
}

/// Whether an operation only looks or changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Look,
    Change,
}

impl View<'_> {
    /// Runs an operation on a path below a directory of the guest's.
    pub(super) async fn at<T, F>(
        &mut self,
        function: &'static str,
        descriptor: &Resource<Descriptor>,
        path: String,
        access: Access,
        job: F,
    ) -> FileResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Directory, &str) -> Result<T, Failure> + Send + 'static,
    {
        let directory = match self.table.get(descriptor).map_err(FileError::trap)? {
            Descriptor::Directory(directory) => Arc::clone(directory),
            Descriptor::File(_) => return Err(ErrorCode::NotDirectory.into()),
            Descriptor::Nothing => return Err(self.deny_nothing(function, &path, access)),
        };
        let (base, target) = (Arc::clone(&directory), path.clone());
        let result = self.context.access(access, move || job(&directory, &path)).await;
        result.map_err(|failure| {
            let target = absolute(base.folder.guest(), &base.path, &target);
            self.refuse(function, &base.folder, target, failure)
        })
    }

    /// Runs an operation on an open file of the guest's.
    pub(super) async fn on_file<T, F>(
        &mut self,
        function: &'static str,
        descriptor: &Resource<Descriptor>,
        access: Access,
        job: F,
    ) -> FileResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&OpenFile) -> Result<T, Failure> + Send + 'static,
    {
        let file = self.file(descriptor)?;
        let folder = Arc::clone(file.folder());
        let result = self.context.access(access, move || job(&file)).await;
        result.map_err(|failure| self.refuse(function, &folder, folder.guest().to_owned(), failure))
    }

    pub(super) fn file(&self, descriptor: &Resource<Descriptor>) -> FileResult<Arc<OpenFile>> {
        match self.table.get(descriptor).map_err(FileError::trap)? {
            Descriptor::File(file) => Ok(Arc::clone(file)),
            Descriptor::Directory(_) | Descriptor::Nothing => Err(ErrorCode::IsDirectory.into()),
        }
    }

    /// Records what was denied and gives the interface's error.
    pub(super) fn refuse(
        &self,
        function: &'static str,
        folder: &Folder,
        target: String,
        failure: Failure,
    ) -> FileError {
        if let Some(denied) = failure.denied {
            let inside = is_below(folder.guest(), &target);
            let permission = match denied {
                Denied::Read => Some(format!("fs:ro={}", folder.guest())),
                Denied::Change(mode) => Some(format!("fs:{}={}", mode.as_str(), folder.guest())),
                Denied::Outside if !inside => Some(format!("fs:ro={target}")),
                Denied::Outside | Denied::OutOfReach => None,
            };
            self.deny(function, permission, &target);
        }
        failure.code.into()
    }

    pub(super) fn deny_nothing(
        &self,
        function: &'static str,
        path: &str,
        access: Access,
    ) -> FileError {
        let target = absolute("/", &[], path);
        let permission = match access {
            Access::Look => format!("fs:ro={target}"),
            Access::Change => permission_to_change(&target),
        };
        self.deny(function, Some(permission), &target);
        ErrorCode::Access.into()
    }

    pub(super) fn deny(&self, function: &'static str, permission: Option<String>, target: &str) {
        let function = format!("wasi:filesystem/types#{function}");
        let bounded = permission.filter(|text| text.len() <= PERMISSION_BYTES_MAX);
        self.context.record.deny(bounded, &function, target);
    }

    pub(super) fn push(&mut self, descriptor: Descriptor) -> FileResult<Resource<Descriptor>> {
        self.table.push(descriptor).map_err(FileError::trap)
    }

    pub(super) async fn stat_of(
        &mut self,
        function: &'static str,
        descriptor: &Resource<Descriptor>,
    ) -> FileResult<Option<rustix::fs::Stat>> {
        match self.table.get(descriptor).map_err(FileError::trap)? {
            Descriptor::Nothing => Ok(None),
            Descriptor::File(_) => {
                let job = OpenFile::stat;
                self.on_file(function, descriptor, Access::Look, job).await.map(Some)
            }
            Descriptor::Directory(_) => {
                let job = |directory: &Directory, _: &str| directory.stat();
                let path = ".".to_owned();
                self.at(function, descriptor, path, Access::Look, job).await.map(Some)
            }
        }
    }
}

/// Longest permission text that is recorded; a longer one is no folder anybody would grant.
const PERMISSION_BYTES_MAX: usize = 1_024;

/// What would allow a change outside of every granted folder: for what commits write, the folder
/// that has the repository.
fn permission_to_change(target: &str) -> String {
    let names = target.split('/').filter(|name| !name.is_empty());
    match target.split_once("/.git/") {
        Some((folder, _)) if !folder.is_empty() && commit_writes(names) => {
            format!("fs:git={folder}")
        }
        _ => format!("fs:rw={target}"),
    }
}

/// The absolute guest path of `path` below a folder, as far as its text says.
fn absolute(guest: &str, base: &[String], path: &str) -> String {
    let base = base.iter().map(String::as_str);
    let relative = path.split('/');
    let below = if path.starts_with('/') { "" } else { guest };
    let mut names: Vec<&str> = Vec::new();
    let start = below.split('/');
    let base = base.filter(|_| !path.starts_with('/'));
    for name in start.chain(base).chain(relative) {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

fn is_below(folder: &str, path: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder == "/")
}

/// Whether the path means the empty root itself.
fn is_root(path: &str) -> bool {
    path.split('/').all(|name| matches!(name, "" | "." | "..")) && !path.is_empty()
}

impl View<'_> {
    pub(super) fn output(
        &mut self,
        descriptor: &Resource<Descriptor>,
        offset: Option<u64>,
    ) -> FileResult<Resource<DynOutputStream>> {
        let file = self.file(descriptor)?;
        if !file.flags().contains(DescriptorFlags::WRITE) {
            return Err(ErrorCode::BadDescriptor.into());
        }
        let stream: DynOutputStream = Box::new(FileOutput::new(self.context.clone(), file, offset));
        self.table.push(stream).map_err(FileError::trap)
    }

    pub(super) async fn synchronise(
        &mut self,
        function: &'static str,
        descriptor: &Resource<Descriptor>,
        all: bool,
    ) -> FileResult<()> {
        let descriptor_is_file =
            matches!(self.table.get(descriptor).map_err(FileError::trap)?, Descriptor::File(_));
        if descriptor_is_file {
            let job = move |file: &OpenFile| file.sync(all);
            return self.on_file(function, descriptor, Access::Look, job).await;
        }
        let job =
            |directory: &Directory, _: &str| Ok(rustix::fs::fsync(directory.open_for_reading()?)?);
        self.at(function, descriptor, ".".to_owned(), Access::Look, job).await
    }

    pub(super) async fn look_at(
        &mut self,
        function: &'static str,
        descriptor: &Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FileResult<rustix::fs::Stat> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        let job = move |directory: &Directory, path: &str| directory.stat_at(path, follow);
        self.at(function, descriptor, path, Access::Look, job).await
    }

    /// The directory that something is moved or linked into.
    pub(super) fn directory(
        &self,
        function: &'static str,
        descriptor: &Resource<Descriptor>,
        path: &str,
    ) -> FileResult<Arc<Directory>> {
        match self.table.get(descriptor).map_err(FileError::trap)? {
            Descriptor::Directory(directory) => Ok(Arc::clone(directory)),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
            Descriptor::Nothing => Err(self.deny_nothing(function, path, Access::Change)),
        }
    }

    /// Whether an empty root is opened itself.
    pub(super) fn is_nothing(
        &self,
        descriptor: &Resource<Descriptor>,
        path: &str,
    ) -> FileResult<bool> {
        let descriptor = self.table.get(descriptor).map_err(FileError::trap)?;
        Ok(matches!(descriptor, Descriptor::Nothing) && is_root(path))
    }

    /// Whether the path means the empty root or a folder on the way from it to a granted one.
    /// Programs look at each of those when they make a path absolute; they are empty folders that
    /// say nothing the guest does not know, so that is not recorded.
    pub(super) fn is_on_the_way(
        &self,
        descriptor: &Resource<Descriptor>,
        path: &str,
    ) -> FileResult<bool> {
        if self.is_nothing(descriptor, path)? {
            return Ok(true);
        }
        let descriptor = self.table.get(descriptor).map_err(FileError::trap)?;
        let target = absolute("/", &[], path);
        let rules = self.context.rules();
        let leads = rules.folders.iter().any(|folder| is_below(&target, folder.guest()));
        Ok(matches!(descriptor, Descriptor::Nothing) && leads)
    }
}
