//! Every read of a snapshot against what is expected, and against each other.

use std::collections::{BTreeMap, BTreeSet};

use mnem_core::key::ConflictKey;
use mnem_core::repo::{Entity, RepoError, Snapshot};
use mnem_core::{Edge, EdgeId, EntityId, Node, NodeId, Props, Value};

use crate::history::{Expected, Field, History, LABELS, MODEL, PROPS, Presence, Seen, TYPES};

/// What a snapshot shows of one entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Fields in dispute and what sides say of them, if it is in conflict.
    pub(crate) conflict: Option<Sides>,
    /// Whether sides disagree on its vector.
    pub(crate) is_vector_disputed: bool,
    pub(crate) fields: BTreeMap<Field, i64>,
}

/// The values in dispute of each field by its name; `None` stands for its absence.
type Sides = BTreeMap<String, BTreeSet<Option<Value>>>;

/// What a snapshot shows.
pub(crate) type Shot = BTreeMap<EntityId, Shown>;

fn props(of: &Props, fields: &mut BTreeMap<Field, i64>) {
    for (name, value) in of.iter() {
        let name = PROPS.into_iter().find(|known| *known == name).expect("a property that was written");
        let Value::Int(number) = value else { panic!("{value:?} was never written") };
        fields.insert(Field::Prop(name), *number);
    }
}

fn node_fields(node: &Node) -> BTreeMap<Field, i64> {
    let mut fields = BTreeMap::new();
    for label in node.labels.iter() {
        let label = LABELS.into_iter().find(|known| *known == &**label).expect("a label that was written");
        fields.insert(Field::Label(label), 1);
    }
    props(&node.props, &mut fields);
    fields
}

fn sides<E: Entity + Into<ConflictKey>>(snapshot: &Snapshot, id: E) -> Option<Sides> {
    let found = snapshot.conflict_at(id).unwrap();
    let sides = found.map(|found| {
        let sides = found.fields.into_iter().map(|it| (it.field, it.sides.into_iter().collect()));
        sides.collect::<Sides>()
    });
    let names = snapshot.conflict(id).unwrap();
    assert_eq!(names, sides.as_ref().map(|sides| sides.keys().cloned().collect()));
    sides
}

/// Reads a snapshot through every call, each of which must say the same.
pub(crate) fn read(snapshot: &Snapshot, history: &History, known: &BTreeSet<EntityId>) -> Shot {
    let mut shot = Shot::new();
    let nodes: Vec<Node> = snapshot.nodes().map(Result::unwrap).collect();
    let edges: Vec<Edge> = snapshot.edges().map(Result::unwrap).collect();
    assert!(nodes.is_sorted_by(|a, b| a.id < b.id) && edges.is_sorted_by(|a, b| a.id < b.id));
    for node in &nodes {
        let conflict = sides(snapshot, node.id);
        let shown = Shown { conflict, is_vector_disputed: false, fields: node_fields(node) };
        shot.insert(node.id.into(), shown);
    }
    for edge in &edges {
        let ends = history.ends(edge.id);
        assert_eq!((edge.src, &edge.edge_type[..], edge.dst), (ends.src, ends.edge_type, ends.dst));
        for end in [edge.src, edge.dst] {
            assert!(shot.contains_key(&end.into()), "edge {} lacks its end {end}", edge.id);
        }
        let mut fields = BTreeMap::new();
        props(&edge.props, &mut fields);
        let conflict = sides(snapshot, edge.id);
        shot.insert(edge.id.into(), Shown { conflict, is_vector_disputed: false, fields });
    }
    counts_and_points(snapshot, &nodes, &edges, known);
    adjacency(snapshot, &edges, known);
    labels(snapshot, &nodes, &shot);
    vectors(snapshot, &mut shot, known);
    let in_conflict = shot.iter().filter(|(_, shown)| shown.conflict.is_some()).map(|(id, _)| match id {
        EntityId::Node(id) => ConflictKey::Node(*id),
        EntityId::Edge(id) => ConflictKey::Edge(*id),
    });
    let vectors = shot.iter().filter(|(_, shown)| shown.is_vector_disputed).map(|(id, _)| vector_key(*id));
    let in_conflict: BTreeSet<ConflictKey> = in_conflict.chain(vectors).collect();
    assert_eq!(snapshot.conflicts().unwrap().into_iter().collect::<BTreeSet<_>>(), in_conflict);
    shot
}

fn counts_and_points(snapshot: &Snapshot, nodes: &[Node], edges: &[Edge], known: &BTreeSet<EntityId>) {
    assert_eq!(snapshot.node_count().unwrap(), u64::try_from(nodes.len()).unwrap());
    assert_eq!(snapshot.edge_count().unwrap(), u64::try_from(edges.len()).unwrap());
    let mut node_ids: Vec<NodeId> =
        known.iter().filter_map(|id| if let EntityId::Node(id) = id { Some(*id) } else { None }).collect();
    node_ids.reverse();
    node_ids.extend(node_ids.clone());
    let many = snapshot.get_many(&node_ids).unwrap();
    for (id, found) in node_ids.iter().zip(many) {
        let node = nodes.iter().find(|node| node.id == *id);
        assert_eq!(found.as_ref(), node);
        assert_eq!(snapshot.get(*id).unwrap().as_ref(), node);
        assert_eq!(snapshot.version_of(*id).unwrap().is_some(), node.is_some());
        match snapshot.require(*id) {
            Ok(found) => assert_eq!(Some(&found), node),
            Err(RepoError::NoSuchEntity { .. }) => assert_eq!(None, node),
            Err(other) => panic!("{other}"),
        }
        if node.is_none() {
            assert_eq!(snapshot.conflict(*id).unwrap(), None);
        }
    }
    let edge_ids: Vec<EdgeId> =
        known.iter().filter_map(|id| if let EntityId::Edge(id) = id { Some(*id) } else { None }).collect();
    let many = snapshot.get_many(&edge_ids).unwrap();
    for (id, found) in edge_ids.iter().zip(many) {
        assert_eq!(found.as_ref(), edges.iter().find(|edge| edge.id == *id));
        assert_eq!(found, snapshot.get(*id).unwrap());
    }
}

fn adjacency(snapshot: &Snapshot, edges: &[Edge], known: &BTreeSet<EntityId>) {
    for id in known {
        let EntityId::Node(node) = *id else { continue };
        let sorted = |keep: &dyn Fn(&Edge) -> bool, far: &dyn Fn(&Edge) -> NodeId| {
            let mut found: Vec<Edge> = edges.iter().filter(|edge| keep(edge)).cloned().collect();
            found.sort_by_key(|edge| (edge.edge_type[..].to_owned(), far(edge), edge.id));
            found
        };
        let all = |edges: mnem_core::repo::Edges| edges.map(Result::unwrap).collect::<Vec<Edge>>();
        let (out, into) = (|edge: &Edge| edge.src == node, |edge: &Edge| edge.dst == node);
        assert_eq!(all(snapshot.edges_out(node, ..).unwrap()), sorted(&out, &|edge| edge.dst));
        assert_eq!(all(snapshot.edges_in(node, ..).unwrap()), sorted(&into, &|edge| edge.src));
        for name in TYPES {
            let of_type = |edge: &Edge| edge.edge_type[..] == *name;
            let found = all(snapshot.edges_out(node, name).unwrap());
            assert_eq!(found, sorted(&|edge| out(edge) && of_type(edge), &|edge| edge.dst));
            let found = all(snapshot.edges_in(node, name).unwrap());
            assert_eq!(found, sorted(&|edge| into(edge) && of_type(edge), &|edge| edge.src));
        }
    }
}

fn labels(snapshot: &Snapshot, nodes: &[Node], shot: &Shot) {
    for label in LABELS {
        let found: Vec<Node> = snapshot.labelled(label).unwrap().map(Result::unwrap).collect();
        for node in nodes {
            let is_found = found.contains(node);
            // One in conflict is found under the labels of each of its sides.
            if shot[&node.id.into()].conflict.is_none() || node.labels.has(label) {
                assert_eq!(is_found, node.labels.has(label), "{label} of {node:?}");
            }
        }
        assert!(found.iter().all(|node| nodes.contains(node)) && found.is_sorted_by(|a, b| a.id < b.id));
    }
}

fn vector_key(id: EntityId) -> ConflictKey {
    let EntityId::Node(node) = id else { panic!("an edge has a vector") };
    ConflictKey::Vector { model: MODEL.into(), node }
}

/// A vector holds the number that was written, and its negative.
fn vectors(snapshot: &Snapshot, shot: &mut Shot, known: &BTreeSet<EntityId>) {
    if snapshot.schema().unwrap().model(MODEL).is_none() {
        return;
    }
    let disputed: BTreeSet<ConflictKey> = snapshot.conflicts().unwrap().into_iter().collect();
    let all: Vec<(NodeId, Vec<f32>)> = snapshot.vectors(MODEL).unwrap().map(Result::unwrap).collect();
    assert!(all.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(snapshot.vector_count(MODEL).unwrap(), u64::try_from(all.len()).unwrap());
    for id in known {
        let EntityId::Node(node) = *id else { continue };
        let found = all.iter().find(|(other, _)| *other == node).map(|(_, vector)| vector.clone());
        assert_eq!(snapshot.vector(node, MODEL).unwrap(), found);
        let Some(vector) = found else { continue };
        let shown = shot.get_mut(id).unwrap_or_else(|| panic!("{id} has a vector and is not there"));
        #[expect(clippy::cast_possible_truncation, reason = "whole, and small")]
        let number = vector[0] as i64;
        assert_eq!(vector, to_vector(number), "a vector that was written");
        shown.fields.insert(Field::Vector, number);
        shown.is_vector_disputed = disputed.contains(&vector_key(*id));
    }
}

pub(crate) fn to_vector(number: i64) -> [f32; 2] {
    let number = f32::from(u16::try_from(number).unwrap());
    [number, -number]
}

/// Compares what is shown with what was written. Returns how much the model could not tell.
pub(crate) fn compare(shot: &Shot, history: &History, seen: &Seen) -> usize {
    let expected = history.expect(seen);
    let mut untold = 0;
    for id in shot.keys() {
        assert!(expected.contains_key(id), "{id} was never made here");
    }
    for (id, expected) in &expected {
        let shown = shot.get(id);
        match expected.presence {
            Presence::Absent => assert_eq!(shown, None, "{id} is there"),
            Presence::Either => untold += 1,
            Presence::Present | Presence::Disputed => {
                let shown = shown.unwrap_or_else(|| panic!("{id} is lost: {expected:?}"));
                fields(*id, shown, expected, &|| history.tell(seen, *id));
                if expected.presence == Presence::Present && !expected.made_twice {
                    let values = expected.fields.get(&Field::Vector);
                    let is_disputed = values.is_some_and(|values| values.len() > 1);
                    // A node that is made anew without a vector, where none was removed, says nothing about it; and a
                    // vector may have gone with its node, which another set.
                    let says_nothing = values.is_some_and(|values| values.contains(&None));
                    let is_loose =
                        expected.was_removed && (says_nothing || expected.gone.contains(&Field::Vector));
                    assert!(
                        shown.is_vector_disputed == is_disputed || is_loose,
                        "{id}\n{}",
                        history.tell(seen, *id)
                    );
                }
            }
        }
    }
    untold
}

fn fields(id: EntityId, shown: &Shown, expected: &Expected, told: &dyn Fn() -> String) {
    let disputed = expected.disputed();
    let mut more: Vec<&String> = Vec::new();
    match &shown.conflict {
        // Beside a removal it may not show which of several versions was removed: then more is in dispute.
        Some(names) if expected.presence == Presence::Disputed || expected.made_twice => {
            assert!(
                disputed.iter().all(|name| names.contains_key(name)),
                "{id}: {shown:?} for {disputed:?}\n{}",
                told()
            );
            more.extend(names.keys());
        }
        Some(names) => assert!(names.keys().eq(&disputed), "{id}: {shown:?}\n{}", told()),
        None => assert!(
            expected.presence == Presence::Present && disputed.is_empty(),
            "{id}: {shown:?} for {disputed:?}\n{}",
            told()
        ),
    }
    if shown.conflict.is_some() && !expected.made_twice {
        assert!(
            expected.presence == Presence::Disputed || !disputed.is_empty(),
            "{id}: {shown:?}\n{}",
            told()
        );
    }
    for (field, values) in &expected.fields {
        let is_more = matches!(field, Field::Prop(name) if more.iter().any(|it| *it == name));
        let is_told = matches!(field, Field::Prop(name) if disputed.iter().any(|it| it == name));
        let is_loose =
            is_more && !is_told || expected.presence == Presence::Disputed && expected.gone.contains(field);
        if *field == Field::Exists || is_loose {
            continue;
        }
        let sides = match (field, &shown.conflict) {
            (Field::Prop(name), Some(sides)) => sides.get(*name),
            _ => None,
        };
        match sides {
            // One that only some settled may still be among what the others did not look at.
            Some(sides) => {
                let is_there = |value: &Option<i64>| sides.contains(&value.map(Value::Int));
                assert!(
                    values.iter().all(is_there),
                    "{id}: {field:?} is {sides:?}, not {values:?}\n{}",
                    told()
                );
            }
            None => {
                let value = shown.fields.get(field).copied();
                assert!(
                    values.contains(&value),
                    "{id}: {field:?} is {value:?}, not of {values:?}\n{}",
                    told()
                );
            }
        }
    }
    let unwritten = shown.fields.keys().find(|field| !expected.fields.contains_key(field));
    assert_eq!(unwritten, None, "{id}");
}
