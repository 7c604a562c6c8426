//! FORMAT.md, "Identity" and "Encoding", say the same as the code.

use mnem_core::cid::{CID_BYTES, FOREIGN_DIGEST_BYTES_MAX};
use mnem_core::codec::{DEPTH_MAX, GENERAL_DEPTH_MAX, Writer};
use mnem_core::{ActorId, BLOCK_BYTES_MAX, Cid, CidClass, Codec, EdgeId, NodeId};

const FORMAT: &str = include_str!("../../docs/FORMAT.md");

/// Returns the text below a heading, up to the next heading of the same level.
fn section(heading: &str) -> &'static str {
    let (_, after) = FORMAT.split_once(&format!("\n{heading}\n")).expect("the heading is there");
    let (level, _) = heading.split_once(' ').expect("a heading begins with its level");
    after.split(&format!("\n{level} ")).next().expect("a split has a first part")
}

/// Returns the cells of each table row whose first cell is `name`.
fn row(section: &str, name: &str) -> Vec<String> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let mut rows = section.lines().filter(|line| line.starts_with('|')).map(cells);
    rows.find(|cells: &Vec<String>| cells[0] == name).unwrap_or_else(|| panic!("no row for {name}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn classes_are_those_of_the_table() {
    for class in CidClass::ALL {
        let (codec, hash) = (class.codec().code(), class.algorithm().code());
        let expected = [
            class.number().to_string(),
            format!("{codec:#x}"),
            format!("{hash:#x}"),
            hex(&Cid::of_class(class, b"").to_bytes()[..4]),
        ];
        assert_eq!(row(section("### CIDs"), &format!("{class:?}"))[1..], expected);
    }
}

#[test]
fn limits_are_those_of_the_tables() {
    for (heading, name, value) in [
        ("### CIDs", "`CID_BYTES`", CID_BYTES),
        ("### CIDs", "`BLOCK_BYTES_MAX`", BLOCK_BYTES_MAX),
        ("## Encoding", "`DEPTH_MAX`", DEPTH_MAX),
        ("## Encoding", "`GENERAL_DEPTH_MAX`", GENERAL_DEPTH_MAX),
        ("## Encoding", "`FOREIGN_DIGEST_BYTES_MAX`", FOREIGN_DIGEST_BYTES_MAX),
    ] {
        assert_eq!(row(section(heading), name)[1], value.to_string(), "{name}");
    }
}

#[test]
fn the_text_of_the_empty_block_and_the_form_of_a_link_are_those_written_down() {
    let empty = Cid::of(Codec::Raw, b"");
    assert!(section("### CIDs").contains(&format!("`{empty}`")));
    assert_eq!(empty.to_string().len(), 59);
    let mut writer = Writer::new();
    writer.link(&empty);
    assert_eq!(writer.as_bytes().len(), 41);
    assert!(section("## Encoding").contains(&format!("`{}`", hex(&writer.as_bytes()[..5]))));
}

/// The ids as the tables say they are made, without the code that makes them.
#[test]
fn derived_ids_are_made_as_written_down() {
    let length = |part: &str| u32::try_from(part.len()).expect("short").to_le_bytes();
    let derive = |name: &str, parts: &[&[u8]]| {
        let context = &row(section("### Ids"), name)[1];
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::derive_key(context.trim_matches('`'), &parts.concat())[..16]);
        id[6] = id[6] & 0x0f | 0x80;
        id[8] = id[8] & 0x3f | 0x80;
        id
    };
    let key = |space: &str, key: &str| {
        let parts = [&length(space)[..], space.as_bytes(), &length(key), key.as_bytes()];
        derive("node of a natural key", &parts)
    };
    let (ada, engine) = (key("person", "ada"), key("machine", "engine"));
    assert_eq!(NodeId::of_key("person", b"ada").as_bytes(), &ada);
    let kind = "described";
    assert_eq!(
        EdgeId::of_unique(NodeId::from_bytes(ada), kind, NodeId::from_bytes(engine), b"2").as_bytes(),
        &derive("unique edge", &[&ada, &length(kind), kind.as_bytes(), &engine, &length("2"), b"2"])
    );
    assert_eq!(ActorId::named("curator").as_bytes(), &derive("actor of a name", &[b"curator"]));
}
