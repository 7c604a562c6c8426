//! One edit of a transaction, and the same of the model.
//!
//! Every value is written once only, and nothing goes twice: a merge looks at what became of a thing, the model at
//! what was done to it, and the two differ where something is done and undone.

use std::collections::BTreeMap;

use mnem_core::repo::{Entity, RepoError, Transaction};
use mnem_core::{EdgeId, EntityId, NodeId, Props};

use crate::check::{Shown, to_vector};
use crate::history::{Ends, Field, LABELS, MODEL, PROPS, TYPES};
use crate::program::{Open, World};

/// Calls a method of the transaction for a node or an edge.
macro_rules! either {
    ($id:expr, $name:ident => $call:expr) => {
        match $id {
            EntityId::Node($name) => $call,
            EntityId::Edge($name) => $call,
        }
    };
}

fn to_props(fields: &BTreeMap<Field, i64>) -> Props {
    let mut props = Props::new();
    for (field, value) in fields {
        if let Field::Prop(name) = field {
            props.set(name, *value).unwrap();
        }
    }
    props
}

fn to_labels(fields: &BTreeMap<Field, i64>) -> Vec<&'static str> {
    let label = |field: &Field| if let Field::Label(name) = field { Some(*name) } else { None };
    fields.keys().filter_map(label).collect()
}

impl World {
    pub(crate) fn edit(&mut self, who: usize) {
        let mut open = self.open[who].take().unwrap();
        match self.random.below(23) {
            0..=3 => self.add_node(&mut open),
            4..=7 => self.add_edge(&mut open),
            8..=12 => self.set(&mut open),
            13 => self.unset(&mut open),
            14 => self.label(&mut open),
            15..=16 => self.remove(&mut open),
            17..=18 => self.settle(&mut open),
            19..=21 => self.set_vector(&mut open),
            _ => self.add_again(&mut open),
        }
        self.open[who] = Some(open);
    }

    fn number(&mut self) -> i64 {
        self.number += 1;
        self.number
    }

    fn fresh_fields(&mut self, labels: bool) -> BTreeMap<Field, i64> {
        let mut fields: BTreeMap<Field, i64> =
            PROPS.into_iter().map(|name| (Field::Prop(name), self.number())).collect();
        for label in LABELS {
            if labels && self.random.percent(40) {
                fields.insert(Field::Label(label), 1);
            }
        }
        fields
    }

    fn some(&mut self, of: &Open, keep: impl Fn(&EntityId, &Shown) -> bool) -> Option<EntityId> {
        let ids: Vec<EntityId> =
            of.after.iter().filter(|(id, shown)| keep(id, shown)).map(|(id, _)| *id).collect();
        self.random.of(&ids).copied()
    }

    fn some_node(&mut self, of: &Open) -> Option<NodeId> {
        match self.some(of, |id, _| matches!(id, EntityId::Node(_)))? {
            EntityId::Node(id) => Some(id),
            EntityId::Edge(_) => None,
        }
    }

    /// Something that is not in conflict, or was settled here.
    fn free(&mut self, of: &Open) -> Option<EntityId> {
        self.some(of, |id, shown| shown.conflict.is_none() || of.settled.contains(id))
    }

    /// Adds a node, or one that was removed before.
    fn add_node(&mut self, open: &mut Open) {
        let is_gone = |id: &EntityId| {
            let exists = |value| self.history.count(&open.seen, *id, Field::Exists, value);
            !open.after.contains_key(id)
                && !open.before.contains_key(id)
                && exists(None) == 1
                && exists(Some(1)) == 1
        };
        let gone: Vec<EntityId> =
            self.known.iter().filter(|id| matches!(id, EntityId::Node(_)) && is_gone(id)).copied().collect();
        let id = match self.random.of(&gone) {
            Some(EntityId::Node(id)) if self.random.percent(50) => *id,
            _ => NodeId::from_time_and_random(self.number().unsigned_abs(), [7; 10]),
        };
        let fields = self.fresh_fields(true);
        open.transaction.add_node_as(id, &to_labels(&fields)[..], to_props(&fields)).unwrap();
        self.known.insert(id.into());
        open.after.insert(id.into(), Shown { conflict: None, is_vector_disputed: false, fields });
    }

    fn add_edge(&mut self, open: &mut Open) {
        let (Some(src), Some(dst)) = (self.some_node(open), self.some_node(open)) else { return };
        let id = EdgeId::from_time_and_random(self.number().unsigned_abs(), [7; 10]);
        let edge_type = TYPES[self.random.below(2)];
        let fields = self.fresh_fields(false);
        open.transaction.add_edge_as(id, src, edge_type, dst, to_props(&fields)).unwrap();
        self.known.insert(id.into());
        self.history.set_ends(id, Ends { src, edge_type, dst });
        open.after.insert(id.into(), Shown { conflict: None, is_vector_disputed: false, fields });
    }

    fn set(&mut self, open: &mut Open) {
        let Some(id) = self.free(open) else { return };
        let (name, value) = (PROPS[self.random.below(4)], self.number());
        either!(id, id => open.transaction.set(id, name, value)).unwrap();
        open.after.get_mut(&id).unwrap().fields.insert(Field::Prop(name), value);
    }

    fn set_vector(&mut self, open: &mut Open) {
        let Some(EntityId::Node(node)) = self.free(open) else { return };
        let number = self.number();
        open.transaction.set_vector(node, MODEL, &to_vector(number)).unwrap();
        assert_eq!(open.transaction.vector(node, MODEL).unwrap(), Some(to_vector(number).to_vec()));
        let shown = open.after.get_mut(&node.into()).unwrap();
        shown.fields.insert(Field::Vector, number);
    }

    fn unset(&mut self, open: &mut Open) {
        let Some(id) = self.free(open) else { return };
        let name = PROPS[self.random.below(4)];
        if self.history.count(&open.seen, id, Field::Prop(name), None) > 0 {
            return;
        }
        let was = open.after.get_mut(&id).unwrap().fields.remove(&Field::Prop(name));
        let found = either!(id, id => open.transaction.unset(id, name)).unwrap();
        assert_eq!(found, was.map(Into::into));
    }

    fn label(&mut self, open: &mut Open) {
        let Some(EntityId::Node(id)) = self.free(open) else { return };
        let label = Field::Label(LABELS[self.random.below(3)]);
        let shown = open.after.get_mut(&id.into()).unwrap();
        if shown.fields.remove(&label).is_none() {
            shown.fields.insert(label, 1);
        }
        open.transaction.set_labels(id, &to_labels(&shown.fields)[..]).unwrap();
    }

    fn remove(&mut self, open: &mut Open) {
        let went = |id: &EntityId| self.history.count(&open.seen, *id, Field::Exists, None) > 0;
        let ids: Vec<EntityId> = open.after.keys().filter(|id| !went(id)).copied().collect();
        if let Some(id) = self.random.of(&ids).copied() {
            self.remove_one(open, id);
        }
    }

    fn remove_one(&mut self, open: &mut Open, id: EntityId) {
        either!(id, id => open.transaction.remove(id)).unwrap();
        open.after.remove(&id);
        if let EntityId::Node(node) = id {
            let at_it: Vec<EdgeId> =
                self.history.edges().filter(|(_, ends)| ends.touch(node)).map(|(id, _)| *id).collect();
            at_it.into_iter().for_each(|edge| drop(open.after.remove(&edge.into())));
        }
    }

    fn settle(&mut self, open: &mut Open) {
        let in_conflict = self.some(open, |id, shown| shown.conflict.is_some() && !open.settled.contains(id));
        let Some(id) = in_conflict else { return };
        either!(id, id => refused(&mut open.transaction, id));
        if self.random.percent(25) {
            return self.remove_one(open, id);
        }
        open.settled.insert(id);
        let shown = open.after.get_mut(&id).unwrap();
        for name in PROPS {
            let is_disputed = shown.conflict.as_ref().is_some_and(|sides| sides.contains_key(name));
            if is_disputed && self.random.percent(70) || self.random.percent(20) {
                self.number += 1;
                shown.fields.insert(Field::Prop(name), self.number);
            }
        }
        let props = to_props(&shown.fields);
        match id {
            EntityId::Node(id) => {
                let mut version = open.transaction.require(id).unwrap();
                version.props = props;
                open.transaction.resolve(id, version).unwrap();
            }
            EntityId::Edge(id) => {
                let mut version = open.transaction.require(id).unwrap();
                version.props = props;
                open.transaction.resolve(id, version).unwrap();
            }
        }
    }

    /// Ids are used once; that it was tried changes nothing, not even of what is in conflict.
    fn add_again(&mut self, open: &mut Open) {
        let Some(node) = self.some_node(open) else { return };
        let result = open.transaction.add_node_as(node, "A", Props::new());
        assert!(matches!(result, Err(RepoError::Taken { .. })));
    }
}

fn refused<E: Entity>(transaction: &mut Transaction, id: E) {
    assert!(matches!(transaction.set(id, "p", 0), Err(RepoError::InConflict { .. })));
}

/// Compares what a transaction shows with what was done in it.
pub(crate) fn compare(open: &Open, known: impl Iterator<Item = EntityId>) {
    for id in known {
        let shown = open.after.get(&id);
        let props = match id {
            EntityId::Node(id) => open.transaction.get(id).unwrap().map(|node| node.props),
            EntityId::Edge(id) => open.transaction.get(id).unwrap().map(|edge| edge.props),
        };
        assert_eq!(props, shown.map(|shown| to_props(&shown.fields)), "{id} in a transaction");
    }
}
