//! Where to look: which indexes answer a predicate, or part of it.
//!
//! Of what must hold together, the index with the fewest entries leads; others join it if they are about as selective.
//! What is left is checked on the entity. Of what may hold, each part needs an index, else everything is read.
//! An index has the keys of every side of a conflict, so it finds what is shown, and perhaps more.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Bound;
use std::sync::Arc;

use super::predicate::{Form, Predicate, Test};
use super::subject::Subject;
use crate::id::NodeId;
use crate::key::{AdjacencyKey, LabelKey, PropertyRanges, WHOLE_BYTES_MAX, is_whole};
use crate::object::EdgeType;
use crate::repo::error::RepoError;
use crate::repo::index::{Index, IndexTree};
use crate::repo::snapshot::Snapshot;
use crate::tree::KeyRange;
use crate::value::{Value, compare_numbers};

/// An index joins another if it has at most this many times as many entries: an entry costs about a seventieth of a
/// block, an entity a block of its own.
const JOIN_FACTOR: u64 = 8;

/// Where to look for what a predicate holds of.
pub(super) struct Plan {
    pub(super) look: Look,
    /// Whether what is found there needs no check, unless it is in conflict.
    pub(super) decides: bool,
    /// How many entries that is, at most.
    pub(super) entries: u64,
}

pub(super) enum Look {
    Nowhere,
    Everywhere,
    Index(Lookup),
    Both(Vec<Plan>),
    Either(Vec<Plan>),
}

/// A part of an index. Every key ends in an id.
pub(super) struct Lookup {
    pub(super) tree: IndexTree,
    pub(super) ranges: Vec<KeyRange>,
    /// Whether within each range keys differ in the id alone; else ids come in order only once they are sorted.
    pub(super) ascending: bool,
    /// Whether an entity has one key there at most.
    pub(super) distinct: bool,
    /// Whether the keys say all that is asked.
    pub(super) decides: bool,
    /// Index and question, for people.
    pub(super) says: String,
}

impl Lookup {
    /// Counts the keys, and forgets ranges without any.
    fn count(&mut self) -> Result<u64, RepoError> {
        let mut sum = 0;
        let mut kept = Vec::new();
        for range in self.ranges.drain(..) {
            let count = self.tree.count(&range)?;
            sum += count;
            if count > 0 {
                kept.push(range);
            }
        }
        self.ranges = kept;
        Ok(sum)
    }
}

/// Plans a question to a state. Each index is looked up once: of a merge that nobody stored, it is made for this.
pub(super) struct Planner<'a, E> {
    snapshot: &'a Snapshot,
    trees: BTreeMap<Index, IndexTree>,
    all: u64,
    subject: PhantomData<fn() -> E>,
}

impl<'a, E: Subject> Planner<'a, E> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Result<Planner<'a, E>, RepoError> {
        let all = snapshot.entity_count::<E>()?;
        Ok(Planner { snapshot, trees: BTreeMap::new(), all, subject: PhantomData })
    }

    /// Plans for a predicate.
    pub(super) fn plan(&mut self, predicate: &Predicate) -> Result<Plan, RepoError> {
        if self.all == 0 {
            return Ok(Plan { look: Look::Nowhere, decides: true, entries: 0 });
        }
        self.plan_normal(&normal(predicate, true))
    }

    fn plan_normal(&mut self, predicate: &Predicate) -> Result<Plan, RepoError> {
        match &predicate.0 {
            Form::And(all) => self.plan_all(all),
            Form::Or(any) => self.plan_any(any),
            _ => self.plan_all(std::slice::from_ref(predicate)),
        }
    }

    fn everywhere(&self, decides: bool) -> Plan {
        Plan { look: Look::Everywhere, decides, entries: self.all }
    }

    fn plan_all(&mut self, all: &[Predicate]) -> Result<Plan, RepoError> {
        let edge_type = all.iter().find_map(|it| match &it.0 {
            Form::EdgeType(edge_type) => EdgeType::new(Arc::clone(edge_type)).ok(),
            _ => None,
        });
        let mut usable = Vec::new();
        for (at, predicate) in all.iter().enumerate() {
            if let Some(plan) = self.plan_one(predicate, edge_type.as_ref())? {
                usable.push((at, plan));
            }
        }
        usable.sort_by_key(|(_, plan)| plan.entries);
        let Some(least) = usable.first().map(|(_, plan)| plan.entries) else {
            return Ok(self.everywhere(all.is_empty()));
        };
        usable.retain(|(_, plan)| plan.entries <= least.saturating_mul(JOIN_FACTOR));
        let decided = |at: usize, predicate: &Predicate| match &predicate.0 {
            // Part of the keys that the edges of a node are found by.
            Form::EdgeType(it) => {
                let is_end = |at: usize| matches!(all[at].0, Form::From(_) | Form::To(_));
                edge_type.as_deref() == Some(&**it) && usable.iter().any(|(other, _)| is_end(*other))
            }
            _ => usable.iter().any(|(other, plan)| *other == at && plan.decides),
        };
        let decides = all.iter().enumerate().all(|(at, predicate)| decided(at, predicate));
        let mut plans: Vec<Plan> = usable.into_iter().map(|(_, plan)| plan).collect();
        match plans.pop() {
            Some(only) if plans.is_empty() => Ok(Plan { decides: only.decides && decides, ..only }),
            last => {
                plans.extend(last);
                Ok(Plan { look: Look::Both(plans), decides, entries: least })
            }
        }
    }

    fn plan_any(&mut self, any: &[Predicate]) -> Result<Plan, RepoError> {
        let mut plans = Vec::new();
        for predicate in any {
            let plan = self.plan_normal(predicate)?;
            match plan.look {
                Look::Nowhere => {}
                Look::Everywhere => return Ok(self.everywhere(plan.decides)),
                _ => plans.push(plan),
            }
        }
        let entries = plans.iter().fold(0u64, |sum, plan| sum.saturating_add(plan.entries));
        Ok(match plans.pop() {
            None => Plan { look: Look::Nowhere, decides: true, entries: 0 },
            Some(only) if plans.is_empty() => only,
            Some(_) if entries >= self.all => self.everywhere(false),
            Some(last) => {
                plans.push(last);
                let decides = plans.iter().all(|plan| plan.decides);
                Plan { look: Look::Either(plans), decides, entries }
            }
        })
    }

    /// Plans for one of several that must hold; `None` if no index helps.
    fn plan_one(
        &mut self,
        predicate: &Predicate,
        edge_type: Option<&EdgeType>,
    ) -> Result<Option<Plan>, RepoError> {
        let mut lookup = match &predicate.0 {
            Form::Or(any) => {
                let plan = self.plan_any(any)?;
                return Ok(Some(plan).filter(|plan| !matches!(plan.look, Look::Everywhere)));
            }
            Form::Label(label) => self.labelled(label)?,
            Form::From(node) => self.edges_at(Index::Out, *node, edge_type)?,
            Form::To(node) => self.edges_at(Index::In, *node, edge_type)?,
            Form::Prop(name, test) => match self.valued(name, test)? {
                Some(lookup) => lookup,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        let entries = lookup.count()?;
        if entries == 0 {
            return Ok(Some(Plan { look: Look::Nowhere, decides: true, entries }));
        }
        // Of a single range of keys that differ in the id alone, each is another entity's.
        lookup.distinct |= lookup.ascending && lookup.ranges.len() == 1;
        Ok(Some(Plan { decides: lookup.decides, look: Look::Index(lookup), entries }))
    }

    fn labelled(&mut self, label: &str) -> Result<Lookup, RepoError> {
        Ok(Lookup {
            tree: self.tree(Index::Label)?,
            ranges: vec![LabelKey::with_label(label)],
            ascending: true,
            distinct: true,
            decides: true,
            says: format!("nodes by label, {label:?}"),
        })
    }

    fn edges_at(
        &mut self,
        index: Index,
        node: NodeId,
        edge_type: Option<&EdgeType>,
    ) -> Result<Lookup, RepoError> {
        let range = match edge_type {
            Some(edge_type) => AdjacencyKey::of_type(node, edge_type),
            None => AdjacencyKey::at(node),
        };
        let end = if index == Index::Out { "source" } else { "target" };
        let of_type = edge_type.map(|it| format!(", type {:?}", &**it)).unwrap_or_default();
        Ok(Lookup {
            tree: self.tree(index)?,
            ranges: vec![range],
            ascending: false,
            distinct: true,
            decides: true,
            says: format!("edges by {end}, {node}{of_type}"),
        })
    }

    /// Looks up values, if an index of the property is kept. It has neither maps nor lists in lists: those are left to
    /// questions that it is not asked.
    fn valued(&mut self, name: &Arc<str>, test: &Test) -> Result<Option<Lookup>, RepoError> {
        let Some((ranges, ascending, decides)) = value_keys(&PropertyRanges::new(name), test) else {
            return Ok(None);
        };
        if !E::HAS_PROPERTY_INDEX || !self.snapshot.is_indexed(name)? {
            return Ok(None);
        }
        Ok(Some(Lookup {
            tree: self.tree(Index::Property(Arc::clone(name)))?,
            ranges,
            ascending,
            distinct: false,
            decides,
            says: format!("nodes by {name}, {test}"),
        }))
    }

    fn tree(&mut self, index: Index) -> Result<IndexTree, RepoError> {
        if let Some(tree) = self.trees.get(&index) {
            return Ok(tree.clone());
        }
        let tree = self.snapshot.index(index.clone())?;
        self.trees.insert(index, tree.clone());
        Ok(tree)
    }
}

/// Returns where the keys of values stand that pass a test; whether in each range they differ in the id alone; and
/// whether none stands there that does not pass. `None` if values pass that have no key.
fn value_keys(ranges: &PropertyRanges, test: &Test) -> Option<(Vec<KeyRange>, bool, bool)> {
    let whole = |bound: &Bound<Value>| match bound {
        Bound::Included(value) | Bound::Excluded(value) => is_whole(value),
        Bound::Unbounded => true,
    };
    match test {
        Test::Equals(Value::List(_) | Value::Map(_)) | Test::Present => None,
        Test::Equals(value @ (Value::Int(_) | Value::Float(_))) => {
            let is = Bound::Included(value);
            Some((ranges.numbers(is, is).to_vec(), true, true))
        }
        Test::Equals(value) => Some((vec![ranges.equal(value)], true, is_whole(value))),
        Test::StartsWith(Value::Text(text)) => {
            Some((vec![ranges.text_prefix(text)], false, text.len() <= WHOLE_BYTES_MAX))
        }
        Test::StartsWith(Value::Bytes(bytes)) => {
            Some((vec![ranges.bytes_prefix(bytes)], false, bytes.len() <= WHOLE_BYTES_MAX))
        }
        Test::StartsWith(_) => None,
        Test::Range(lower, upper) => {
            let is_number = |bound: &Bound<Value>| matches!(bound, Bound::Included(it) | Bound::Excluded(it) if compare_numbers(it, it).is_some());
            let keys = if is_number(lower) || is_number(upper) {
                ranges.numbers(lower.as_ref(), upper.as_ref()).to_vec()
            } else {
                vec![ranges.between(lower.as_ref(), upper.as_ref())]
            };
            Some((keys, false, whole(lower) && whole(upper)))
        }
    }
}

/// Brings a predicate into a form in which only single questions are negated, and nothing stands needlessly nested.
fn normal(predicate: &Predicate, positive: bool) -> Predicate {
    let each = |of: &[Predicate]| of.iter().map(|it| normal(it, positive)).collect::<Vec<_>>();
    let (of, and) = match &predicate.0 {
        Form::Not(it) => return normal(it, !positive),
        Form::And(all) => (each(all), positive),
        Form::Or(any) => (each(any), !positive),
        form if positive => return Predicate(form.clone()),
        form => return !Predicate(form.clone()),
    };
    let mut flat = Vec::with_capacity(of.len());
    for predicate in of {
        match predicate.0 {
            Form::And(more) if and => flat.extend(more),
            Form::Or(more) if !and => flat.extend(more),
            form => flat.push(Predicate(form)),
        }
    }
    match flat.pop() {
        Some(only) if flat.is_empty() => only,
        last => {
            flat.extend(last);
            Predicate(if and { Form::And(flat) } else { Form::Or(flat) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::query::{label, prop};

    #[test]
    fn only_single_questions_are_negated() {
        let (a, b, c) = (label("a"), label("b"), prop("c").absent());
        let not_both = !(a.clone().and(b.clone()));
        let nested = !(not_both.or((!c.clone()).or(!a.clone())));
        let expected = a.clone().and(b).and(c).and(!(!a));
        assert_eq!(normal(&nested, true), expected);
        assert_eq!(normal(&!Predicate::anything(), true), Predicate::nothing());
    }
}
