//! The plugin `git`: `meshhost:git/repository@0.1.0` over the repositories that were granted.
//!
//! gix reads and writes; what stands here are the results, their order and their bounds. No
//! program is ever run: no hook, no filter, no external diff, no signature.

mod blame;
mod branch;
mod commit;
mod content;
mod describe;
mod difference;
mod failure;
mod history;
mod lock;
mod open;
mod patch;
mod references;
mod status;
mod submodule;
mod tree;
mod worktree;

meshhost_sdk::plugin!({
    path: ["../../wit/blob/0.1.0", "../../wit/git/0.1.0"],
    world: "meshhost:git/provider",
    with: { "meshhost:blob/types@0.1.0": meshhost_sdk::blob::types },
});

pub use bindings::exports::meshhost::git::repository;
use repository::{
    BlameLines, Branch, CommitChange, CommitInfo, Difference, Error, FileContent, Guest, History,
    Reference, Tag, TreeListing, WorkingState,
};

/// The plugin.
#[derive(Debug)]
pub struct Plugin;

// The names of the exports are no symbols that a native linker takes.
#[cfg(target_arch = "wasm32")]
export!(Plugin with_types_in bindings);

/// Entries when the caller names no limit.
const LIMIT_DEFAULT: u32 = 1_000;
/// The most entries.
const LIMIT_MAX: u32 = 10_000;

/// The caller's limit within ours.
fn bounded(limit: Option<u32>) -> usize {
    limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX) as usize
}

impl Guest for Plugin {
    fn status(path: Option<String>, limit: Option<u32>) -> Result<WorkingState, Error> {
        status::status(&open::open(path.as_deref())?, bounded(limit))
    }

    fn log(
        path: Option<String>,
        revision: Option<String>,
        limit: Option<u32>,
        skip: Option<u32>,
        file: Option<String>,
    ) -> Result<History, Error> {
        let query = history::Query {
            revision: revision.as_deref().unwrap_or("HEAD"),
            limit: limit.unwrap_or(100).min(LIMIT_MAX) as usize,
            skip: skip.unwrap_or(0) as usize,
            file: file.as_deref(),
        };
        history::log(&open::open(path.as_deref())?, &query)
    }

    fn show(
        path: Option<String>,
        revision: Option<String>,
        file: Option<String>,
    ) -> Result<CommitChange, Error> {
        let repo = open::open(path.as_deref())?;
        difference::show(&repo, revision.as_deref().unwrap_or("HEAD"), file.as_deref())
    }

    fn diff(
        path: Option<String>,
        old: Option<String>,
        new: Option<String>,
        staged: Option<bool>,
        file: Option<String>,
        context: Option<u32>,
    ) -> Result<Difference, Error> {
        let query = difference::Query {
            old: old.as_deref(),
            new: new.as_deref(),
            staged: staged.unwrap_or(false),
            file: file.as_deref(),
            context: context.unwrap_or(difference::CONTEXT_DEFAULT),
        };
        difference::diff(open::open(path.as_deref())?, &query)
    }

    fn blame(
        path: Option<String>,
        file: String,
        revision: Option<String>,
        first_line: Option<u32>,
        last_line: Option<u32>,
    ) -> Result<Vec<BlameLines>, Error> {
        let repo = open::open(path.as_deref())?;
        let revision = revision.as_deref().unwrap_or("HEAD");
        blame::blame(&repo, &file, revision, (first_line, last_line))
    }

    fn branches(
        path: Option<String>,
        remotes: Option<bool>,
        limit: Option<u32>,
    ) -> Result<Vec<Branch>, Error> {
        let repo = open::open(path.as_deref())?;
        references::branches(&repo, remotes.unwrap_or(false), bounded(limit))
    }

    fn tags(path: Option<String>, limit: Option<u32>) -> Result<Vec<Tag>, Error> {
        references::tags(&open::open(path.as_deref())?, bounded(limit))
    }

    fn refs(
        path: Option<String>,
        prefix: Option<String>,
        limit: Option<u32>,
    ) -> Result<Vec<Reference>, Error> {
        let repo = open::open(path.as_deref())?;
        references::refs(&repo, prefix.as_deref().unwrap_or(""), bounded(limit))
    }

    fn tree(
        path: Option<String>,
        revision: Option<String>,
        file: Option<String>,
        recursive: Option<bool>,
        limit: Option<u32>,
    ) -> Result<TreeListing, Error> {
        let query = tree::Query {
            revision: revision.as_deref().unwrap_or("HEAD"),
            file: file.as_deref(),
            recursive: recursive.unwrap_or(false),
            limit: bounded(limit),
        };
        tree::tree(&open::open(path.as_deref())?, &query)
    }

    fn file(
        path: Option<String>,
        file: String,
        revision: Option<String>,
    ) -> Result<FileContent, Error> {
        let repo = open::open(path.as_deref())?;
        tree::file(&repo, &file, revision.as_deref().unwrap_or("HEAD"))
    }

    fn commit(
        path: Option<String>,
        branch: String,
        message: String,
        files: Vec<String>,
        author_name: Option<String>,
        author_email: Option<String>,
    ) -> Result<CommitInfo, Error> {
        let wanted = commit::Wanted {
            branch: &branch,
            message: &message,
            files: &files,
            author_name: author_name.as_deref(),
            author_email: author_email.as_deref(),
        };
        commit::commit(&open::open(path.as_deref())?, &wanted)
    }
}
