//! Archives and the tools of others: what we write they read, hash and encode to the same bytes, and what they write we
//! take over. Needs Node and a package registry; where these are missing, the test says so and shows nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use mnem::exchange::CarReader;
use mnem::memory::MemoryStore;
use mnem::object::{Metric, Model};
use mnem::value::Value;
use mnem::{Actor, Archive, Repo, props, quiet, system_options};

const PACKAGES: [&str; 4] =
    ["@ipld/car@5.4.7", "@ipld/dag-cbor@10.0.2", "@noble/hashes@2.4.0", "multiformats@14"];

/// Prints past the capture of passing tests: that nothing was shown must not go unnoticed.
fn say(what: &str) {
    writeln!(std::io::stderr(), "car_interop: {what}").expect("stderr is open");
}

/// Makes a folder where the packages of others are at hand; `None` where they cannot be had.
fn workshop() -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("package.json"), r#"{"private":true,"type":"module"}"#).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/car.mjs");
    fs::copy(script, folder.path().join("car.mjs")).unwrap();
    if !Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|it| it.success()) {
        say("shown nothing: there is no Node");
        return None;
    }
    let options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--fetch-retries=1"];
    let installed =
        Command::new("npm").arg("install").args(options).args(PACKAGES).current_dir(&folder).output();
    match installed {
        Ok(done) if done.status.success() => Some(folder),
        Ok(done) => {
            say(&format!("shown nothing: no packages: {}", String::from_utf8_lossy(&done.stderr).trim()));
            None
        }
        Err(error) => {
            say(&format!("shown nothing: there is no npm: {error}"));
            None
        }
    }
}

/// Every kind of value but whole floats, which JavaScript cannot tell from integers; edges, vectors, a conflict, two branches, a tag, settings.
fn story() -> Repo {
    let repo = Repo::init(Arc::new(MemoryStore::new()), system_options()).unwrap();
    let me = Actor::named("ada");
    let mut tx = repo.begin(&me).unwrap();
    tx.declare(Model::new("tiny", 3, Metric::L2)).unwrap();
    let ada = tx.add_node("Person", props! { name: "Ada", born: 1815, half: 0.5, yes: true }).unwrap();
    tx.set(ada, "tiny", Value::try_from(5e-324).unwrap()).unwrap();
    tx.set(ada, "least", i64::MIN).unwrap();
    tx.set(ada, "greatest", i64::MAX).unwrap();
    tx.set(ada, "bytes", Value::Bytes(vec![0, 255].into())).unwrap();
    tx.set(ada, "text", "größe 水 \u{0}").unwrap();
    for n in 0..300_i64 {
        let node = tx
            .add_node("Note", props! { n: n, third: 1.0 / 3.0 + f64::from(u32::try_from(n).unwrap()) })
            .unwrap();
        tx.add_edge(ada, "wrote", node, props! {}).unwrap();
    }
    tx.set_vector(ada, "tiny", &[1.0, -2.5, 0.0]).unwrap();
    let first = tx.commit("people").unwrap();
    repo.create_tag(&me, "v1", first.commit_id().unwrap()).unwrap();
    let letters = repo.create_branch(&me, "letters", &first).unwrap();
    for (repo, born) in [(&letters, 1816), (&repo, 1814)] {
        let mut tx = repo.begin(&me).unwrap();
        tx.set(ada, "born", born).unwrap();
        tx.commit("another year").unwrap();
    }
    let mut tx = repo.begin(&me).unwrap();
    tx.merge("letters").unwrap();
    tx.commit("both").unwrap();
    repo.set_setting(&me, "colour", Value::from("blue")).unwrap();
    repo
}

#[test]
fn tools_of_others_read_and_write_our_archives_where_node_and_its_packages_are_at_hand() {
    let Some(folder) = workshop() else { return };
    let repo = story();
    let (ours, theirs) = (folder.path().join("ours.car"), folder.path().join("theirs.car"));
    let exported = repo.export_archive(File::create(&ours).unwrap(), &Archive::Whole, &mut quiet).unwrap();
    let done = Command::new("node")
        .args(["car.mjs", "ours.car", "theirs.car"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8(done.stdout).unwrap();
    let counts: Vec<u64> = said.split_whitespace().map(|count| count.parse().unwrap()).collect();
    let raw = CarReader::new(File::open(&ours).unwrap()).unwrap();
    let raw = raw.filter(|block| block.as_ref().unwrap().cid().codec() == mnem::Codec::Raw).count() as u64;
    assert_eq!(counts, [exported.blocks, exported.blocks - raw]);
    assert!(raw > 0 && exported.blocks > 300);

    let store = Arc::new(MemoryStore::new());
    let (copy, synced) =
        Repo::from_archive(store, system_options(), File::open(&theirs).unwrap(), &mut quiet).unwrap();
    assert_eq!(synced.blocks, exported.blocks);
    assert_eq!(copy.branches().unwrap(), repo.branches().unwrap());
    assert_eq!(copy.head().unwrap().conflicts().unwrap(), repo.head().unwrap().conflicts().unwrap());
    assert!(fs::read(&ours).unwrap() == fs::read(&theirs).unwrap(), "the same blocks, in other bytes");
    say(&format!(
        "{} blocks read, hashed and encoded by others to the same bytes, and taken back",
        counts[0]
    ));
}
