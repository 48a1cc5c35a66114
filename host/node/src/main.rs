//! The meshhost binary.

fn main() {}
