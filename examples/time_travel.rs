//! Time travel: states by name, distance and date; what changed between them; undo beside the work of others; a feed.
//!
//! `cargo run --release -p mnem --example time_travel`

use mnem::{Actor, Error, FeedToken, NodeId, Only, Repo, RepoError, Scope, props};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let repo = mnem::init(&format!("simple:{}", folder.path().join("memory").display()))?;
    let (me, bob) = (Actor::named("ada"), Actor::named("bob"));

    println!("1 A few states.");
    let mut tx = repo.begin(&me)?;
    let ada = tx.add_node("Person", props! { name: "Ada", born: 1815 })?;
    let engine = tx.add_node("Machine", props! { name: "Engine" })?;
    tx.add_edge(ada, "described", engine, props! { year: 1843 })?;
    let first = tx.commit("What Ada worked on")?;
    repo.create_tag(&me, "v1", first.commit_id().ok_or("it was committed")?)?;
    set(&repo, &me, ada, "born", 1816)?;
    set(&repo, &me, ada, "died", 1852)?;
    for entry in repo.log(&repo.head()?) {
        let (id, commit) = entry?;
        println!("  {}  {}  {}", id.short(), commit.time, commit.message);
    }

    println!("2 One spelling of a moment, for every kind of it.");
    let by_then = first.commit().ok_or("it was committed")?.time;
    for spec in ["main~1", "v1", &format!("*{by_then}"), &format!("main@{{{by_then}}}")] {
        let then = repo.at(spec)?;
        println!("  {spec}: born {:?}", then.require(ada)?.get::<Option<i64>>("born")?);
    }

    println!("3 What changed since the tag.");
    for change in repo.at("v1")?.diff_to(&repo.head()?).only(Only::label("Person")) {
        println!("  {}", change?);
    }

    println!("4 Undo takes back your own last step, and leaves what others did since.");
    set(&repo, &bob, ada, "title", "Countess")?;
    let undone = repo.undo(&me, Scope::Own)?.ok_or("there was something to undo")?;
    println!("  undid: {}", undone.summary());
    println!("  {:?}", repo.head()?.require(ada)?.props.iter().map(|(name, _)| name).collect::<Vec<_>>());
    repo.redo(&me, Scope::Own)?;
    if repo.head()?.require(ada)?.props.len() != 4 {
        return Err("redo brings it back beside the title".into());
    }

    println!("5 Every step of the names is on record, and can be visited or restored.");
    for operation in repo.op_log()?.take(3) {
        let operation = operation?;
        println!("  {}  {}", operation.id.short(), operation.summary());
    }
    println!("  {}", repo.op_diff(first.operation(), repo.head()?.operation())?);
    let then = repo.at_op(first.operation())?;
    println!("  then {} branches, {} tags", then.branches()?.len(), then.tags()?.len());
    repo.restore(&me, first.operation())?;
    repo.undo(&me, Scope::Own)?;

    println!("6 A feed gives what changed since its reader last asked, and no change twice.");
    let mut feed = repo.changes(&FeedToken::START)?;
    println!("  {} changes from the start", feed.poll(100)?.len());
    let token = feed.token().to_string(); // stored by the reader, with what it derives
    set(&repo, &bob, engine, "does", "weaves algebra")?;
    for event in repo.changes(&token.parse()?)?.poll(100)? {
        println!("  {}", event.change);
    }

    println!("7 What cannot be found says what it may be.");
    match repo.at("mian~1") {
        Err(RepoError::Unknown { spec, similar }) => {
            println!("  nothing is named {spec}; is it {similar:?}?");
        }
        other => return Err(format!("a name was found that is not there: {other:?}").into()),
    }
    Ok(())
}

fn set(
    repo: &Repo,
    actor: &Actor,
    node: NodeId,
    name: &str,
    value: impl Into<mnem::value::Value>,
) -> Result<(), Error> {
    let mut tx = repo.begin(actor)?;
    tx.set(node, name, value)?;
    tx.commit(&format!("set {name}"))?;
    Ok(())
}
