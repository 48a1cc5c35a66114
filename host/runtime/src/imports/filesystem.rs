//! `wasi:filesystem` over the granted folders: an implementation of our own, so that a folder is
//! opened once and never by path again, the node's own data stays out of reach, and a grant that
//! is taken back stops what was opened under it.
//!
//! Without a grant there is one empty read-only root, `/`. It also stands beside granted folders,
//! last, so that an absolute path outside of them comes here: it is recorded with the permission
//! that would allow it and refused with `access`.
//!
//! Absent on purpose: devices, pipes, sockets (refused, never opened), ownership, permission bits
//! (execute bits are never set), links that lead out of a folder. `advise` does nothing.

mod access;
mod describe;
mod descriptor;
mod failure;
mod listing;
mod node;
mod stream;
mod walk;

use std::sync::Arc;

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::TrappableError;

use self::{
    bindings::wasi::filesystem::{
        preopens,
        types::{self, DirectoryEntry, ErrorCode},
    },
    failure::Failure,
    listing::Listing,
    node::Descriptor,
    stream::FileStreamError,
    walk::Directory,
};
use super::{Imports, View};
use crate::state::HostState;

mod bindings {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/deps/wasi-io",
            "../../wit/deps/wasi-clocks",
            "../../wit/deps/wasi-filesystem",
        ],
        world: "wasi:filesystem/imports",
        imports: { default: async | trappable },
        trappable_error_type: {
            "wasi:filesystem/types.error-code" => super::FileError,
        },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:filesystem/types.descriptor": super::node::Descriptor,
            "wasi:filesystem/types.directory-entry-stream": super::listing::Listing,
        },
        require_store_data_send: true,
    });
}

/// An error of the interface's, or a trap.
type FileError = TrappableError<ErrorCode>;
type FileResult<T> = Result<T, FileError>;

/// Links `wasi:filesystem`.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, Imports>(linker, View::of)?;
    preopens::add_to_linker::<_, Imports>(linker, View::of)
}

impl preopens::Host for View<'_> {
    async fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let rules = self.context.rules();
        let mut directories = Vec::with_capacity(rules.folders.len() + 1);
        for folder in &rules.folders {
            let directory = Descriptor::Directory(Arc::new(Directory::root(folder)));
            directories.push((self.table.push(directory)?, folder.guest().to_owned()));
        }
        if !rules.folders.iter().any(|folder| folder.guest() == "/") {
            directories.push((self.table.push(Descriptor::Nothing)?, "/".to_owned()));
        }
        Ok(directories)
    }
}

impl types::Host for View<'_> {
    fn convert_error_code(&mut self, error: FileError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    async fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?;
        Ok(error.downcast_ref::<FileStreamError>().map(|error| error.0))
    }
}

impl types::HostDirectoryEntryStream for View<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<Listing>,
    ) -> FileResult<Option<DirectoryEntry>> {
        let listing = self.table.get_mut(&stream).map_err(FileError::trap)?;
        if let Some(entry) = listing.take() {
            return entry.map(Some).map_err(|failure| failure.code.into());
        }
        let Some(job) = listing.more() else { return Ok(None) };
        let folder = Arc::clone(job.folder());
        let batch = self.context.file_job(move || job.read()).await.map_err(|failure| {
            self.refuse("read-directory-entry", &folder, folder.guest().to_owned(), failure)
        })?;
        let listing = self.table.get_mut(&stream).map_err(FileError::trap)?;
        listing.refill(batch);
        let entry = listing.take().transpose();
        entry.map_err(|failure: Failure| failure.code.into())
    }

    async fn drop(&mut self, stream: Resource<Listing>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
