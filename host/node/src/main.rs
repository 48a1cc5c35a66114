//! The meshhost binary.

use std::process::ExitCode;

use meshhost::allocator::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    meshhost::cli::main()
}
