//! The plugin's answers beside those of the `git` program, on the same repositories.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod commits;
mod content;
mod differences;
mod kinds;
mod support;
mod working_folder;
