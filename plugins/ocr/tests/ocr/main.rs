//! The plugin's pipeline: pages made here and read by the real models, and files that no codec likes.

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

mod distance;
mod files;
mod models;
mod pages;
mod parameters;
mod render;
mod stand_in;
