//! Who is let in. It is decided here, by the node that is asked, for every connection, from what this
//! node knows at that moment; addresses and tickets are ways to get here, never rights.

use meshhost_core::mesh::{
    key::NodeKey,
    membership::Membership,
    wire::{Hello, Welcome},
};

use super::{community::Community, running::Running};

/// Statements of a greeting; the rest follows.
const FIRST_STATEMENTS: usize = 512;

/// Lets a member in, and who presents a ticket of this node; `None` for everybody else, whatever the
/// reason.
pub(super) async fn decide(running: &Running, peer: NodeKey, hello: &Hello) -> Option<Welcome> {
    let community = &running.community;
    if hello.community != community.membership(Membership::community) {
        return None;
    }
    if community.member(&peer).is_none() {
        let ticket = hello.ticket.as_ref()?;
        let redeemed = community.redeem(ticket.as_bytes(), peer, &hello.name).await;
        let admitted = redeemed.unwrap_or_else(|refusal| {
            tracing::warn!("a ticket could not be taken: {refusal}");
            false
        });
        if !admitted {
            tracing::info!(peer = %peer.short(), "a ticket let nobody in");
            return None;
        }
    }
    Some(welcome(community, &peer))
}

/// What a member is told first: most of all what lets it in itself.
fn welcome(community: &Community, peer: &NodeKey) -> Welcome {
    community.membership(|membership| {
        let mut statements = membership.statements_for(peer);
        statements.truncate(FIRST_STATEMENTS);
        Welcome { genesis: membership.genesis().clone(), statements }
    })
}
