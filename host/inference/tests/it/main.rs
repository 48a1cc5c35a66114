//! Models in a real worker process, with small models that are written here and the real ones
//! where `cargo xtask models` has put them.

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
