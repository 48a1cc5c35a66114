//! Compiles a component in a child process of this very binary, so that hostile bytes meet the
//! compiler behind limits on memory, processor time, file size and wall-clock time, and a
//! crash of the compiler is an error and not the end of the node.

use std::{path::PathBuf, process::Stdio, time::Duration};

use meshhost_core::{code::Code, config::CompileLimits, outcome::Refusal};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    sync::Semaphore,
};

use crate::allocator::CHILD_ENVIRONMENT;

/// The hidden subcommand of the child.
pub const SUBCOMMAND: &str = "compile-child";
/// Bytes of the child's error text that are read.
const ERROR_BYTES_MAX: u64 = 4096;
/// Compilations at once; each may take a gigabyte.
const AT_ONCE: usize = 1;

/// Starts compile children.
#[derive(Debug)]
pub struct Compiler {
    program: PathBuf,
    limits: CompileLimits,
    at_once: Semaphore,
}

impl Compiler {
    /// `program` is this binary.
    #[must_use]
    pub fn new(program: PathBuf, limits: CompileLimits) -> Self {
        Self { program, limits, at_once: Semaphore::new(AT_ONCE) }
    }

    /// Machine code for `component`.
    ///
    /// # Errors
    /// [`Code::InvalidComponent`] as the child said, [`Code::CompileLimit`] when it ran into a
    /// limit or crashed, [`Code::HostFault`] when it could not be started.
    pub async fn compile(&self, component: &[u8]) -> Result<Vec<u8>, Refusal> {
        let _place = self.at_once.acquire().await.map_err(|_| fault("the compiler is closed"))?;
        let mut child = self.start()?;
        let wall = Duration::from_millis(self.limits.time_ms);
        let exchange = exchange(&mut child, component, self.limits.code_bytes);
        let Ok(outcome) = tokio::time::timeout(wall, exchange).await else {
            return Err(Refusal::new(
                Code::CompileLimit,
                format!("compiling took longer than {} ms and was ended", self.limits.time_ms),
            ));
        };
        let (code, error, status) = outcome.map_err(|_| fault("the compiler's pipes broke"))?;
        if status.success() && !code.is_empty() {
            return Ok(code);
        }
        if status.code() == Some(i32::from(meshhost_core::code::Exit::Usage as u8)) {
            return Err(Refusal::new(Code::InvalidComponent, error));
        }
        Err(Refusal::new(
            Code::CompileLimit,
            "compiling used more memory, time or space than it may; the component was not installed",
        ))
    }

    fn start(&self) -> Result<Child, Refusal> {
        Command::new(&self.program)
            .arg(SUBCOMMAND)
            .arg(self.limits.memory_bytes.to_string())
            .arg(self.limits.time_ms.to_string())
            .env_clear()
            .env(CHILD_ENVIRONMENT.0, CHILD_ENVIRONMENT.1)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|_| fault("the compiler could not be started"))
    }
}

async fn exchange(
    child: &mut Child,
    component: &[u8],
    code_bytes: u64,
) -> std::io::Result<(Vec<u8>, String, std::process::ExitStatus)> {
    let missing = || std::io::Error::other("a pipe is missing");
    let mut stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;
    let write = async {
        // The child may refuse before it has read all: a closed pipe is its answer, not ours.
        let _ = stdin.write_all(component).await;
        drop(stdin);
        Ok(())
    };
    // Each pipe is closed when it has been read as far as it may: a child that has more to say is
    // not waited for.
    let read_code = read(stdout, code_bytes);
    let (code, error, ()) = tokio::try_join!(read_code, read(stderr, ERROR_BYTES_MAX), write)?;
    let status = child.wait().await?;
    Ok((code, String::from_utf8_lossy(&error).trim().to_owned(), status))
}

/// What a pipe gives, at most `bytes_max` bytes of it.
async fn read(pipe: impl AsyncRead + Unpin, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.take(bytes_max).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn fault(message: &str) -> Refusal {
    Refusal::new(Code::HostFault, message)
}
