//! Peers that are gone while nobody calls them.

use meshhost_core::mesh::wire::Missed;

use super::{member::Member, *};

/// How long one may wait on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_peer_that_falls_silent_is_missed_although_nobody_calls_it() {
    let node = Fixture::new().await;
    let member = Member::join(&node, 1).await;
    let link = node.running().links.find(&member.key).unwrap();
    let living = member.lives();
    assert!(link.ping(PATIENCE).await.is_some());
    living.falls_silent();
    assert!(tokio::time::timeout(PATIENCE, link.ended()).await.is_ok(), "it is missed");
}

/// Four members, of which a node watches two: that another one is gone it is told.
#[tokio::test]
async fn who_is_missed_by_another_is_looked_for_and_cut_off_only_when_it_is_gone() {
    let node = Fixture::new().await;
    let mut members = Vec::new();
    for seed in 1..=4 {
        let member = Member::join(&node, seed).await;
        let link = node.running().links.find(&member.key).unwrap();
        members.push((member, link));
    }
    let watched = |key: &NodeKey| node.running().links.watches(key);
    members.sort_by_key(|(member, _)| watched(&member.key));
    let unwatched = members.iter().take_while(|(member, _)| !watched(&member.key)).count();
    assert_eq!(unwatched, 2);
    let keys: Vec<_> = members.iter().map(|(member, _)| member.key).collect();
    let (living, links): (Vec<_>, Vec<_>) =
        members.into_iter().map(|(member, link)| (member.lives(), link)).unzip();
    for link in &links {
        assert!(link.ping(PATIENCE).await.is_some());
    }
    // However often that is said, and of whom.
    living[0].falls_silent();
    for place in [0, 1, 3, 1, 0] {
        living[2].says(ControlFrame::Missed(Missed { node: keys[place] }));
    }
    assert!(tokio::time::timeout(PATIENCE, links[0].ended()).await.is_ok(), "it is missed");
    for link in &links[1..] {
        assert!(link.ping(PATIENCE).await.is_some(), "who answers stays");
    }
}
