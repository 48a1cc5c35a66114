//! Finds the library of ONNX Runtime. A candidate is opened in a child process first: what is
//! missing, no library, too old or crashes when it is loaded takes nothing with it.

use std::{
    ffi::OsString,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use crate::{
    engine::onnxruntime::{self, Device, OnnxRuntime},
    settings::{Program, Provider},
};

/// The argument that makes a child look at a library; the path and a provider follow.
pub(crate) const PROBE: &str = "probe";
/// What a probe's answer begins with: the library may print as well.
const ANSWER: &str = "meshhost-onnxruntime-version:";
/// How long a probe may take: a library on a cold disk takes a second, and those for a graphics card
/// are tens of times as large.
const PROBE_TIME: Duration = Duration::from_secs(60);
/// Bytes of a probe's answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// Entries of the folder of installed runtimes that are looked at.
const VERSIONS_MAX: usize = 256;

/// The name under which the system's loader knows the library.
#[cfg(target_os = "macos")]
pub const LOADER_NAME: &str = "libonnxruntime.dylib";
/// The name under which the system's loader knows the library.
#[cfg(not(target_os = "macos"))]
pub const LOADER_NAME: &str = "libonnxruntime.so.1";

/// Where to look for the library, first come, first taken:
///
/// 1. `configured`: what the node's configuration names. When it is set nothing else is tried.
/// 2. `dylib_path`: the variable `ORT_DYLIB_PATH`.
/// 3. `runtimes/onnxruntime/VERSION/` in the node's data, the newest version first.
/// 4. beside the executable.
/// 5. whatever the system's loader finds.
#[must_use]
pub fn candidates(
    configured: Option<&Path>,
    dylib_path: Option<&Path>,
    runtimes: &Path,
    executable: Option<&Path>,
) -> Vec<PathBuf> {
    if let Some(configured) = configured {
        return vec![configured.to_owned()];
    }
    let mut found: Vec<PathBuf> = dylib_path.map(Path::to_owned).into_iter().collect();
    let mut versions: Vec<_> = entries(&runtimes.join("onnxruntime"))
        .filter_map(|folder| Some((version_of(folder.file_name()?.to_str()?)?, folder)))
        .collect();
    versions.sort();
    found.extend(versions.iter().rev().filter_map(|(_, folder)| library_in(folder)));
    found.extend(executable.and_then(Path::parent).and_then(library_in));
    found.push(PathBuf::from(LOADER_NAME));
    found
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.take(VERSIONS_MAX).filter_map(|entry| Some(entry.ok()?.path()))
}

/// `1.31.1` as numbers, so that 1.9 comes before 1.31.
fn version_of(name: &str) -> Option<Vec<u32>> {
    let number = |part: &str| {
        let is_plain = part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| is_plain)
    };
    name.split('.').map(number).collect()
}

/// Whether a file of this name is taken for the library, and not for a part of it or anything else.
#[must_use]
pub fn is_library(name: &str) -> bool {
    let rest = name.strip_prefix("libonnxruntime").unwrap_or_default();
    rest == ".so" || rest.starts_with(".so.") || rest == ".dylib" || is_versioned_dylib(rest)
}

/// `.1.31.1.dylib`
fn is_versioned_dylib(rest: &str) -> bool {
    let version = rest.strip_prefix('.').and_then(|rest| rest.strip_suffix(".dylib"));
    version.is_some_and(|version| version_of(version).is_some())
}

/// The version that a library's own name says, else its folder's: `libonnxruntime.so.1.31.1`,
/// `onnxruntime/1.31.1/`. Two numbers at least: `1` alone is the name of a link.
#[must_use]
pub fn named_version(library: &Path) -> Option<String> {
    let name = library.file_name()?.to_str()?;
    let folder = library.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let of_dylib = || name.strip_prefix("libonnxruntime.")?.strip_suffix(".dylib");
    let named = name.split_once(".so.").map(|(_, version)| version).or_else(of_dylib);
    let is_version = |text: &&str| text.contains('.') && version_of(text).is_some();
    [named, folder].into_iter().flatten().find(is_version).map(str::to_owned)
}

/// The library in a folder: by the shortest name, which is the link where there are several.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = entries(folder)
        .filter(|path| path.is_file())
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_library))
        .collect();
    found.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    found.into_iter().next()
}

/// What became of one candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The library's path, or the name for the loader.
    pub library: PathBuf,
    /// Its version, or why it cannot be used.
    pub result: Result<String, ProbeError>,
}

/// Why a library cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// It did not load; what the loader said.
    #[error("{0}")]
    Refused(String),
    /// It ended the process that opened it.
    #[error("it crashed the process that opened it ({0})")]
    Crashed(String),
    /// It took too long.
    #[error("it did not load within {} seconds", PROBE_TIME.as_secs())]
    Slow,
    /// The child could not be started.
    #[error("the process that would open it could not be started")]
    NoChild,
}

/// Opens each candidate in a child process until one can be used with this provider. Blocks for as
/// long as that takes.
#[must_use]
pub fn probe_all(program: &Program, candidates: &[PathBuf], provider: Provider) -> Vec<Probed> {
    let mut probed = Vec::new();
    for library in candidates {
        let result = probe(program, library, provider);
        let usable = result.is_ok();
        probed.push(Probed { library: library.clone(), result });
        if usable {
            break;
        }
    }
    probed
}

/// Opens one library in a child process, makes a session of the smallest model with the provider,
/// and gives the library's version. Blocks for as long as that takes.
///
/// # Errors
/// Why it cannot be used.
pub fn probe(program: &Program, library: &Path, provider: Provider) -> Result<String, ProbeError> {
    // A name without a folder is for the loader to find.
    if library.components().count() > 1 && !library.is_file() {
        return Err(ProbeError::Missing);
    }
    let mut child = start(program, library, provider).map_err(|_| ProbeError::NoChild)?;
    let stdout = child.stdout.take().ok_or(ProbeError::NoChild)?;
    // What it says is read beside, so that a library that talks much does not wait for ever.
    let reader = std::thread::spawn(move || {
        let mut answer = Vec::new();
        let _ = stdout.take(ANSWER_BYTES_MAX).read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    let status = wait(&mut child)?;
    let answer = reader.join().unwrap_or_default();
    match answer.lines().find_map(|line| line.strip_prefix(ANSWER)) {
        Some(version) if status.success() => Ok(version.to_owned()),
        _ if status.code() == Some(1) => {
            Err(ProbeError::Refused(answer.lines().next_back().unwrap_or_default().to_owned()))
        }
        _ => Err(ProbeError::Crashed(status.to_string())),
    }
}

fn start(program: &Program, library: &Path, provider: Provider) -> std::io::Result<Child> {
    Command::new(&program.path)
        .args(&program.arguments)
        .arg(PROBE)
        .arg(library)
        .arg(provider.name())
        .env_clear()
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

fn wait(child: &mut Child) -> Result<std::process::ExitStatus, ProbeError> {
    /// How often a child is asked whether it ended.
    const INTERVAL: Duration = Duration::from_millis(5);
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if started.elapsed() < PROBE_TIME => std::thread::sleep(INTERVAL),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(ProbeError::Slow);
            }
        }
    }
}

/// The child's part: opens the library and says its version, or why not, on standard output.
pub(crate) fn probe_main(library: &OsString, provider: &OsString) -> ExitCode {
    use std::io::Write as _;

    let library = Path::new(library);
    let Some(Ok(provider)) = provider.to_str().map(str::parse) else { return ExitCode::FAILURE };
    let started = OnnxRuntime::start(library, Device::least(provider));
    let (line, exit) = match started.and_then(|engine| engine.check()) {
        Ok(()) => (format!("{ANSWER}{}", onnxruntime::version(library)), ExitCode::SUCCESS),
        Err(error) => (error.message, ExitCode::FAILURE),
    };
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "\n{line}").and_then(|()| stdout.flush()) {
        Ok(()) => exit,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_told_by_its_name_and_its_version_by_that_of_its_folder_as_well() {
        let named = |path: &str| named_version(Path::new(path));
        for (path, version) in [
            ("/opt/libonnxruntime.so.1.31.1", Some("1.31.1")),
            ("/opt/libonnxruntime.1.31.1.dylib", Some("1.31.1")),
            ("/opt/onnxruntime/1.31.1/libonnxruntime.so", Some("1.31.1")),
            ("/opt/1.9.0/libonnxruntime.so.1", Some("1.9.0")),
            ("/opt/libonnxruntime.so.1", None),
            ("/opt/libonnxruntime.so.1.+2", None),
            ("/opt/libonnxruntime.so.1..2", None),
            ("/opt/libonnxruntime.so", None),
            ("libonnxruntime.so", None),
        ] {
            assert_eq!(named(path).as_deref(), version, "{path}");
        }
        for (name, is) in [
            ("libonnxruntime.so", true),
            ("libonnxruntime.so.1", true),
            ("libonnxruntime.so.1.31.1", true),
            ("libonnxruntime.1.31.1.dylib", true),
            ("libonnxruntime_providers_cuda.so", false),
            ("libonnxruntime.sox", false),
            ("libonnxruntime", false),
            ("onnxruntime.so", false),
        ] {
            assert_eq!(is_library(name), is, "{name}");
        }
    }

    #[test]
    fn libraries_are_looked_for_in_the_documented_order() {
        let data = tempfile::tempdir().unwrap();
        let place = |folder: &str, name: &str| {
            let folder = data.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            let path = folder.join(name);
            std::fs::write(&path, b"").unwrap();
            path
        };
        let old = place("runtimes/onnxruntime/1.9.0", "libonnxruntime.so.1.9.0");
        let new = place("runtimes/onnxruntime/1.31.1", "libonnxruntime.so.1.31.1");
        place("runtimes/onnxruntime/1.31.1", "libonnxruntime_providers_cuda.so");
        place("runtimes/onnxruntime/unknown", "libonnxruntime.so");
        place("bin", "libonnxruntime.so.1.31.1");
        let beside = place("bin", "libonnxruntime.so.1");
        let runtimes = data.path().join("runtimes");
        let executable = data.path().join("bin/meshhost");
        let variable = Path::new("/opt/ort.so");
        assert_eq!(
            candidates(None, Some(variable), &runtimes, Some(&executable)),
            [variable.to_owned(), new, old, beside, PathBuf::from(LOADER_NAME)]
        );
        let configured = Path::new("/opt/own.so");
        assert_eq!(
            candidates(Some(configured), Some(variable), &runtimes, Some(&executable)),
            [configured]
        );
    }
}
