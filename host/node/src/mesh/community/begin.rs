//! How a node comes to belong to a community: it begins one, or is let into one.

use meshhost_core::{
    code::Code,
    evidence::{event::EventType, fact::Facts},
    id::Digest,
    mesh::{
        membership::{Genesis, MemberStatement, Membership},
        share::Share,
        signed::Signed,
    },
    outcome::Refusal,
};

use super::{Community, Means, State, check_name, damaged, said};
use crate::{entrance::Entrance, store::mesh::CommunityRow};

/// What a community is made with.
#[derive(Debug)]
pub(in crate::mesh) struct Founding {
    /// What people call it.
    pub(in crate::mesh) community: String,
    /// What this node is called in it.
    pub(in crate::mesh) name: String,
    /// Where this node listens, as the operator wrote it.
    pub(in crate::mesh) listen: String,
}

/// What a node joins with.
#[derive(Debug)]
pub(in crate::mesh) struct Joining {
    /// The community that the ticket is for.
    pub(in crate::mesh) community: Digest,
    /// What this node is called in it.
    pub(in crate::mesh) name: String,
    /// Where this node listens, as the operator wrote it.
    pub(in crate::mesh) listen: String,
    /// What it shares from the start.
    pub(in crate::mesh) shares: Vec<Share>,
}

impl Community {
    /// Begins a community.
    ///
    /// # Errors
    /// When a name is none, or it cannot be written down.
    pub(in crate::mesh) async fn found(
        means: Means,
        entrance: &Entrance,
        founding: Founding,
    ) -> Result<Self, Refusal> {
        check_name("community", &founding.community)?;
        check_name("node", &founding.name)?;
        let lifecycle = &means.lifecycle;
        let mut random = [0; 16];
        lifecycle.entropy.fill(&mut random);
        let genesis = Genesis {
            name: founding.community,
            founder: means.signer.node_key(),
            founder_name: founding.name.clone(),
            made_us: lifecycle.clock.now_us(),
            random,
        };
        let genesis = Signed::sign(&genesis, &means.signer).map_err(|error| damaged(&error))?;
        let membership = Membership::new(genesis.clone()).map_err(|error| damaged(&error))?;
        let facts = Facts::new()
            .text("community", membership.community().to_string())
            .text("name", membership.name().to_owned());
        lifecycle.record(entrance, EventType::CommunityFounded, facts).await?;
        let row =
            CommunityRow { genesis, name: founding.name.clone(), listen: founding.listen.clone() };
        means.tables.enter(&row, &[], &[]).await.map_err(|error| error.refusal())?;
        let state = State { membership, shares: Vec::new(), tickets: Vec::new() };
        Ok(Self::with(means, founding.name, founding.listen, state))
    }

    /// Enters a community by the word of one of its members.
    ///
    /// # Errors
    /// When what it said does not hold, or it cannot be written down.
    pub(in crate::mesh) async fn enter(
        means: Means,
        entrance: &Entrance,
        (genesis, statements): (Signed<Genesis>, Vec<Signed<MemberStatement>>),
        joining: Joining,
    ) -> Result<Self, Refusal> {
        let Joining { community, name, listen, shares } = joining;
        let refused = |text: &str| Refusal::new(Code::PeerProtocol, text.to_owned());
        let membership = Membership::new(genesis.clone());
        let mut membership = membership.map_err(|error| refused(&error.to_string()))?;
        if membership.community() != community {
            return Err(refused(
                "the node that issued the ticket belongs to another community now",
            ));
        }
        membership.learn(statements);
        if membership.member(&means.signer.node_key()).is_none() {
            return Err(refused("the node that issued the ticket said nothing that lets this in"));
        }
        let facts = Facts::new()
            .text("community", community.to_string())
            .text("name", membership.name().to_owned())
            .texts("shares", shares.iter().map(said).collect());
        means.lifecycle.record(entrance, EventType::CommunityJoined, facts).await?;
        let row = CommunityRow { genesis, name: name.clone(), listen: listen.clone() };
        let kept: Vec<_> = membership.statements().cloned().collect();
        means.tables.enter(&row, &kept, &shares).await.map_err(|error| error.refusal())?;
        let state = State { membership, shares, tickets: Vec::new() };
        Ok(Self::with(means, name, listen, state))
    }
}
