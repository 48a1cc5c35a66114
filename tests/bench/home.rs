//! A whole node in this process, on a data directory of its own.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use meshhost::{
    api::{CallReply, CallRequest, Consent, Reply, Request, Source},
    entrance::Entrance,
    node::{Config, Node, Options},
    store::directory::Access,
};
use meshhost_core::{id::PluginName, limits::LimitsWanted};
use serde_json::Value;

/// An open node and who calls it.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) node: Arc<Node>,
    pub(crate) entrance: Arc<Entrance>,
    _folder: tempfile::TempDir,
}

impl Home {
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let options = Options { data, config: Config::default(), access: Access::Node };
        let node = Node::open(options).await.map_err(refused)?;
        let entrance = Arc::new(Entrance::command_line("bench"));
        Ok(Self { node: Arc::new(node), entrance, _folder: folder })
    }

    /// Installs a component with these permissions, with as many places as it can have.
    pub(crate) async fn install(
        &self,
        file: PathBuf,
        name: &str,
        permissions: Vec<String>,
    ) -> anyhow::Result<()> {
        let name: PluginName = name.parse()?;
        let limits =
            LimitsWanted { concurrency: Some(64), waiting: Some(64), ..LimitsWanted::default() };
        let mut consent = Consent { permissions, limits, ..Consent::default() };
        for _ in 0..2 {
            let source = Source::File(file.clone());
            let request =
                Request::Install { source, name: Some(name.clone()), consent: consent.clone() };
            match self.node.handle(&self.entrance, request).await {
                Reply::Plugin(_) | Reply::Done => return Ok(()),
                // Consent is for what was shown: the review that came back is agreed to.
                Reply::Review(review) => consent.review = Some(review.review),
                Reply::Error(refusal) => bail!("install {name}: {}", refusal.message),
                other => bail!("install {name}: {other:?}"),
            }
        }
        bail!("install {name}: asks for consent again and again")
    }

    /// Makes one call that must succeed.
    pub(crate) async fn call(&self, request: CallRequest) -> anyhow::Result<Box<CallReply>> {
        match self.node.handle(&self.entrance, Request::Call(request)).await {
            Reply::Call(reply) if reply.success => Ok(reply),
            Reply::Call(reply) => {
                bail!("the call failed: {:?}", reply.error.map(|error| error.message))
            }
            Reply::Error(refusal) => Err(refused(refusal)),
            other => bail!("no answer to a call: {other:?}"),
        }
    }
}

/// A call of `capability`, as a command makes it.
pub(crate) fn request(capability: &str, input: Value) -> anyhow::Result<CallRequest> {
    Ok(CallRequest {
        capability: capability.parse().context("a capability id")?,
        version: None,
        node: None,
        prefer: None,
        plugin: None,
        input,
        timeout_ms: None,
        fuel: None,
        invocation_id: None,
        correlation_id: None,
        working_folder: None,
        arguments: Vec::new(),
        stdin: None,
        stream: false,
    })
}

fn refused(refusal: meshhost_core::outcome::Refusal) -> anyhow::Error {
    anyhow::anyhow!("{}", refusal.message)
}
