//! `meshhost serve`: the node in the foreground.

use std::sync::Arc;

use clap::Args;
use meshhost_core::outcome::Refusal;
use serde_json::json;

use super::{
    print::{self, Output, Printer},
    serve_log,
    text::{BOLD, styled},
};
use crate::{
    admin::{self, ServeOptions},
    node::{Node, Options},
};

/// Run the node in the foreground. Commands with the same data directory use it.
#[derive(Debug, Args)]
#[command(after_help = "\
The node listens on a Unix socket in its data directory that only you can open.
Ctrl-C ends it after the calls in progress; a second one ends it at once.

Example:
  meshhost serve
")]
pub(crate) struct ServeCommand {
    /// Serve although this is the root user.
    #[arg(long)]
    allow_root: bool,
}

pub(crate) async fn run(
    command: &ServeCommand,
    options: Options,
    printer: Printer,
) -> Result<Output, Refusal> {
    let log = tokio::spawn(serve_log::keep_bounded(options.data.clone()));
    let node = Arc::new(Node::open(options).await?);
    if let Err(refusal) = node.take_part().await {
        // The node serves its own user all the same: the address may be free again later.
        printer.say(&print::refusal_text(&refusal));
    }
    let socket = node.socket_path();
    let options = ServeOptions { allow_root: command.allow_root };
    admin::serve(Arc::clone(&node), options, || {
        let line = format!("meshhost serves at {}; Ctrl-C ends it", socket.display());
        printer.say(&format!("{}\n", styled(BOLD, &line)));
    })
    .await?;
    if let Some(node) = Arc::into_inner(node) {
        node.close().await;
    }
    log.abort();
    Ok(Output::success("the node has ended\n".to_owned(), json!({"schema": "meshhost.served/1"})))
}
