//! The rule by which two changes become one, for one field and for all fields of an entity.
//!
//! A field has the values that count for it: one, or, in a conflict, several. A side that holds all the values that it
//! started from has settled nothing: of it, what is new counts. If one side settled a field and the other did not, the
//! first has decided about the old values. If both did, both count, be it for the same value or for several.
//!
//! Invariants
//!  F1  The rule does not see which side is left, and of several sides not which two came first.
//!  F2  A value that a side changed to is in the result, unless a side that knew it decided otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::open::{Field, Parts};
use super::schema::Types;
use super::types;
use crate::object::Salt;
use crate::repo::error::RepoError;
use crate::value::{Map, Value, ValueError};

/// The same of the state that both sides started from, and of the sides.
#[derive(Clone, Copy)]
pub(in crate::repo) struct Three<T> {
    pub(in crate::repo) base: T,
    pub(in crate::repo) left: T,
    pub(in crate::repo) right: T,
}

impl<T> Three<T> {
    pub(in crate::repo) fn map<U>(self, mut of: impl FnMut(T) -> U) -> Three<U> {
        Three { base: of(self.base), left: of(self.left), right: of(self.right) }
    }
}

/// Which sides settled a conflict of the base such that its values count again.
#[derive(Clone, Copy, Default)]
pub(super) struct Again {
    pub(super) left: bool,
    pub(super) right: bool,
}

/// Which values count after both sides. Says whether the sides settled apart what had been in conflict.
pub(super) fn unite<V: Ord + Clone>(of: &Three<BTreeSet<V>>, again: Again) -> (BTreeSet<V>, bool) {
    let Three { base, left, right } = of;
    let was_open = base.len() > 1;
    let decided = |side: &BTreeSet<V>, again| was_open && again || !side.is_superset(base);
    let union = |a: &BTreeSet<V>, b: &BTreeSet<V>| a.union(b).cloned().collect::<BTreeSet<V>>();
    match (decided(left, again.left), decided(right, again.right)) {
        (true, false) => (union(left, &(right - base)), false),
        (false, true) => (union(right, &(left - base)), false),
        (false, false) => (union(left, right), false),
        (true, true) => {
            let both = union(left, right);
            let apart = was_open && left != right && both.is_superset(base);
            (both, apart)
        }
    }
}

/// What a merge makes of the versions of an entity, part by part.
pub(super) struct Outcome {
    labels: BTreeSet<Arc<str>>,
    salt: Option<Salt>,
    times: Map,
    fields: BTreeMap<Field, BTreeSet<Option<Value>>>,
    props: BTreeMap<Arc<str>, Leaf>,
    /// Whether the sides settled apart what had been in conflict.
    pub(super) apart: bool,
}

/// What counts under a name.
enum Leaf {
    Values(BTreeSet<Option<Value>>),
    /// All sides hold maps, which are merged name by name.
    Map(BTreeMap<Arc<str>, Leaf>),
}

/// A field of which several values count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disputed {
    /// The property's name, the names on the way to it in maps with dots between, or `content` or `ends`.
    pub field: String,
    /// What it was before the sides differed; `None` if it was not there.
    pub base: Option<Value>,
    /// The values that sides have; `None` stands for its absence.
    pub sides: Vec<Option<Value>>,
    /// Where it is.
    pub(super) path: Path,
}

/// Where a field is: merged whole, or under these names, one in the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Field(Field),
    Names(Vec<Arc<str>>),
}

impl Path {
    pub(super) fn get(&self, parts: &Parts) -> Option<Value> {
        match self {
            Path::Field(field) => parts.fields.get(field).cloned(),
            Path::Names(names) => {
                let (last, way) = names.split_last()?;
                let mut map = &parts.props;
                for name in way {
                    map = as_map(map.get(name))?;
                }
                map.get(last).cloned()
            }
        }
    }

    /// Puts a value there, or nothing. Where there is no way to it, nothing is changed.
    pub(super) fn put(&self, parts: &mut Parts, value: Option<Value>) -> Result<(), ValueError> {
        match (self, value) {
            (Path::Field(field), Some(value)) => drop(parts.fields.insert(field.clone(), value)),
            (Path::Field(field), None) => drop(parts.fields.remove(field)),
            (Path::Names(names), value) => parts.props = put_at(&parts.props, names, value)?,
        }
        Ok(())
    }
}

fn put_at(map: &Map, names: &[Arc<str>], value: Option<Value>) -> Result<Map, ValueError> {
    let Some((name, rest)) = names.split_first() else { return Ok(map.clone()) };
    let value = match (rest, as_map(map.get(name))) {
        ([], _) => value,
        (_, Some(inner)) => Some(Value::Map(put_at(inner, rest, value)?)),
        (_, None) => return Ok(map.clone()),
    };
    let mut map = map.clone();
    match value {
        Some(value) => drop(map.insert(Arc::clone(name), value)?),
        None => drop(map.remove(name)),
    }
    Ok(map)
}

impl Outcome {
    /// Merges versions. Where a side has none, those of the other are taken as they are.
    pub(super) fn merge(of: Three<&[Parts]>, types: &Types<'_>, again: Again) -> Result<Outcome, RepoError> {
        let of = match (of.left, of.right) {
            ([], one) | (one, []) => Three { base: one, left: one, right: one },
            _ => of,
        };
        let mut work = Work { again, apart: false, types };
        let all = || of.left.iter().chain(of.right);
        let labels: BTreeSet<&Arc<str>> = all().flat_map(|parts| &parts.labels).collect();
        let labels = labels.into_iter().filter(|label| {
            let has = |parts: &[Parts]| parts.iter().map(|it| it.labels.contains(*label)).collect();
            let absent_is_without =
                |has: BTreeSet<bool>| if has.is_empty() { BTreeSet::from([false]) } else { has };
            work.unite(&of.map(has).map(absent_is_without)).contains(&true)
        });
        let labels = labels.cloned().collect();
        let names: BTreeSet<&Field> = all().flat_map(|parts| parts.fields.keys()).collect();
        let mut fields = BTreeMap::new();
        for name in names {
            let values = of.map(|rows| rows.iter().map(|parts| parts.fields.get(name).cloned()).collect());
            fields.insert(name.clone(), work.values(values));
        }
        let times = latest(all().map(|parts| &parts.times))?;
        let maps = of.map(|rows| rows.iter().map(|parts| Some(&parts.props)).collect());
        let props = work.entries(&maps, Some(of))?;
        let salt = all().filter_map(|parts| parts.salt).min();
        Ok(Outcome { labels, salt, times, fields, props, apart: work.apart })
    }

    /// What counts in versions as they are.
    pub(super) fn of(versions: &[Parts]) -> Result<Outcome, RepoError> {
        let three = Three { base: versions, left: versions, right: versions };
        Outcome::merge(three, &Types::none(), Again::default())
    }

    /// As many versions as it takes to hold every value that counts: one, unless there is a conflict. Which values stand
    /// together in one follows from the values alone.
    pub(super) fn versions(&self) -> Result<Vec<Parts>, ValueError> {
        let widths = self.fields.values().map(BTreeSet::len).chain(self.props.values().map(Leaf::width));
        let width = widths.max().unwrap_or(1).max(1);
        (0..width).map(|at| self.version(&|values| values.iter().nth(at.min(values.len() - 1)))).collect()
    }

    /// One version for those who ask for one: of a field in dispute, the first value that is there.
    pub(super) fn shown(&self) -> Result<Parts, ValueError> {
        self.version(&|values| values.iter().find(|value| value.is_some()))
    }

    fn version<'a>(&'a self, pick: Pick<'a, '_>) -> Result<Parts, ValueError> {
        let field = |(name, values): (&Field, &'a BTreeSet<Option<Value>>)| {
            Some((name.clone(), pick(values)?.clone()?))
        };
        Ok(Parts {
            labels: self.labels.clone(),
            salt: self.salt,
            times: self.times.clone(),
            fields: self.fields.iter().filter_map(field).collect(),
            props: map_of(&self.props, pick)?,
        })
    }

    /// The fields of which several values count.
    pub(super) fn disputed(&self, base: Option<&Parts>) -> Vec<Disputed> {
        let mut found = Vec::new();
        disputed(&[], &self.props, base.map(|base| &base.props), &mut found);
        for (name, values) in self.fields.iter().filter(|(_, values)| values.len() > 1) {
            found.push(Disputed {
                field: name.name().to_owned(),
                base: base.and_then(|base| base.fields.get(name).cloned()),
                sides: values.iter().cloned().collect(),
                path: Path::Field(name.clone()),
            });
        }
        found
    }
}

type Pick<'a, 'b> = &'b dyn Fn(&'a BTreeSet<Option<Value>>) -> Option<&'a Option<Value>>;

impl Leaf {
    fn width(&self) -> usize {
        match self {
            Leaf::Values(values) => values.len(),
            Leaf::Map(map) => map.values().map(Leaf::width).max().unwrap_or(1),
        }
    }

    fn value<'a>(&'a self, pick: Pick<'a, '_>) -> Result<Option<Value>, ValueError> {
        match self {
            Leaf::Values(values) => Ok(pick(values).cloned().flatten()),
            Leaf::Map(map) => map_of(map, pick).map(|map| Some(Value::Map(map))),
        }
    }
}

fn map_of<'a>(leaves: &'a BTreeMap<Arc<str>, Leaf>, pick: Pick<'a, '_>) -> Result<Map, ValueError> {
    let mut entries = Vec::new();
    for (name, leaf) in leaves {
        entries.extend(leaf.value(pick)?.map(|value| (Arc::clone(name), value)));
    }
    Map::new(entries)
}

fn disputed(
    way: &[Arc<str>],
    leaves: &BTreeMap<Arc<str>, Leaf>,
    base: Option<&Map>,
    found: &mut Vec<Disputed>,
) {
    for (name, leaf) in leaves {
        let path = [way, &[Arc::clone(name)]].concat();
        let before = base.and_then(|base| base.get(name));
        match leaf {
            Leaf::Map(map) => disputed(&path, map, as_map(before), found),
            Leaf::Values(values) if values.len() > 1 => found.push(Disputed {
                field: path.join("."),
                base: before.cloned(),
                sides: values.iter().cloned().collect(),
                path: Path::Names(path),
            }),
            Leaf::Values(_) => {}
        }
    }
}

fn as_map(value: Option<&Value>) -> Option<&Map> {
    match value {
        Some(Value::Map(map)) => Some(map),
        _ => None,
    }
}

/// Of the times of each name the latest.
fn latest<'a>(all: impl Iterator<Item = &'a Map>) -> Result<Map, ValueError> {
    let mut latest: BTreeMap<Arc<str>, Value> = BTreeMap::new();
    for (name, time) in all.flat_map(Map::iter) {
        let entry = latest.entry(name.into()).or_insert_with(|| time.clone());
        if *time > *entry {
            *entry = time.clone();
        }
    }
    Map::new(latest)
}

struct Work<'a> {
    again: Again,
    apart: bool,
    types: &'a Types<'a>,
}

impl Work<'_> {
    fn unite<V: Ord + Clone>(&mut self, of: &Three<BTreeSet<V>>) -> BTreeSet<V> {
        let (united, apart) = unite(of, self.again);
        self.apart |= apart;
        united
    }

    fn values(&mut self, of: Three<BTreeSet<Option<Value>>>) -> BTreeSet<Option<Value>> {
        self.unite(&of.map(|values| if values.is_empty() { BTreeSet::from([None]) } else { values }))
    }

    /// Merges maps name by name. The depth of values bounds how deep this goes. `typed`: these are the properties of
    /// whole versions, which may have types.
    fn entries(
        &mut self,
        of: &Three<Vec<Option<&Map>>>,
        typed: Option<Three<&[Parts]>>,
    ) -> Result<BTreeMap<Arc<str>, Leaf>, RepoError> {
        let all = of.left.iter().chain(&of.right).flatten();
        let names: BTreeSet<&str> = all.flat_map(|map| map.iter().map(|(name, _)| name)).collect();
        let mut leaves = BTreeMap::new();
        for name in names {
            let at = |maps: &Vec<Option<&'_ Map>>| -> Vec<Option<Value>> {
                maps.iter().map(|map| map.and_then(|map| map.get(name)).cloned()).collect()
            };
            let found = Three { base: at(&of.base), left: at(&of.left), right: at(&of.right) };
            leaves.insert(Arc::from(name), self.leaf(name, &found, typed)?);
        }
        Ok(leaves)
    }

    fn leaf(
        &mut self,
        name: &str,
        found: &Three<Vec<Option<Value>>>,
        typed: Option<Three<&[Parts]>>,
    ) -> Result<Leaf, RepoError> {
        let merge_type = if typed.is_some() { self.types.of(name)? } else { None };
        if let (Some(merge_type), Some(rows)) = (merge_type, typed) {
            if let Some(value) = types::merge(&merge_type, name, found, rows) {
                return Ok(Leaf::Values(BTreeSet::from([value])));
            }
        } else if found.left.iter().chain(&found.right).all(|value| as_map(value.as_ref()).is_some()) {
            let maps = |values: &'_ Vec<Option<Value>>| -> Vec<Option<Map>> {
                values.iter().map(|value| as_map(value.as_ref()).cloned()).collect()
            };
            let maps = Three { base: maps(&found.base), left: maps(&found.left), right: maps(&found.right) };
            let borrowed = Three {
                base: maps.base.iter().map(Option::as_ref).collect(),
                left: maps.left.iter().map(Option::as_ref).collect(),
                right: maps.right.iter().map(Option::as_ref).collect(),
            };
            return Ok(Leaf::Map(self.entries(&borrowed, None)?));
        }
        let set = |values: &Vec<Option<Value>>| values.iter().cloned().collect();
        let sets = Three { base: set(&found.base), left: set(&found.left), right: set(&found.right) };
        Ok(Leaf::Values(self.values(sets)))
    }
}

/// What the sides of a conflict were made from, once these versions are where others start: what they agree on, and of
/// the rest what was before them.
pub(super) fn common(versions: &[Parts], before: Option<&Parts>) -> Result<Option<Parts>, ValueError> {
    let Some(first) = versions.first() else { return Ok(None) };
    if versions.len() == 1 {
        return Ok(Some(first.clone()));
    }
    let mut parts = first.clone();
    let names: BTreeSet<Field> = versions.iter().flat_map(|it| it.fields.keys().cloned()).collect();
    for name in names {
        let mut values = versions.iter().map(|it| it.fields.get(&name));
        let value = values.next().flatten();
        let agreed = if values.all(|other| other == value) {
            value
        } else {
            before.and_then(|it| it.fields.get(&name))
        };
        match agreed.cloned() {
            Some(value) => parts.fields.insert(name, value),
            None => parts.fields.remove(&name),
        };
    }
    let maps: Vec<&Map> = versions.iter().map(|it| &it.props).collect();
    parts.props = common_map(&maps, before.map(|it| &it.props))?;
    Ok(Some(parts))
}

fn common_map(maps: &[&Map], before: Option<&Map>) -> Result<Map, ValueError> {
    let names: BTreeSet<&str> = maps.iter().flat_map(|map| map.iter().map(|(name, _)| name)).collect();
    let mut entries: Vec<(Arc<str>, Value)> = Vec::new();
    for name in names {
        let values: Vec<Option<&Value>> = maps.iter().map(|map| map.get(name)).collect();
        let before = before.and_then(|before| before.get(name));
        let inner: Vec<&Map> = values.iter().filter_map(|value| as_map(*value)).collect();
        let agreed = match values[0] {
            value if values.iter().all(|other| *other == value) => value.cloned(),
            _ if inner.len() == values.len() => Some(Value::Map(common_map(&inner, as_map(before))?)),
            _ => before.cloned(),
        };
        entries.extend(agreed.map(|value| (Arc::from(name), value)));
    }
    Map::new(entries)
}

/// Merges what the unknown fields of two sides have become. Of what both changed the greater encoding stays: the same for
/// everyone.
pub(in crate::repo) fn unknown(
    base: &crate::object::Unknown,
    left: &crate::object::Unknown,
    right: &crate::object::Unknown,
) -> crate::object::Unknown {
    let names: BTreeSet<&str> = left.iter().chain(right.iter()).map(|(name, _)| name).collect();
    let mut merged = crate::object::Unknown::default();
    for name in names {
        let (before, one, two) = (base.get(name), left.get(name), right.get(name));
        let kept = if two == before {
            one
        } else if one == before {
            two
        } else {
            one.max(two)
        };
        if let Some(item) = kept {
            merged.insert(name, item.clone()).expect("it was a field before");
        }
    }
    merged
}
