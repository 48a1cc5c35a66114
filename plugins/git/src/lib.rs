//! The plugin `git`.
