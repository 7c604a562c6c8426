//! The main job in one short run: record facts, branch, merge, look at the past, move to another backend.
//!
//! `cargo run --release -p mnem --example tour`

use std::time::Instant;

use mnem::object::Commit;
use mnem::{Actor, CommitId, Error, NodeId, Repo, Snapshot, props};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let folder = tempfile::tempdir()?;
    let url = |kind: &str, name: &str| format!("{kind}:{}", folder.path().join(name).display());
    let me = Actor::named("curator");

    println!("1 Record. A commit is one atomic, durable step.");
    let repo = mnem::open_or_init(&url("simple", "memory"))?;
    let mut tx = repo.begin(&me)?;
    let ada = tx.add_node("Person", props! { name: "Ada", born: 1815 })?;
    let engine = tx.add_node("Machine", props! { name: "Engine", does: "weaves algebra" })?;
    tx.add_edge(ada, "described", engine, props! { year: 1843 })?;
    show(&tx.commit("What Ada worked on")?, ada)?;

    println!("2 Branch. Another source disagrees; try it on the side.");
    let letters = repo.create_branch(&me, "letters", &repo.head()?)?;
    show(&set(&letters, &me, ada, &[("born", 1816), ("died", 1852)])?, ada)?;
    show(&set(&repo, &me, ada, &[("visits", 3)])?, ada)?;

    println!("3 Write side by side. Two writers start from the same state, and neither loses work.");
    let (mut one, mut two) = (repo.begin(&Actor::named("one"))?, repo.begin(&Actor::named("two"))?);
    one.set(ada, "born", 1814)?;
    one.set(ada, "title", "Countess")?;
    two.set(ada, "born", 1813)?;
    one.commit("born 1814, a countess")?;
    two.commit("born 1813")?;
    let now = repo.head()?;
    let disputed = now.conflict(ada)?.unwrap_or_default();
    println!("  both kept; in conflict: {disputed:?}, the rest is merged");
    let mut tx = repo.begin(&me)?;
    let mut settled = tx.require(ada)?;
    settled.props.set("born", 1815)?;
    tx.resolve(ada, settled)?;
    show(&tx.commit("Settle the year")?, ada)?;

    println!("4 Travel. The past reads like the present.");
    let now = repo.head()?;
    for (id, commit) in repo.log(&now).first_parents().collect::<Result<Vec<(CommitId, Commit)>, _>>()? {
        let then = repo.as_of(&now, commit.time)?.ok_or("a commit is as old as itself")?;
        let born: i64 = then.require(ada)?.get("born")?;
        let what = if commit.message.is_empty() { "two writers' commits as one" } else { &commit.message };
        println!("  {}  born {born}  {what}", &id.to_string()[8..16]);
    }

    println!("5 Move. Everything into a backend of another kind; again, and nothing is written.");
    let copy_url = url("redb", "memory.redb");
    let copy_store = mnem::store::open_or_init(&copy_url)?;
    let first = mnem::copy(&**repo.store(), &*copy_store, &mut mnem::quiet)?;
    let again = mnem::copy(&**repo.store(), &*copy_store, &mut mnem::quiet)?;
    println!("  {} blocks, {} written, then {}", first.blocks, first.written, again.written);
    drop(copy_store);
    let copy = mnem::open(&copy_url)?;
    if copy.head()?.commit_id() != repo.head()?.commit_id() {
        return Err("the copy differs".into());
    }
    show(&copy.head()?, ada)?;

    println!("6 Refuse. A place knows what it is.");
    drop((repo, letters, now, copy));
    match mnem::open(&copy_url.replacen("redb", "simple", 1)) {
        Err(error) => println!("  {}", error.to_string().replace(&folder.path().display().to_string(), "…")),
        Ok(_) => return Err("a store was opened as what it is not".into()),
    }
    println!("tour ok: 6 steps in {:.2} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn set(repo: &Repo, actor: &Actor, node: NodeId, values: &[(&str, i64)]) -> Result<Snapshot, Error> {
    let mut tx = repo.begin(actor)?;
    for (name, value) in values {
        tx.set(node, name, *value)?;
    }
    Ok(tx.commit("set")?)
}

fn show(now: &Snapshot, node: NodeId) -> Result<(), Error> {
    let node = now.require(node)?;
    let props: Vec<String> = node.props.iter().map(|(name, value)| format!("{name} {value}")).collect();
    println!("  [{}] {}: {}", now.branch(), node.labels.join("+"), props.join(", "));
    Ok(())
}
