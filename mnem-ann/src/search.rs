//! The default search: a scan of the codes, then exact scores of what may be near.

use mnem_core::NodeId;
use mnem_core::repo::Snapshot;

use crate::codec::CodedQuestion;
use crate::error::SearchError;
use crate::hits::{Hit, Hits, Nearest, SearchStats};
use crate::question::Question;
use crate::scan::{Candidate, Scan, measure};
use crate::top::Top;
use crate::vectors::Vectors;
use crate::view::View;

/// How many candidates are read at once at first; then twice as many each time.
const BATCH_MIN: usize = 16;
const BATCH_MAX: usize = 1024;

impl Vectors {
    /// Finds the nodes of a state whose vectors are nearest to `vector`: the same as
    /// [`search_exact`](Self::search_exact), sooner.
    ///
    /// The codes of the state are kept in memory for the next search. Where they are not there yet they are read as they
    /// were [kept](Self::keep), or those of a state nearby are brought up to date, or all are made.
    pub fn search(&self, snapshot: &Snapshot, vector: &[f32], top: &Top) -> Result<Hits, SearchError> {
        let question = self.question(snapshot, vector)?;
        let Some(coded) = CodedQuestion::new(vector) else { return self.search_exact(snapshot, vector, top) };
        let among = top.let_through(snapshot)?;
        let Some(view) = self.view(snapshot, &question.model)? else {
            return Ok(Hits::default());
        };
        if top.k == 0 {
            return Ok(Hits::default());
        }
        let mut scan = Scan::new(&coded, question.nearness, top.k);
        match &among {
            None => scan.all(&view),
            Some(nodes) => scan.some(&view, nodes),
        }
        let mut stats = SearchStats { visited: scan.visited, ..SearchStats::default() };
        stats.among = among.map(|nodes| nodes.len() as u64);
        self.compared(snapshot, &question, &scan.into_candidates(), top.k, stats)
    }

    /// Compares candidates exactly, until no other can be nearer.
    fn compared(
        &self,
        snapshot: &Snapshot,
        question: &Question,
        candidates: &[Candidate],
        wanted: usize,
        mut stats: SearchStats,
    ) -> Result<Hits, SearchError> {
        let mut nearest = Nearest::new(wanted);
        let mut rest = candidates;
        let mut batch = wanted.clamp(BATCH_MIN, BATCH_MAX);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(batch.min(rest.len()));
            // The bar of the candidates is in the measure of the scan, with its own slack; equal ones are compared.
            let bar = nearest.bar().map(|hit| measure(question.nearness, hit.score));
            let end = now.iter().position(|candidate| bar.is_some_and(|bar| candidate.at_most < bar));
            let now = &now[..end.unwrap_or(now.len())];
            let nodes: Vec<NodeId> = now.iter().map(|candidate| candidate.node).collect();
            for (node, vector) in nodes.iter().zip(snapshot.vectors_of(&nodes, self.model())?) {
                let Some(vector) = vector else { continue };
                stats.exact += 1;
                nearest.show(Hit { node: *node, score: question.score_of(*node, &vector)? });
            }
            if end.is_some() {
                break;
            }
            rest = later;
            batch = (batch * 2).min(BATCH_MAX);
        }
        Ok(Hits { hits: nearest.into_hits(), stats })
    }

    /// Returns the codes of a state; `None` if no node has a vector.
    fn view(
        &self,
        snapshot: &Snapshot,
        model: &mnem_core::object::Model,
    ) -> Result<Option<View>, SearchError> {
        match snapshot.vectors_root(self.model())? {
            Some(root) => self.cache.view(snapshot, model, &root).map(Some),
            None => Ok(None),
        }
    }
}
