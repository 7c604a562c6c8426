//! Arbitrary objects that keep the rules of their kind.

use std::sync::Arc;

use mnem_core::object::*;
use mnem_core::tree::TreeParams;
use mnem_core::value::Map;
use mnem_core::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::kit::{bytes, cid, int, name, props, text, value};

fn id16() -> impl Strategy<Value = [u8; 16]> {
    any::<[u8; 16]>()
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![int().prop_filter_map("in range", Time::from_micros), Just(Time::MIN), Just(Time::MAX)]
}

/// Names that no kind of object has, and some that stand between those that they have.
fn unknown() -> impl Strategy<Value = Unknown> {
    let null = Just(vec![0xf6]);
    let item = prop_oneof![value().prop_map(|it| it.encode()), null];
    vec(("[A-Z]{1,12}", item), 0..3).prop_map(|fields| {
        let mut unknown = Unknown::default();
        for (name, item) in fields {
            unknown.insert(&name, item.into()).expect("canonical");
        }
        unknown
    })
}

fn ascending<T: Ord + std::fmt::Debug>(
    items: impl Strategy<Value = T>,
    least: usize,
) -> impl Strategy<Value = Vec<T>> {
    prop::collection::btree_set(items, least..4).prop_map(|set| set.into_iter().collect())
}

pub(crate) fn params() -> impl Strategy<Value = Params> {
    let tree = (0u32..5000, 5000u32..1 << 15, 0u8..64, any::<[u8; 32]>())
        .prop_map(|(min, max, shift, seed)| TreeParams { min, max, shift, seed });
    (id16(), tree, 0u64..3, ascending(text(), 0), ascending(text(), 0), unknown()).prop_map(
        |(repo, tree, merge, needs, may, unknown)| Params {
            repo: RepoId::from_bytes(repo),
            tree,
            merge,
            needs,
            may,
            unknown,
        },
    )
}

/// When properties were set of which the latest stays.
fn times() -> impl Strategy<Value = Map> {
    vec((name(), -1_000_000i64..2_000_000_000_000_000), 0..3).prop_map(|times| {
        let times = times.into_iter().map(|(name, us)| (name, Value::Int(us)));
        Map::new(times).expect("short names")
    })
}

pub(crate) fn node() -> impl Strategy<Value = Node> {
    let content = prop_oneof![bytes().prop_map(Content::Inline), cid().prop_map(Content::List)];
    (id16(), vec(name(), 0..4), props(), option::of(content), option::of(id16()), times(), unknown())
        .prop_map(|(id, labels, props, content, salt, times, unknown)| Node {
            id: NodeId::from_bytes(id),
            labels: Labels::new(labels).expect("short names"),
            props,
            content,
            salt: salt.map(Salt),
            times,
            unknown,
        })
}

pub(crate) fn edge() -> impl Strategy<Value = Edge> {
    (id16(), id16(), id16(), name(), props(), option::of(id16()), times(), unknown()).prop_map(
        |(id, src, dst, edge_type, props, salt, times, unknown)| Edge {
            id: EdgeId::from_bytes(id),
            src: NodeId::from_bytes(src),
            dst: NodeId::from_bytes(dst),
            edge_type: EdgeType::new(edge_type).expect("a short name"),
            props,
            salt: salt.map(Salt),
            times,
            unknown,
        },
    )
}

pub(crate) fn commit() -> impl Strategy<Value = Commit> {
    let origin = (prop::collection::btree_set(cid(), 0..4), 1u64..1 << 40, 0u64..9, cid(), time());
    let who = (id16(), id16(), id16(), option::of(text()), time(), text());
    (origin, who, any::<[[u8; 32]; 7]>(), unknown()).prop_map(|(origin, who, roots, unknown)| {
        let (parents, depth, more, skip, skip_time) = origin;
        let (change, actor, session, author, time, message) = who;
        let first = parents.is_empty();
        let [params, nodes, edges, tombs, conflicts, schema, vectors] =
            roots.map(|digest| Cid::from_parts(CidClass::DagCborBlake3, digest));
        Commit {
            params,
            parents: parents.into_iter().rev().map(CommitId::new).collect(),
            generation: if first { 1 } else { depth + more + 1 },
            depth: if first { 0 } else { depth },
            skip: (!first).then_some(Skip {
                commit: CommitId::new(skip),
                time: skip_time.min(time).checked_add(-1).unwrap_or(Time::MIN),
            }),
            change: ChangeId::from_bytes(change),
            actor: ActorId::from_bytes(actor),
            session: SessionId::from_bytes(session),
            author,
            time: time.max(Time::MIN.checked_add(1).expect("in range")),
            message,
            nodes,
            edges,
            tombs,
            conflicts,
            schema,
            vectors,
            unknown,
        }
    })
}

fn operation_kind() -> impl Strategy<Value = OperationKind> {
    use OperationKind as Kind;
    let entity = (any::<bool>(), id16()).prop_map(|(node, id)| match node {
        true => EntityId::Node(NodeId::from_bytes(id)),
        false => EntityId::Edge(EdgeId::from_bytes(id)),
    });
    let entities = vec(entity, 0..3).prop_map(|mut entities| {
        entities.sort_by_key(|entity| entity.to_key());
        entities.dedup();
        Kind::Erase { entities }
    });
    let plain = [Kind::Init, Kind::Commit, Kind::Refs, Kind::Merge, Kind::Config, Kind::Import, Kind::Gc];
    prop_oneof![
        prop::sample::select(plain.to_vec()),
        (0..4, cid()).prop_map(|(which, cid)| match (which, OperationId::new(cid)) {
            (0, to) => Kind::Restore { to },
            (1, of) => Kind::Revert { of },
            (2, of) => Kind::Undo { of },
            (_, of) => Kind::Redo { of },
        }),
        entities,
        "[A-Z]{1,9}".prop_map(|name| Kind::from_name(&name).expect("upper case is unknown")),
    ]
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let who = (id16(), id16(), time());
    (ascending(cid(), 0), 2u64..1 << 40, operation_kind(), unknown(), who, cid(), unknown()).prop_map(
        |(parents, generation, kind, details, (actor, session, time), view, unknown)| Operation {
            generation: if parents.is_empty() { 1 } else { generation },
            parents: parents.into_iter().map(OperationId::new).collect(),
            kind,
            details,
            actor: ActorId::from_bytes(actor),
            session: SessionId::from_bytes(session),
            time,
            view,
            unknown,
        },
    )
}

pub(crate) fn view() -> impl Strategy<Value = View> {
    (cid(), cid(), cid(), cid(), cid(), cid(), unknown()).prop_map(
        |(params, refs, remotes, config, erased, sigs, unknown)| View {
            params,
            refs,
            remotes,
            config,
            erased,
            sigs,
            unknown,
        },
    )
}

/// Terms from few CIDs, so that some cancel.
pub(crate) fn terms() -> impl Strategy<Value = (Vec<Option<Cid>>, Vec<Option<Cid>>)> {
    let term = || (0u8..6).prop_map(|n| (n > 0).then(|| Cid::from_parts(CidClass::DagCborBlake3, [n; 32])));
    (0usize..5).prop_flat_map(move |n| (vec(term(), n + 1), vec(term(), n)))
}

pub(crate) fn conflict() -> impl Strategy<Value = Conflict> {
    let why = prop_oneof![
        Just(Why::Edge),
        Just(Why::Vector),
        Just(Why::Settled),
        "[A-Z]{1,4}".prop_map(|it| Why::from(&*it))
    ];
    (terms(), why, any::<bool>(), unknown()).prop_map(|((adds, removes), why, plain, unknown)| {
        let conflict = match Conflict::from_terms(adds.clone(), removes.clone()) {
            Merged::Conflict(conflict) if plain => conflict,
            _ => Conflict::because(Some(why), adds, removes),
        };
        Conflict { unknown, ..conflict }
    })
}

pub(crate) fn bundle() -> impl Strategy<Value = Bundle> {
    (cid(), ascending(cid(), 1), cid(), cid(), unknown()).prop_map(
        |(params, heads, boundary, erased, unknown)| Bundle {
            params,
            heads: heads.into_iter().map(OperationId::new).collect(),
            boundary,
            erased,
            unknown,
        },
    )
}

pub(crate) fn property() -> impl Strategy<Value = Property> {
    let word =
        || prop::sample::select(vec!["any", "int", "text", "map", "atomic", "counter", "lww", "NEWER"]);
    (name(), word(), word(), any::<[bool; 3]>(), unknown()).prop_map(
        |(name, value_type, merge_type, [indexed, unique, words], unknown)| Property {
            name,
            value_type: value_type.into(),
            merge_type: merge_type.into(),
            indexed,
            unique,
            words,
            unknown,
        },
    )
}

pub(crate) fn model() -> impl Strategy<Value = Model> {
    let metric = prop::sample::select(vec!["cosine", "dot", "l2", "NEWER"]);
    (name(), 1u32.., metric, unknown()).prop_map(|(name, dim, metric, unknown)| Model {
        name: Arc::clone(&name),
        dim,
        metric: metric.into(),
        unknown,
    })
}
