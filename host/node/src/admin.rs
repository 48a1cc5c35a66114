//! The admin socket: one connection, one caller, one request at a time. The directory is 0700 and
//! the socket 0600; still the peer's user id is asked of the kernel for each connection.
//!
//! What a call streams is written before its reply, as it comes, when the caller asked for that. A
//! connection that ends cancels the request in progress. Connections beyond a bound are
//! closed at once.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use meshhost_core::{code::Code, outcome::Refusal};
use tokio::{
    io::AsyncReadExt,
    net::{UnixListener, UnixStream, unix::WriteHalf},
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    task::JoinSet,
};

use crate::{
    api::{Reply, Request},
    entrance::Entrance,
    items,
    node::Node,
    sys,
    wire::{self, WireError},
};

/// Connections at once; a command holds one for its duration.
const CONNECTIONS_MAX: usize = 256;

/// How `meshhost serve` runs.
#[derive(Debug, Clone, Copy)]
pub struct ServeOptions {
    /// Serve although the process runs as root.
    pub allow_root: bool,
}

/// Serves the node's admin socket until SIGINT or SIGTERM. `ready` is called once the socket
/// accepts connections. The second signal does not wait for calls in progress.
///
/// # Errors
/// When the socket cannot be made, or the process runs as root without leave.
pub async fn serve(
    node: Arc<Node>,
    options: ServeOptions,
    ready: impl FnOnce(),
) -> Result<(), Refusal> {
    if sys::user_id() == 0 && !options.allow_root {
        return Err(Refusal::new(
            Code::RootRefused,
            "the node does not run as root: start it as an ordinary user, or pass --allow-root",
        ));
    }
    let listener = bind(&node)?;
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    let mut terminate = listen_for(SignalKind::terminate())?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    ready();
    loop {
        tokio::select! {
            biased;
            // A signal goes before new work.
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            // Ended connections are collected before new ones are taken.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                let node = Arc::clone(&node);
                connections.spawn(async move {
                    let _place = place;
                    talk(&node, stream).await;
                });
            }
        }
    }
    drop(listener);
    remove_socket(&node);
    tokio::select! {
        biased;
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = finish(&mut connections) => {}
    }
    connections.shutdown().await;
    Ok(())
}

/// How long connections may finish what they do after the first signal.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(10);

async fn finish(connections: &mut JoinSet<()>) {
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, all).await;
}

fn listen_for(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Refusal> {
    signal(kind).map_err(|_| Refusal::new(Code::HostFault, "signals cannot be received"))
}

/// The data directory's lock is held, so a socket that is there is a dead node's.
fn bind(node: &Node) -> Result<UnixListener, Refusal> {
    remove_socket(node);
    let fault = |_| {
        Refusal::new(
            Code::HostFault,
            "the admin socket cannot be made in the data directory; its path may be longer than \
             the system allows",
        )
    };
    let path = node.socket_path();
    let listener = UnixListener::bind(&path).map_err(fault)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(fault)?;
    Ok(listener)
}

fn remove_socket(node: &Node) {
    // Absent is as good as removed; anything else shows when binding.
    let _ = std::fs::remove_file(node.socket_path());
}

async fn talk(node: &Node, mut stream: UnixStream) {
    let Some(entrance) = enter(&stream) else {
        let refused = Reply::error(Code::NotAllowed, "only the node's own user may connect");
        let _ = wire::write(&mut stream, &refused).await;
        return;
    };
    loop {
        let reply = match wire::read::<Request>(&mut stream).await {
            Ok(Some(request)) => {
                let mut end = [0_u8; 1];
                let (mut reading, mut writing) = stream.split();
                tokio::select! {
                    biased;
                    reply = answer(node, &entrance, request, &mut writing) => match reply {
                        Ok(reply) => reply,
                        Err(_) => return,
                    },
                    // The caller sends nothing while it waits: bytes or an end mean that it is
                    // gone or confused, and the request is cancelled by being dropped.
                    _ = reading.read(&mut end) => return,
                }
            }
            Ok(None) => return,
            Err(error) => {
                let _ = wire::write(&mut stream, &Reply::Error(error.refusal())).await;
                return;
            }
        };
        if wire::write(&mut stream, &reply).await.is_err() {
            return;
        }
    }
}

/// The reply to a request. What a call streams is written before it, as it comes: a caller that does
/// not read holds up the guest, and that no longer than its deadline.
async fn answer(
    node: &Node,
    entrance: &Entrance,
    request: Request,
    writing: &mut WriteHalf<'_>,
) -> Result<Reply, WireError> {
    if !request.streams() {
        return Ok(node.handle(entrance, request).await);
    }
    let (to, runs, mut coming) = items::channel();
    let handled = Box::pin(node.handle_streaming(entrance, request, Some(to)));
    let handled = async { Ok(runs.until_the_end_of(handled).await) };
    let written = async {
        while let Some(batch) = coming.next().await {
            wire::write(writing, &Reply::Items(batch)).await?;
        }
        Ok(())
    };
    tokio::try_join!(handled, written).map(|(reply, ())| reply)
}

fn enter(stream: &UnixStream) -> Option<Entrance> {
    let peer = stream.peer_cred().ok()?;
    let own = sys::user_id();
    Entrance::socket(&sys::user_name(own), peer.uid(), own)
}
