//! `cargo xtask demo`: the main job on real data, as a user would do it. It works in a temporary
//! data directory and leaves the home folder alone; interrupted, it goes on where it was.

mod history;
mod mesh;
mod models;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

use crate::{guests, say, setup, tools};

/// The components that it shows.
const NEEDED: [&str; 8] =
    ["embedding", "filesystem", "git", "ocr", "rag", "rerank", "translation", "wat-adder"];
/// Commits of the repository that the demo makes.
const COMMITS: u32 = 3_000;

/// What the demo does, with what it takes on two cores.
const PLAN: &str = "\
meshhost demo: what will happen
  1  set up what components are built with            up to 2 min, once
  2  fetch ONNX Runtime and models, make the others   up to 4 min, once
  3  build the plugins and a fixture                  up to 8 min, once
  4  build the host                                   up to 15 min, once
  5  install plugins, call them, stop one, verify     20 s
  6  read a page, ask documents, translate            1 min
Everything that is installed goes into a temporary folder. Ctrl-C is safe at any
time: the next run goes on.";

/// What else can be shown.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum What {
    /// Three nodes that call each other.
    Mesh,
}

/// Sets everything up and shows the main job, or the mesh.
pub(crate) fn run(what: Option<What>, yes: bool) -> anyhow::Result<()> {
    match what {
        None => main_job(yes),
        Some(What::Mesh) => mesh::run(yes),
    }
}

fn main_job(yes: bool) -> anyhow::Result<()> {
    say::line(PLAN);
    say::line("");
    prepare(yes)?;
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let demo =
        Demo { many: folder.path().join("many"), ..Demo::new("$", folder.path().join("data"))? };
    demo.show()?;
    demo.show_models()?;
    demo.verify()?;
    say::line(NEXT);
    Ok(())
}

/// Builds and fetches what is shown.
fn prepare(yes: bool) -> anyhow::Result<()> {
    setup::run(yes)?;
    crate::models::run(&[], yes)?;
    guests::run(&NEEDED.map(str::to_owned))?;
    say::timed("The host", || {
        let build = ["build", "--locked", "--package", "meshhost"];
        tools::run(tools::cargo().current_dir(tools::root()).args(build))
    })
}

const NEXT: &str = "
That was the main job. Next:
  cargo xtask install                 the optimised binary, put in place
  meshhost plugin install git --grant fs:ro=~/src/project
  meshhost call git.log path=~/src/project limit=5
  meshhost help                       everything else";

/// The program and where it works.
struct Demo {
    /// What stands before a command.
    prompt: &'static str,
    program: PathBuf,
    data: PathBuf,
    /// The library of ONNX Runtime.
    runtime: Option<PathBuf>,
    many: PathBuf,
    root: PathBuf,
}

/// How a command is expected to end.
const SUCCESS: i32 = 0;
const DENIED_OR_FAILED: [i32; 2] = [1, 4];
const TIMEOUT: i32 = 6;

impl Demo {
    fn new(prompt: &'static str, data: PathBuf) -> anyhow::Result<Self> {
        Ok(Self {
            prompt,
            program: tools::target_folder().join("debug/meshhost"),
            many: data.join("many"),
            data,
            runtime: models::runtime()?,
            root: tools::root().to_owned(),
        })
    }

    fn show(&self) -> anyhow::Result<()> {
        let root = self.root.display().to_string();
        let many = self.many.display().to_string();
        chapter("What does the git plugin ask for?");
        self.ok(&["plugin", "inspect", "git"])?;

        chapter("Files: install, list, search. It may read this repository and nothing else.");
        self.ok(&["plugin", "install", "filesystem", "--grant", &format!("fs:ro={root}")])?;
        self.ok(&["call", "filesystem.list", &format!("path={root}/host/core/src")])?;
        let grep = ["call", "filesystem.grep", &format!("path={root}/host/core/src")];
        self.ok(&[&grep[..], &["pattern=fn decide", "limit=5"]].concat())?;

        chapter("Git: this repository, and one with thousands of commits made just now.");
        say::timed(&format!("A repository with {COMMITS} commits"), || {
            history::make(&self.many, COMMITS)
        })?;
        let grants = [&format!("--grant=fs:ro={root}"), &format!("--grant=fs:ro={many}")];
        self.ok(&["plugin", "install", "git", grants[0], grants[1]])?;
        self.repository(&root, "README.md")?;
        self.repository(&many, "notes/7.txt")?;

        chapter("A call that is denied, and the command that would grant it.");
        self.ends(&["call", "filesystem.read", "path=/etc/hostname"], &DENIED_OR_FAILED)?;

        chapter("A plugin that never ends is stopped at its limit.");
        let adder = guest("wat-adder");
        self.ok(&["plugin", "install", &adder])?;
        self.ends(&["call", "wat_adder.spin", "--timeout", "1s"], &[TIMEOUT])?;
        self.ok(&["call", "wat_adder.add", "a=20", "b=22"])?;
        Ok(())
    }

    fn verify(&self) -> anyhow::Result<()> {
        chapter("What was done is on record, and the record holds.");
        self.ok(&["audit", "list", "--limit", "6"])?;
        self.ok(&["audit", "verify"])
    }

    /// Log, a difference and blame of one repository.
    fn repository(&self, path: &str, file: &str) -> anyhow::Result<()> {
        let path = format!("path={path}");
        self.ok(&["call", "git.log", &path, "limit=2"])?;
        let head = ["call", "git.show", &path, "revision=HEAD"];
        self.ok(&head)?;
        let file = format!("file={file}");
        self.ok(&["call", "git.blame", &path, &file])
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("MESHHOST_DATA", &self.data).stdin(Stdio::null());
        if let Some(library) = &self.runtime {
            command.env("ORT_DYLIB_PATH", library);
        }
        command
    }

    /// Shows a command as one would type it.
    fn typed(&self, arguments: &[&str]) {
        let quoted = |argument: &&str| {
            if argument.contains([' ', '*', '"']) {
                format!("'{argument}'")
            } else {
                (*argument).to_owned()
            }
        };
        let words: Vec<String> = arguments.iter().map(quoted).collect();
        say::line(format!("\n{} meshhost {}", self.prompt, words.join(" ")));
    }

    fn ok(&self, arguments: &[&str]) -> anyhow::Result<()> {
        self.ends(arguments, &[SUCCESS])
    }

    /// Runs a command as a user would type it, and holds it to how it must end.
    fn ends(&self, arguments: &[&str], codes: &[i32]) -> anyhow::Result<()> {
        self.typed(arguments);
        let output = self.command(arguments).output().context("start meshhost")?;
        shortened(&output.stdout);
        shortened(&output.stderr);
        let code = output.status.code().unwrap_or(-1);
        if !codes.contains(&code) {
            bail!("that ended with {code}; expected {codes:?}");
        }
        if code != SUCCESS {
            say::line(format!("(exit code {code})"));
        }
        Ok(())
    }
}

/// Lines of one answer that the demo shows.
const LINES_SHOWN: usize = 24;

fn shortened(output: &[u8]) {
    // Compact JSON is for programs; whoever watches the demo reads it spread out.
    let pretty = serde_json::from_slice::<serde_json::Value>(output)
        .ok()
        .and_then(|value| serde_json::to_string_pretty(&value).ok());
    let text = pretty.map_or_else(|| String::from_utf8_lossy(output), Into::into);
    let count = text.lines().count();
    for line in text.lines().take(LINES_SHOWN) {
        say::line(line);
    }
    if count > LINES_SHOWN {
        say::line(format!("… and {} lines more", count - LINES_SHOWN));
    }
}

fn chapter(text: &str) {
    say::line(format!("\n--- {text}"));
}

/// A component that `cargo xtask guests` built, as a user would name it.
fn guest(name: &str) -> String {
    let path: &Path = &tools::guests_folder();
    path.join(format!("{name}.wasm")).display().to_string()
}
