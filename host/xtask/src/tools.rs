//! Folders of the workspace, and running other programs.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The target of every Rust guest.
pub(crate) const WASM_TARGET: &str = "wasm32-wasip2";
/// The version of componentize-py that builds the Python components.
pub(crate) const COMPONENTIZE_PY: &str = "0.25.1";

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Where finished components are; `.cargo/config.toml` says it to cargo too.
pub(crate) fn guests_folder() -> PathBuf {
    env::var_os("MESHHOST_GUESTS_DIR").map_or_else(|| root().join("target/guests"), PathBuf::from)
}

/// cargo's own target folder.
pub(crate) fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Where the tools of the guests live.
pub(crate) fn tools_folder() -> PathBuf {
    root().join("target/tools")
}

/// The folders in a folder, sorted; none when it is not there.
pub(crate) fn subfolders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = folder.read_dir().with_context(|| format!("read {}", folder.display()))?;
    let mut folders: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(|| format!("read {}", folder.display()))?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}

/// The program that makes components of Python, as [`setup`](crate::setup) installs it.
pub(crate) fn componentize_py() -> PathBuf {
    tools_folder().join("python/bin/componentize-py")
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program, with its output shown; fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = shown(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("run {shown}"))?;
    if !status.success() {
        bail!("{shown} failed: {status}");
    }
    Ok(())
}

/// What a program prints on standard output, when it can be run and succeeds.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as one would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Who compiles Rust to [`WASM_TARGET`] on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WasmCompiler {
    /// rustup's toolchain has the target.
    Rustup,
    /// Debian's compiler, which builds the standard library along with the guests.
    Debian,
}

/// Where [`WasmCompiler::Debian`] finds the C library of WASI.
pub(crate) const DEBIAN_LIBRARIES: &str = "/usr/lib/rustlib/wasm32-wasip2/lib/self-contained";

impl WasmCompiler {
    /// The one that is there; rustup's is preferred.
    pub(crate) fn find() -> Option<Self> {
        let libraries = output("rustc", &["--print", "target-libdir", "--target", WASM_TARGET]);
        let has_std = |folder: &Path| {
            folder.read_dir().is_ok_and(|entries| {
                entries.flatten().any(|e| e.file_name().to_string_lossy().starts_with("libstd-"))
            })
        };
        if libraries.is_some_and(|folder| has_std(Path::new(folder.trim()))) {
            return Some(Self::Rustup);
        }
        let debian = [DEBIAN_LIBRARIES, "/usr/bin/cargo", "/usr/bin/rustc"];
        debian.iter().all(|path| Path::new(path).exists()).then_some(Self::Debian)
    }

    /// `cargo build` for the target, without packages yet.
    pub(crate) fn cargo_build(self) -> Command {
        let mut command = match self {
            Self::Rustup => cargo(),
            Self::Debian => {
                let mut command = Command::new("/usr/bin/cargo");
                let path = env::var_os("PATH").unwrap_or_default();
                let folders = std::iter::once(PathBuf::from("/usr/bin"));
                if let Ok(path) = env::join_paths(folders.chain(env::split_paths(&path))) {
                    command.env("PATH", path);
                }
                command.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", "/usr/bin/rustc");
                command.arg("-Zbuild-std=std,panic_abort");
                command
            }
        };
        command.args(["build", "--release", "--locked", "--target", WASM_TARGET]);
        // Flags for the host's own build are not for guests.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        command
    }
}
