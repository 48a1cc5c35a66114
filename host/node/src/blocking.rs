//! Work that blocks or takes long in one piece, on a thread where it holds up nobody.

use meshhost_core::{code::Code, outcome::Refusal};

/// Runs `work` on a thread that may block. Dropping the future ends the waiting; work that has
/// begun runs to its end, so whatever bounds it must go with it.
///
/// # Errors
/// [`Code::HostFault`] when the work panicked.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let lost = |_| Refusal::new(Code::HostFault, "a thread of the node was lost");
    tokio::task::spawn_blocking(work).await.map_err(lost)
}

/// Runs `work` here when it is small, else as [`run`] does.
///
/// # Errors
/// That of the work; and as [`run`].
pub(crate) async fn unless_small<T: Send + 'static>(
    small: bool,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    if small { work() } else { run(work).await? }
}
