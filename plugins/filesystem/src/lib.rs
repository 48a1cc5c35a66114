//! The plugin `filesystem`: `meshhost:filesystem/files@0.1.0` over the folders that were granted.
//!
//! It has no rights of its own: every path goes through WASI to the host, which checks it against
//! the grants. What stands here are results: their form, their order and their bounds.

mod change;
mod content;
mod failure;
mod glob;
mod grep;
mod listing;
mod walk;

meshhost_sdk::plugin!({
    path: ["../../wit/blob/0.1.0", "../../wit/filesystem/0.1.0"],
    world: "meshhost:filesystem/provider",
    with: { "meshhost:blob/types@0.1.0": meshhost_sdk::blob::types },
});

pub use bindings::exports::meshhost::filesystem::files;
use files::{Contents, Entry, Error, Existing, Form, Guest, LineMatches, Listing, Paths};
use meshhost_sdk::blob::Blob;

/// The plugin.
#[derive(Debug)]
pub struct Plugin;

// The names of the exports are no symbols that a native linker takes.
#[cfg(target_arch = "wasm32")]
export!(Plugin with_types_in bindings);

impl Guest for Plugin {
    fn read(
        path: String,
        offset: Option<u64>,
        length: Option<u64>,
        form: Option<Form>,
    ) -> Result<Contents, Error> {
        content::read(&path, offset.unwrap_or(0), length, form.unwrap_or(Form::Automatic))
    }

    fn write(
        path: String,
        text: Option<String>,
        content: Option<&Blob>,
        existing: Option<Existing>,
    ) -> Result<Entry, Error> {
        content::write(&path, text, content, existing.unwrap_or(Existing::Replace))
    }

    fn append(path: String, text: Option<String>, content: Option<&Blob>) -> Result<Entry, Error> {
        content::append(&path, text, content)
    }

    fn list(path: String, limit: Option<u32>, after: Option<String>) -> Result<Listing, Error> {
        listing::list(&path, limit, after.as_deref())
    }

    fn stat(path: String, follow: Option<bool>) -> Result<Entry, Error> {
        listing::stat(&path, follow.unwrap_or(true))
    }

    fn glob(pattern: String, path: Option<String>, limit: Option<u32>) -> Result<Paths, Error> {
        glob::glob(&pattern, path.as_deref(), limit)
    }

    fn grep(
        pattern: String,
        path: Option<String>,
        glob: Option<String>,
        ignore_case: Option<bool>,
        limit: Option<u32>,
        limit_bytes: Option<u64>,
    ) -> Result<LineMatches, Error> {
        grep::grep(&grep::Search {
            pattern: &pattern,
            path: path.as_deref(),
            glob: glob.as_deref(),
            ignore_case: ignore_case.unwrap_or(false),
            limit,
            limit_bytes,
        })
    }

    fn make_folder(path: String, parents: Option<bool>) -> Result<Entry, Error> {
        change::make_folder(&path, parents.unwrap_or(false))
    }

    fn move_(
        path: String,
        destination: String,
        existing: Option<Existing>,
    ) -> Result<Entry, Error> {
        change::rename(&path, &destination, existing.unwrap_or(Existing::Keep))
    }

    fn remove(path: String, recursive: Option<bool>) -> Result<(), Error> {
        change::remove(&path, recursive.unwrap_or(false))
    }
}
