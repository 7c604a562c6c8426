//! Share: a copy of another kind, work on both sides, a push that has to wait, and a file that holds all of it.
//!
//! `cargo run -p mnem --example share`

use mnem::{Actor, Archive, Push, Repo, SyncError, props, quiet, system_options};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let at = |kind: &str| format!("{kind}:{}", folder.path().join(kind).display());
    let (ada, grace) = (Actor::named("ada"), Actor::named("grace"));

    let first = mnem::open_or_init(&at("simple"))?;
    let mut tx = first.begin(&ada)?;
    let person = tx.add_node("Person", props! { name: "Ada", born: 1815 })?;
    tx.commit("What we know")?;

    // Everything goes over, to another kind of store. The copy calls the first one `origin`.
    let copy = mnem::clone(&at("simple"), &at("redb"), &mut quiet)?;
    let mut tx = copy.begin(&grace)?;
    tx.set(person, "died", 1852)?;
    tx.commit("The letters say so")?;
    println!("pushed: {}", mnem::push(&copy, &grace, "origin", &Push::branch("main"), &mut quiet)?);

    // Both go on: then a push is refused until what is there was taken over.
    let mut tx = first.begin(&ada)?;
    tx.set(person, "born", 1816)?;
    tx.commit("Another source")?;
    let mut tx = copy.begin(&grace)?;
    tx.set(person, "name", "Ada Lovelace")?;
    tx.commit("Her full name")?;
    match mnem::push(&copy, &grace, "origin", &Push::branch("main"), &mut quiet) {
        Err(mnem::Error::Sync(SyncError::NotFastForward { branch, .. })) => {
            println!("{branch} moved meanwhile");
        }
        other => return Err(format!("not refused: {other:?}").into()),
    }
    let (fetched, merged) = mnem::pull(&copy, &grace, "origin", &mut quiet)?;
    println!("pulled: {fetched}; {merged}");
    mnem::push(&copy, &grace, "origin", &Push::branch("main"), &mut quiet)?;
    let known = first.head()?.require(person)?;
    assert_eq!((known.get::<i64>("born")?, known.get::<&str>("name")?), (1816, "Ada Lovelace"));

    // All of it in one file, and back: the same bytes, whatever the store.
    let mut archive = Vec::new();
    first.export_archive(&mut archive, &Archive::Whole, &mut quiet)?;
    let store = mnem::store::init(&at("native"))?;
    let (third, _) = Repo::from_archive(store, system_options(), archive.as_slice(), &mut quiet)?;
    let mut again = Vec::new();
    third.export_archive(&mut again, &Archive::Whole, &mut quiet)?;
    assert_eq!(archive, again);
    println!("an archive of {} bytes came back as it was", archive.len());
    Ok(())
}
