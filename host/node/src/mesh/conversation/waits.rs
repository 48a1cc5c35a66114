//! What a conversation waits for.

use std::time::Duration;

use tokio::time::Instant;

use crate::mesh::{link::Link, running::Running};

/// Waits until a link has ended.
pub(super) async fn ended(link: Option<&Link>) {
    match link {
        Some(link) => link.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits until then, or for ever.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The same, of microseconds by the node's steady clock.
pub(super) async fn sleep_until(wake_us: Option<i64>, running: &Running) {
    match wake_us {
        Some(wake_us) => {
            let left = u64::try_from(wake_us.saturating_sub(running.steady_us())).unwrap_or(0);
            tokio::time::sleep(Duration::from_micros(left)).await;
        }
        None => std::future::pending().await,
    }
}
