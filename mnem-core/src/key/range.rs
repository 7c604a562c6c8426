//! Ranges of keys: what a question about values is as a question about bytes.

use std::cmp::Ordering;
use std::ops::Bound;

use super::property::{CUT, WHOLE_BYTES_MAX, put_value, tag};
use super::{escape, is_whole, put_text};
use crate::tree::KeyRange;
use crate::value::{Float, Value, compare_int_float, whole};

/// The least key above all that begin with `prefix`; `None` if there is none.
fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut key = prefix[..=last].to_vec();
    key[last] += 1;
    Some(key)
}

/// The ranges of one property's keys.
#[derive(Clone, Debug)]
pub struct PropertyRanges {
    /// What all keys of the property begin with. Ends with zeros, so there is always a key after it.
    prefix: Vec<u8>,
}

impl PropertyRanges {
    /// Asks about the property of this name.
    pub fn new(property: &str) -> PropertyRanges {
        let mut prefix = Vec::new();
        put_text(property, &mut prefix);
        PropertyRanges { prefix }
    }

    /// Returns all keys of the property.
    pub fn all(&self) -> KeyRange {
        KeyRange::prefix(&self.prefix)
    }

    /// Returns the keys of entities whose value is `value`; none if such values are not indexed. 1 is not 1.0.
    pub fn equal(&self, value: &Value) -> KeyRange {
        let mut key = self.prefix.clone();
        put_value(value, &mut key).map_or(KeyRange::EMPTY, |()| KeyRange::prefix(&key))
    }

    /// Returns the keys of text that begins with `prefix`.
    pub fn text_prefix(&self, prefix: &str) -> KeyRange {
        self.string_prefix(tag::TEXT, prefix.as_bytes())
    }

    /// Returns the keys of bytes that begin with `prefix`.
    pub fn bytes_prefix(&self, prefix: &[u8]) -> KeyRange {
        self.string_prefix(tag::BYTES, prefix)
    }

    /// Returns the keys of links.
    pub fn links(&self) -> KeyRange {
        KeyRange::prefix(&self.tagged(tag::LINK))
    }

    fn string_prefix(&self, tag: u8, prefix: &[u8]) -> KeyRange {
        let mut key = self.prefix.clone();
        key.push(tag);
        escape(&prefix[..prefix.len().min(WHOLE_BYTES_MAX)], &mut key);
        if prefix.len() > WHOLE_BYTES_MAX {
            key.extend(CUT);
        }
        KeyRange::prefix(&key)
    }

    /// Returns the keys of values of one kind between two bounds. Empty if the bounds are of two kinds, of one that
    /// is not indexed, or both open. Numbers of both kinds: [`numbers`](Self::numbers).
    pub fn between(&self, lower: Bound<&Value>, upper: Bound<&Value>) -> KeyRange {
        self.try_between(lower, upper).unwrap_or(KeyRange::EMPTY)
    }

    fn try_between(&self, lower: Bound<&Value>, upper: Bound<&Value>) -> Option<KeyRange> {
        let (least, greatest) = tags(value_of(lower).or(value_of(upper))?)?;
        for value in [value_of(lower), value_of(upper)].into_iter().flatten() {
            (tags(value)? == (least, greatest)).then_some(())?;
        }
        let start = match lower {
            Bound::Included(value) => self.low(value),
            Bound::Excluded(value) if is_whole(value) => after(&self.low(value))?,
            Bound::Excluded(value) => self.low(value),
            Bound::Unbounded => self.tagged(least),
        };
        let end = match upper {
            Bound::Excluded(value) if is_whole(value) => self.low(value),
            Bound::Included(value) | Bound::Excluded(value) => after(&self.low(value))?,
            Bound::Unbounded => after(&self.tagged(greatest))?,
        };
        Some(KeyRange::new(start..end))
    }

    fn tagged(&self, tag: u8) -> Vec<u8> {
        [&*self.prefix, &[tag]].concat()
    }

    /// What the keys of `value` begin with; of a value that is cut, and of all others cut at the same bytes.
    fn low(&self, value: &Value) -> Vec<u8> {
        let mut key = self.prefix.clone();
        put_value(value, &mut key).expect("kinds that are not indexed have no tags");
        if !is_whole(value) {
            // Beyond the cut the order is that of hashes: the bound cannot tell them apart.
            key.truncate(key.len() - 16);
        }
        key
    }

    /// Returns the keys of integers and of floats between two numbers, compared by size: 1 and 1.0 are the same
    /// bound. Empty if a bound is no number.
    pub fn numbers(&self, lower: Bound<&Value>, upper: Bound<&Value>) -> [KeyRange; 2] {
        let ints = least_int(lower).zip(greatest_int(upper)).map(|(a, b)| (a.into(), b.into()));
        let floats = least_float(lower).zip(greatest_float(upper)).map(|(a, b)| (a.into(), b.into()));
        [ints, floats].map(|bounds| match bounds {
            Some((lower, upper)) => self.between(Bound::Included(&lower), Bound::Included(&upper)),
            None => KeyRange::EMPTY,
        })
    }
}

const fn value_of(bound: Bound<&Value>) -> Option<&Value> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    }
}

/// The least and the greatest tag of the values of a kind.
const fn tags(value: &Value) -> Option<(u8, u8)> {
    Some(match value {
        Value::Bool(_) => (tag::FALSE, tag::TRUE),
        Value::Int(_) => (tag::INT, tag::INT),
        Value::Float(_) => (tag::FLOAT, tag::FLOAT),
        Value::Text(_) => (tag::TEXT, tag::TEXT),
        Value::Bytes(_) => (tag::BYTES, tag::BYTES),
        Value::Link(_) => (tag::LINK, tag::LINK),
        Value::List(_) | Value::Map(_) => return None,
    })
}

fn least_int(lower: Bound<&Value>) -> Option<i64> {
    match lower {
        Bound::Unbounded => Some(i64::MIN),
        Bound::Included(Value::Int(int)) => Some(*int),
        Bound::Excluded(Value::Int(int)) => int.checked_add(1),
        Bound::Included(Value::Float(float)) => {
            let up = float.get().ceil();
            whole(up).or((up < 0.0).then_some(i64::MIN))
        }
        Bound::Excluded(Value::Float(float)) => match whole(float.get().floor()) {
            Some(down) => down.checked_add(1),
            None => (float.get() < 0.0).then_some(i64::MIN),
        },
        _ => None,
    }
}

fn greatest_int(upper: Bound<&Value>) -> Option<i64> {
    match upper {
        Bound::Unbounded => Some(i64::MAX),
        Bound::Included(Value::Int(int)) => Some(*int),
        Bound::Excluded(Value::Int(int)) => int.checked_sub(1),
        Bound::Included(Value::Float(float)) => {
            let down = float.get().floor();
            whole(down).or((down > 0.0).then_some(i64::MAX))
        }
        Bound::Excluded(Value::Float(float)) => match whole(float.get().ceil()) {
            Some(up) => up.checked_sub(1),
            None => (float.get() > 0.0).then_some(i64::MAX),
        },
        _ => None,
    }
}

fn least_float(lower: Bound<&Value>) -> Option<Float> {
    match lower {
        Bound::Unbounded => Float::new(f64::MIN).ok(),
        Bound::Included(Value::Float(float)) => Some(*float),
        Bound::Excluded(Value::Float(float)) => next_up(*float),
        Bound::Included(Value::Int(int)) | Bound::Excluded(Value::Int(int)) => {
            let near = nearest(*int);
            match compare_int_float(*int, near) {
                Ordering::Less => Some(near),
                Ordering::Equal if matches!(lower, Bound::Included(_)) => Some(near),
                _ => next_up(near),
            }
        }
        _ => None,
    }
}

fn greatest_float(upper: Bound<&Value>) -> Option<Float> {
    match upper {
        Bound::Unbounded => Float::new(f64::MAX).ok(),
        Bound::Included(Value::Float(float)) => Some(*float),
        Bound::Excluded(Value::Float(float)) => next_down(*float),
        Bound::Included(Value::Int(int)) | Bound::Excluded(Value::Int(int)) => {
            let near = nearest(*int);
            match compare_int_float(*int, near) {
                Ordering::Greater => Some(near),
                Ordering::Equal if matches!(upper, Bound::Included(_)) => Some(near),
                _ => next_down(near),
            }
        }
        _ => None,
    }
}

/// A float next to an integer, on either side.
fn nearest(int: i64) -> Float {
    Float::new(int as f64).expect("integers are finite")
}

fn next_up(float: Float) -> Option<Float> {
    Float::new(float.get().next_up()).ok()
}

fn next_down(float: Float) -> Option<Float> {
    Float::new(float.get().next_down()).ok()
}
