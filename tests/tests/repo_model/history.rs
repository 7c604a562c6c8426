//! The naive model: all that was ever written, and which writer had seen what.
//!
//! A state is the set of writes that it has seen. Of each field the newest writes count, those that no other seen
//! write of the field had seen: one value, or several that are in dispute. Nothing here knows of bases, of merges or
//! of the order in which heads are read.

use std::collections::{BTreeMap, BTreeSet};

use mnem_core::{EdgeId, EntityId, NodeId};

/// What can be written of an entity by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Exists,
    Label(&'static str),
    Prop(&'static str),
    /// A node's vector, no part of its version.
    Vector,
}

pub(crate) const LABELS: [&str; 3] = ["A", "B", "C"];
pub(crate) const PROPS: [&str; 4] = ["p", "q", "r", "s"];
pub(crate) const MODEL: &str = "two";
pub(crate) const TYPES: [&str; 2] = ["knows", "likes"];

/// The writes that a state has seen.
pub(crate) type Seen = BTreeSet<usize>;

struct Write {
    entity: EntityId,
    field: Field,
    /// `None`: it is gone.
    value: Option<i64>,
    past: Seen,
}

#[derive(Default)]
pub(crate) struct History {
    writes: Vec<Write>,
    ends: BTreeMap<EdgeId, Ends>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) src: NodeId,
    pub(crate) edge_type: &'static str,
    pub(crate) dst: NodeId,
}

impl Ends {
    pub(crate) fn touch(&self, node: NodeId) -> bool {
        self.src == node || self.dst == node
    }
}

/// Whether an entity is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Absent,
    Present,
    /// There, and in conflict with its absence.
    Disputed,
    /// The model cannot tell: it knows nothing of states that were read in between.
    Either,
}

#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) presence: Presence,
    pub(crate) fields: BTreeMap<Field, BTreeSet<Option<i64>>>,
    /// Fields whose newest write went with a removal, though the entity is there: they may be as before that write.
    pub(crate) gone: BTreeSet<Field>,
    /// Several made it, settled it or took the same out beside each other: all that differs may be in dispute.
    pub(crate) made_twice: bool,
    /// It went at some time, whether or not it is there again.
    pub(crate) was_removed: bool,
}

impl Expected {
    pub(crate) fn disputed(&self) -> Vec<String> {
        let is_told = |field: &Field| self.presence == Presence::Present || !self.gone.contains(field);
        // Who makes it without what another makes it with, says nothing about that.
        let says_nothing =
            |values: &BTreeSet<Option<i64>>| self.made_twice && values.len() == 2 && values.contains(&None);
        let is_disputed =
            |field, values: &BTreeSet<_>| values.len() > 1 && is_told(field) && !says_nothing(values);
        let props = self.fields.iter().filter(|(field, values)| is_disputed(field, values));
        props
            .filter_map(
                |(field, _)| if let Field::Prop(name) = field { Some((*name).to_owned()) } else { None },
            )
            .collect()
    }
}

impl History {
    pub(crate) fn set_ends(&mut self, edge: EdgeId, ends: Ends) {
        self.ends.insert(edge, ends);
    }

    pub(crate) fn ends(&self, edge: EdgeId) -> Ends {
        self.ends[&edge]
    }

    pub(crate) fn edges(&self) -> impl Iterator<Item = (&EdgeId, &Ends)> {
        self.ends.iter()
    }

    pub(crate) fn write(&mut self, entity: EntityId, field: Field, value: Option<i64>, past: &Seen) -> usize {
        self.writes.push(Write { entity, field, value, past: past.clone() });
        self.writes.len() - 1
    }

    /// Returns how often this was written.
    pub(crate) fn count(&self, seen: &Seen, entity: EntityId, field: Field, value: Option<i64>) -> usize {
        let same = |write: &&Write| write.entity == entity && write.field == field && write.value == value;
        seen.iter().map(|at| &self.writes[*at]).filter(same).count()
    }

    /// Tells what a state has seen of an entity, for those who look into a failure.
    pub(crate) fn tell(&self, seen: &Seen, entity: EntityId) -> String {
        let writes =
            seen.iter().map(|at| (*at, &self.writes[*at])).filter(|(_, write)| write.entity == entity);
        let known: Seen = writes.clone().map(|(at, _)| at).collect();
        let tell = |(at, write): (usize, &Write)| {
            let past: Vec<&usize> = write.past.intersection(&known).collect();
            format!("{at}: {:?} = {:?} after {past:?}\n", write.field, write.value)
        };
        writes.map(tell).collect()
    }

    fn newest<'a>(&'a self, writes: &'a [usize], field: Field) -> impl Iterator<Item = usize> + 'a {
        let of_field = move |at: &&usize| self.writes[**at].field == field;
        writes.iter().filter(of_field).copied().filter(move |at| {
            !writes.iter().filter(of_field).any(|other| self.writes[*other].past.contains(at))
        })
    }

    pub(crate) fn expect(&self, seen: &Seen) -> BTreeMap<EntityId, Expected> {
        let mut by_entity: BTreeMap<EntityId, Vec<usize>> = BTreeMap::new();
        for at in seen {
            by_entity.entry(self.writes[*at].entity).or_default().push(*at);
        }
        let mut expected: BTreeMap<EntityId, Expected> =
            by_entity.iter().map(|(entity, writes)| (*entity, self.expect_one(writes))).collect();
        self.keep_ends(&by_entity, &mut expected);
        expected
    }

    fn expect_one(&self, writes: &[usize]) -> Expected {
        let is_removal = |at: &usize| {
            let write = &self.writes[*at];
            write.field == Field::Exists && write.value.is_none()
        };
        let removals: Vec<usize> = writes.iter().copied().filter(is_removal).collect();
        let mut fields: BTreeMap<Field, BTreeSet<Option<i64>>> = BTreeMap::new();
        let mut gone = BTreeSet::new();
        for at in writes {
            let field = self.writes[*at].field;
            let values = self.newest(writes, field).map(|at| self.writes[at].value).collect();
            fields.insert(field, values);
            let went = |at: usize| removals.iter().any(|removal| self.writes[*removal].past.contains(&at));
            if self.newest(writes, field).any(went) {
                gone.insert(field);
            }
        }
        let alive = writes.iter().any(|at| {
            !is_removal(at) && !removals.iter().any(|removal| self.writes[*removal].past.contains(at))
        });
        let made_twice = self.is_unset_twice(writes)
            || self.newest(writes, Field::Exists).filter(|at| !is_removal(at)).count() > 1;
        let presence = match () {
            () if removals.len() > 1 => Presence::Either,
            () if !alive => Presence::Absent,
            () if self.newest(writes, Field::Exists).any(|at| is_removal(&at)) => Presence::Disputed,
            () => Presence::Present,
        };
        Expected { presence, fields, gone, made_twice, was_removed: !removals.is_empty() }
    }

    /// Says whether two took the same property out: that is one value written twice, and no dispute between the two.
    fn is_unset_twice(&self, writes: &[usize]) -> bool {
        PROPS.into_iter().any(|name| {
            let is_unset = |at: &&usize| {
                let write = &self.writes[**at];
                write.field == Field::Prop(name) && write.value.is_none()
            };
            writes.iter().filter(is_unset).count() > 1
        })
    }

    /// An edge that is there has its ends. A removed node may also have come back for an edge that is gone by now.
    fn keep_ends(
        &self,
        by_entity: &BTreeMap<EntityId, Vec<usize>>,
        expected: &mut BTreeMap<EntityId, Expected>,
    ) {
        for (edge, ends) in &self.ends {
            let Some(writes) = by_entity.get(&EntityId::Edge(*edge)) else { continue };
            let edge_presence = expected[&EntityId::Edge(*edge)].presence;
            for node in [ends.src, ends.dst] {
                let removal = |at: &&usize| {
                    let write = &self.writes[**at];
                    write.field == Field::Exists && write.value.is_none()
                };
                let node_writes = &by_entity[&EntityId::Node(node)];
                let came_late = node_writes.iter().filter(removal).any(|removal| {
                    writes.iter().any(|at| {
                        !self.writes[*removal].past.contains(at) && !self.writes[*at].past.contains(removal)
                    })
                });
                let node = expected.get_mut(&EntityId::Node(node)).unwrap();
                node.presence = match (node.presence, edge_presence) {
                    (Presence::Absent, Presence::Present | Presence::Disputed) => Presence::Disputed,
                    (Presence::Absent, _) if came_late => Presence::Either,
                    (other, _) => other,
                };
            }
        }
    }
}
