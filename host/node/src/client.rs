//! The other end of the admin socket, and the choice between it and a node in this process.
//!
//! A command asks the node that serves the data directory when there is one; else it opens the
//! directory itself for as long as it runs. When another command holds the directory, it waits
//! for a while, because commands are short.

use std::{io, path::Path, time::Duration};

use meshhost_core::{code::Code, outcome::Refusal};
use serde_json::Value;
use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

use crate::{
    api::{Reply, Request},
    entrance::Entrance,
    items,
    node::{Config, Node, Options},
    store::directory::DataDirectory,
    wire,
};

/// How long a command waits for the data directory while another command holds it.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How often it looks meanwhile.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// The node that a command talks to.
#[derive(Debug)]
pub enum Connection {
    /// A node that serves, over its admin socket.
    Socket(UnixStream),
    /// A node in this process, which holds the data directory until [`Connection::close`].
    InProcess(Box<Node>, Entrance),
}

impl Connection {
    /// Connects to the node that serves `options.data`, or opens one in this process as `user`.
    ///
    /// # Errors
    /// When the data directory cannot be opened, or is in use by another command for too long, or
    /// a node serves it that has read its own configuration and `options` insist on another.
    pub async fn open(options: Options, user: &str) -> Result<Self, Refusal> {
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            if let Some(stream) = connect(&options.data).await? {
                return match &options.config {
                    Config::Given(file) => Err(has_its_own(file)),
                    Config::Usual(_) => Ok(Self::Socket(stream)),
                };
            }
            match Node::open(options.clone()).await {
                Ok(node) => {
                    return Ok(Self::InProcess(Box::new(node), Entrance::command_line(user)));
                }
                Err(refusal) if refusal.code == Code::StoreLocked && Instant::now() < deadline => {
                    sleep(LOCK_POLL).await;
                }
                Err(refusal) => return Err(refusal),
            }
        }
    }

    /// Asks one thing. Dropping the future cancels a call in progress; a socket connection must
    /// not be used after that.
    pub async fn ask(&mut self, request: Request) -> Reply {
        match self {
            Self::Socket(stream) => ask_socket(stream, &request).await.unwrap_or_else(Reply::Error),
            Self::InProcess(node, entrance) => node.handle(entrance, request).await,
        }
    }

    /// Asks. Of a call that streams, and whose caller wants that, what comes goes to `take` before its
    /// reply; while `take` works the guest is held up. As with [`Self::ask`], dropping the future cancels the call.
    ///
    /// # Errors
    /// What `take` said, which cancels the call.
    pub async fn ask_streaming(
        &mut self,
        request: Request,
        mut take: impl AsyncFnMut(Vec<Value>) -> Result<(), Refusal>,
    ) -> Result<Reply, Refusal> {
        if !request.streams() {
            return Ok(self.ask(request).await);
        }
        match self {
            Self::Socket(stream) => {
                let mut reply = ask_socket(stream, &request).await?;
                while let Reply::Items(items) = reply {
                    take(items).await?;
                    reply = next_reply(stream).await?;
                }
                Ok(reply)
            }
            Self::InProcess(node, entrance) => {
                let (to, runs, mut coming) = items::channel();
                let handled = Box::pin(node.handle_streaming(entrance, request, Some(to)));
                let handled = async { Ok(runs.until_the_end_of(handled).await) };
                let taken = async {
                    while let Some(batch) = coming.next().await {
                        take(batch).await?;
                    }
                    Ok(())
                };
                tokio::try_join!(handled, taken).map(|(reply, ())| reply)
            }
        }
    }

    /// Ends: a node in this process finishes what it wrote and releases the data directory.
    pub async fn close(self) {
        match self {
            Self::Socket(_) => {}
            Self::InProcess(node, _) => node.close().await,
        }
    }

    /// Whether another process serves the node.
    #[must_use]
    pub const fn is_socket(&self) -> bool {
        matches!(self, Self::Socket(_))
    }
}

fn has_its_own(file: &Path) -> Refusal {
    let message = format!(
        "a node serves this data directory with the configuration that it began with; leave out \
         --config, or end that node and serve with --config {}",
        file.display()
    );
    Refusal::new(Code::UsageError, message)
}

/// A connection when somebody accepts one; `None` when nobody serves.
pub(crate) async fn connect(data: &Path) -> Result<Option<UnixStream>, Refusal> {
    match UnixStream::connect(DataDirectory::socket_in(data)).await {
        Ok(stream) if is_own(&stream) => Ok(Some(stream)),
        Ok(_) => Err(Refusal::new(
            Code::NotAllowed,
            "the node that serves this data directory belongs to another user",
        )),
        Err(error) => match error.kind() {
            // A socket file without a listener is stale: the next node removes it. What is no
            // folder is refused when it is opened.
            io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotADirectory => Ok(None),
            io::ErrorKind::InvalidInput => Ok(None),
            _ => Err(Refusal::new(
                Code::NodeUnreachable,
                format!("the node's admin socket could not be opened: {error}"),
            )),
        },
    }
}

/// Whether this process's user serves the other end: nobody else is told what to grant.
fn is_own(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own)
}

async fn ask_socket(stream: &mut UnixStream, request: &Request) -> Result<Reply, Refusal> {
    wire::write(stream, request).await.map_err(|error| error.refusal())?;
    next_reply(stream).await
}

async fn next_reply(stream: &mut UnixStream) -> Result<Reply, Refusal> {
    match wire::read(stream).await {
        Ok(Some(reply)) => Ok(reply),
        Ok(None) => Err(Refusal::new(
            Code::NodeUnreachable,
            "the node ended before it answered; `meshhost audit list` shows what was recorded",
        )),
        Err(error) => Err(error.refusal()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_that_leaves_before_it_answers_is_unreachable() {
        let (here, there) = UnixStream::pair().unwrap();
        let mut connection = Connection::Socket(here);
        let serve = async move {
            let mut there = there;
            let request: Option<Request> = wire::read(&mut there).await.unwrap();
            assert!(matches!(request, Some(Request::Plugins)));
        };
        let (reply, ()) = tokio::join!(connection.ask(Request::Plugins), serve);
        let Reply::Error(refusal) = reply else { panic!("{reply:?}") };
        assert_eq!(refusal.code, Code::NodeUnreachable);
    }

    #[tokio::test]
    async fn a_folder_without_a_listener_has_no_node() {
        let folder = tempfile::tempdir().unwrap();
        assert!(connect(folder.path()).await.unwrap().is_none());
        let path = DataDirectory::socket_in(folder.path());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the socket file is stale");
        assert!(connect(folder.path()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_listener_is_preferred_to_opening_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let listener =
            tokio::net::UnixListener::bind(DataDirectory::socket_in(folder.path())).unwrap();
        let access = crate::store::directory::Access::Command;
        let options = Options { data: folder.path().to_owned(), config: Config::default(), access };
        let connection = Connection::open(options.clone(), "me").await.unwrap();
        assert!(connection.is_socket());
        let insisting = Options { config: Config::Given("/node.toml".into()), ..options };
        let refusal = Connection::open(insisting, "me").await.unwrap_err();
        assert_eq!(refusal.code, Code::UsageError, "it runs under another configuration");
        drop(listener);
    }
}
