//! Search by nearness, at two moments: `cargo run -p mnem --example search`.
//!
//! The vectors are made by `hash-ngram/1`, which knows letters, not meaning: bring an embedder of your own for that.

use mnem::ann::{HashNgram, Knn, KnnEdgeIndex};
use mnem::object::{Metric, Model};
use mnem::{Actor, Top, Vectors, label, props};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let repo = mnem::init("memory:")?;
    let me = Actor::named("curator");
    let vector = |text: &str| HashNgram::vector(text).ok_or("a text without letters");

    let mut tx = repo.begin(&me)?;
    tx.declare(Model::new(HashNgram::NAME, HashNgram::DIM, Metric::Cosine))?;
    let mut nodes = Vec::new();
    for does in ["weaves algebra", "weaves cloth", "prints music"] {
        let node = tx.add_node("Machine", props! { does: does })?;
        tx.set_vector(node, HashNgram::NAME, &vector(does)?)?;
        nodes.push(node);
    }
    let then = tx.commit("Three machines")?;

    let mut tx = repo.begin(&me)?;
    tx.set(nodes[0], "does", "composes music")?;
    tx.set_vector(nodes[0], HashNgram::NAME, &vector("composes music")?)?;
    let now = tx.commit("The first one learned")?;

    let vectors = Vectors::open(&repo, HashNgram::NAME)?;
    let question = vector("composing pieces of music")?;
    let top = Top::k(1).among(label("Machine"));
    for (when, state) in [("then", &then), ("now", &now)] {
        for hit in vectors.search(state, &question, &top)? {
            let node = state.require(hit.node)?;
            println!("{when}: {:.2}  {}", hit.score, node.get::<&str>("does")?);
        }
    }
    let diff = vectors.search_diff(&then, &now, &question, &top)?;
    assert_eq!(diff.entered().map(|hit| hit.node).collect::<Vec<_>>(), [nodes[0]]);
    print!("{diff}");

    let near = KnnEdgeIndex::open(&vectors, &now, &Knn::k(1))?;
    for edge in near.neighbors(nodes[0]) {
        println!("near {}: {:.2}  {}", edge.src, edge.weight, edge.dst);
    }
    Ok(())
}
