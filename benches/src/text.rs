//! The blocks of the workload: text-like, of three sizes, the same for each number.
//!
//! 60 % of 150 to 400 bytes, 35 % of 1 to 6 KiB, 5 % of 6 to 16 KiB, 2,165 bytes in the mean. LZ4 makes them 2.14 times
//! shorter, each block alone: 1.4 times the small, 2.2 the middle, 2.4 the large ones. A test holds that.

use std::ops::Range;
use std::thread;

use mnem_core::Block;
use mnem_core::cid::Codec;

use crate::random::Random;

const WORDS_ROOT: usize = 64;
const PHRASE_BYTES_MAX: usize = 64;
const REPEATS_IN_1000: usize = 266;

/// A vocabulary whose words are used as unevenly as those of a language.
pub(crate) struct Text {
    words: Vec<String>,
    seed: u64,
}

impl Text {
    pub(crate) fn new(seed: u64) -> Text {
        let mut random = Random(42);
        let letters = b"eeeeetttaaooiinnsshhrrdlucmfwypvbgkjqxz";
        let words = (0..WORDS_ROOT * WORDS_ROOT).map(|_| {
            let length = random.between(3, 12);
            (0..length).map(|_| char::from(letters[random.below(letters.len())])).collect()
        });
        Text { words: words.collect(), seed }
    }

    /// Appends text until `bytes` has `length` of them.
    pub(crate) fn write(&self, random: &mut Random, bytes: &mut Vec<u8>, length: usize) {
        let start = bytes.len();
        while bytes.len() < length {
            // A text repeats itself: that, more than its words, is what makes it short when it is compressed.
            if bytes.len() > start + PHRASE_BYTES_MAX && random.below(1000) < REPEATS_IN_1000 {
                let phrase = random.between(PHRASE_BYTES_MAX / 4, PHRASE_BYTES_MAX);
                let from = random.between(start, bytes.len() - phrase);
                bytes.extend_from_within(from..from + phrase);
                continue;
            }
            // The product of two is uneven: few words come often.
            let word = (random.below(WORDS_ROOT) + 1) * (random.below(WORDS_ROOT) + 1) - 1;
            bytes.extend_from_slice(self.words[word].as_bytes());
            bytes.push(b' ');
        }
        bytes.truncate(length);
    }

    pub(crate) fn block(&self, number: usize) -> Block {
        let mut random = Random(self.seed ^ (number as u64).wrapping_mul(0xd134_2543_de82_ef95));
        let length = length(&mut random);
        let mut bytes = Vec::with_capacity(length + PHRASE_BYTES_MAX);
        bytes.extend_from_slice(b"\xa4did\x58\x20");
        // What belongs to one node only: ids and numbers.
        (0..3).for_each(|_| bytes.extend_from_slice(&random.next().to_le_bytes()));
        bytes.extend_from_slice(b"dkindeclaimgcontent\x79");
        self.write(&mut random, &mut bytes, length);
        Block::new(Codec::DagCbor, bytes)
    }

    /// Makes many, on two threads.
    pub(crate) fn blocks(&self, numbers: Range<usize>) -> Vec<Block> {
        let middle = numbers.start + numbers.len() / 2;
        thread::scope(|scope| {
            let half =
                scope.spawn(|| (middle..numbers.end).map(|number| self.block(number)).collect::<Vec<_>>());
            let mut blocks: Vec<Block> = (numbers.start..middle).map(|number| self.block(number)).collect();
            blocks.extend(half.join().expect("no panic"));
            blocks
        })
    }
}

fn length(random: &mut Random) -> usize {
    match random.below(100) {
        0..60 => random.between(150, 400),
        60..95 => {
            let (one, other) = (random.between(1024, 6144), random.between(1024, 5376));
            one.max(other)
        }
        _ => random.between(6144, 16_384),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_long_and_as_compressible_as_the_workload_says() {
        let mut kinds = [(0, 0); 3];
        for block in Text::new(42).blocks(0..20_000) {
            let bytes = block.bytes();
            let kind = &mut kinds[match bytes.len() {
                0..400 => 0,
                400..6144 => 1,
                _ => 2,
            }];
            *kind = (kind.0 + bytes.len(), kind.1 + lz4_flex::block::compress(bytes).len());
        }
        let ratio = |(raw, packed): (usize, usize)| raw as f64 / packed as f64;
        let all = kinds.iter().fold((0, 0), |all, kind| (all.0 + kind.0, all.1 + kind.1));
        let found = [kinds[0], kinds[1], kinds[2], all].map(ratio);
        for (found, wanted) in found.into_iter().zip([1.39, 2.2, 2.38, 2.14]) {
            assert!((found - wanted).abs() < 0.03, "{found:.3} is not {wanted}");
        }
        let mean = all.0 as f64 / 20_000.0;
        assert!((2130.0..2200.0).contains(&mean), "{mean} bytes");
    }

    #[test]
    fn a_number_gives_the_same_block_always() {
        assert_eq!(Text::new(1).blocks(5..9), Text::new(1).blocks(0..9)[5..]);
        assert_ne!(Text::new(1).block(5), Text::new(2).block(5));
    }
}
