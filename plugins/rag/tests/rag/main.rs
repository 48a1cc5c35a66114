//! The whole way from files to answers, with an index in memory, an embedder of hashed words and real
//! files of every kind.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod cutting;
mod garden;
mod hostile;
mod incremental;
mod patterns;
mod questions;
mod stand_in;
