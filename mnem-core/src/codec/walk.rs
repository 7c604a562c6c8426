//! One walk over an encoding: it checks every rule and finds every link, without building a value.

use super::{DecodeError, Malformed, Rules};
use crate::cid::{Cid, Codec};
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

fn whole(
    bytes: &[u8],
    rules: Rules,
    on_link: impl FnMut(&[u8], usize) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let end = item(bytes, 0, rules, rules.depth_max(), on_link)?;
    if end == bytes.len() { Ok(()) } else { Err(DecodeError { what: Malformed::Trailing, at: end }) }
}

/// A list or map that the walk is inside of.
struct Open<'a> {
    left: usize,
    /// `None` in a list. In a map the last key, empty before the first.
    last_key: Option<Option<&'a str>>,
}

/// Walks the one item at `at` and returns where it ends. The stack of open lists and maps is the only memory used,
/// and `depth` bounds it.
pub(super) fn item(
    bytes: &[u8],
    at: usize,
    rules: Rules,
    depth: usize,
    mut on_link: impl FnMut(&[u8], usize) -> Result<(), DecodeError>,
) -> Result<usize, DecodeError> {
    let mut at = at;
    let mut open: Vec<Open<'_>> = Vec::new();
    loop {
        if let Some(Open { last_key: Some(last), .. }) = open.last_mut() {
            let (key, next) = key(bytes, at, rules, *last)?;
            *last = Some(key);
            at = next;
        }
        let start = at;
        let fail = |what| DecodeError { what, at: start };
        let first = *bytes.get(at).ok_or_else(|| fail(Malformed::Truncated))?;
        match first >> 5 {
            0 | 1 => {
                let (value, next) = argument(bytes, at)?;
                if rules == Rules::House && i64::try_from(value).is_err() {
                    return Err(fail(Malformed::IntegerRange));
                }
                at = next;
            }
            major @ (2 | 3) => {
                let (content, next) = string(bytes, at)?;
                if major == 3 && str::from_utf8(content).is_err() {
                    return Err(fail(Malformed::Utf8));
                }
                at = next;
            }
            major @ (4 | 5) => {
                let (length, next) = argument(bytes, at)?;
                if open.len() == depth {
                    return Err(fail(Malformed::Depth));
                }
                let is_map = major == 5;
                let left = count(bytes, next, length, if is_map { 2 } else { 1 })
                    .ok_or_else(|| fail(Malformed::Truncated))?;
                open.push(Open { left, last_key: is_map.then_some(None) });
                at = next;
                if left > 0 {
                    continue;
                }
                open.pop();
            }
            6 => {
                let (cid, next) = link(bytes, at)?;
                if rules == Rules::House {
                    Cid::from_bytes(cid).map_err(|why| fail(Malformed::Link(why)))?;
                }
                on_link(cid, at)?;
                at = next;
            }
            _ => match first {
                0xf4..=0xf6 => at += 1,
                0xfb => {
                    float(bytes, at)?;
                    at += 9;
                }
                0xf9 | 0xfa => return Err(fail(Malformed::Float)),
                0xff => return Err(fail(Malformed::Indefinite)),
                _ => return Err(fail(Malformed::Simple)),
            },
        }
        // An item is complete; so are all lists and maps that it was the last one of.
        loop {
            let Some(innermost) = open.last_mut() else { return Ok(at) };
            innermost.left -= 1;
            if innermost.left > 0 {
                break;
            }
            open.pop();
        }
    }
}

fn key<'a>(
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
    let (content, next) = string(bytes, at)?;
    let key = str::from_utf8(content).map_err(|_| fail(Malformed::Utf8))?;
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
        _ => return Err(fail(Malformed::NotMinimal)),
    };
    let digits = bytes.get(at + 1..at + 1 + width).ok_or_else(|| fail(Malformed::Truncated))?;
    let value = digits.iter().fold(0u64, |value, digit| value << 8 | u64::from(*digit));
    if value < least { Err(fail(Malformed::NotMinimal)) } else { Ok((value, at + 1 + width)) }
}

/// Returns `length` bytes from `at`, if they are there.
pub(super) fn slice(bytes: &[u8], at: usize, length: u64) -> Option<&[u8]> {
    let length = usize::try_from(length).ok()?;
    bytes.get(at..at.checked_add(length)?)
}

/// Returns `count` if that many items of `item_bytes` bytes or more can follow.
pub(super) fn count(bytes: &[u8], at: usize, count: u64, item_bytes: usize) -> Option<usize> {
    let count = usize::try_from(count).ok()?;
    (count <= (bytes.len() - at) / item_bytes).then_some(count)
}

fn string(bytes: &[u8], at: usize) -> Result<(&[u8], usize), DecodeError> {
    let (length, start) = argument(bytes, at)?;
    let content = slice(bytes, start, length).ok_or(DecodeError { what: Malformed::Truncated, at })?;
    Ok((content, start + content.len()))
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

/// Says whether `bytes` are exactly one CID, of any version, codec and hash, in shortest form.
fn is_cid(bytes: &[u8]) -> bool {
    Cid::from_bytes(bytes).is_ok() || cid::Cid::try_from(bytes).is_ok_and(|cid| cid.to_bytes() == bytes)
}
