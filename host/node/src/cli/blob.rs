//! `meshhost blob …`: files into and out of the blob store.

use std::path::Path;

use clap::Subcommand;
use meshhost_core::{id::Digest, outcome::Refusal};

use super::{
    json as documents,
    print::Output,
    session::{Session, unexpected},
    text,
};
use crate::api::{Reply, Request};

/// Put files into the blob store and get them out.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  meshhost blob put scan.png")]
pub(crate) enum BlobCommand {
    /// Put a file into the blob store and print its digest.
    #[command(after_help = "Example:\n  meshhost blob put scan.png")]
    Put {
        /// The file.
        file: String,
    },
    /// Copy a blob to a new file.
    #[command(after_help = "Example:\n  meshhost blob get blake3:… copy.png")]
    Get {
        /// The blob.
        digest: Digest,
        /// The file to make.
        file: String,
    },
}

pub(crate) async fn run(command: BlobCommand, session: &mut Session) -> Result<Output, Refusal> {
    match command {
        BlobCommand::Put { file } => {
            let file = session.place.absolute(&file)?;
            let reply = session.ask(Request::PutBlob { file }).await?;
            let Reply::Blob { digest, .. } = &reply else { return Err(unexpected(&reply)) };
            Ok(Output::success(format!("{digest}\n"), documents::of(&reply, "")))
        }
        BlobCommand::Get { digest, file } => {
            let file = session.place.absolute(&file)?;
            let reply = session.ask(Request::GetBlob { digest, file: file.clone() }).await?;
            Ok(Output::success(got(&reply, &file), documents::of(&reply, "")))
        }
    }
}

fn got(reply: &Reply, file: &Path) -> String {
    match reply {
        Reply::Blob { length, .. } => format!("{}: {}\n", file.display(), text::bytes(*length)),
        _ => format!("{}\n", file.display()),
    }
}
