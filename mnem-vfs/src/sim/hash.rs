//! A hash of disk images: the same on every machine and in every run.
//!
//! Tells images apart in tests. Not for anything that an adversary chooses.
//!
//! Used by: `content` and `crash`.

const PRIMES: [u64; 2] = [0x9FB2_1C65_1E98_DF25, 0xE703_7ED1_A0B4_28DB];

#[derive(Debug)]
pub(super) struct Hasher([u64; 2]);

impl Hasher {
    pub(super) fn new() -> Hasher {
        Hasher([0x2D35_8DCC_AA6C_78A5, 0x8BB8_4B93_962E_ACC9])
    }

    pub(super) fn number(&mut self, number: u64) {
        for (lane, prime) in self.0.iter_mut().zip(PRIMES) {
            let mixed = (*lane ^ number).wrapping_mul(prime);
            *lane = mixed.rotate_left(29) ^ (mixed >> 31);
        }
    }

    /// The length goes in too, so that neighbours cannot trade bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
    }

    pub(super) fn finish(mut self) -> u128 {
        self.number(0);
        self.number(1);
        (u128::from(self.0[0]) << 64) | u128::from(self.0[1])
    }
}
