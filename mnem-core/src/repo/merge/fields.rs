//! Versions of one entity, field by field.
//!
//! A merge is a sum: what every side adds, less what the sides have in common. Here the sum is taken of each field by
//! itself, so that sides which changed different fields do not disagree.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::object::{Edge, Labels, Node, Salt, Unknown};
use crate::value::{Map, Props, Value, ValueError};

/// The sum of terms, where `None` is a term that is absent. If sides disagree, those that do.
///
/// Usually there is one more of `adds`. Sides that removed the whole entity are not among them: for each there is one
/// base too many, and which one it is does not show. A side counts that is left whichever is taken out.
fn sum<'a, V: PartialEq>(
    adds: &'a [Option<V>],
    removes: &[Option<V>],
) -> Result<&'a Option<V>, Vec<&'a Option<V>>> {
    let left: Vec<&Option<V>> = adds.iter().filter(|add| is_left(*add, adds, removes)).collect();
    match left.split_first() {
        Some((first, others)) if others.iter().all(|other| other == first) => Ok(first),
        _ => Err(left),
    }
}

/// Says whether more sides have `term` than bases that they share.
fn is_left<V: PartialEq>(term: &V, adds: &[V], removes: &[V]) -> bool {
    let count = |terms: &[V]| terms.iter().filter(|it| *it == term).count();
    let gone = (removes.len() + 1).saturating_sub(adds.len());
    count(adds) > count(removes).saturating_sub(gone)
}

/// One version out of several, and what could not be made one.
pub struct Merged<T> {
    pub version: T,
    /// Names of the fields that sides disagree on, each shown as the first side has it that changed it.
    pub disputed: Vec<String>,
}

/// What an entity is made of, as far as merging goes.
pub trait Fields: Sized + Clone {
    /// Makes one version of at least one of `adds`. A field in dispute becomes what none of `unlike` has:
    /// so the version can be what they were made from, and each of them has decided the field anew.
    fn merge(adds: &[&Self], removes: &[Option<&Self>], unlike: &[&Self])
    -> Result<Merged<Self>, ValueError>;
}

impl Fields for Node {
    fn merge(
        adds: &[&Node],
        removes: &[Option<&Node>],
        unlike: &[&Node],
    ) -> Result<Merged<Node>, ValueError> {
        let mut work = Work { terms: adds.len(), disputed: Vec::new() };
        let (labels, salt) = (labels(adds, removes)?, salt(adds.iter().map(|node| node.salt)));
        let adds = &[adds, unlike].concat();
        let version = Node {
            id: adds[0].id,
            labels,
            props: work.props(&each(adds, |node| &node.props), &each_base(removes, |node| &node.props))?,
            content: work.atom("content", adds, removes, |node| node.content.clone()),
            salt,
            unknown: work
                .unknown(&each(adds, |node| &node.unknown), &each_base(removes, |node| &node.unknown)),
        };
        Ok(Merged { version, disputed: work.disputed })
    }
}

impl Fields for Edge {
    fn merge(
        adds: &[&Edge],
        removes: &[Option<&Edge>],
        unlike: &[&Edge],
    ) -> Result<Merged<Edge>, ValueError> {
        let mut work = Work { terms: adds.len(), disputed: Vec::new() };
        let salt = salt(adds.iter().map(|edge| edge.salt));
        let adds = &[adds, unlike].concat();
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
            salt,
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
    let all: BTreeSet<&Arc<str>> = adds.iter().flat_map(|node| node.labels.iter()).collect();
    let stays = |label: &&Arc<str>| {
        let sides: Vec<bool> = adds.iter().map(|node| node.labels.has(label)).collect();
        let has = |node: &Option<&Node>| node.is_some_and(|node| node.labels.has(label));
        is_left(&true, &sides, &removes.iter().map(has).collect::<Vec<bool>>())
    };
    Labels::new(all.into_iter().filter(stays).cloned())
}

/// Merges what the unknown fields of two sides have become.
pub(in crate::repo) fn unknown(base: &Unknown, left: &Unknown, right: &Unknown) -> Unknown {
    Work { terms: 2, disputed: Vec::new() }.unknown(&[left, right], &[Some(base)])
}

struct Work {
    /// How many of the sides are terms of the sum. The others are those that the result is to be unlike.
    terms: usize,
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
        let (terms, unlike) = sides.split_at(self.terms);
        let disagreeing = match sum(terms, bases) {
            Ok(value) => return value.clone(),
            Err(disagreeing) => disagreeing,
        };
        self.disputed.push(name.to_owned());
        if unlike.is_empty() {
            return disagreeing.into_iter().flatten().next().cloned();
        }
        // Where sides disagree there are three values at least, absence counted, and mostly two to be unlike.
        terms.iter().chain(bases).find(|value| !unlike.contains(value)).cloned().flatten()
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
            let terms = &sides[..self.terms];
            let value = match sum(terms, &bases) {
                Ok(value) => value.clone(),
                Err(_) if terms.iter().all(|side| matches!(side, Some(Value::Map(_)))) => {
                    let (sides, bases) = (maps(&sides), maps(&bases));
                    Some(Value::Map(Map::new(self.entries(&path, &sides, &bases)?)?))
                }
                Err(_) => self.settle(&path, &sides, &bases),
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
