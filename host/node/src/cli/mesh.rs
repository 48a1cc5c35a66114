//! `meshhost mesh …` and `meshhost peer …`: communities of nodes, and what they share.

use std::{io::Read as _, net::SocketAddr, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use meshhost_core::{
    code::Code,
    mesh::{key::NodeKey, membership::Level, ticket},
    outcome::Refusal,
};

use super::{
    call::parse_time,
    json as documents,
    print::Output,
    session::{Session, unexpected},
    text,
};
use crate::{
    api::{MeshReply, MeshRequest, Reply, Request},
    regular_file,
};

mod show;

/// Where a node listens unless something else is said: on every address of the machine.
const LISTEN: &str = "0.0.0.0:7081";
/// How long a ticket is good for unless something else is said.
const TICKET_TIME: Duration = Duration::from_secs(3600);

/// Join nodes to a community, and say what they may call of each other.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Example, on one machine, on another, and on the first again (both serve):
  meshhost mesh init home > ticket
  meshhost mesh join --share 'ocr.*' < ticket
  meshhost call ocr.recognize image=@scan.png
")]
pub(crate) enum MeshCommand {
    /// Begin a community with this node, and print a ticket for the next one.
    #[command(after_help = "Example:\n  meshhost mesh init home > ticket")]
    Init(InitCommand),
    /// Enter a community with a ticket from standard input or a file.
    #[command(after_help = "\
Examples:
  meshhost mesh join < ticket
  meshhost mesh join ticket --share 'ocr.*' --share embedding.embed")]
    Join(JoinCommand),
    /// Leave the community. What was recorded stays.
    #[command(after_help = "Example:\n  meshhost mesh leave")]
    Leave,
    /// Who is there, what they are, and what is wrong.
    #[command(after_help = "Example:\n  meshhost mesh status")]
    Status,
    /// One member: its key, its level, where it is.
    #[command(after_help = "Example:\n  meshhost mesh whois gpubox")]
    Whois(Node),
    /// Ask a member whether it is there.
    #[command(after_help = "Example:\n  meshhost mesh ping gpubox")]
    Ping(Node),
    /// Try every known address of every member.
    #[command(after_help = "Example:\n  meshhost mesh netcheck")]
    Netcheck,
    /// Print another ticket.
    #[command(after_help = "Example:\n  meshhost mesh ticket --uses 3 --for 24h > ticket")]
    Ticket(TicketCommand),
    /// The tickets of this node.
    #[command(after_help = "Example:\n  meshhost mesh tickets")]
    Tickets,
    /// Cancel a ticket.
    #[command(after_help = "Example:\n  meshhost mesh cancel 892f98d5")]
    Cancel {
        /// The ticket's name, as `meshhost mesh tickets` shows it.
        ticket: String,
    },
    /// Let peers call a capability of this node.
    #[command(after_help = "\
Examples:
  meshhost mesh share 'ocr.*'
  meshhost mesh share filesystem.read --with laptop")]
    Share(ShareCommand),
    /// Let peers call a capability no longer.
    #[command(after_help = "Example:\n  meshhost mesh unshare 'ocr.*'")]
    Unshare(ShareCommand),
    /// Say what a member is trusted with.
    #[command(after_help = "Example:\n  meshhost mesh trust gpubox trusted")]
    Trust {
        /// Its name, or the beginning of its key.
        node: String,
        /// What it becomes.
        level: LevelWord,
    },
    /// Take no more calls of others; those that run end. Until it ends or the node restarts.
    #[command(after_help = "\
Examples:
  meshhost mesh drain
  meshhost mesh drain --end")]
    Drain {
        /// Take calls of others again.
        #[arg(long)]
        end: bool,
    },
    /// Put a member out of the community, at once.
    #[command(after_help = "Example:\n  meshhost mesh revoke gpubox")]
    Revoke(Node),
}

/// Say where members are.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  meshhost peer add 192.168.1.7:7081 --key 3b6a…")]
pub(crate) enum PeerCommand {
    /// Note an address of a member. It gives nobody a right.
    #[command(after_help = "Example:\n  meshhost peer add 192.168.1.7:7081 --key 3b6a…")]
    Add {
        /// Where: IP:PORT.
        address: SocketAddr,
        /// Whose: its key.
        #[arg(long)]
        key: NodeKey,
    },
}

/// A member.
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// Its name, or the beginning of its key.
    node: String,
}

/// What a node is called and where it listens.
#[derive(Debug, Args)]
pub(crate) struct Here {
    /// What this node is called in it [default: the machine's name].
    #[arg(long)]
    name: Option<String>,
    /// Where this node listens: IP:PORT, or a network interface and a port.
    #[arg(long, value_name = "ADDRESS", default_value = LISTEN)]
    listen: String,
}

#[derive(Debug, Args)]
pub(crate) struct InitCommand {
    /// What the community is called.
    #[arg(default_value = "home")]
    community: String,
    #[command(flatten)]
    here: Here,
}

#[derive(Debug, Args)]
pub(crate) struct JoinCommand {
    /// The file with the ticket; standard input when absent.
    ticket: Option<String>,
    #[command(flatten)]
    here: Here,
    /// A capability of this node that every member may call: ocr.recognize, 'ocr.*'.
    #[arg(long, value_name = "CAPABILITY")]
    share: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TicketCommand {
    /// How many nodes it lets in.
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// How long it is good for: 30m, 24h.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    time: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct ShareCommand {
    /// The capability: ocr.recognize, or 'ocr.*' for all of them.
    capability: String,
    /// With whom: every member, trusted ones, anchors, or one node.
    #[arg(long, value_name = "member|trusted|anchor|NODE", default_value = "member")]
    with: String,
}

/// A level as it is written on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LevelWord {
    /// May call what is shared with members.
    Member,
    /// May also let members in.
    Trusted,
    /// May also say who is trusted, and revoke.
    Anchor,
}

impl From<LevelWord> for Level {
    fn from(word: LevelWord) -> Self {
        match word {
            LevelWord::Member => Self::Member,
            LevelWord::Trusted => Self::Trusted,
            LevelWord::Anchor => Self::Anchor,
        }
    }
}

pub(crate) async fn run(command: MeshCommand, session: &mut Session) -> Result<Output, Refusal> {
    let request = request(command, session)?;
    let reply = session.ask(Request::Mesh(request)).await?;
    output(&reply)
}

pub(crate) async fn peer(command: PeerCommand, session: &mut Session) -> Result<Output, Refusal> {
    let PeerCommand::Add { address, key } = command;
    let reply = session.ask(Request::Mesh(MeshRequest::PeerAdd { address, key })).await?;
    output(&reply)
}

fn output(reply: &Reply) -> Result<Output, Refusal> {
    let Reply::Mesh(answer) = reply else { return Err(unexpected(reply)) };
    let mut output = Output::success(show::text(answer), documents::of(reply, ""));
    output.notes = show::notes(answer);
    if let MeshReply::Checked(found) = &**answer
        && found.iter().any(|one| !one.reached)
    {
        output.exit = Code::PeerUnreachable.exit();
    }
    Ok(output)
}

fn request(command: MeshCommand, session: &Session) -> Result<MeshRequest, Refusal> {
    Ok(match command {
        MeshCommand::Init(InitCommand { community, here: Here { name, listen } }) => {
            MeshRequest::Init { community, name, listen }
        }
        MeshCommand::Join(JoinCommand { ticket, here: Here { name, listen }, share: shares }) => {
            let ticket = read_ticket(ticket.as_deref(), session)?;
            MeshRequest::Join { ticket, name, listen, shares }
        }
        MeshCommand::Leave => MeshRequest::Leave,
        MeshCommand::Status => MeshRequest::Status,
        MeshCommand::Whois(Node { node }) => MeshRequest::Whois { node },
        MeshCommand::Ping(Node { node }) => MeshRequest::Ping { node },
        MeshCommand::Netcheck => MeshRequest::Netcheck,
        MeshCommand::Ticket(TicketCommand { uses, time }) => {
            let seconds = time.unwrap_or(TICKET_TIME).as_secs();
            MeshRequest::Ticket { uses, seconds: u32::try_from(seconds).unwrap_or(u32::MAX) }
        }
        MeshCommand::Tickets => MeshRequest::Tickets,
        MeshCommand::Cancel { ticket } => MeshRequest::Cancel { ticket },
        MeshCommand::Share(ShareCommand { capability, with }) => {
            MeshRequest::Share { capability, with }
        }
        MeshCommand::Unshare(ShareCommand { capability, with }) => {
            MeshRequest::Unshare { capability, with }
        }
        MeshCommand::Trust { node, level } => MeshRequest::Trust { node, level: level.into() },
        MeshCommand::Drain { end } => MeshRequest::Drain { draining: !end },
        MeshCommand::Revoke(Node { node }) => MeshRequest::Revoke { node },
    })
}

/// A ticket is never an argument: other users of the machine could read it there.
fn read_ticket(file: Option<&str>, session: &Session) -> Result<String, Refusal> {
    let unread = |error: std::io::Error| {
        Refusal::new(Code::TicketInvalid, format!("the ticket cannot be read: {error}"))
    };
    let bytes_max = ticket::TEXT_BYTES_MAX;
    match file {
        Some(file) => {
            let path = session.place.absolute(file)?;
            regular_file::read_text(&path, bytes_max).map_err(unread)
        }
        None => {
            let mut ticket = String::new();
            let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
            std::io::stdin().lock().take(limit).read_to_string(&mut ticket).map_err(unread)?;
            Ok(ticket)
        }
    }
}

/// What a person is told of a member's round trip.
pub(super) fn milliseconds(us: u64) -> String {
    let tenths = us.div_ceil(100);
    format!("{}.{} ms", text::thousands(tenths / 10), tenths % 10)
}
