//! A node of its own for each test: the real binary, a fresh data directory, everything that it
//! printed shown when a test fails.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

/// A fresh data directory and a folder for the test's files.
#[derive(Debug)]
pub struct Home {
    folder: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Fails the test unless the command ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "exit code\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// The standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("no JSON ({error})\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
        })
    }
}

impl Home {
    /// A fresh one.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The data directory; made by the first command.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for the test's own files.
    pub fn work(&self) -> PathBuf {
        let work = self.folder.path().join("work");
        std::fs::create_dir_all(&work).expect("a folder");
        // Grants record the canonical path, and so does what tests compare with.
        work.canonicalize().expect("a folder")
    }

    /// The command, not yet started: no terminal, no environment but what it needs.
    pub fn command<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshhost"));
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("USER", "tester")
            .env("PATH", "/usr/bin:/bin")
            .env("MESHHOST_DATA", self.data())
            .current_dir(self.work())
            .stdin(Stdio::null())
            .args(arguments);
        command
    }

    /// Runs a command to its end.
    pub fn run<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Ran {
        ran(self.command(arguments).output().expect("the command starts"))
    }

    /// Runs a command that must succeed, with `--json`, and gives what it printed.
    #[track_caller]
    pub fn json<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Value {
        let mut command = self.command(arguments);
        command.arg("--json");
        ran(command.output().expect("the command starts")).expect(0).json()
    }

    /// Starts `meshhost serve` and waits until it accepts.
    pub fn serve(&self) -> Serving {
        let mut command = self.command(["serve", "--allow-root"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the node starts");
        let stdout = child.stdout.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("the node says that it is ready");
        assert!(!line.is_empty(), "the node ended before it was ready");
        Serving { child }
    }
}

/// A node in the foreground of another process; killed when dropped.
#[derive(Debug)]
pub struct Serving {
    child: Child,
}

impl Serving {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Ends it as SIGTERM does and gives its exit code.
    pub fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a finished process left.
pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A component that `cargo xtask guests` built.
#[track_caller]
pub fn guest(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/guests")
        .join(format!("{name}.wasm"));
    assert!(path.exists(), "{name}.wasm is missing: run `cargo xtask guests`");
    path
}

/// A component written as text, in a file of the test's folder.
pub fn wat(home: &Home, name: &str, text: &str) -> PathBuf {
    let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    let path = home.work().join(format!("{name}.wasm"));
    std::fs::write(&path, bytes).expect("a file");
    path
}
