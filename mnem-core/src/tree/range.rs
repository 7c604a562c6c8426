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

    /// Returns what lies in both.
    #[must_use]
    pub fn intersection(&self, other: &KeyRange) -> KeyRange {
        // Of two bounds at the same key, the one that excludes it is the tighter one.
        let start = match &self.start {
            Bound::Included(key) if !other.starts_above(key) => &self.start,
            Bound::Excluded(key) if matches!(&other.start, Bound::Included(it) | Bound::Excluded(it) if key < it) => {
                &other.start
            }
            Bound::Excluded(_) => &self.start,
            _ => &other.start,
        };
        let end = match &self.end {
            Bound::Included(key) if !other.ends_below(key) => &self.end,
            Bound::Excluded(key) if matches!(&other.end, Bound::Included(it) | Bound::Excluded(it) if key > it) => {
                &other.end
            }
            Bound::Excluded(_) => &self.end,
            _ => &other.end,
        };
        KeyRange { start: start.clone(), end: end.clone() }
    }

    /// Returns the part that is left to a walk that came to `key`.
    #[must_use]
    pub fn beyond(&self, key: &[u8], order: Order) -> KeyRange {
        let bound = Bound::Excluded(Bytes::copy_from_slice(key));
        self.intersection(&match order {
            Order::Ascending => KeyRange { start: bound, end: Bound::Unbounded },
            Order::Descending => KeyRange { start: Bound::Unbounded, end: bound },
        })
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

    fn inside(range: &KeyRange) -> String {
        let keys = b"abcdefg".iter().filter(|key| range.contains(&[**key])).copied();
        String::from_utf8(keys.collect()).unwrap()
    }

    #[test]
    fn beyond_a_key_is_what_comes_after_it_in_the_order_of_the_walk() {
        let range = KeyRange::new::<&[u8], _>(b"b".as_slice()..b"f");
        assert_eq!(inside(&range.beyond(b"d", Order::Ascending)), "e");
        assert_eq!(inside(&range.beyond(b"d", Order::Descending)), "bc");
        assert_eq!(inside(&range.beyond(b"a", Order::Ascending)), "bcde");
        assert_eq!(inside(&range.beyond(b"a", Order::Descending)), "");
    }

    #[test]
    fn an_intersection_has_what_lies_in_both() {
        let bounds = |key: &'static [u8]| [Bound::Included(key), Bound::Excluded(key), Bound::Unbounded];
        let keys: [&[u8]; 3] = [b"b", b"d", b"e"];
        let starts = keys.iter().flat_map(|key| bounds(key));
        let ranges: Vec<KeyRange> = starts
            .flat_map(|start| {
                keys.iter()
                    .flat_map(|key| bounds(key))
                    .map(move |end| KeyRange::new::<&[u8], _>((start, end)))
            })
            .collect();
        for a in &ranges {
            for b in &ranges {
                let both = inside(b).chars().filter(|key| inside(a).contains(*key)).collect::<String>();
                assert_eq!(inside(&a.intersection(b)), both, "{a:?} {b:?}");
            }
        }
    }

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
