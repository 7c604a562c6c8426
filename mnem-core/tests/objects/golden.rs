//! The bytes of objects are those that were recorded: FORMAT.md, "Objects".

use mnem_core::Block;
use mnem_core::codec;
use mnem_core::object::Object;

use crate::{examples, kit};

fn lines<T: Object + PartialEq + std::fmt::Debug>(what: &str, object: &T) -> Vec<String> {
    let block = object.to_block().expect("an example");
    assert_eq!(T::from_block(&block).as_ref(), Ok(object), "{what}");
    // The library that everybody uses reads and writes the same bytes.
    let ipld: ipld_core::ipld::Ipld = codec::decode(block.bytes()).expect("an encoding");
    assert_eq!(codec::encode(&ipld).as_deref(), Ok(&block.bytes()[..]), "{what}");
    let again = Block::verify(*block.cid(), block.bytes().clone()).expect("bytes and hash belong together");
    vec![
        format!("{}: {what}", T::KIND),
        format!("  {}", again.cid()),
        format!("  {}", kit::hex(again.bytes())),
    ]
}

#[test]
fn bytes_of_objects_are_frozen() {
    let mut all = vec![
        lines("the first version of tree parameters, two needs", &examples::params()),
        lines("every kind of value, content in the node, salt", &examples::node()),
        lines(
            "no labels, no properties, content in chunks, fields of a newer version",
            &examples::node_of_a_newer_version(),
        ),
        lines("one property", &examples::edge()),
        lines("the time of a property of which the latest value stays", &examples::edge_with_times()),
        lines("no parents", &examples::first_commit()),
        lines("two parents, author, no message, fields of a newer version", &examples::merge_commit()),
        lines("every field", &examples::view()),
        lines("two versions and absence, one base twice", &examples::conflict()),
        lines("terms kept because of an edge", &examples::conflict_over_an_edge()),
        lines("two heads, fields of a newer version", &examples::bundle()),
        lines("an indexed integer", &examples::property()),
        lines("text, unique, by words, merged by lines", &examples::text_property()),
        lines("384 numbers by cosine", &examples::model()),
    ];
    all.extend(examples::operations().iter().map(|it| lines(it.kind.name(), it)));
    kit::golden(include_str!("../../../tests/fixtures/v1/objects.txt"), &all.concat());
}
