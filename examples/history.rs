//! The history of a fact: who said what, when, and what it was before; on a branch, through a merge, as of an older day.
//!
//! `cargo run -p mnem --example history`

use mnem::{Actor, Error, NodeId, Repo, Snapshot, props};

fn main() -> Result<(), Error> {
    let repo = mnem::open_or_init("memory:")?; // any other backend tells the same
    let ada = first_draft(&repo)?;
    let before = correct(&repo, ada)?;
    let now = repo.head()?;

    println!("Every version of Ada, newest first:");
    for version in now.history(ada) {
        println!("  {}", version?);
    }

    println!("Who wrote what she has now:");
    if let Some(blame) = now.blame(ada)? {
        for (field, writer) in blame.iter() {
            println!("  {field}: {writer}");
        }
        let born = blame.property("born").map(|writer| writer.message.to_string());
        assert_eq!(born.as_deref(), Some("Correct the year"));
    }

    println!("An older state knows the older history:");
    for version in before.history(ada) {
        println!("  {}", version?);
    }

    println!("Everything that changed since then, whatever it was:");
    let since = before.commit().map(|commit| commit.time).and_then(|time| time.checked_add(1));
    for version in since.into_iter().flat_map(|since| now.changed_between(since..)) {
        println!("  {}", version?);
    }

    let last = now.last_modified(ada)?.map(|writer| writer.message.to_string());
    assert_eq!(last.as_deref(), Some("She is a countess"));
    Ok(())
}

fn first_draft(repo: &Repo) -> Result<NodeId, Error> {
    let mut tx = repo.begin(&Actor::named("curator"))?;
    let ada = tx.add_node("Person", props! { name: "Ada", born: 1816 })?;
    tx.commit("What I remember")?;
    Ok(ada)
}

/// Two more hands, side by side; what they did becomes one by itself. Returns the state before.
fn correct(repo: &Repo, ada: NodeId) -> Result<Snapshot, Error> {
    let before = repo.head()?;
    let mut letters = repo.begin(&Actor::named("letters"))?;
    let mut archive = repo.begin(&Actor::named("archive"))?;
    letters.set(ada, "born", 1815)?;
    archive.set(ada, "died", 1852)?;
    letters.commit("Correct the year")?;
    archive.commit("Add the year she died")?;
    let mut tx = repo.begin(&Actor::named("curator"))?;
    tx.set(ada, "title", "Countess of Lovelace")?;
    tx.commit("She is a countess")?;
    Ok(before)
}
