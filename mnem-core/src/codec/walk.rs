//! One walk over an encoding: it checks every rule and finds every link, without building a value.

use super::{DecodeError, Malformed, Rules};
use crate::cid::{Cid, Codec, is_cid};
use crate::codec::key_order;

/// Checks that `bytes` are one value in canonical encoding.
pub fn check(bytes: &[u8], rules: Rules) -> Result<(), DecodeError> {
    whole(bytes, rules, |_, _| Ok(()))
}

/// Returns all links of a block, in the order in which they stand, repeated ones included. Raw bytes have none.
/// A link that mnem cannot follow is an error: a walk that left it out would miss what lies below.
pub fn links(codec: Codec, bytes: &[u8]) -> Result<Vec<Cid>, DecodeError> {
    let mut found = Vec::new();
    if codec == Codec::DagCbor {
        whole(bytes, Rules::General, |cid, at| {
            found.push(Cid::from_bytes(cid).map_err(|why| DecodeError { what: Malformed::Link(why), at })?);
            Ok(())
        })?;
    }
    Ok(found)
}

/// Returns the links of a block that lead to what mnem can keep. Those of others lead to nothing that is in any store.
pub(crate) fn known_links(bytes: &[u8]) -> Result<Vec<Cid>, DecodeError> {
    let mut found = Vec::new();
    whole(bytes, Rules::General, |cid, _| {
        found.extend(Cid::from_bytes(cid));
        Ok(())
    })?;
    Ok(found)
}

fn whole<F>(bytes: &[u8], rules: Rules, on_link: F) -> Result<(), DecodeError>
where
    F: FnMut(&[u8], usize) -> Result<(), DecodeError>,
{
    let end = Walk { bytes, rules, on_link }.item(0, rules.depth_max())?;
    if end == bytes.len() { Ok(()) } else { Err(DecodeError { what: Malformed::Trailing, at: end }) }
}

/// Checks the one item at `at`, which may nest `depth` levels deep, and returns where it ends.
pub(super) fn item(bytes: &[u8], at: usize, rules: Rules, depth: usize) -> Result<usize, DecodeError> {
    Walk { bytes, rules, on_link: |_: &[u8], _| Ok(()) }.item(at, depth)
}

/// A walk descends by calling itself: `depth` bounds the stack, and nothing is allocated.
struct Walk<'a, F> {
    bytes: &'a [u8],
    rules: Rules,
    /// Is given the bytes of each CID, and where its link stands.
    on_link: F,
}

impl<F: FnMut(&[u8], usize) -> Result<(), DecodeError>> Walk<'_, F> {
    /// Walks the one item at `at` and returns where it ends.
    fn item(&mut self, at: usize, depth: usize) -> Result<usize, DecodeError> {
        let fail = |what| DecodeError { what, at };
        let first = *self.bytes.get(at).ok_or_else(|| fail(Malformed::Truncated))?;
        match first >> 5 {
            0 | 1 => {
                let (value, next) = argument(self.bytes, at)?;
                if self.rules == Rules::House && i64::try_from(value).is_err() {
                    return Err(fail(Malformed::IntegerRange));
                }
                Ok(next)
            }
            2 => Ok(string(self.bytes, at)?.1),
            3 => Ok(text(self.bytes, at)?.1),
            4 | 5 => {
                let deeper = depth.checked_sub(1).ok_or_else(|| fail(Malformed::Depth))?;
                if first >> 5 == 4 { self.list(at, deeper) } else { self.map(at, deeper) }
            }
            6 => {
                let (cid, next) = link(self.bytes, at)?;
                if self.rules == Rules::House {
                    Cid::from_bytes(cid).map_err(|why| fail(Malformed::Link(why)))?;
                }
                (self.on_link)(cid, at)?;
                Ok(next)
            }
            _ => match first {
                0xf4..=0xf6 => Ok(at + 1),
                0xfb => float(self.bytes, at).map(|_| at + 9),
                _ => Err(fail(not_simple(first))),
            },
        }
    }

    fn list(&mut self, at: usize, depth: usize) -> Result<usize, DecodeError> {
        let (items, mut next) = container(self.bytes, at, 1)?;
        for _ in 0..items {
            next = self.item(next, depth)?;
        }
        Ok(next)
    }

    fn map(&mut self, at: usize, depth: usize) -> Result<usize, DecodeError> {
        let (entries, mut next) = container(self.bytes, at, 2)?;
        let mut last = None;
        for _ in 0..entries {
            let (key, value_at) = key(self.bytes, next, self.rules, last)?;
            last = Some(key);
            next = self.item(value_at, depth)?;
        }
        Ok(next)
    }
}

/// Says what is wrong with a first byte of major type 7 that is neither false, true, null nor a 64-bit float.
pub(super) const fn not_simple(first: u8) -> Malformed {
    match first {
        0xf9 | 0xfa => Malformed::Float,
        0xff => Malformed::Indefinite,
        _ => Malformed::Simple,
    }
}

/// Reads the map key at `at`, which follows `last`.
pub(super) fn key<'a>(
    bytes: &'a [u8],
    at: usize,
    rules: Rules,
    last: Option<&str>,
) -> Result<(&'a str, usize), DecodeError> {
    let fail = |what| DecodeError { what, at };
    let first = bytes.get(at).ok_or_else(|| fail(Malformed::Truncated))?;
    if first >> 5 != 3 {
        return Err(fail(Malformed::KeyType));
    }
    let (key, next) = text(bytes, at)?;
    if last.is_some_and(|last| key_order(last, key).is_ge()) {
        return Err(fail(Malformed::KeyOrder));
    }
    if rules == Rules::House && matches!(key, "" | "/") {
        return Err(fail(Malformed::KeyReserved));
    }
    Ok((key, next))
}

/// Reads the argument of the item at `at`, in its shortest form, and returns where its content starts.
pub(super) fn argument(bytes: &[u8], at: usize) -> Result<(u64, usize), DecodeError> {
    let fail = |what| DecodeError { what, at };
    let first = bytes.get(at).ok_or_else(|| fail(Malformed::Truncated))?;
    let info = first & 0x1f;
    let (width, least) = match info {
        0..=23 => return Ok((u64::from(info), at + 1)),
        24 => (1, 24),
        25 => (2, 0x100),
        26 => (4, 0x1_0000),
        27 => (8, 0x1_0000_0000),
        31 => return Err(fail(Malformed::Indefinite)),
        _ => return Err(fail(Malformed::Reserved)),
    };
    let digits = bytes.get(at + 1..at + 1 + width).ok_or_else(|| fail(Malformed::Truncated))?;
    let value = digits.iter().fold(0u64, |value, digit| value << 8 | u64::from(*digit));
    if value < least { Err(fail(Malformed::NotMinimal)) } else { Ok((value, at + 1 + width)) }
}

/// Returns `length` bytes from `at`, if they are there.
fn slice(bytes: &[u8], at: usize, length: u64) -> Option<&[u8]> {
    let length = usize::try_from(length).ok()?;
    bytes.get(at..at.checked_add(length)?)
}

/// Reads the head of the list or map at `at`: how many items or entries it has, and where they start. Each takes
/// `least` bytes or more, so the count is bounded by the bytes that are there and may be allocated for.
pub(super) fn container(bytes: &[u8], at: usize, least: usize) -> Result<(usize, usize), DecodeError> {
    let (count, start) = argument(bytes, at)?;
    match usize::try_from(count) {
        Ok(count) if count <= (bytes.len() - start) / least => Ok((count, start)),
        _ => Err(DecodeError { what: Malformed::Truncated, at }),
    }
}

pub(super) fn string(bytes: &[u8], at: usize) -> Result<(&[u8], usize), DecodeError> {
    let (length, start) = argument(bytes, at)?;
    let content = slice(bytes, start, length).ok_or(DecodeError { what: Malformed::Truncated, at })?;
    Ok((content, start + content.len()))
}

pub(super) fn text(bytes: &[u8], at: usize) -> Result<(&str, usize), DecodeError> {
    let (content, next) = string(bytes, at)?;
    let text = str::from_utf8(content).map_err(|_| DecodeError { what: Malformed::Utf8, at })?;
    Ok((text, next))
}

/// Reads the float at `at`, whose first byte says that it has 64 bits.
pub(super) fn float(bytes: &[u8], at: usize) -> Result<f64, DecodeError> {
    let fail = |what| DecodeError { what, at };
    let content = slice(bytes, at + 1, 8).ok_or_else(|| fail(Malformed::Truncated))?;
    let value = f64::from_be_bytes(content.try_into().map_err(|_| fail(Malformed::Truncated))?);
    let minus_zero = value == 0.0 && value.is_sign_negative();
    if value.is_finite() && !minus_zero { Ok(value) } else { Err(fail(Malformed::Float)) }
}

/// Reads the link at `at` and returns the bytes of its CID: tag 42, then a byte string that starts with zero.
pub(super) fn link(bytes: &[u8], at: usize) -> Result<(&[u8], usize), DecodeError> {
    let fail = |what| DecodeError { what, at };
    let (tag, next) = argument(bytes, at)?;
    if tag != 42 {
        return Err(fail(Malformed::Tag));
    }
    let first = bytes.get(next).ok_or_else(|| fail(Malformed::Truncated))?;
    if first >> 5 != 2 {
        return Err(fail(Malformed::LinkForm));
    }
    let (content, end) = string(bytes, next)?;
    match content.split_first() {
        // A CID of another system may have any hash, but it must be one CID: the general codec reads it as such.
        Some((0, cid)) if is_cid(cid) => Ok((cid, end)),
        _ => Err(fail(Malformed::LinkForm)),
    }
}
