//! Sets of entities by four bytes of their hash: small, and wrong in one direction only. What is not in a set was not
//! put there; what seems to be may be somebody else.

use crate::id::EntityId;

/// Hashes of entities, ascending, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prints(Vec<u32>);

/// What stands for an entity.
pub(super) fn print(entity: EntityId) -> u32 {
    let hash = blake3::hash(&entity.to_key());
    let bytes = hash.as_bytes();
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

impl Prints {
    pub(super) fn of(mut prints: Vec<u32>) -> Prints {
        prints.sort_unstable();
        prints.dedup();
        Prints(prints)
    }

    pub(super) fn has(&self, print: u32) -> bool {
        self.0.binary_search(&print).is_ok()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn union(self, other: &Prints) -> Prints {
        if other.0.is_empty() {
            return self;
        }
        let mut both = [self.0, other.0.clone()].concat();
        both.sort(); // two runs: this kind of sorting only merges them
        both.dedup();
        Prints(both)
    }

    /// Returns the part whose first `bits` bits are `bucket`.
    pub(super) fn bucket(&self, bits: u32, bucket: u32) -> Prints {
        let start = self.0.partition_point(|print| bucket_of(*print, bits) < bucket);
        let end = self.0.partition_point(|print| bucket_of(*print, bits) <= bucket);
        Prints(self.0[start..end].to_vec())
    }

    /// Puts parts together that follow each other.
    pub(super) fn append(&mut self, next: Prints) {
        self.0.extend(next.0);
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|print| print.to_be_bytes()).collect()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Prints> {
        let (chunks, rest) = bytes.as_chunks::<4>();
        let prints: Vec<u32> = chunks.iter().map(|chunk| u32::from_be_bytes(*chunk)).collect();
        (rest.is_empty() && prints.is_sorted_by(|a, b| a < b)).then_some(Prints(prints))
    }
}

/// Returns the first `bits` bits of a print.
pub(super) fn bucket_of(print: u32, bits: u32) -> u32 {
    print.checked_shr(32 - bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{EdgeId, NodeId};

    #[test]
    fn buckets_put_together_are_the_whole() {
        let whole = Prints::of((0..1000u32).map(|at| at.wrapping_mul(2_654_435_761)).collect());
        for bits in [0, 1, 3, 8] {
            let mut again = Prints::default();
            (0..1 << bits).for_each(|bucket| again.append(whole.bucket(bits, bucket)));
            assert_eq!(again, whole, "{bits}");
        }
        assert_eq!(bucket_of(0xc000_0000, 0), 0);
        assert_eq!(bucket_of(0xc000_0000, 2), 3);
    }

    #[test]
    fn bytes_round_trip_and_nothing_else_is_read() {
        let prints = Prints::of(vec![7, 1, 7, u32::MAX]);
        assert_eq!(prints.to_bytes(), [0, 0, 0, 1, 0, 0, 0, 7, 255, 255, 255, 255]);
        assert_eq!(Prints::from_bytes(&prints.to_bytes()), Some(prints));
        for bad in [&[0, 0, 0][..], &[0, 0, 0, 1, 0, 0, 0, 1], &[0, 0, 0, 2, 0, 0, 0, 1]] {
            assert_eq!(Prints::from_bytes(bad), None);
        }
    }

    #[test]
    fn a_node_and_an_edge_of_the_same_bytes_are_two() {
        assert_ne!(print(NodeId::from_bytes([1; 16]).into()), print(EdgeId::from_bytes([1; 16]).into()));
    }
}
