//! A node of its own for each test: the real binary, a fresh data directory, everything that it
//! printed shown when a test fails.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A fresh data directory and a folder for the test's files.
#[derive(Debug)]
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Fails the test unless the command ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "exit code\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Fails the test unless the command said this on standard error.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let said = self.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(text), "no `{text}` in\n--- stderr\n{}", self.stderr);
        self
    }

    /// The standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("no JSON ({error})\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
        })
    }

    /// The short name of the error: of the command itself, or of a call.
    #[track_caller]
    pub(crate) fn code_name(&self) -> String {
        let json = self.json();
        let name = json.get("name").or_else(|| json.pointer("/error/code"));
        name.and_then(Value::as_str).unwrap_or_else(|| panic!("no error in {json}")).to_owned()
    }
}

impl Home {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The data directory; made by the first command.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes the node's configuration.
    pub(crate) fn configure(&self, text: &str) {
        self.run(["plugin", "list"]);
        std::fs::write(self.data().join("meshhost.toml"), text).expect("a file");
    }

    /// A folder for the test's own files.
    pub(crate) fn work(&self) -> PathBuf {
        let work = self.folder.path().join("work");
        std::fs::create_dir_all(&work).expect("a folder");
        // Grants record the canonical path, and so does what tests compare with.
        work.canonicalize().expect("a folder")
    }

    /// Writes a file in the folder of the test's own files.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// The command, not yet started: no terminal, no environment but what it needs.
    pub(crate) fn command<I: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = I>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshhost"));
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .env("MESHHOST_DATA", self.data())
            .current_dir(self.work())
            .stdin(Stdio::null())
            .args(arguments);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Ran {
        ran(self.command(arguments).output().expect("the command starts"))
    }

    /// Runs a command to its end, with `--json`.
    pub(crate) fn run_json<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Ran {
        ran(self.command(arguments).arg("--json").output().expect("the command starts"))
    }

    /// Runs a command that must succeed, with `--json`, and gives what it printed.
    #[track_caller]
    pub(crate) fn json<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Value {
        self.run_json(arguments).expect(0).json()
    }

    /// Runs a command as it was printed for a person: in a shell that finds the program.
    pub(crate) fn shell(&self, command: &str) -> Ran {
        assert!(command.starts_with("meshhost "), "no command: {command}");
        let program = Path::new(env!("CARGO_BIN_EXE_meshhost")).parent().expect("a folder");
        let mut shell = Command::new("/bin/sh");
        let output = shell
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
            .env("MESHHOST_DATA", self.data())
            .current_dir(self.work())
            .args(["-c", command])
            .output();
        ran(output.expect("the shell starts"))
    }

    /// Installs a component with options.
    #[track_caller]
    pub(crate) fn install(&self, component: &Path, options: &[&str]) -> Ran {
        let file = component.to_str().expect("a path that is text");
        self.run([&["plugin", "install", file], options].concat()).expect(0)
    }

    /// Starts `meshhost serve` and waits until it accepts.
    pub(crate) fn serve(&self) -> Serving {
        self.serve_with(&[])
    }

    /// The same, with more in its environment.
    pub(crate) fn serve_with(&self, environment: &[(&str, &str)]) -> Serving {
        let mut command = self.command(["serve", "--allow-root"]);
        command.envs(environment.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        Serving::ready(child.expect("the node starts"))
    }
}

/// A node in the foreground of another process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Serving {
    child: Child,
    said: Option<JoinHandle<String>>,
}

impl Serving {
    /// Waits until the process accepts.
    pub(crate) fn ready(mut child: Child) -> Self {
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("the node says that it is ready");
        if !line.contains("serves at") {
            let _ = stderr.read_to_string(&mut line);
            panic!("the node did not start: {line}");
        }
        let said = std::thread::spawn(move || rest(stderr));
        Self { child, said: Some(said) }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Ends it as SIGTERM does, and gives its exit code and what it logged.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        let code = self.child.wait().expect("it ends").code();
        let said = self.said.take().map(|said| said.join().expect("what it said"));
        (code, said.unwrap_or_default())
    }

    /// Ends it and fails the test unless it ended well and logged nothing.
    #[track_caller]
    pub(crate) fn stop_well(self) {
        let (code, said) = self.stop();
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("ERROR") && !said.contains("panicked"), "{said}");
    }
}

fn rest(mut stderr: BufReader<ChildStderr>) -> String {
    let mut said = String::new();
    let _ = stderr.read_to_string(&mut said);
    said
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a finished process left.
pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Looks again and again until there is something; fails the test when that takes too long.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::yield_now();
    }
}

/// A component that `cargo xtask guests` built.
#[track_caller]
pub(crate) fn guest(name: &str) -> PathBuf {
    // target/PROFILE/meshhost beside target/guests.
    let target = Path::new(env!("CARGO_BIN_EXE_meshhost")).ancestors().nth(2).expect("a folder");
    let path = target.join("guests").join(format!("{name}.wasm"));
    assert!(path.exists(), "{name}.wasm is missing: run `cargo xtask guests`");
    path
}

/// The folder of this repository.
pub(crate) fn repository() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the repository")
}

/// A component written as text, in a file of the test's folder.
pub(crate) fn wat(home: &Home, name: &str, text: &str) -> PathBuf {
    home.file(&format!("{name}.wasm"), parse(text))
}

/// The bytes of a component written as text.
pub(crate) fn parse(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The same component with a manifest inside, as `cargo xtask guests` puts it there.
pub(crate) fn with_manifest(mut component: Vec<u8>, manifest: &str) -> Vec<u8> {
    let name = "meshhost:manifest";
    let mut body = Vec::new();
    leb128(&mut body, name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(manifest.as_bytes());
    component.push(0);
    leb128(&mut component, body.len());
    component.extend_from_slice(&body);
    component
}

/// Appends a length as WebAssembly writes it.
pub(crate) fn leb128(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}
