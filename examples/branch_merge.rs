//! Branch, merge, settle: two sources about one person, brought together.
//!
//! `cargo run -p mnem --example branch_merge`

use mnem::object::{MergeType, Property, ValueType};
use mnem::{Actor, Resolve, props};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let me = Actor::named("curator");
    let repo = mnem::open_or_init("memory:")?;
    let mut tx = repo.begin(&me)?;
    tx.declare(Property::new("visits", ValueType::Any).merged(MergeType::Counter))?;
    let ada = tx.add_node("Person", props! { name: "Ada", born: 1815 })?;
    tx.commit("What we know")?;

    let letters = repo.create_branch(&me, "letters", &repo.head()?)?;
    let mut tx = letters.begin(&Actor::named("reader"))?;
    tx.set(ada, "born", 1816)?;
    tx.set(ada, "died", 1852)?;
    tx.increment(ada, "visits", 2)?;
    tx.commit("The letters say so")?;

    let mut tx = repo.begin(&me)?;
    tx.set(ada, "born", 1814)?;
    tx.increment(ada, "visits", 3)?;
    tx.commit("Another source")?;

    // A dry run: look, and drop it.
    println!("would be: {}", repo.begin(&me)?.merge("letters")?);

    let mut tx = repo.begin(&me)?;
    println!("merged: {}", tx.merge("letters")?);
    for conflict in tx.conflicts()? {
        for field in &conflict.fields {
            println!("  {} {}: was {:?}, is {:?}", conflict.key(), field.field, field.base, field.sides);
        }
        tx.resolve(conflict.key(), Resolve::value("born", 1815))?; // or ours, theirs, keep, remove
    }
    let merged = tx.commit("Merge letters")?;
    let now = merged.require(ada)?;
    assert_eq!(
        (now.get::<i64>("born")?, now.get::<i64>("died")?, now.props.count("visits")?),
        (1815, 1852, 5)
    );
    println!("settled: born 1815, died 1852, seen {} times", now.props.count("visits")?);

    // One commit of another branch, and then without it again.
    let mut tx = letters.begin(&me)?;
    tx.set(ada, "title", "Countess")?;
    let titled = tx.commit("A title")?;
    let mut tx = repo.begin(&me)?;
    tx.cherry_pick(&titled)?;
    let picked = tx.commit("Her title, too")?;
    let mut tx = repo.begin(&me)?;
    tx.revert(&picked)?;
    let back = tx.commit("On second thought")?;
    assert_eq!(back.require(ada)?.get::<Option<&str>>("title")?, None);
    println!("branch_merge ok");
    Ok(())
}
