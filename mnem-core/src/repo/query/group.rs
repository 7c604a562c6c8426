//! Groups: how many there are of each value, and the least and greatest of another property among them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::IntoValues;
use std::sync::Arc;

use super::in_order::Straight;
use super::order::{self, elements};
use super::query::Query;
use super::subject::Subject;
use crate::id::NodeId;
use crate::key::LabelKey;
use crate::repo::error::{RepoError, damaged_key};
use crate::repo::index::{DistinctValues, Index};
use crate::repo::snapshot::Snapshot;
use crate::tree::{KeyRange, Order};
use crate::value::Value;

/// By what a group is made, and what is measured in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    key: Key,
    measure: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Property(Arc<str>),
    Kind,
}

impl Grouping {
    /// Groups by the value of a property: 1 and 1.0 are two groups. Of a list each distinct element is a value, so an
    /// entity may be in several groups; maps and lists in lists are in none. Neither is what has no such property: count
    /// that with [`absent`](super::Prop::absent).
    pub fn by(property: impl Into<Arc<str>>) -> Grouping {
        Grouping { key: Key::Property(property.into()), measure: None }
    }

    /// Groups nodes by label, edges by type. A node is in as many groups as it has labels.
    pub const fn by_kind() -> Grouping {
        Grouping { key: Key::Kind, measure: None }
    }

    /// Finds the least and the greatest value of this property in each group, in the order of
    /// [`OrderBy`](super::OrderBy).
    #[must_use]
    pub fn measure(mut self, property: impl Into<Arc<str>>) -> Grouping {
        self.measure = Some(property.into());
        self
    }
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The value that its members share; of a label or a type, its text.
    pub value: Value,
    /// How many members it has.
    pub count: u64,
    /// The least value of what is measured; `None` if nothing is, or no member has it.
    pub least: Option<Value>,
    /// The greatest value of what is measured.
    pub greatest: Option<Value>,
}

impl Snapshot {
    /// Groups what a query asks for, in the order of the groups' values. Without an index that decides, all that is found
    /// is gone through first, and the groups are kept in memory; the order of the query makes no difference.
    pub fn group_by<E: Subject>(&self, query: &Query<E>, by: &Grouping) -> Result<Groups, RepoError> {
        query.check()?;
        if let Some(groups) = self.groups_of_all(query, by)? {
            return Ok(groups);
        }
        let mut groups: BTreeMap<Ranked, Group> = BTreeMap::new();
        for version in self.matches(query, None)? {
            let version = version?;
            let measured = by.measure.as_ref().and_then(|name| E::props(&version).value(name));
            for value in keys::<E>(&version, &by.key) {
                let group = groups.entry(Ranked(value.clone())).or_insert(Group {
                    value,
                    count: 0,
                    least: None,
                    greatest: None,
                });
                group.count += 1;
                measured.into_iter().flat_map(elements).for_each(|value| group.measure(value));
            }
        }
        Ok(Groups(Source::Counted(groups.into_values())))
    }

    /// Groups all nodes by an index: one step for each value. An index has values of every side of a conflict, so there
    /// must not be any.
    fn groups_of_all<E: Subject>(
        &self,
        query: &Query<E>,
        by: &Grouping,
    ) -> Result<Option<Groups>, RepoError> {
        let is_plain = E::HAS_PROPERTY_INDEX && query.predicate().is_anything() && by.measure.is_none();
        if !is_plain || self.conflicts_of::<E>()?.is_some() {
            return Ok(None);
        }
        let Key::Property(name) = &by.key else { return self.labels().map(Some) };
        Ok(self.distinct(name, Order::Ascending)?.map(|values| {
            let compare = |(a, _): &(Value, u64), (b, _): &(Value, u64)| order::compare(a, b);
            Groups(Source::Indexed(Box::new(Straight::new(values, |(value, _)| value, compare))))
        }))
    }

    /// Groups all nodes by label.
    fn labels(&self) -> Result<Groups, RepoError> {
        let labels = self.index(Index::Label)?;
        let mut groups = BTreeMap::new();
        let mut rest = KeyRange::ALL;
        while let Some(entry) = labels.range(rest.clone(), Order::Ascending).next().transpose()? {
            let LabelKey { label, .. } = LabelKey::from_key(&entry.key).ok_or_else(damaged_key)?;
            let count = labels.count(&LabelKey::with_label(&label))?;
            rest = rest.beyond(&LabelKey::key_of(&label, NodeId::from_bytes([0xff; 16])), Order::Ascending);
            let group = Group { value: label.into(), count, least: None, greatest: None };
            groups.insert(Ranked(group.value.clone()), group);
        }
        Ok(Groups(Source::Counted(groups.into_values())))
    }
}

impl Group {
    fn measure(&mut self, value: &Value) {
        if order::has_place(value) {
            let is = |other: &Option<Value>, wanted: Ordering| {
                other.as_ref().is_none_or(|other| order::compare(value, other) == wanted)
            };
            if is(&self.least, Ordering::Less) {
                self.least = Some(value.clone());
            }
            if is(&self.greatest, Ordering::Greater) {
                self.greatest = Some(value.clone());
            }
        }
    }
}

/// Returns the values under which an entity is a member, each once.
fn keys<E: Subject>(version: &E::Object, key: &Key) -> Vec<Value> {
    match key {
        Key::Kind => E::kinds(version).into_iter().map(Value::from).collect(),
        Key::Property(name) => {
            let values = E::props(version).value(name).into_iter().flat_map(elements);
            let mut values: Vec<Value> = values.filter(|value| order::has_place(value)).cloned().collect();
            values.sort_unstable();
            values.dedup();
            values
        }
    }
}

/// A value with the order of answers.
struct Ranked(Value);

impl PartialEq for Ranked {
    fn eq(&self, other: &Ranked) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Ranked) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Ranked) -> Ordering {
        order::compare(&self.0, &other.0)
    }
}

/// Groups, in the order of their values. Ends after its first error.
pub struct Groups(Source);

enum Source {
    Counted(IntoValues<Ranked, Group>),
    Indexed(Box<Straight<DistinctValues, (Value, u64)>>),
}

impl Iterator for Groups {
    type Item = Result<Group, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Counted(groups) => groups.next().map(Ok),
            Source::Indexed(values) => values
                .next()
                .map(|next| next.map(|(value, count)| Group { value, count, least: None, greatest: None })),
        }
    }
}
