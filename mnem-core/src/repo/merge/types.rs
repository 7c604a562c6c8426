//! Properties that merge by themselves, as their type in the schema says.
//!
//! Bytes: FORMAT.md, "Merging". Every function takes what both sides started from and what each made of it, does not see
//! which side is left, and answers `None` where the values are not what the type is for: then the sides disagree.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fields::Three;
use super::lines;
use super::open::Parts;
use crate::object::MergeType;
use crate::value::{List, Map, Value, compare_numbers};

/// How many parts a counter has before they are added up into one.
const COUNTER_PARTS_MAX: usize = 32;

/// The part of a counter that a plain number is.
const PLAIN: &str = "00000000-0000-0000-0000-000000000000";

/// Under which name an entry of a log has its id, and under which what was appended.
const LOG_ID: &str = "id";
const LOG_VALUE: &str = "value";

/// Returns what a property of this type becomes, `Some(None)` if it goes; `None` if the sides disagree.
pub(super) fn merge(
    merge_type: &MergeType,
    name: &str,
    found: &Three<Vec<Option<Value>>>,
    rows: Three<&[Parts]>,
) -> Option<Option<Value>> {
    let of = Three { base: one(&found.base)?, left: one(&found.left)?, right: one(&found.right)? };
    match of {
        Three { base, left, right } if left == right || right == base => return Some(left),
        Three { base, left, right } if left == base => return Some(right),
        _ => {}
    }
    match merge_type {
        MergeType::Counter => counter(&of),
        MergeType::Max => Some(extreme(of.left, of.right, Ordering::Greater)?),
        MergeType::Min => Some(extreme(of.left, of.right, Ordering::Less)?),
        MergeType::Set => set(&of),
        MergeType::Text => text(&of),
        MergeType::AppendLog => log(&of),
        MergeType::Lww => {
            let time = |rows: &[Parts]| rows.iter().filter_map(|parts| parts.times.get(name)).max().cloned();
            Some((time(rows.left), of.left).max((time(rows.right), of.right)).1)
        }
        _ => None,
    }
}

/// The one value of all versions, if they agree.
fn one(values: &[Option<Value>]) -> Option<Option<Value>> {
    let mut values = values.iter();
    let first = values.next().cloned().flatten();
    values.all(|other| *other == first).then_some(first)
}

/// Of two values of one kind the greater or the lesser; one that is there before none.
fn extreme(left: Option<Value>, right: Option<Value>, wanted: Ordering) -> Option<Option<Value>> {
    let (Some(one), Some(two)) = (&left, &right) else { return Some(left.or(right)) };
    let order = match compare_numbers(one, two) {
        // 1 and 1.0 are equal, and yet two values: the order of values decides, for everyone alike.
        Some(order) => order.then_with(|| one.cmp(two)),
        None if one.kind() == two.kind() && !matches!(one, Value::List(_) | Value::Map(_)) => one.cmp(two),
        None => return None,
    };
    Some(if order == wanted { left } else { right })
}

/// A list without order: what one side added or took out is added or taken out.
fn set(of: &Three<Option<Value>>) -> Option<Option<Value>> {
    let elements = |value: &Option<Value>| -> Option<BTreeSet<Value>> {
        match value {
            Some(Value::List(list)) => Some(list.iter().cloned().collect()),
            Some(_) => None,
            None => Some(BTreeSet::new()),
        }
    };
    let (base, left, right) = (elements(&of.base)?, elements(&of.left)?, elements(&of.right)?);
    let stays = |value: &&Value| match (left.contains(*value), right.contains(*value)) {
        (true, true) => true,
        _ => !base.contains(*value),
    };
    let united: Vec<Value> = left.union(&right).filter(stays).cloned().collect();
    if united.is_empty() && (of.left.is_none() || of.right.is_none()) {
        return Some(None);
    }
    List::new(united).ok().map(|list| Some(Value::List(list)))
}

fn text(of: &Three<Option<Value>>) -> Option<Option<Value>> {
    let texts = |value: &'_ Option<Value>| match value {
        Some(Value::Text(text)) => Some(Arc::clone(text)),
        _ => None,
    };
    let (base, left, right) = (texts(&of.base)?, texts(&of.left)?, texts(&of.right)?);
    lines::merge(&base, &left, &right).map(|merged| Some(Value::Text(merged.into())))
}

/// Entries by their ids, in the order of these.
fn log(of: &Three<Option<Value>>) -> Option<Option<Value>> {
    let (base, left, right) = (entries(&of.base)?, entries(&of.left)?, entries(&of.right)?);
    let ids: BTreeSet<&[u8]> = left.keys().chain(right.keys()).copied().collect();
    let mut merged = Vec::new();
    for id in ids {
        let (before, one, two) = (base.get(id), left.get(id), right.get(id));
        let kept = match () {
            () if one == two || two == before => one,
            () if one == before => two,
            () => return None,
        };
        merged.extend(kept.map(|entry| (*entry).clone()));
    }
    if merged.is_empty() && (of.left.is_none() || of.right.is_none()) {
        return Some(None);
    }
    List::new(merged).ok().map(|list| Some(Value::List(list)))
}

/// Entries of a log by their ids; `None` if it is none.
fn entries(value: &Option<Value>) -> Option<BTreeMap<&[u8], &Value>> {
    let list = match value {
        Some(Value::List(list)) => list,
        Some(_) => return None,
        None => return Some(BTreeMap::new()),
    };
    let mut entries = BTreeMap::new();
    for entry in list.iter() {
        let Value::Map(map) = entry else { return None };
        let Some(Value::Bytes(id)) = map.get(LOG_ID) else { return None };
        if entries.insert(&id[..], entry).is_some() {
            return None;
        }
    }
    Some(entries)
}

/// Appends to a log, or starts one. `None` if what is there is no log.
pub(in crate::repo) fn append(log: Option<Value>, id: [u8; 16], value: Value) -> Option<Value> {
    let there = Some(log).filter(|log| entries(log).is_some())?;
    let id = Value::Bytes(bytes::Bytes::copy_from_slice(&id));
    let entry = Map::new([(Arc::from(LOG_ID), id), (Arc::from(LOG_VALUE), value)]).ok()?;
    let mut all: Vec<Value> = match there {
        Some(Value::List(list)) => list.iter().cloned().collect(),
        _ => Vec::new(),
    };
    all.push(Value::Map(entry));
    List::new(all).ok().map(Value::List)
}

/// What was appended to a log, or the items of a plain list. `None` if it is neither.
pub(in crate::repo) fn appended(value: Option<&Value>) -> Option<Vec<Value>> {
    let list = match value {
        None => return Some(Vec::new()),
        Some(Value::List(list)) => list,
        Some(_) => return None,
    };
    let item = |item: &Value| match item {
        Value::Map(map) if map.get(LOG_ID).is_some() => map.get(LOG_VALUE).unwrap_or(item).clone(),
        _ => item.clone(),
    };
    Some(list.iter().map(item).collect())
}

type Parts64 = BTreeMap<Arc<str>, i64>;

/// The parts of a counter; `None` if it is none.
fn parts(value: &Option<Value>) -> Option<Parts64> {
    match value {
        None => Some(Parts64::new()),
        Some(Value::Int(number)) => Some(Parts64::from([(Arc::from(PLAIN), *number)])),
        Some(Value::Map(map)) => map
            .iter()
            .map(|(name, part)| match part {
                Value::Int(part) => Some((Arc::from(name), *part)),
                _ => None,
            })
            .collect(),
        Some(_) => None,
    }
}

fn sum(parts: &Parts64) -> Option<i64> {
    // In 128 bits, so that the order of adding does not show.
    i64::try_from(parts.values().map(|part| i128::from(*part)).sum::<i128>()).ok()
}

/// Returns what a counter stands at: none stands at zero. `None` if the value is no counter, or its sum no number.
pub(in crate::repo) fn count(value: Option<&Value>) -> Option<i64> {
    sum(&parts(&value.cloned())?)
}

/// Counts on. `part` belongs to the one who counts, and to nobody beside. `None` if it is no counter, or too large.
pub(in crate::repo) fn counted(value: Option<&Value>, part: &str, by: i64) -> Option<Value> {
    let mut parts = parts(&value.cloned())?;
    let own = parts.entry(Arc::from(part)).or_insert(0);
    *own = own.checked_add(by)?;
    let total = sum(&parts)?;
    if parts.len() > COUNTER_PARTS_MAX {
        // Others who do the same beside this take the old parts off as well: the sum stays right.
        parts = Parts64::from([(Arc::from(part), total)]);
    }
    to_counter(parts)
}

fn to_counter(parts: Parts64) -> Option<Value> {
    let entries = parts.into_iter().map(|(name, part)| (name, Value::Int(part)));
    Map::new(entries).ok().map(Value::Map)
}

/// Part by part: of an old one, what both sides added; of a new one, which has one author, what it is.
fn counter(of: &Three<Option<Value>>) -> Option<Option<Value>> {
    let (base, left, right) = (parts(&of.base)?, parts(&of.left)?, parts(&of.right)?);
    let names: BTreeSet<&Arc<str>> = base.keys().chain(left.keys()).chain(right.keys()).collect();
    let mut merged = Parts64::new();
    let mut taken = 0;
    for name in names {
        let (before, one, two) = (base.get(name), left.get(name), right.get(name));
        let part = match before {
            // Both put it into their sum: it is in the result twice.
            Some(before) if one.is_none() && two.is_none() => {
                taken += i128::from(*before);
                None
            }
            None if one == two => one.copied(),
            Some(_) if one == before => two.copied(),
            Some(_) if two == before => one.copied(),
            _ => {
                let number = |part: Option<&i64>| i128::from(part.copied().unwrap_or(0));
                let part = i64::try_from(number(one) + number(two) - number(before)).ok()?;
                Some(part).filter(|part| *part != 0 || one.is_some() && two.is_some())
            }
        };
        merged.extend(part.map(|part| (Arc::clone(name), part)));
    }
    if taken != 0 {
        let plain = merged.get(PLAIN).map_or(0, |plain| i128::from(*plain));
        merged.insert(Arc::from(PLAIN), i64::try_from(plain - taken).ok()?);
    }
    sum(&merged)?;
    if merged.is_empty() && (of.left.is_none() || of.right.is_none()) {
        return Some(None);
    }
    to_counter(merged).map(Some)
}
