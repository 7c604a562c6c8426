//! The public IPLD codec fixtures: what other implementations write is read, and written again byte for byte.
//!
//! The fixtures are not part of this repository. The test looks for them beside it and says so when they are absent.

#[path = "../../mnem-core/tests/codec_laws/mod.rs"]
mod codec_laws;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use codec_laws::{
    a_cid_has_one_form, links_are_those_of_the_value, one_value_one_encoding, what_is_read_is_canonical,
};
use ipld_core::ipld::Ipld;
use mnem_core::codec::{Rules, check, decode, encode, links};
use mnem_core::{Block, Cid, CidClass, Codec};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/fixtures/ipld");

/// Prints past the capture of passing tests: that fixtures are absent must not go unnoticed.
fn say(what: &str) {
    writeln!(std::io::stderr(), "ipld_fixtures: {what}").expect("stderr is open");
}

/// Every DAG-CBOR file below `root`, one folder a case.
fn files(root: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .expect("the folder is readable")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        entries
    };
    let is_cbor = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "dag-cbor");
    entries(root).iter().filter(|case| case.is_dir()).flat_map(|case| entries(case)).filter(is_cbor).collect()
}

#[test]
fn blocks_of_other_implementations_are_read_and_written_unchanged() {
    let root = Path::new(FIXTURES);
    if !root.is_dir() {
        say(&format!("skipped: there are no IPLD fixtures at {}", root.display()));
        return;
    }
    let files = files(root);
    assert!(!files.is_empty(), "no DAG-CBOR file below {}", root.display());
    let (mut followed, mut within_house_rules) = (0, 0);
    for file in &files {
        let name = file.file_stem().and_then(|name| name.to_str()).expect("the name is a CID");
        let cid: Cid = name.parse().unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        assert_eq!(cid.class(), CidClass::DagCborSha2, "{}", file.display());
        let bytes = fs::read(file).expect("the file is readable");
        let block = Block::verify(cid, bytes).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        let bytes = block.bytes();
        let value: Ipld = decode(bytes).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        assert_eq!(encode(&value).as_deref(), Ok(&bytes[..]), "{}", file.display());
        assert!(one_value_one_encoding(bytes));
        links_are_those_of_the_value(bytes);
        what_is_read_is_canonical(bytes, bytes);
        assert!(a_cid_has_one_form(name.as_bytes()));
        followed += usize::from(links(Codec::DagCbor, bytes).is_ok());
        within_house_rules += usize::from(check(bytes, Rules::House).is_ok());
    }
    say(&format!(
        "{} DAG-CBOR fixtures read and written unchanged; mnem can follow the links of {followed}, \
         {within_house_rules} keep the house rules",
        files.len()
    ));
    assert!((1..files.len()).contains(&within_house_rules), "some fixtures have links or numbers of others");
}
