//! The meshhost binary.

mod api;
mod cli;
mod store;
mod sys;

fn main() {}
