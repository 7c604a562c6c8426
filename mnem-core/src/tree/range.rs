//! Bounds on keys.

use std::ops::{Bound, RangeBounds};

use bytes::Bytes;

/// Which way a walk goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// From the least key up.
    #[default]
    Ascending,
    /// From the greatest key down.
    Descending,
}

/// An interval of keys. Owned, so that what walks it need not borrow. One whose bounds are upside down is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    start: Bound<Bytes>,
    end: Bound<Bytes>,
}

impl KeyRange {
    /// All keys.
    pub const ALL: KeyRange = KeyRange { start: Bound::Unbounded, end: Bound::Unbounded };

    /// No key.
    pub const EMPTY: KeyRange = KeyRange { start: Bound::Unbounded, end: Bound::Excluded(Bytes::new()) };

    /// Copies bounds: `KeyRange::new::<&[u8], _>(from..)`.
    pub fn new<K: AsRef<[u8]>, R: RangeBounds<K>>(bounds: R) -> KeyRange {
        let copy = |key: &K| Bytes::copy_from_slice(key.as_ref());
        KeyRange { start: bounds.start_bound().map(copy), end: bounds.end_bound().map(copy) }
    }

    /// All keys that start with `prefix`.
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        let end = match prefix.iter().rposition(|byte| *byte != 0xff) {
            Some(last) => {
                let mut end = prefix[..=last].to_vec();
                end[last] += 1;
                Bound::Excluded(end.into())
            }
            None => Bound::Unbounded,
        };
        KeyRange { start: Bound::Included(Bytes::copy_from_slice(prefix)), end }
    }

    /// Says whether `key` lies inside.
    pub fn contains(&self, key: &[u8]) -> bool {
        !self.starts_above(key) && !self.ends_below(key)
    }

    /// Says whether `key`, and so every lesser one, lies before the range.
    pub(crate) fn starts_above(&self, key: &[u8]) -> bool {
        match &self.start {
            Bound::Included(start) => key < start,
            Bound::Excluded(start) => key <= start,
            Bound::Unbounded => false,
        }
    }

    /// Says whether `key`, and so every greater one, lies behind the range.
    pub(crate) fn ends_below(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Included(end) => key > end,
            Bound::Excluded(end) => key >= end,
            Bound::Unbounded => false,
        }
    }

    /// Says whether every key greater than `key` lies behind the range.
    pub(crate) fn ends_at_or_below(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Included(end) | Bound::Excluded(end) => key >= end,
            Bound::Unbounded => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_ends_where_the_next_prefix_begins() {
        let range = KeyRange::prefix(b"a\xff\xff");
        for (key, inside) in [
            (&b"a\xff\xff"[..], true),
            (b"a\xff\xff\xff\xff", true),
            (b"a\xff\xfe\xff", false),
            (b"b", false),
            (b"a", false),
        ] {
            assert_eq!(range.contains(key), inside, "{key:?}");
        }
        assert!(KeyRange::prefix(b"\xff").contains(b"\xff\xff\xff"));
        assert_eq!(KeyRange::prefix(b""), KeyRange { start: Bound::Included(Bytes::new()), ..KeyRange::ALL });
    }
}
