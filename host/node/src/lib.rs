//! The node: everything of meshhost that does I/O, and the composition root.
//!
//! Data flows one way: an [`entrance`] says who calls, the [`door`] decides and records, the
//! runtime runs, the [`store`] keeps the evidence. Commands reach a node through [`api`], in
//! process or over the socket of [`admin`]; [`node`] is where the parts meet.

pub mod admin;
pub mod allocator;
pub mod api;
mod blocking;
pub mod builtin;
pub mod cli;
pub mod client;
pub mod compiler;
mod copy;
pub mod door;
pub mod entrance;
pub mod index;
pub mod inference;
pub mod install;
pub mod items;
pub mod lifecycle;
pub mod mesh;
pub mod models;
pub mod node;
pub mod registry;
mod regular_file;
pub mod runtimes;
pub mod store;
pub mod sys;
pub mod wire;
