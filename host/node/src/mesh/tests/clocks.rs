//! Nodes whose clocks do not agree, and one whose clock jumps.

use super::{member::Member, *};

const HOUR_US: i64 = 3_600_000_000;

/// A node that joins with a ticket.
async fn joined(off_us: i64, ticket: String) -> Result<Fixture, Refusal> {
    let node = Fixture::alone(off_us).await;
    let (name, listen) = (Some("other".to_owned()), "127.0.0.1:0".to_owned());
    node.ask(MeshRequest::Join { ticket, name, listen, shares: Vec::new() }).await.map(|_| node)
}

#[tokio::test]
async fn clocks_that_are_hours_apart_keep_nobody_out_and_nothing_old_alive() {
    for (here_us, there_us) in [(HOUR_US, -HOUR_US), (-HOUR_US, HOUR_US)] {
        let node = Fixture::with_clock(here_us).await;
        // It holds for half an hour, and that is over by the clock of the one or far ahead by the other's.
        let ticket = MeshRequest::Ticket { uses: 2, seconds: 1_800 };
        let Ok(MeshReply::Ticket(ticket)) = node.ask(ticket).await else { panic!("no ticket") };
        let other = joined(there_us, ticket.ticket.clone()).await.unwrap();
        let (one, two) = (node.running(), other.running());
        until("they are connected", async || one.links.find(&other.mesh.own)).await;
        until("they are connected", async || two.links.find(&node.mesh.own)).await;
        for round in 0..3 {
            one.known.publish(&one);
            two.known.publish(&two);
            let version =
                |running: &Running, key| Some(running.known.record(running, key)?.version);
            for (running, key) in [(&one, &other.mesh.own), (&two, &node.mesh.own)] {
                let said = if *key == node.mesh.own { &one } else { &two };
                until("the last record is known", async || {
                    (version(running, key) == version(said, key)).then_some(())
                })
                .await;
            }
            // What was said before the clock was set back is outdone all the same.
            node.clock.0.fetch_sub(HOUR_US, Ordering::SeqCst);
            other.clock.0.fetch_sub(round * HOUR_US, Ordering::SeqCst);
        }
        node.clock.0.store(here_us + 1_800_000_000, Ordering::SeqCst);
        let late = joined(there_us, ticket.ticket).await.err().unwrap();
        assert_eq!(late.code, Code::PeerRefused, "the one who issued it says when it is over");
    }
}

/// The failure detector must not rest because the clock was set back.
#[tokio::test]
async fn a_peer_that_is_lost_is_missed_while_the_clock_is_set_back() {
    let node = Fixture::new().await;
    let member = Member::join(&node, 1).await;
    let link = node.running().links.find(&member.key).unwrap();
    let _calls = member.calls(&node).await;
    let living = member.lives();
    assert!(link.ping(Duration::from_secs(30)).await.is_some());
    let _call = link.call();
    until("it is watched", async || (link.calls_in_flight() == 1).then_some(())).await;
    node.clock.0.fetch_sub(HOUR_US, Ordering::SeqCst);
    living.falls_silent();
    let missed = tokio::time::timeout(Duration::from_secs(60), link.ended()).await;
    assert!(missed.is_ok(), "it is missed");
}
