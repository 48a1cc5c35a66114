//! The node: what stands behind the ports in a component.

mod call;
mod files;
mod imports;

use crate::ports::Ports;
#[cfg(test)]
pub(crate) use files::System;

/// The node's embedder, index, reranker and files.
pub(crate) const PORTS: Ports<'static> = Ports {
    embedder: &imports::Node,
    index: &imports::Node,
    reranker: &call::Mesh,
    files: &files::System,
};
