//! Bounds that the worker sets itself before it reads anything of a model, because a parent can
//! do that for its child only with `unsafe` code.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::message::Hello;

/// How much the worker stands back behind the node on the processor.
const NICE: i32 = 5;

/// Bounds memory and files, forbids core dumps (they would hold tensors), and ends this process
/// with the node's.
pub(super) fn apply(hello: &Hello) -> io::Result<()> {
    for (resource, most) in [
        // What the process allocates, also where it was not touched yet. The shared memory and
        // the library's own text do not count.
        (Resource::Data, hello.memory_bytes),
        // Writing into shared memory counts as writing a file.
        (Resource::Fsize, hello.shared_bytes),
        (Resource::Core, 0),
    ] {
        // Whoever started the node may have set a lower bound already.
        let most = getrlimit(resource).maximum.map_or(most, |bound| bound.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    rustix::process::nice(NICE)?;
    end_with_parent(hello.parent)
}

#[cfg(target_os = "linux")]
fn end_with_parent(parent: i32) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The node may have ended before the line above.
    let now = getppid().map(|parent| parent.as_raw_nonzero().get());
    if now == Some(parent) { Ok(()) } else { Err(io::Error::other("the node has ended")) }
}

/// Elsewhere the end of the socket is what ends the worker.
#[cfg(not(target_os = "linux"))]
const fn end_with_parent(_parent: i32) -> io::Result<()> {
    Ok(())
}
