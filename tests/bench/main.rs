//! `cargo xtask bench`: the figures that the project holds itself to, printed. Nothing fails for
//! being slow; a row says what was reached, what must be, and how it was measured.
//!
//! One module a figure. [`report`] prints, [`machine`] says where it ran and keeps cores awake,
//! [`engine`] and [`home`] are what is measured: the runtime alone, and a whole node.

#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

mod allocations;
mod cold;
mod deadline;
mod door;
mod engine;
mod evidence;
mod git;
mod home;
mod instance;
mod machine;
mod memory;
mod mesh;
mod nothing;
mod permissions;
mod report;

use std::process::ExitCode;

use report::{Figure, Row};

/// Measures one figure.
type Measure = fn() -> anyhow::Result<Vec<Row>>;

/// Every figure, in the order of the table.
const FIGURES: [(&str, Measure); 9] = [
    ("instance", instance::measure),
    ("door", door::measure),
    ("permissions", permissions::measure),
    ("deadline", deadline::measure),
    ("cold", cold::measure),
    ("git", git::measure),
    ("evidence", evidence::measure),
    ("memory", memory::measure),
    ("mesh", mesh::measure),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == meshhost::compiler::SUBCOMMAND) {
        // The node compiles in a child of the program that it runs in, and that is this one.
        return meshhost::cli::main();
    }
    let json = arguments.iter().any(|argument| argument == "--json");
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|name| !name.starts_with("--")).collect();
    if let Some(unknown) = names.iter().find(|name| FIGURES.iter().all(|(own, _)| own != *name)) {
        println!("no figure {unknown:?}; there are {}", FIGURES.map(|(name, _)| name).join(", "));
        return ExitCode::FAILURE;
    }
    let chosen = FIGURES.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
    if !json {
        println!("{}", machine::description());
    }
    let mut failed = false;
    for (name, measure) in chosen {
        let measured = measure();
        failed |= measured.is_err();
        let figure = Figure::new(name, measured);
        println!("{}", if json { figure.json() } else { figure.text() });
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
