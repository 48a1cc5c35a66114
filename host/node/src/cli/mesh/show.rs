//! What a person sees of the mesh.

use super::milliseconds;
use crate::{
    api::{
        CheckedAddress, DiscoveryView, Entered, MemberView, MeshReply, MeshStatus, TicketText,
        TicketView,
    },
    cli::{
        table::table,
        text::{count, wrap},
    },
};
use meshhost_core::mesh::{
    record::NodeState,
    share::{Share, SharedWith},
};

/// The text of a reply: what a program downstream reads, too.
pub(super) fn text(reply: &MeshReply) -> String {
    match reply {
        // The ticket alone, so that `init > ticket` gives a file that `join` reads.
        MeshReply::Entered(entered) => match &entered.ticket {
            Some(ticket) => format!("{}\n", ticket.ticket),
            None => joined(entered),
        },
        MeshReply::Left => "this node has left its community; what it recorded stays\n".to_owned(),
        MeshReply::Status(status) => self::status(status),
        MeshReply::Member(member) => card(member),
        MeshReply::Pinged(pinged) => {
            format!("{} answered in {}\n", pinged.node, milliseconds(pinged.round_trip_us))
        }
        MeshReply::Checked(found) => checked(found),
        MeshReply::Ticket(ticket) => format!("{}\n", ticket.ticket),
        MeshReply::Tickets(tickets) => self::tickets(tickets),
        MeshReply::Shares(found) => shares(found),
        MeshReply::Done => "done\n".to_owned(),
    }
}

/// What a person is told beside it.
pub(super) fn notes(reply: &MeshReply) -> String {
    match reply {
        MeshReply::Entered(entered) => match &entered.ticket {
            Some(ticket) => begun(entered) + &ticket_note(ticket),
            None => serve_note(entered),
        },
        MeshReply::Ticket(ticket) => ticket_note(ticket),
        _ => String::new(),
    }
}

fn begun(entered: &Entered) -> String {
    format!(
        "The community {} begins with this node, {}.\n  fingerprint  {}\n",
        entered.community_name, entered.node, entered.fingerprint
    ) + &serve_note(entered)
}

fn joined(entered: &Entered) -> String {
    let by = entered.by.as_deref().unwrap_or("a member");
    let mut text = format!(
        "{} belongs to the community {} now, let in by {by}.\n  fingerprint  {}\n",
        entered.node, entered.community_name, entered.fingerprint
    );
    text.push_str(&shares(&entered.shares));
    text
}

fn serve_note(entered: &Entered) -> String {
    if entered.serves {
        return String::new();
    }
    "Others reach this node as long as it serves: `meshhost serve`.\n".to_owned()
}

fn ticket_note(ticket: &TicketText) -> String {
    let lets = match ticket.uses {
        1 => "one node".to_owned(),
        uses => format!("{uses} nodes"),
    };
    let addresses: Vec<_> = ticket.addresses.iter().map(ToString::to_string).collect();
    wrap(
        "",
        &format!(
            "The ticket {} lets in {lets} until {}. Whoever has it gets in: hand it over like a \
             key. There: meshhost mesh join < ticket. It is looked for at {}.",
            ticket.name,
            ticket.expires,
            addresses.join(", ")
        ),
    ) + "\n"
}

fn status(status: &MeshStatus) -> String {
    let rows = status.members.iter().map(|member| {
        let draining = member.state == Some(NodeState::Draining);
        let state = match (member.own, member.connected) {
            (true, _) if !status.serves => "this node, not serving",
            (true, _) if draining => "this node, draining",
            (true, _) => "this node",
            (false, true) if draining => "draining",
            (false, true) => "connected",
            (false, false) => "not connected",
        };
        [
            member.name.clone(),
            member.level.word().to_owned(),
            state.to_owned(),
            member.round_trip_us.map(milliseconds).unwrap_or_default(),
            member.calls.to_string(),
            member
                .cpu
                .map(|cpu| format!("{}.{:02}", cpu / 1000, cpu % 1000 / 10))
                .unwrap_or_default(),
            member.offers.len().to_string(),
            member.addresses.first().map(ToString::to_string).unwrap_or_default(),
        ]
    });
    let mut text = format!("community {}\n", status.community_name);
    text.push_str(&table(
        ["NODE", "LEVEL", "STATE", "TRIP", "CALLS", "LOAD", "OFFERS", "ADDRESS"],
        rows,
    ));
    for member in &status.members {
        if let Some(problem) = &member.problem {
            text.push_str(&wrap("", &format!("{}: {problem}", member.name)));
            text.push('\n');
        }
    }
    if let Some(discovery) = &status.discovery {
        text.push_str(&wrap("", &found_by(discovery)));
        text.push('\n');
    }
    text.push_str(&shares(&status.shares));
    text
}

fn found_by(discovery: &DiscoveryView) -> String {
    if let Some(problem) = &discovery.problem {
        return format!("members are not found on the local network: {problem}");
    }
    let at: Vec<_> = discovery.announced_at.iter().map(ToString::to_string).collect();
    format!("announced to members on the local network at {}", at.join(", "))
}

fn shares(shares: &[Share]) -> String {
    if shares.is_empty() {
        return "nothing of this node is shared; `meshhost mesh share CAPABILITY` does\n"
            .to_owned();
    }
    let with = |share: &Share| match share.with {
        SharedWith::Level(level) => format!("every {}", level.word()),
        SharedWith::Peer(key) => key.short(),
    };
    let rows = shares.iter().map(|share| [share.capability.clone(), with(share)]);
    table(["SHARED", "WITH"], rows)
}

fn card(member: &MemberView) -> String {
    let mut text = format!("{}\n", member.name);
    let mut line = |key: &str, value: String| {
        text.push_str(&format!("  {key:<12} {value}\n"));
    };
    line("level", member.level.word().to_owned());
    line("fingerprint", member.fingerprint.clone());
    line("key", member.key.to_string());
    line("by word of", member.issuer.to_string());
    for address in &member.addresses {
        line("address", address.to_string());
    }
    if !member.roles.is_empty() {
        line("roles", member.roles.join(", "));
    }
    if let (Some(program), Some(engine)) = (&member.program, &member.engine) {
        line("version", format!("meshhost {program}, engine {engine}"));
    }
    if member.state == Some(NodeState::Draining) {
        line("state", "takes no more calls of others".to_owned());
    }
    if !member.models.is_empty() {
        let names: Vec<_> = member.models.iter().map(ToString::to_string).collect();
        line("loaded", wrap("               ", &names.join(", ")).trim_start().to_owned());
    }
    if let Some(gpu) = member.gpu {
        line("GPU", format!("{}.{} %", gpu / 10, gpu % 10));
    }
    if let Some((free, all)) = member.slots {
        line("room", format!("{free} of {all} calls"));
    }
    if !member.offers.is_empty() {
        line("offers", wrap("               ", &member.offers.join(", ")).trim_start().to_owned());
    }
    if let Some(us) = member.round_trip_us {
        line("round trip", milliseconds(us));
    }
    if let Some(problem) = &member.problem {
        line("problem", problem.clone());
    }
    text
}

fn checked(found: &[CheckedAddress]) -> String {
    if found.is_empty() {
        return "no address of another member is known\n".to_owned();
    }
    let rows = found.iter().map(|one| {
        let state = if one.reached { "reached" } else { "not reached" };
        [one.node.clone(), one.address.to_string(), state.to_owned(), one.found.clone()]
    });
    table(["NODE", "ADDRESS", "STATE", "FOUND"], rows)
}

fn tickets(tickets: &[TicketView]) -> String {
    if tickets.is_empty() {
        return "this node has issued no ticket that could still be used\n".to_owned();
    }
    let rows = tickets.iter().map(|ticket| {
        let state = if ticket.usable { "usable" } else { "used up or expired" };
        let joined = count(ticket.joined.len(), "node");
        [
            ticket.name.clone(),
            state.to_owned(),
            format!("{joined} of {}", ticket.uses),
            ticket.expires.clone(),
        ]
    });
    table(["TICKET", "STATE", "LET IN", "UNTIL"], rows)
}
