//! Models in a real worker process, with small models that are written here and the real ones
//! where `cargo xtask models` has put them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it left out"
)]

#[path = "../support/node.rs"]
mod node;
#[path = "../support/onnx.rs"]
mod onnx;

mod crash;
mod library;
mod many;
mod models;
mod refused;
mod run;
