//! Exact search: every vector is compared. The measure of all other ways.

use mnem_core::repo::Snapshot;

use crate::error::SearchError;
use crate::hits::{Hit, Hits, Nearest, SearchStats};
use crate::top::Top;
use crate::vectors::Vectors;

/// How many vectors are read at once, where only some nodes are asked for.
const BATCH: usize = 256;

impl Vectors {
    /// Finds the nearest nodes by comparing every vector that is let through. Reads all of them, and keeps none.
    pub fn search_exact(&self, snapshot: &Snapshot, vector: &[f32], top: &Top) -> Result<Hits, SearchError> {
        let question = self.question(snapshot, vector)?;
        let mut nearest = Nearest::new(top.k);
        let mut stats = SearchStats::default();
        let mut show = |node, vector: &[f32]| {
            stats.exact += 1;
            let score = question.score_of(node, vector)?;
            nearest.show(Hit { node, score });
            Ok::<(), SearchError>(())
        };
        let among = top.let_through(snapshot)?;
        match &among {
            Some(nodes) => {
                for batch in nodes.chunks(BATCH) {
                    for (node, vector) in batch.iter().zip(snapshot.vectors_of(batch, self.model())?) {
                        vector.map_or(Ok(()), |vector| show(*node, &vector))?;
                    }
                }
            }
            None => {
                for entry in snapshot.vectors(self.model())? {
                    let (node, vector) = entry?;
                    show(node, &vector)?;
                }
            }
        }
        stats.visited = stats.exact;
        stats.among = among.map(|nodes| nodes.len() as u64);
        Ok(Hits { hits: nearest.into_hits(), stats })
    }
}
