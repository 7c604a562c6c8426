//! Numbers for tests: random, and the same in every run.

/// Numbers that look random.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// About as often above zero as below, mostly near it.
    pub(crate) fn number(&mut self) -> f32 {
        let sum: f64 = (0..6).map(|_| (self.next() >> 11) as f64 / (1_u64 << 53) as f64).sum();
        #[expect(clippy::cast_possible_truncation, reason = "any number near it will do")]
        let number = (sum - 3.0) as f32;
        number
    }

    pub(crate) fn vector(&mut self, length: usize) -> Vec<f32> {
        (0..length).map(|_| self.number()).collect()
    }
}
