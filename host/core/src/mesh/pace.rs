//! How often something may be done: so many times at once, and one more each time a while has passed.
//! The time is that of a clock that never goes back.

/// How often something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    every_us: i64,
    most: i64,
    /// When it may be done `most` times at once again.
    full_at_us: i64,
}

impl Pace {
    /// At most `most` times at once, and once more every `every_us` microseconds.
    #[must_use]
    pub const fn new(most: u32, every_us: u32) -> Self {
        let (every_us, most) = (every_us as i64, most as i64);
        Self { every_us, most, full_at_us: i64::MIN }
    }

    /// Whether it may be done now; if so, it counts as done.
    pub fn take(&mut self, now_us: i64) -> bool {
        if self.wait_us(now_us) > 0 {
            return false;
        }
        self.full_at_us = self.used_until_us(now_us).saturating_add(self.every_us);
        true
    }

    /// How long until it may be done, in microseconds; 0 when it may be done now.
    #[must_use]
    pub fn wait_us(&self, now_us: i64) -> i64 {
        let one_more = self.used_until_us(now_us).saturating_add(self.every_us);
        one_more.saturating_sub(now_us).saturating_sub(self.whole_us()).max(0)
    }

    /// When everything that was used has come back.
    fn used_until_us(&self, now_us: i64) -> i64 {
        self.full_at_us.max(now_us)
    }

    const fn whole_us(&self) -> i64 {
        self.every_us.saturating_mul(self.most)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_may_be_done_at_once_and_then_one_by_one() {
        let mut pace = Pace::new(3, 10);
        assert_eq!([0; 5].map(|now| pace.take(now)), [true, true, true, false, false]);
        assert_eq!((pace.wait_us(0), pace.wait_us(4)), (10, 6));
        assert_eq!(
            [9, 10, 11, 19, 20].map(|now| pace.take(now)),
            [false, true, false, false, true]
        );
        assert_eq!([100; 4].map(|now| pace.take(now)), [true, true, true, false], "it fills up");
    }

    #[test]
    fn the_first_time_is_whenever_it_is() {
        for now in [i64::MIN, 0, i64::MAX] {
            assert!(Pace::new(1, 10).take(now), "{now}");
        }
    }

    proptest! {
        #[test]
        fn no_span_has_more_than_fits(
            most in 1..5_u32, every in 1..50_u32, steps in prop::collection::vec(0..30_i64, 1..200),
        ) {
            let mut pace = Pace::new(most, every);
            let mut now = 0;
            let mut done = Vec::new();
            for step in steps {
                now += step;
                let wait = pace.wait_us(now);
                let may = pace.take(now);
                prop_assert_eq!(may, wait == 0);
                done.extend(may.then_some(now));
            }
            for (place, from) in done.iter().enumerate() {
                for (count, to) in (1_i64..).zip(done.iter().skip(place)) {
                    prop_assert!(count <= i64::from(most) + (to - from) / i64::from(every));
                }
            }
        }
    }
}
