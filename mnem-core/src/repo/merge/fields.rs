//! Versions of one entity, field by field.
//!
//! A merge is a sum: what every side adds, less what the sides have in common. Here the sum is taken of each field by
//! itself, so that sides which changed different fields do not disagree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::object::{Edge, Labels, Node, Salt, Unknown};
use crate::value::{Map, Props, Value, ValueError};

/// The sum of terms that are all there, or absent where a term is `None`. `None` if sides disagree: then the first
/// side, in the order of the terms, is shown.
fn sum<V: PartialEq + Clone>(adds: &[Option<V>], removes: &[Option<V>]) -> Option<Option<V>> {
    let mut left: Vec<&Option<V>> = adds.iter().collect();
    for remove in removes {
        match left.iter().position(|add| *add == remove) {
            Some(at) => drop(left.remove(at)),
            // A base that no side has: all sides changed it.
            None => continue,
        }
    }
    let (first, others) = left.split_first()?;
    others.iter().all(|other| other == first).then(|| (*first).clone())
}

/// One version out of several, and what could not be made one.
pub struct Merged<T> {
    pub version: T,
    /// Names of the fields that sides disagree on, each shown as the first side has it.
    pub disputed: Vec<String>,
}

/// What an entity is made of, as far as merging goes. `adds` has one more than `removes`, and at least one.
pub trait Fields: Sized + Clone {
    fn merge(adds: &[&Self], removes: &[Option<&Self>]) -> Result<Merged<Self>, ValueError>;
}

impl Fields for Node {
    fn merge(adds: &[&Node], removes: &[Option<&Node>]) -> Result<Merged<Node>, ValueError> {
        let mut work = Work { disputed: Vec::new() };
        let version = Node {
            id: adds[0].id,
            labels: labels(adds, removes)?,
            props: work.props(&each(adds, |node| &node.props), &each_base(removes, |node| &node.props))?,
            content: work.atom("content", adds, removes, |node| node.content.clone()),
            salt: salt(adds.iter().map(|node| node.salt)),
            unknown: work
                .unknown(&each(adds, |node| &node.unknown), &each_base(removes, |node| &node.unknown)),
        };
        Ok(Merged { version, disputed: work.disputed })
    }
}

impl Fields for Edge {
    fn merge(adds: &[&Edge], removes: &[Option<&Edge>]) -> Result<Merged<Edge>, ValueError> {
        let mut work = Work { disputed: Vec::new() };
        // Ends and type never change; two edges that were made under one id may differ in them all the same.
        let ends =
            work.atom("ends", adds, removes, |edge| Some((edge.src, edge.edge_type.clone(), edge.dst)));
        let (src, edge_type, dst) =
            ends.unwrap_or_else(|| (adds[0].src, adds[0].edge_type.clone(), adds[0].dst));
        let version = Edge {
            id: adds[0].id,
            src,
            dst,
            edge_type,
            props: work.props(&each(adds, |edge| &edge.props), &each_base(removes, |edge| &edge.props))?,
            salt: salt(adds.iter().map(|edge| edge.salt)),
            unknown: work
                .unknown(&each(adds, |edge| &edge.unknown), &each_base(removes, |edge| &edge.unknown)),
        };
        Ok(Merged { version, disputed: work.disputed })
    }
}

fn each<'a, T, V>(terms: &[&'a T], of: fn(&'a T) -> &'a V) -> Vec<&'a V> {
    terms.iter().map(|term| of(term)).collect()
}

fn each_base<'a, T, V>(terms: &[Option<&'a T>], of: fn(&'a T) -> &'a V) -> Vec<Option<&'a V>> {
    terms.iter().map(|term| term.map(of)).collect()
}

/// Of two salts the smaller stays.
fn salt(salts: impl Iterator<Item = Option<Salt>>) -> Option<Salt> {
    salts.flatten().min()
}

/// A label stays if more sides have it than bases: what one side removed or added is removed or added.
fn labels(adds: &[&Node], removes: &[Option<&Node>]) -> Result<Labels, ValueError> {
    let mut counts: BTreeMap<&Arc<str>, i32> = BTreeMap::new();
    for node in adds {
        node.labels.iter().for_each(|label| *counts.entry(label).or_default() += 1);
    }
    for node in removes.iter().flatten() {
        node.labels.iter().for_each(|label| *counts.entry(label).or_default() -= 1);
    }
    Labels::new(counts.into_iter().filter(|(_, count)| *count > 0).map(|(label, _)| Arc::clone(label)))
}

struct Work {
    disputed: Vec<String>,
}

impl Work {
    fn atom<T, V: PartialEq + Clone>(
        &mut self,
        name: &str,
        adds: &[&T],
        removes: &[Option<&T>],
        of: impl Fn(&T) -> Option<V>,
    ) -> Option<V> {
        let sides: Vec<Option<V>> = adds.iter().map(|term| of(term)).collect();
        let bases: Vec<Option<V>> = removes.iter().map(|term| term.and_then(&of)).collect();
        self.settle(name, &sides, &bases)
    }

    fn settle<V: PartialEq + Clone>(
        &mut self,
        name: &str,
        sides: &[Option<V>],
        bases: &[Option<V>],
    ) -> Option<V> {
        sum(sides, bases).unwrap_or_else(|| {
            self.disputed.push(name.to_owned());
            sides.iter().flatten().next().cloned()
        })
    }

    fn props(&mut self, adds: &[&Props], removes: &[Option<&Props>]) -> Result<Props, ValueError> {
        let adds: Vec<Option<&Map>> = adds.iter().map(|props| Some(props.as_map())).collect();
        let removes: Vec<Option<&Map>> = removes.iter().map(|props| props.map(Props::as_map)).collect();
        Props::from_entries(self.entries("", &adds, &removes)?)
    }

    /// Merges maps name by name. Where all sides hold maps under a name, those are merged likewise; the depth of
    /// values bounds how deep this goes.
    fn entries(
        &mut self,
        path: &str,
        adds: &[Option<&Map>],
        removes: &[Option<&Map>],
    ) -> Result<Vec<(Arc<str>, Value)>, ValueError> {
        let all = adds.iter().chain(removes).flatten();
        let names: BTreeSet<&str> = all.flat_map(|map| map.iter().map(|(name, _)| name)).collect();
        let mut entries = Vec::new();
        for name in names {
            let at = |map: &Option<&Map>| map.and_then(|map| map.get(name).cloned());
            let sides: Vec<Option<Value>> = adds.iter().map(at).collect();
            let bases: Vec<Option<Value>> = removes.iter().map(at).collect();
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let value = match sum(&sides, &bases) {
                Some(value) => value,
                None if sides.iter().all(|side| matches!(side, Some(Value::Map(_)))) => {
                    let (sides, bases) = (maps(&sides), maps(&bases));
                    Some(Value::Map(Map::new(self.entries(&path, &sides, &bases)?)?))
                }
                None => self.settle(&path, &sides, &bases),
            };
            entries.extend(value.map(|value| (Arc::from(name), value)));
        }
        Ok(entries)
    }

    fn unknown(&mut self, adds: &[&Unknown], removes: &[Option<&Unknown>]) -> Unknown {
        let all = adds.iter().copied().chain(removes.iter().copied().flatten());
        let names: BTreeSet<&str> = all.flat_map(|fields| fields.iter().map(|(name, _)| name)).collect();
        let mut merged = Unknown::default();
        for name in names {
            let sides: Vec<_> = adds.iter().map(|fields| fields.get(name).cloned()).collect();
            let bases: Vec<_> =
                removes.iter().map(|fields| fields.and_then(|it| it.get(name).cloned())).collect();
            if let Some(item) = self.settle(name, &sides, &bases) {
                merged.insert(name, item).expect("it was a field before");
            }
        }
        merged
    }
}

fn maps(values: &[Option<Value>]) -> Vec<Option<&Map>> {
    let map = |value| match value {
        &Some(Value::Map(ref map)) => Some(map),
        _ => None,
    };
    values.iter().map(map).collect()
}
