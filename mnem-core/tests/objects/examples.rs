//! One object of each kind, and more where a kind has forms: the golden vectors, and what the refusals start from.

use bytes::Bytes;
use mnem_core::object::*;
use mnem_core::tree::TreeParams;
use mnem_core::value::{Map, Value};
use mnem_core::*;

fn link(name: &str) -> Cid {
    Cid::of(Codec::DagCbor, name.as_bytes())
}

fn time(micros: i64) -> Time {
    Time::from_micros(micros).expect("in range")
}

fn newer() -> Unknown {
    let mut unknown = Unknown::default();
    unknown.insert("newer", Bytes::from_static(&[0xf6])).expect("null is an item");
    unknown.insert("a", Value::from(link("newer")).encode().into()).expect("a link is an item");
    unknown
}

pub(crate) fn params() -> Params {
    Params {
        repo: RepoId::from_bytes([1; 16]),
        tree: TreeParams::V1,
        merge: 1,
        needs: vec!["sets".into(), "trees".into()],
        may: vec![],
        unknown: Unknown::default(),
    }
}

pub(crate) fn node() -> Node {
    let props = props! {
        name: "Ada",
        born: 1815,
        height: 1.6,
        alive: false,
        portrait: link("portrait"),
        key: &b"\x00\xff"[..],
        known: ["Ada", "Countess"],
        address: Map::new([("city".into(), Value::from("London"))]).expect("one level"),
    };
    Node {
        content: Some(Content::Inline(Bytes::from_static(b"Enchantress of Numbers"))),
        salt: Some(Salt([7; 16])),
        ..Node::new(
            NodeId::of_key("person", b"ada"),
            Labels::new(["Writer", "Person"]).expect("two labels"),
            props.expect("eight properties"),
        )
    }
}

pub(crate) fn node_of_a_newer_version() -> Node {
    let empty = Node::new(NodeId::from_bytes([2; 16]), Labels::default(), Props::new());
    Node { content: Some(Content::List(link("chunks"))), unknown: newer(), ..empty }
}

pub(crate) fn edge() -> Edge {
    let (ada, engine) = (NodeId::of_key("person", b"ada"), NodeId::of_key("machine", b"engine"));
    let id = EdgeId::of_unique(ada, "described", engine, b"");
    let props = props! { year: 1843 }.expect("one property");
    Edge::new(id, ada, EdgeType::new("described").expect("a short type"), engine, props)
}

/// One with a property of which the latest value stays.
pub(crate) fn edge_with_times() -> Edge {
    let times = Map::new([("year".into(), Value::from(1_800_000_000_000_000_i64))]).expect("one level");
    Edge { times, ..edge() }
}

pub(crate) fn first_commit() -> Commit {
    Commit {
        params: *params().to_block().expect("an example").cid(),
        parents: vec![],
        generation: 1,
        depth: 0,
        skip: None,
        change: ChangeId::from_bytes([3; 16]),
        actor: ActorId::named("curator"),
        session: SessionId::from_bytes([4; 16]),
        author: None,
        time: time(1_763_719_200_000_000),
        message: "What Ada worked on".into(),
        nodes: link("nodes"),
        edges: link("edges"),
        tombs: link("tombs"),
        conflicts: link("conflicts"),
        schema: link("schema"),
        vectors: link("vectors"),
        unknown: Unknown::default(),
    }
}

pub(crate) fn merge_commit() -> Commit {
    let first = first_commit();
    let first_id = CommitId::new(*first.to_block().expect("an example").cid());
    Commit {
        parents: vec![first_id, CommitId::new(link("letters"))],
        generation: 3,
        depth: 1,
        skip: Some(Skip { commit: first_id, time: first.time }),
        author: Some("Grace".into()),
        time: time(1_763_719_200_000_001),
        message: "".into(),
        unknown: newer(),
        ..first
    }
}

pub(crate) fn operation(kind: OperationKind) -> Operation {
    Operation {
        parents: vec![OperationId::new(link("before"))],
        generation: 2,
        kind,
        details: Unknown::default(),
        actor: ActorId::SYSTEM,
        session: SessionId::SYSTEM,
        time: time(-1),
        view: link("view"),
        unknown: Unknown::default(),
    }
}

/// Every kind of operation, a first one among them, and one of a newer version.
pub(crate) fn operations() -> Vec<Operation> {
    use OperationKind as Kind;
    let other = OperationId::new(link("other"));
    let entities =
        vec![EntityId::Edge(EdgeId::from_bytes([5; 16])), EntityId::Node(NodeId::from_bytes([2; 16]))];
    let named = |name| Kind::from_name(name).expect("without fields");
    let mut operations: Vec<_> = [
        named("commit"),
        named("refs"),
        named("merge"),
        Kind::Restore { to: other },
        Kind::Revert { of: other },
        Kind::Undo { of: other },
        Kind::Redo { of: other },
        named("config"),
        named("import"),
        named("gc"),
        Kind::Erase { entities },
    ]
    .map(operation)
    .into();
    operations.insert(0, Operation { parents: vec![], generation: 1, ..operation(named("init")) });
    operations.push(Operation { details: newer(), unknown: newer(), ..operation(named("dream")) });
    operations
}

pub(crate) fn view() -> View {
    View {
        params: *params().to_block().expect("an example").cid(),
        refs: link("refs"),
        remotes: link("remotes"),
        config: link("config"),
        erased: link("erased"),
        sigs: link("sigs"),
        unknown: Unknown::default(),
    }
}

pub(crate) fn conflict() -> Conflict {
    let [base, left, right] = ["base", "left", "right"].map(|name| Some(link(name)));
    match Conflict::from_terms(vec![right, None, left], vec![base, base]) {
        Merged::Conflict(conflict) => conflict,
        Merged::Resolved(term) => panic!("resolved to {term:?}"),
    }
}

pub(crate) fn conflict_over_an_edge() -> Conflict {
    let base = Some(link("base"));
    Conflict::because(Some(Why::Edge), vec![base, None], vec![base])
}

pub(crate) fn bundle() -> Bundle {
    let mut heads = ["one", "two"].map(|name| OperationId::new(link(name))).to_vec();
    heads.sort_unstable();
    Bundle {
        params: *params().to_block().expect("an example").cid(),
        heads,
        boundary: link("boundary"),
        erased: link("erased"),
        unknown: newer(),
    }
}

pub(crate) fn property() -> Property {
    Property::new("born", ValueType::Int).indexed()
}

pub(crate) fn text_property() -> Property {
    Property::new("title", ValueType::Text).unique().with_words().merged(MergeType::Text)
}

pub(crate) fn model() -> Model {
    Model { name: "minilm".into(), dim: 384, metric: Metric::Cosine, unknown: Unknown::default() }
}
