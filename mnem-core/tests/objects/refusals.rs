//! What is no object. Each case is a valid one with one field changed.

use mnem_core::codec::{DEPTH_MAX, DecodeError, Malformed, Writer, key_order};
use mnem_core::object::*;
use mnem_core::tree::TreeParams;
use mnem_core::value::Value;
use mnem_core::*;

use crate::kit::{Fields, fields};
use crate::{examples, kit};

fn block(fields: &Fields) -> Block {
    let mut writer = Writer::new();
    writer.map(fields.len());
    for (name, item) in fields {
        writer.text(name);
        writer.encoded(item);
    }
    Block::new(Codec::DagCbor, writer.into_bytes())
}

/// Reads `object` with `name` set to `item`, or taken out.
fn with<T: Object>(object: &T, name: &str, item: Option<&[u8]>) -> Result<T, DecodeError> {
    let mut fields = fields(&object.to_block().expect("an example"));
    fields.retain(|(other, _)| other != name);
    fields.extend(item.map(|item| (name.to_owned(), item.to_vec())));
    fields.sort_by(|a, b| key_order(&a.0, &b.0));
    T::from_block(&block(&fields))
}

#[track_caller]
fn refused<T: Object + std::fmt::Debug>(object: &T, name: &str, item: &[u8], what: &Malformed) {
    let found = with(object, name, Some(item)).expect_err("an example with a bad field");
    assert_eq!(&found.what, what, "{} with {name} = {}", T::KIND, kit::hex(item));
}

fn expected(expected: &'static str) -> Malformed {
    Malformed::Expected { expected }
}

fn rule(name: &'static str, why: &'static str) -> Malformed {
    Malformed::Field { name, why }
}

fn encoded(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    write(&mut writer);
    writer.into_bytes()
}

fn texts(texts: &[&str]) -> Vec<u8> {
    encoded(|w| {
        w.list(texts.len());
        texts.iter().for_each(|text| w.text(text));
    })
}

fn links(cids: &[Option<Cid>]) -> Vec<u8> {
    encoded(|w| {
        w.list(cids.len());
        cids.iter().for_each(|cid| match cid {
            Some(cid) => w.link(cid),
            None => w.null(),
        });
    })
}

/// Without any one of its fields, with null in it, or with another type: refused, unless it may be absent.
fn every_field_matters<T: Object>(object: &T, optional: &[&str]) {
    for (name, _) in fields(&object.to_block().expect("an example")) {
        let without = with(object, &name, None).map(|_| ()).map_err(|why| why.what);
        match without {
            Err(Malformed::Missing { name: missing }) => assert_eq!(missing, name),
            other => assert!(optional.contains(&&*name), "{} without {name}: {other:?}", T::KIND),
        }
        for item in [&[0xf6][..], &[0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]] {
            let other_type = with(object, &name, Some(item)).map(|_| ()).map_err(|why| why.what);
            assert!(
                matches!(other_type, Err(Malformed::Expected { .. })),
                "{} {name}: {other_type:?}",
                T::KIND
            );
        }
    }
}

#[test]
fn fields_are_neither_missing_nor_null_nor_of_another_type() {
    every_field_matters(&examples::params(), &[]);
    every_field_matters(&examples::node(), &["content", "salt"]);
    every_field_matters(&examples::edge(), &[]);
    every_field_matters(&examples::first_commit(), &[]);
    // Each half of the skip link needs the other: not a missing field but a broken rule.
    every_field_matters(
        &Commit { unknown: Unknown::default(), ..examples::merge_commit() },
        &["author", "skip", "skip_time"],
    );
    every_field_matters(&examples::view(), &[]);
    every_field_matters(&examples::conflict(), &[]);
    every_field_matters(&Bundle { unknown: Unknown::default(), ..examples::bundle() }, &[]);
    every_field_matters(&examples::property(), &[]);
    every_field_matters(&examples::model(), &[]);
    every_field_matters(&examples::operations()[0], &[]);
}

#[test]
fn another_kind_is_named() {
    let what = Malformed::WrongKind { expected: "node", found: "edge".into() };
    let error = Node::from_block(&examples::edge().to_block().unwrap()).unwrap_err();
    assert_eq!(error, DecodeError { what, at: 0 });
    assert_eq!(error.to_string(), "a \"edge\" where a \"node\" belongs at byte 0");
    let tree_node = Block::new(Codec::DagCbor, kit::unhex("a2616580616c00"));
    assert_eq!(Node::from_block(&tree_node).unwrap_err().what, Malformed::Missing { name: "_kind" });
    assert_eq!(kind_of(&tree_node), Ok(None));
    let raw = Block::new(Codec::Raw, examples::node().to_block().unwrap().bytes().clone());
    assert_eq!(Node::from_block(&raw).unwrap_err().what, expected("an object, which raw bytes are not"));
    assert_eq!(kind_of(&raw), Ok(None));
}

#[test]
fn objects_have_a_limit_when_made_and_when_read() {
    let large = |bytes: usize| Node { props: props! { a: vec![7u8; bytes] }.unwrap(), ..examples::node() };
    let around = large(1 << 20).to_block().unwrap_err();
    let ObjectError::TooLarge { kind: "node", found_bytes, max_bytes: OBJECT_BYTES_MAX } = around else {
        panic!("{around}")
    };
    let fits = (1 << 20) - (found_bytes - (1 << 20));
    let block = large(fits).to_block().unwrap();
    assert_eq!(block.bytes().len(), OBJECT_BYTES_MAX);
    assert_eq!(Node::from_block(&block), Ok(large(fits)));
    assert!(large(fits + 1).to_block().is_err());
    // Refused by its length: what it holds is not looked at.
    let longer = Block::new(Codec::DagCbor, vec![0xff; OBJECT_BYTES_MAX + 1]);
    let what = Malformed::TooLarge { max_bytes: OBJECT_BYTES_MAX };
    assert_eq!(Node::from_block(&longer).unwrap_err().what, what);
}

#[test]
fn ids_and_salts_have_sixteen_bytes() {
    for length in [0, 15, 17] {
        let bytes = encoded(|w| w.bytes(&vec![1; length]));
        refused(&examples::node(), "salt", &bytes, &expected("16 bytes"));
        refused(&examples::node(), "id", &bytes, &expected("16 bytes"));
        refused(&examples::edge(), "src", &bytes, &expected("16 bytes"));
        refused(&examples::first_commit(), "change", &bytes, &expected("16 bytes"));
    }
}

#[test]
fn labels_ascend_and_have_limits() {
    let (node, why) = (examples::node(), "a label is empty or too long");
    refused(&node, "labels", &texts(&["b", "a"]), &rule("labels", "does not ascend"));
    refused(&node, "labels", &texts(&["a", "a"]), &rule("labels", "does not ascend"));
    refused(&node, "labels", &texts(&[""]), &rule("labels", why));
    refused(&node, "labels", &texts(&[&"a".repeat(201)]), &rule("labels", why));
    assert!(with(&node, "labels", Some(&texts(&[&"a".repeat(200), "b"]))).is_ok());
    // By bytes, not as map keys: length does not come first.
    assert!(with(&node, "labels", Some(&texts(&["aa", "b"]))).is_ok());
    assert_eq!(Labels::new(["b", "a", "b"]).unwrap()[..], ["a".into(), "b".into()]);
    assert!(Labels::new([""]).is_err() && Labels::new(["a".repeat(201)]).is_err());
}

#[test]
fn types_of_edges_have_limits() {
    for text in [String::new(), "a".repeat(257)] {
        let bytes = encoded(|w| w.text(&text));
        refused(&examples::edge(), "type", &bytes, &rule("type", "is empty or too long"));
        assert!(EdgeType::new(text).is_err());
    }
    assert!(EdgeType::new("a".repeat(256)).is_ok());
}

#[test]
fn properties_keep_the_rules_of_values() {
    let node = examples::node();
    for (item, what) in [
        ("a16161fb8000000000000000", Malformed::Float),
        ("a16161fb7ff8000000000000", Malformed::Float),
        ("a16161f6", expected("a value, which null is not")),
        ("a16000", Malformed::KeyReserved),
        ("a1612f00", Malformed::KeyReserved),
        ("a2616200616100", Malformed::KeyOrder),
        ("a261610061611801", Malformed::KeyOrder),
        ("a161611b8000000000000000", Malformed::IntegerRange),
        ("a161611801", Malformed::NotMinimal),
    ] {
        refused(&node, "props", &kit::unhex(item), &what);
    }
    let long = [&[0xa1][..], &encoded(|w| w.text(&"a".repeat(201))), &[0]].concat();
    refused(&node, "props", &long, &rule("props", "a name is too long"));
}

#[test]
fn links_are_those_that_can_be_followed() {
    let link = |cid: &[u8]| [&[0xd8, 42][..], &encoded(|w| w.bytes(&[&[0], cid].concat()))].concat();
    let identity = [&[1, 0x55, 0, 3][..], b"abc"].concat();
    refused(&examples::view(), "refs", &link(&identity), &Malformed::Link(CidError::Identity));
    let version_0 = [&[0x12, 0x20][..], &[9; 32]].concat();
    refused(&examples::view(), "refs", &link(&version_0), &Malformed::Link(CidError::Version { found: 0 }));
    // Also where the field itself is not understood: a walk over the links could not follow it.
    refused(&examples::view(), "newer", &link(&identity), &Malformed::Link(CidError::Identity));
}

#[test]
fn nesting_has_a_limit_in_every_field() {
    let nested = |levels: usize| [vec![0x81; levels - 1], vec![0x80]].concat();
    refused(&examples::view(), "newer", &nested(DEPTH_MAX), &Malformed::Depth);
    let deepest = with(&examples::view(), "newer", Some(&nested(DEPTH_MAX - 1))).unwrap();
    assert_eq!(View::from_block(&deepest.to_block().unwrap()), Ok(deepest));
    assert!(Unknown::default().insert("a", nested(DEPTH_MAX - 1).into()).is_err());
    assert!(Unknown::default().insert("a", nested(DEPTH_MAX - 2).into()).is_ok());
    let props = |levels| [&[0xa1, 0x61, 0x61][..], &nested(levels)].concat();
    let most = value::VALUE_DEPTH_MAX - 1;
    assert!(with(&examples::node(), "props", Some(&props(most))).is_ok());
    refused(&examples::node(), "props", &props(most + 1), &Malformed::Depth);
}

#[test]
fn content_in_a_node_has_a_limit() {
    let bytes = encoded(|w| w.bytes(&[0; 1025]));
    let why = "has more than 1024 bytes in the node";
    refused(&examples::node(), "content", &bytes, &rule("content", why));
    let node = Node { content: Some(Content::Inline(vec![0; 1025].into())), ..examples::node() };
    assert_eq!(node.to_block(), Err(ObjectError::Field { kind: "node", field: "content", why }));
    assert!(with(&examples::node(), "content", Some(&encoded(|w| w.bytes(&[0; 1024])))).is_ok());
}

#[test]
fn numbers_of_a_commit_fit_its_parents() {
    let (first, merge) = (examples::first_commit(), examples::merge_commit());
    refused(&first, "depth", &[1], &rule("depth", "is zero exactly without parents"));
    refused(&first, "gen", &[2], &rule("gen", "is one exactly without parents"));
    refused(&merge, "depth", &[0], &rule("depth", "is zero exactly without parents"));
    refused(&merge, "gen", &[1], &rule("gen", "is one exactly without parents"));
    refused(&merge, "depth", &[3], &rule("gen", "is not above the depth"));
    let (parent, skip) = (merge.parents[0], merge.skip.unwrap());
    let twice = links(&[Some(*parent.cid()), Some(*parent.cid())]);
    refused(&merge, "parents", &twice, &rule("parents", "names a commit twice"));
    let alone = with(&merge, "skip_time", None).unwrap_err().what;
    assert_eq!(alone, rule("skip_time", "stands beside `skip`, never alone"));
    let time = |time: Time| encoded(|w| w.int(time.micros()));
    refused(&merge, "time", &time(skip.time), &rule("skip_time", "is not before the commit"));
    let without = Commit { skip: None, ..merge };
    assert!(matches!(without.to_block(), Err(ObjectError::Field { field: "skip", .. })));
    let too_late = encoded(|w| w.int(1 << 62));
    refused(&first, "time", &too_late, &expected("a time below 2^62 microseconds"));
    let large = Commit { generation: 1 << 63, ..without };
    assert!(matches!(large.to_block(), Err(ObjectError::Field { kind: "commit", .. })));
}

#[test]
fn numbers_that_no_reader_takes_are_not_written() {
    let skip = examples::merge_commit().skip;
    let large = Commit { generation: u64::MAX, skip, ..examples::merge_commit() };
    let why = "is not below 2^63";
    assert_eq!(large.to_block(), Err(ObjectError::Field { kind: "commit", field: "gen", why }));
}

#[test]
fn parents_heads_and_erased_entities_ascend() {
    let operation = &examples::operations()[1];
    let mut cids = [Cid::of(Codec::DagCbor, b"a"), Cid::of(Codec::DagCbor, b"b")].map(Some);
    cids.sort_unstable();
    assert!(with(operation, "parents", Some(&links(&cids))).is_ok());
    cids.reverse();
    refused(operation, "parents", &links(&cids), &rule("parents", "does not ascend"));
    refused(operation, "gen", &[1], &rule("gen", "is one exactly without parents"));
    refused(&examples::bundle(), "heads", &links(&cids), &rule("heads", "does not ascend"));
    refused(&examples::bundle(), "heads", &[0x80], &rule("heads", "is empty"));
    let (node, edge) =
        (EntityId::Node(NodeId::from_bytes([0; 16])), EntityId::Edge(EdgeId::from_bytes([0; 16])));
    let erase = |entities| examples::operation(OperationKind::Erase { entities }).to_block();
    assert!(erase(vec![edge, node]).is_ok());
    let why = "the erased entities do not ascend";
    assert_eq!(erase(vec![node, edge]), Err(ObjectError::Field { kind: "operation", field: "kind", why }));
    assert!(erase(vec![node, node]).is_err());
}

#[test]
fn kinds_of_operations_have_their_fields() {
    let operation = &examples::operations()[1];
    refused(operation, "kind", &kit::unhex("a0"), &Malformed::Missing { name: "name" });
    let undo = encoded(|w| {
        w.map(1);
        w.text("name");
        w.text("undo");
    });
    refused(operation, "kind", &undo, &Malformed::Missing { name: "of" });
    let mut details = Unknown::default();
    details.insert("of", vec![0].into()).unwrap();
    let undo = OperationKind::Undo { of: operation.parents[0] };
    let hidden = Operation { details, ..examples::operation(undo) };
    assert!(matches!(hidden.to_block(), Err(ObjectError::Field { field: "of", .. })));
}

#[test]
fn known_fields_are_not_kept_as_unknown() {
    for name in ["salt", "_kind"] {
        let mut unknown = Unknown::default();
        unknown.insert(name, vec![0].into()).unwrap();
        let edge = Edge { unknown, ..examples::edge() };
        assert!(matches!(edge.to_block(), Err(ObjectError::Field { kind: "edge", .. })), "{name}");
    }
    for item in ["", "f6f6", "1801", "ff", "fb8000000000000000"] {
        assert!(Unknown::default().insert("a", kit::unhex(item).into()).is_err(), "{item}");
    }
    assert!(Unknown::default().insert("", vec![0].into()).is_err());
    assert!(Unknown::default().insert("/", vec![0].into()).is_err());
}

#[test]
fn conflicts_are_canonical() {
    let conflict = examples::conflict();
    let [a, b] = [conflict.adds[1], conflict.adds[2]];
    let base = conflict.removes[0];
    refused(&conflict, "adds", &links(&[a, b]), &rule("adds", "is not one more than `removes`"));
    refused(&conflict, "adds", &links(&[a, None, b]), &rule("adds", "is not sorted"));
    refused(&conflict, "adds", &links(&[None, b, a]), &rule("adds", "is not sorted"));
    let mut with_base = [None, a, base];
    with_base.sort_unstable();
    refused(&conflict, "adds", &links(&with_base), &rule("adds", "holds a term that `removes` cancels"));
    let resolved = Conflict { adds: vec![a], removes: vec![], ..conflict };
    assert!(resolved.to_block().is_err());
    assert!(Conflict { why: Some(Why::Vector), ..resolved }.to_block().is_ok());
    assert_eq!(Conflict::from_terms(vec![a, a], vec![a]), Merged::Resolved(a));
    assert_eq!(Conflict::from_terms(vec![None], vec![]), Merged::Resolved(None));
}

#[test]
fn parameters_are_those_that_are_known() {
    let params = examples::params();
    refused(&params, "v", &[2], &rule("v", "is not 1, the version that is known"));
    refused(&params, "needs", &texts(&["b", "a"]), &rule("needs", "does not ascend"));
    refused(&params, "may", &texts(&["a", "a"]), &rule("may", "does not ascend"));
    let sideways = TreeParams { min: 2, max: 1, ..params.tree };
    assert!(Params { tree: sideways, ..params.clone() }.to_block().is_err());
    let shifted = TreeParams { shift: 64, ..params.tree };
    assert!(Params { tree: shifted, ..params }.to_block().is_err());
    refused(&examples::bundle(), "v", &[2], &rule("v", "is not 1, the version that is known"));
}

#[test]
fn schema_entries_have_names_and_sizes() {
    let why = "is empty, `/` or too long";
    refused(&examples::model(), "dim", &[0], &rule("dim", "is zero"));
    refused(&examples::model(), "dim", &encoded(|w| w.uint(1 << 32)), &expected("a smaller number"));
    refused(&examples::model(), "name", &[0x60], &rule("name", why));
    refused(&examples::property(), "name", &encoded(|w| w.text(&"a".repeat(201))), &rule("name", why));
    let keys = [SchemaKey::Model("minilm".into()), SchemaKey::Property("born".into())];
    for key in keys {
        assert_eq!(SchemaKey::from_key(&key.to_key()), Some(key));
    }
    for key in [&b""[..], b"p", b"p/", b"xborn", b"p\xff"] {
        assert_eq!(SchemaKey::from_key(key), None, "{key:?}");
    }
}

#[test]
fn an_integer_is_no_float_and_text_no_bytes() {
    let node = examples::node();
    assert_eq!(node.get("born"), Ok(1815i64));
    assert!(node.get::<f64>("born").is_err());
    assert!(node.get::<&[u8]>("name").is_err());
    assert_eq!(node.props.value("height"), Some(&Value::try_from(1.6).unwrap()));
}
