//! The one serde form of predicates and queries: values. FORMAT.md, "Queries".
//!
//! Reading goes through [`Value`], whose depth is bounded, so no input exhausts the stack.

use std::ops::Bound;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::QueryError;
use super::ids::Id;
use super::order::OrderBy;
use super::predicate::{Form, PREDICATE_DEPTH_MAX, Predicate, Test};
use super::query::Query;
use super::subject::Subject;
use crate::tree::Order;
use crate::value::{List, Map, Value, ValueError};

impl Serialize for Predicate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Predicate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Predicate, D::Error> {
        read(&Value::deserialize(deserializer)?, PREDICATE_DEPTH_MAX).map_err(D::Error::custom)
    }
}

impl<E: Subject> Serialize for Query<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write(Some(self.page_size)).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de, E: Subject> Deserialize<'de> for Query<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Query<E>, D::Error> {
        Query::read(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

pub(super) fn entry(name: &str, value: impl Into<Value>) -> (Arc<str>, Value) {
    (name.into(), value.into())
}

pub(super) fn map(entries: impl IntoIterator<Item = (Arc<str>, Value)>) -> Result<Value, ValueError> {
    Map::new(entries).map(Value::Map)
}

pub(super) fn list(items: impl IntoIterator<Item = Result<Value, ValueError>>) -> Result<Value, ValueError> {
    List::new(items.into_iter().collect::<Result<Vec<_>, _>>()?).map(Value::List)
}

pub(super) fn write(predicate: &Predicate) -> Result<Value, ValueError> {
    let one = |name: &str, value: Value| map([entry(name, value)]);
    match &predicate.0 {
        Form::And(all) => one("and", list(all.iter().map(write))?),
        Form::Or(any) => one("or", list(any.iter().map(write))?),
        Form::Not(it) => match &it.0 {
            Form::Prop(name, Test::Present) => {
                map([entry("prop", Arc::clone(name)), entry("present", false)])
            }
            _ => one("not", write(it)?),
        },
        Form::Label(label) => one("label", Arc::clone(label).into()),
        Form::EdgeType(edge_type) => one("type", Arc::clone(edge_type).into()),
        Form::From(node) => one("from", node.to_string().into()),
        Form::To(node) => one("to", node.to_string().into()),
        Form::Prop(name, test) => map(write_test(test).chain([entry("prop", Arc::clone(name))])),
        Form::Refused(why) => Err(why.clone()),
    }
}

fn write_test(test: &Test) -> impl Iterator<Item = (Arc<str>, Value)> {
    let (first, second) = match test {
        Test::Present => (Some(entry("present", true)), None),
        Test::Equals(value) => (Some(entry("equals", value)), None),
        Test::StartsWith(value) => (Some(entry("starts_with", value)), None),
        Test::Range(lower, upper) => {
            (write_bound(lower, "at_least", "above"), write_bound(upper, "at_most", "below"))
        }
    };
    first.into_iter().chain(second)
}

fn write_bound(bound: &Bound<Value>, included: &str, excluded: &str) -> Option<(Arc<str>, Value)> {
    match bound {
        Bound::Included(value) => Some(entry(included, value)),
        Bound::Excluded(value) => Some(entry(excluded, value)),
        Bound::Unbounded => None,
    }
}

pub(super) fn read(value: &Value, levels: usize) -> Result<Predicate, QueryError> {
    let Value::Map(map) = value else { return Err(refused("a predicate", value)) };
    if let Some(name) = map.get("prop") {
        return read_prop(text(name)?, map, value);
    }
    let mut entries = map.iter();
    let (Some((word, value)), None) = (entries.next(), entries.next()) else {
        return Err(refused("a predicate: one word and what it is of", value));
    };
    let below = || levels.checked_sub(1).ok_or(QueryError::TooDeep);
    match word {
        "and" => Ok(Predicate(Form::And(read_list(value, below()?)?))),
        "or" => Ok(Predicate(Form::Or(read_list(value, below()?)?))),
        "not" => Ok(!read(value, below()?)?),
        "label" => Ok(Predicate(Form::Label(text(value)?))),
        "type" => Ok(Predicate(Form::EdgeType(text(value)?))),
        "from" => Ok(Predicate(Form::From(id(value)?))),
        "to" => Ok(Predicate(Form::To(id(value)?))),
        _ => Err(refused("one of and, or, not, label, type, from, to, prop", &word.into())),
    }
}

fn read_list(value: &Value, levels: usize) -> Result<Vec<Predicate>, QueryError> {
    let Value::List(items) = value else { return Err(refused("a list of predicates", value)) };
    items.iter().map(|item| read(item, levels)).collect()
}

fn read_prop(name: Arc<str>, map: &Map, whole: &Value) -> Result<Predicate, QueryError> {
    let tests: Vec<(&str, &Value)> = map.iter().filter(|(word, _)| *word != "prop").collect();
    let test = match *tests {
        [("present", Value::Bool(true))] => Test::Present,
        [("present", Value::Bool(false))] => return Ok(!Predicate(Form::Prop(name, Test::Present))),
        [("equals", value)] => Test::Equals(value.clone()),
        [("starts_with", value @ (Value::Text(_) | Value::Bytes(_)))] => Test::StartsWith(value.clone()),
        [] => return Err(refused("a test of the property", whole)),
        _ => read_range(&tests, whole)?,
    };
    Ok(Predicate(Form::Prop(name, test)))
}

fn read_range(bounds: &[(&str, &Value)], whole: &Value) -> Result<Test, QueryError> {
    let (mut lower, mut upper) = (Bound::Unbounded, Bound::Unbounded);
    for (word, value) in bounds {
        let value = (*value).clone();
        let (bound, is) = match *word {
            "at_least" => (&mut lower, Bound::Included(value)),
            "above" => (&mut lower, Bound::Excluded(value)),
            "at_most" => (&mut upper, Bound::Included(value)),
            "below" => (&mut upper, Bound::Excluded(value)),
            _ => {
                return Err(refused(
                    "one test of a property: present, equals, starts_with or a range",
                    whole,
                ));
            }
        };
        if std::mem::replace(bound, is) != Bound::Unbounded {
            return Err(refused("one bound on a side", whole));
        }
    }
    Ok(Test::Range(lower, upper))
}

impl<E: Subject> Query<E> {
    /// Names the query, whatever the size of its pages, in 16 bytes of a hash of its form.
    pub(super) fn fingerprint(&self) -> Result<Id, QueryError> {
        let mut hasher = blake3::Hasher::new_derive_key("mnem query v1");
        hasher.update(&self.write(None)?.encode());
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Ok(fingerprint)
    }

    fn write(&self, page_size: Option<u32>) -> Result<Value, ValueError> {
        let order = list(self.order.iter().map(|by| {
            let descending = by.order == Order::Descending;
            map([entry("prop", Arc::clone(&by.property)), entry("descending", descending)])
        }))?;
        let fixed = [entry("find", E::WORD), entry("where", write(&self.predicate)?), entry("order", order)];
        map(fixed.into_iter().chain(page_size.map(|size| entry("page_size", size))))
    }

    fn read(value: &Value) -> Result<Query<E>, QueryError> {
        let Value::Map(map) = value else { return Err(refused("a query", value)) };
        if map.get("find") != Some(&E::WORD.into()) {
            return Err(refused(E::WORD, map.get("find").unwrap_or(value)));
        }
        let predicate = map.get("where").ok_or_else(|| refused("a predicate under `where`", value))?;
        let mut query = Query::new(read(predicate, PREDICATE_DEPTH_MAX)?);
        for (word, value) in map.iter() {
            match (word, value) {
                ("find" | "where", _) => {}
                ("order", Value::List(order)) => {
                    query.order = order.iter().map(read_order).collect::<Result<_, _>>()?;
                }
                ("page_size", Value::Int(size)) => {
                    query.page_size =
                        u32::try_from(*size).map_err(|_| refused("the size of a page", value))?;
                }
                _ => return Err(refused("find, where, order and page_size alone", &word.into())),
            }
        }
        query.check()?;
        Ok(query)
    }
}

fn read_order(value: &Value) -> Result<OrderBy, QueryError> {
    let expected = || refused("an order: a prop, and descending or not", value);
    let Value::Map(map) = value else { return Err(expected()) };
    let order = match (map.get("descending"), map.len()) {
        (Some(Value::Bool(true)), 2) => Order::Descending,
        (Some(Value::Bool(false)), 2) | (None, 1) => Order::Ascending,
        _ => return Err(expected()),
    };
    Ok(OrderBy { property: text(map.get("prop").ok_or_else(expected)?)?, order })
}

pub(super) fn text(value: &Value) -> Result<Arc<str>, QueryError> {
    match value {
        Value::Text(text) => Ok(Arc::clone(text)),
        other => Err(refused("text", other)),
    }
}

pub(super) fn id<T: FromStr>(value: &Value) -> Result<T, QueryError> {
    text(value)?.parse().map_err(|_| refused("an id", value))
}

pub(super) fn refused(expected: &'static str, found: &Value) -> QueryError {
    const CHARS_SHOWN_MAX: usize = 64;
    QueryError::Form { expected, found: found.to_string().chars().take(CHARS_SHOWN_MAX).collect() }
}
