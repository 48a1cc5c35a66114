//! Starts the real `meshhost` for each test. One binary, so that it is linked once.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it left out"
)]

mod background;
mod bad_input;
mod cli;
mod commits;
mod components;
mod disk;
mod evidence;
mod git;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#[path = "../../plugins/git/tests/agreement/support.rs"]
mod git_repositories;
mod index;
mod inference;
mod install;
mod kill;
mod limits;
mod linked;
mod mesh;
mod mesh_calls;
mod mesh_chain;
mod mesh_discovery;
mod mesh_faults;
mod mesh_network;
mod model_calls;
mod models;
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "it has more kinds of models than are needed here"
)]
#[path = "../../host/inference/tests/support/onnx.rs"]
mod onnx;
mod places;
mod plugins;
mod rag;
mod runtimes;
mod second_engine;
mod streams;
mod support;
mod translation;
