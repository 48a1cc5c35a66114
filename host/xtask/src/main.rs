//! `cargo xtask`: what a clone needs besides cargo. One module per subcommand.

mod bench;
mod demo;
mod embed;
mod fuzz;
mod guests;
mod inputs;
mod install;
mod models;
mod python;
mod say;
mod setup;
mod test;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what this machine lacks to build the guests, and say what was done.
    Setup {
        /// Do not ask before installing system packages.
        #[arg(long)]
        yes: bool,
    },
    /// Build every component to target/guests/NAME.wasm.
    Guests {
        /// Only these.
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
    },
    /// Fetch the models and ONNX Runtime to target/models and target/runtimes, and check them.
    Models {
        /// Only these packages.
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// Do not ask before installing system packages.
        #[arg(long)]
        yes: bool,
    },
    /// Show the main job on real data: set everything up, install two plugins, call them, see one
    /// denied and one stopped, verify the record. Changes nothing in the home folder.
    Demo {
        /// `mesh` shows three nodes that call each other instead.
        #[arg(value_name = "WHAT")]
        what: Option<demo::What>,
        /// Do not ask before installing system packages.
        #[arg(long)]
        yes: bool,
    },
    /// Formatting, lints and every test; sets up what they need.
    Test {
        /// Do not ask before installing system packages.
        #[arg(long)]
        yes: bool,
    },
    /// The tests that take long: a thousand kills of a node at work, a hundred thousand seeds of the mesh.
    Soak,
    /// Fuzz one target of tests/fuzz with libFuzzer; without a name, list them.
    Fuzz {
        /// Which.
        #[arg(value_name = "TARGET")]
        target: Option<String>,
        /// For how long.
        #[arg(long, value_name = "NUMBER", default_value_t = 60)]
        seconds: u32,
    },
    /// Build the optimised binary, with the first-party components inside, and put it in place.
    Install {
        /// The folder to put it into, instead of cargo's own.
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
    },
    /// Measure and print the figures, or those named. Takes an optimised build; a slow figure is
    /// no failure.
    Bench {
        /// Only these; those of `inference`, which install packages of Python, when it is named.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// One line of JSON for each figure.
        #[arg(long)]
        json: bool,
        /// Build with this profile of cargo: faster to build, and its figures say less.
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
        /// Do not ask before installing system packages.
        #[arg(long)]
        yes: bool,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Setup { yes } => setup::run(yes),
        Task::Guests { only } => guests::run(&only),
        Task::Models { only, yes } => models::run(&only, yes),
        Task::Demo { what, yes } => demo::run(what, yes),
        Task::Test { yes } => test::run(yes),
        Task::Soak => test::soak(),
        Task::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Task::Install { to } => install::run(to),
        Task::Bench { names, json, profile, yes } => {
            bench::run(bench::Options { names, json, profile, yes })
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&error);
            ExitCode::FAILURE
        }
    }
}
