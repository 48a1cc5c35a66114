//! The plugin's pipeline: decoding compared with a search of another make, tokens with those of
//! SentencePiece's own library, and texts translated by a model that is really trained.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stderr,
    reason = "tests"
)]

mod languages;
mod models;
mod parameters;
mod search;
mod stand_in;
mod tiny;
mod tokens;
