//! How trees are cut into nodes: the parameters, and the one rule.

use siphasher::sip::SipHasher24;

/// Levels whose hash key is derived ahead. Trees of real size have at most six.
const LEVELS_AHEAD: u8 = 16;

/// Context under which the hash key of a level is derived. Format.
const KEY_CONTEXT: &str = "mnem prolly boundary v1";

/// How the trees of a repository are cut. Part of the repository's params object: trees that were cut differently
/// have different roots for the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeParams {
    /// Nodes below this size, in bytes of entries, are not cut.
    pub min: u32,
    /// Nodes are cut at this size at the latest.
    pub max: u32,
    /// How many of the 64 bits of a key's hash are dropped: each one more makes nodes smaller.
    pub shift: u8,
    /// Keys the hash. Secret where keys come from strangers, who could otherwise choose such as never cut.
    pub seed: [u8; 32],
}

impl TreeParams {
    /// The parameters of every repository that does not ask for others.
    pub const V1: TreeParams = TreeParams { min: 1536, max: 16384, shift: 41, seed: [0; 32] };

    /// Highest `max`: a node, its last entry included, must stay below [`NODE_BYTES_MAX`](super::NODE_BYTES_MAX).
    pub const MAX_LIMIT: u32 = 32 << 10;

    /// Says whether these parameters make trees that can be read back.
    pub const fn are_sound(&self) -> bool {
        self.min <= self.max && self.max >= 1 && self.max <= TreeParams::MAX_LIMIT && self.shift < 64
    }
}

impl Default for TreeParams {
    fn default() -> TreeParams {
        TreeParams::V1
    }
}

/// Parameters that no tree can be cut by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tree parameters are out of range: min {}, max {}, shift {}", .0.min, .0.max, .0.shift)]
pub struct UnsoundParams(pub TreeParams);

/// The rule that ends nodes: a function of the parameters and of the node's own entries, so every node can be checked
/// by itself.
#[derive(Debug)]
pub(crate) struct Rule {
    params: TreeParams,
    hashers: Vec<SipHasher24>,
}

impl Rule {
    pub(crate) fn new(params: &TreeParams) -> Result<Rule, UnsoundParams> {
        if !params.are_sound() {
            return Err(UnsoundParams(*params));
        }
        let hashers = (0..LEVELS_AHEAD).map(|level| hasher(params, level)).collect();
        Ok(Rule { params: *params, hashers })
    }

    pub(crate) const fn params(&self) -> &TreeParams {
        &self.params
    }

    /// Says whether a node ends after the entry with `key`, which is its `entries`th and brings the bytes of its
    /// entries from `before` to `after`.
    pub(crate) fn ends(&self, level: u8, key: &[u8], before: usize, after: usize, entries: usize) -> bool {
        // Two children at least: so each level has at most half the nodes of the one below.
        if level > 0 && entries < 2 {
            return false;
        }
        if after >= self.params.max as usize {
            return true;
        }
        let min = self.params.min as usize;
        let square = |bytes: usize| (bytes.saturating_sub(min) as u64).pow(2);
        let chance = square(after) - square(before);
        chance > 0 && self.hash(level, key) >> self.params.shift < chance
    }

    fn hash(&self, level: u8, key: &[u8]) -> u64 {
        match self.hashers.get(usize::from(level)) {
            Some(hasher) => hasher.hash(key),
            None => hasher(&self.params, level).hash(key),
        }
    }
}

fn hasher(params: &TreeParams, level: u8) -> SipHasher24 {
    let mut material = [0; 33];
    material[0] = level;
    material[1..].copy_from_slice(&params.seed);
    let derived = blake3::derive_key(KEY_CONTEXT, &material);
    let (key, _) = derived.split_first_chunk::<16>().expect("32 bytes have a first half");
    SipHasher24::new_with_key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_siphash_2_4() {
        let key = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let data = &key[..15];
        assert_eq!(SipHasher24::new_with_key(&key).hash(data), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn levels_ahead_hash_like_all_others() {
        let rule = Rule::new(&TreeParams { seed: [7; 32], ..TreeParams::V1 }).unwrap();
        for level in [0, 1, LEVELS_AHEAD - 1, LEVELS_AHEAD, 255] {
            assert_eq!(rule.hash(level, b"key"), hasher(&rule.params, level).hash(b"key"), "{level}");
        }
        assert_ne!(rule.hash(0, b"key"), rule.hash(1, b"key"));
    }

    #[test]
    fn unsound_parameters_are_refused() {
        let v1 = TreeParams::V1;
        assert!(Rule::new(&v1).is_ok());
        for bad in [
            TreeParams { min: 2, max: 1, ..v1 },
            TreeParams { min: 0, max: 0, ..v1 },
            TreeParams { max: TreeParams::MAX_LIMIT + 1, ..v1 },
            TreeParams { shift: 64, ..v1 },
        ] {
            assert_eq!(Rule::new(&bad).unwrap_err(), UnsoundParams(bad));
        }
    }
}
