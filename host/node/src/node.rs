//! The composition root: opens the data directory, makes the parts in the order in which they
//! need each other, and answers requests.

use std::path::PathBuf;

use meshhost_core::{code::Code, outcome::Refusal};

use crate::{
    api::{Reply, Request},
    entrance::Entrance,
};

/// How a node is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory.
    pub data: PathBuf,
    /// The configuration file; absent means `meshhost.toml` in the data directory, if it exists.
    pub config: Option<PathBuf>,
}

/// An open node.
#[derive(Debug)]
pub struct Node {
    options: Options,
}

impl Node {
    /// Opens the data directory and makes the parts.
    ///
    /// # Errors
    /// When the directory is not right, in use or newer, or the configuration is wrong.
    pub async fn open(options: Options) -> Result<Self, Refusal> {
        std::future::ready(()).await;
        Ok(Self { options })
    }

    /// Answers one request. Dropping the future cancels a call in progress.
    pub async fn handle(&self, entrance: &Entrance, request: Request) -> Reply {
        let _ = (entrance, request, &self.options);
        std::future::ready(()).await;
        Reply::error(Code::HostFault, "not built yet")
    }

    /// Ends: waits for calls in progress, signs the head, releases the lock.
    pub async fn close(self) {
        std::future::ready(()).await;
    }
}
