//! The blocks: text-like, of three sizes, the same for each seed.

use mnem_core::Block;
use mnem_core::cid::Codec;

/// Numbers that look random and are the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    fn between(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from)
    }
}

/// A vocabulary whose words are used as unevenly as those of a language.
pub(crate) struct Text {
    words: Vec<String>,
    random: Random,
}

impl Text {
    pub(crate) fn new(seed: u64) -> Text {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let letters = b"eeeeetttaaooiinnsshhrrdlucmfwypvbgkjqxz";
        let words = (0..256).map(|_| {
            let length = random.between(3, 12);
            (0..length).map(|_| char::from(letters[random.below(letters.len())])).collect()
        });
        let words = words.collect();
        Text { words, random }
    }

    /// 60 % of 150 to 400 bytes, 35 % of 1 to 6 KiB (most of them large), 5 % of 6 to 16 KiB.
    fn length(&mut self) -> usize {
        match self.random.below(100) {
            0..60 => self.random.between(150, 400),
            60..95 => {
                let (one, other) = (self.random.between(1024, 6144), self.random.between(1024, 6144));
                one.max(other)
            }
            _ => self.random.between(6144, 16_384),
        }
    }

    pub(crate) fn block(&mut self) -> Block {
        let length = self.length();
        let mut bytes = Vec::with_capacity(length + 32);
        bytes.extend_from_slice(b"\xa4did\x58\x20");
        // What belongs to one node only: ids and numbers.
        (0..3).for_each(|_| bytes.extend_from_slice(&self.random.next().to_le_bytes()));
        bytes.extend_from_slice(b"dkindeclaimgcontent\x79");
        while bytes.len() < length {
            // The product of two is uneven: few words come often.
            let word = (self.random.below(16) + 1) * (self.random.below(16) + 1) - 1;
            bytes.extend_from_slice(self.words[word].as_bytes());
            bytes.push(b' ');
            if self.random.below(24) == 0 {
                bytes.extend_from_slice(&self.random.next().to_le_bytes()[..4]);
            }
        }
        bytes.truncate(length);
        Block::new(Codec::DagCbor, bytes)
    }

    pub(crate) fn blocks(&mut self, count: usize) -> Vec<Block> {
        (0..count).map(|_| self.block()).collect()
    }
}
