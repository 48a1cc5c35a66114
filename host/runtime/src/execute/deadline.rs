//! The wall-clock bound of a call: whatever it waits for, and whatever the guest computes.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::{Duration, Instant},
};

use tokio::time::Sleep;

/// When a call must have ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Instant);

/// The deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed;

impl Deadline {
    /// The deadline that many milliseconds after `started`; one beyond what the clock can tell is
    /// a year away.
    pub(super) fn after(started: Instant, milliseconds: u64) -> Self {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        Self(started + Duration::from_millis(milliseconds).min(YEAR))
    }

    /// Awaits `work` until the deadline. The clock is compared before every poll, so that a guest
    /// that computes and yields is bounded like one that waits; a timer is only set for work that
    /// does not end at its first poll.
    pub(super) async fn bound<F: Future>(self, work: F) -> Result<F::Output, Passed> {
        let mut work = pin!(work);
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            if Instant::now() >= self.0 {
                return Poll::Ready(Err(Passed));
            }
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            let timer =
                timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(self.0.into())));
            timer.as_mut().poll(context).map(|()| Err(Passed))
        })
        .await
    }
}
