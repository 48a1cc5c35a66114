//! Starts the real `meshhost` for each test. One binary, so that it is linked once.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it left out"
)]

mod bad_input;
mod cli;
mod commits;
mod components;
mod evidence;
mod install;
mod kill;
mod limits;
mod plugins;
mod second_engine;
mod support;
