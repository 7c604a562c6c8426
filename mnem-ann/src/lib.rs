//! Search by nearness at any commit, and edges to nearest neighbours.
//!
//! Vectors are facts: each commit has a map of them for each model. Everything here is derived from such a map, so it
//! answers for every state that ever was, and the same on every machine.
//!
//! ```
//! use mnem_ann::{Top, Vectors};
//! use mnem_core::object::{Metric, Model};
//! # use mnem::{Actor, label, props};
//!
//! # let repo = mnem::init("memory:")?;
//! let mut tx = repo.begin(&Actor::named("curator"))?;
//! tx.declare(Model::new("colors", 3, Metric::Cosine))?;
//! for (name, color) in [("rose", [0.9, 0.1, 0.2]), ("leaf", [0.1, 0.8, 0.1]), ("sky", [0.2, 0.4, 0.9])] {
//!     let node = tx.add_node("Thing", props! { name: name })?;
//!     tx.set_vector(node, "colors", &color)?;
//! }
//! let now = tx.commit("Three things and their colors")?;
//! let colors = Vectors::open(&repo, "colors")?;
//! let hits = colors.search(&now, &[1.0, 0.0, 0.0], &Top::k(2).among(label("Thing")))?;
//! assert_eq!(now.require(hits[0].node)?.get::<&str>("name")?, "rose");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * [`Vectors`]: one model; [`Top`]: how many, and among which nodes; [`Hits`]: what was found, and what it took.
//! * [`Hybrid`]: vectors, words and edges in one ranking; [`SearchDiff`]: what entered and left between two states.
//! * [`Embedder`]: who makes vectors of text: a function, a program, or [`HashNgram`], which knows letters and no meaning.
//! * [`KnnEdgeIndex`]: of every node the nearest others, as edges beside the authored ones.
//! * [`SearchError`]: what cannot be searched, by node.

mod cache;
mod code_tree;
mod codec;
mod difference;
mod embed;
mod error;
mod exact;
mod hits;
mod hybrid;
mod kernel;
mod knn;
mod progress;
mod question;
mod rotation;
mod scan;
mod search;
mod table;
#[cfg(test)]
mod testing;
mod top;
mod vectors;
mod view;

pub use cache::IndexStats;
#[doc(hidden)]
pub use code_tree::check_code;
pub use code_tree::{IndexDamage, Kept};
pub use codec::CodeDamage;
pub use difference::SearchDiff;
pub use embed::{CommandEmbedder, EmbedError, Embedder, HashNgram};
pub use error::{SearchError, Unfit};
pub use hits::{Hit, Hits, SearchStats};
pub use hybrid::{Hybrid, HybridHit};
pub use knn::{
    KNN_BLOCKS, KNN_ROWS, Knn, KnnEdgeIndex, Link, NEIGHBORS_MAX, NearEdge, NearStep, Provenance, Updated,
};
pub use top::Top;
pub use vectors::Vectors;
