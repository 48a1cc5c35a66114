//! What a command has at hand while it talks to a node.

use std::io::IsTerminal as _;

use meshhost_core::{code::Code, outcome::Refusal};
use serde_json::Value;

use super::{place::Place, print::Printer};
use crate::{
    api::{Reply, Request},
    client::Connection,
};

/// A command's connection, its place and its terminal.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    /// Prints what comes before the result.
    pub(crate) printer: Printer,
    /// Where the command was given.
    pub(crate) place: Place,
    /// Whether somebody can be asked: both ends are a terminal and the output is for a person.
    pub(crate) interactive: bool,
}

impl Session {
    /// A session of this process.
    pub(crate) fn new(connection: Connection, printer: Printer, place: Place) -> Self {
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Self { connection, printer, place, interactive: terminal && !printer.json }
    }

    /// Asks the node; an error reply is an error.
    pub(crate) async fn ask(&mut self, request: Request) -> Result<Reply, Refusal> {
        match self.connection.ask(request).await {
            Reply::Error(refusal) => Err(refusal),
            reply => Ok(reply),
        }
    }

    /// The same for a call that streams: what comes before its result goes to `take`.
    pub(crate) async fn ask_streaming(
        &mut self,
        request: Request,
        take: impl AsyncFnMut(Vec<Value>) -> Result<(), Refusal>,
    ) -> Result<Reply, Refusal> {
        match self.connection.ask_streaming(request, take).await? {
            Reply::Error(refusal) => Err(refusal),
            reply => Ok(reply),
        }
    }

    /// Ends the connection.
    pub(crate) async fn close(self) {
        self.connection.close().await;
    }
}

/// The node answered something that does not belong to the question.
pub(crate) fn unexpected(reply: &Reply) -> Refusal {
    let kind = match reply {
        Reply::Done => "nothing",
        Reply::Review(_) => "a review",
        Reply::Plugin(_) => "a plugin",
        Reply::PluginRemoved(_) => "a removed plugin",
        Reply::Plugins(_) => "plugins",
        Reply::Capabilities(_) => "capabilities",
        Reply::Items(_) => "items of a stream",
        Reply::Call(_) => "a call's result",
        Reply::Blob { .. } => "a blob",
        Reply::Models(_) => "models",
        Reply::Model(_) => "a model",
        Reply::ModelsAdded(_) => "added models",
        Reply::ModelsVerified(_) => "a check of models",
        Reply::ModelsRunning(_) => "loaded models",
        Reply::Runtimes(_) => "engines",
        Reply::RuntimeInstalled(_) => "an installed library",
        Reply::Mesh(_) => "something of the mesh",
        Reply::Events(_) => "events",
        Reply::Document(_) => "a document",
        Reply::Error(_) => "an error",
    };
    Refusal::new(Code::HostFault, format!("the node answered with {kind}, which was not asked for"))
}

#[cfg(test)]
pub(crate) mod scripted {
    //! A session whose node answers from a list: a real socket with a scripted other end.

    use tokio::{net::UnixStream, task::JoinHandle};

    use super::*;
    use crate::wire;

    /// A session without a terminal, and the task that gives back what was asked.
    pub(crate) fn session(replies: Vec<Reply>) -> (Session, JoinHandle<Vec<Request>>) {
        let (here, mut there) = UnixStream::pair().unwrap();
        let served = tokio::spawn(async move {
            let mut asked = Vec::new();
            let mut asks = true;
            for reply in replies {
                if asks {
                    let Some(request) = wire::read(&mut there).await.unwrap() else { break };
                    asked.push(request);
                }
                // More follows on items without being asked for.
                asks = !matches!(reply, Reply::Items(_));
                wire::write(&mut there, &reply).await.unwrap();
            }
            asked
        });
        let place = Place { folder: "/work/src".into(), home: Some("/home/me".into()) };
        let session = Session {
            connection: Connection::Socket(here),
            printer: Printer { json: true },
            place,
            interactive: false,
        };
        (session, served)
    }
}
