//! The fuel of one call and of the calls that it makes. The plugin's own limit bounds what the call
//! itself uses; what its caller allows bounds both together.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was used, as far as the store of the call does not count it.
#[derive(Debug)]
pub(crate) struct Fuel {
    /// The call's own limit, with which its store began.
    limit: AtomicU64,
    /// What its store had left when the guest entered the host.
    left: AtomicU64,
    /// Used by calls below.
    below: AtomicU64,
    /// Taken out of the store because calls below have used it.
    cut: AtomicU64,
}

impl Fuel {
    pub(super) const fn new(limit: u64) -> Self {
        Self {
            limit: AtomicU64::new(limit),
            left: AtomicU64::new(limit),
            below: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        }
    }

    /// A call begins, with so much fuel in its store.
    pub(crate) fn begin(&self, limit: u64) {
        self.limit.store(limit, Ordering::Release);
        self.left.store(limit, Ordering::Release);
        self.below.store(0, Ordering::Release);
        self.cut.store(0, Ordering::Release);
    }

    /// Notes what the store has left when the guest enters the host.
    pub(crate) fn enter(&self, left: u64) {
        self.left.store(left, Ordering::Release);
    }

    /// A call below has used so much.
    pub(crate) fn use_below(&self, fuel: u64) {
        let add = |used: u64| Some(used.saturating_add(fuel));
        let _ = self.below.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
    }

    /// What a call below may use of what the caller allows.
    pub(crate) fn left_below(&self, allowed: u64) -> u64 {
        allowed.saturating_sub(self.used(self.left.load(Ordering::Acquire)))
    }

    /// What the store may keep of `left`, when that is less: calls below have used the rest of what
    /// the caller allows.
    pub(crate) fn cut(&self, left: u64, allowed: u64) -> Option<u64> {
        let kept = allowed.saturating_sub(self.used(left));
        let cut = left.checked_sub(kept).filter(|cut| *cut > 0)?;
        self.cut.fetch_add(cut, Ordering::AcqRel);
        Some(kept)
    }

    /// What the call and those below have used, its store having so much left.
    pub(crate) fn used(&self, left: u64) -> u64 {
        let cut = self.cut.load(Ordering::Acquire);
        let own = self.limit.load(Ordering::Acquire).saturating_sub(left).saturating_sub(cut);
        own.saturating_add(self.below.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_below_use_what_the_caller_allows_and_not_the_plugins_own_limit() {
        let fuel = Fuel::new(100);
        fuel.enter(90);
        assert_eq!(fuel.left_below(1_000), 990);
        fuel.use_below(500);
        assert_eq!((fuel.used(90), fuel.left_below(1_000)), (510, 490));
        assert_eq!(fuel.cut(90, 1_000), None, "its own limit is the nearer one still");
        fuel.use_below(450);
        assert_eq!(fuel.cut(90, 1_000), Some(40), "960 of 1,000 are used");
        assert_eq!(fuel.cut(40, 1_000), None);
        assert_eq!(fuel.used(0), 1_000, "it used the rest itself");
        fuel.enter(0);
        fuel.use_below(10);
        assert_eq!((fuel.cut(0, 1_000), fuel.left_below(1_000)), (None, 0));
        fuel.begin(100);
        assert_eq!((fuel.used(100), fuel.left_below(7)), (0, 7));
    }

    #[test]
    fn without_calls_below_it_is_what_the_store_says() {
        let fuel = Fuel::new(u64::MAX);
        assert_eq!(fuel.used(u64::MAX - 5), 5);
        assert_eq!(fuel.cut(u64::MAX - 5, u64::MAX), None);
        fuel.use_below(u64::MAX);
        assert_eq!(fuel.used(3), u64::MAX);
    }
}
