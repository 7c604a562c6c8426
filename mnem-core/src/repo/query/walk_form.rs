//! The one serde form of walks: values. FORMAT.md, "Queries".

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::QueryError;
use super::form::{entry, id, list, map, read, refused, text, write};
use super::predicate::PREDICATE_DEPTH_MAX;
use super::walk::{Follow, Hops, Walk, Way};
use crate::value::{Value, ValueError};

impl Serialize for Walk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_walk(self).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Walk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Walk, D::Error> {
        read_walk(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn write_walk(walk: &Walk) -> Result<Value, ValueError> {
    let mut entries = vec![
        entry("start", walk.start.to_string()),
        entry("follow", list(walk.follow.iter().map(write_follow))?),
    ];
    if let Some(Hops { least, most }) = walk.hops {
        entries.push(entry("hops", list([Ok(least.into()), Ok(most.into())])?));
    }
    for (name, predicate) in [("only", &walk.only), ("along", &walk.along)] {
        if !predicate.is_anything() {
            entries.push(entry(name, write(predicate)?));
        }
    }
    if let Some(limit) = walk.limit {
        entries.push(entry("limit", Value::try_from(limit)?));
    }
    map(entries)
}

fn write_follow(follow: &Follow) -> Result<Value, ValueError> {
    let way = match follow.way {
        Way::Out => "out",
        Way::Back => "back",
    };
    let edge_type = follow.edge_type.clone().map(|edge_type| entry("type", edge_type));
    map(edge_type.into_iter().chain([entry("way", way)]))
}

fn read_walk(value: &Value) -> Result<Walk, QueryError> {
    let Value::Map(map) = value else { return Err(refused("a walk", value)) };
    let start = map.get("start").ok_or_else(|| refused("a node under `start`", value))?;
    let mut walk = Walk::from(id(start)?);
    for (word, value) in map.iter() {
        match (word, value) {
            ("start", _) => {}
            ("follow", Value::List(all)) => {
                walk.follow = all.iter().map(read_follow).collect::<Result<_, _>>()?;
            }
            ("hops", value) => walk.hops = Some(read_hops(value)?),
            ("only", value) => walk.only = read(value, PREDICATE_DEPTH_MAX)?,
            ("along", value) => walk.along = read(value, PREDICATE_DEPTH_MAX)?,
            ("limit", Value::Int(limit)) => {
                walk.limit = Some(u64::try_from(*limit).map_err(|_| refused("a number of nodes", value))?);
            }
            _ => return Err(refused("start, follow, hops, only, along and limit alone", &word.into())),
        }
    }
    walk.check()?;
    Ok(walk)
}

fn read_follow(value: &Value) -> Result<Follow, QueryError> {
    let expected = || refused("a way, out or back, and a type or none", value);
    let Value::Map(map) = value else { return Err(expected()) };
    let edge_type = map.get("type").map(text).transpose()?;
    let is_all = map.len() == 1 + usize::from(edge_type.is_some());
    let way = match map.get("way") {
        Some(Value::Text(way)) if is_all && **way == *"out" => Way::Out,
        Some(Value::Text(way)) if is_all && **way == *"back" => Way::Back,
        _ => return Err(expected()),
    };
    Ok(Follow { way, edge_type })
}

fn read_hops(value: &Value) -> Result<Hops, QueryError> {
    let expected = || refused("the least and the most hops", value);
    let Value::List(bounds) = value else { return Err(expected()) };
    let [Value::Int(least), Value::Int(most)] = &**bounds else { return Err(expected()) };
    let hops = |count: &i64| u32::try_from(*count).map_err(|_| expected());
    Ok(Hops { least: hops(least)?, most: hops(most)? })
}
