//! Random numbers that depend on the seed alone: SplitMix64, of our own so that no update of a
//! library changes what a seed does.

#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap();
        usize::try_from(self.next() % end).unwrap()
    }

    /// A time below `end_us`, in microseconds.
    pub(crate) fn time(&mut self, end_us: i64) -> i64 {
        i64::try_from(self.next() % u64::try_from(end_us).unwrap()).unwrap()
    }

    /// Whether something that happens so often in a thousand times happens.
    pub(crate) fn happens(&mut self, thousandths: usize) -> bool {
        self.below(1_000) < thousandths
    }

    pub(crate) fn thousandths(&mut self) -> u16 {
        u16::try_from(self.below(1_001)).unwrap()
    }
}
