//! Which commits a finding touches: those whose map leads to the block.

use super::Part;
use super::commits::History;
use super::work::{Trace, Work};
use crate::cid::Cid;
use crate::id::CommitId;
use crate::object::Commit;
use crate::tree::value_link;

/// How many commits a finding names.
const NAMED_MAX: usize = 32;

/// Of how many findings the commits are looked for.
const TRACED_MAX: usize = 256;

impl Work<'_> {
    /// Completes findings. What cannot be read for that touches the commit where it was met, at least.
    pub(super) fn impact(&self, history: &History) {
        let mut left = TRACED_MAX;
        self.findings().each_traced(|finding, trace| {
            if left == 0 || finding.place.namespace != self.namespace {
                return;
            }
            left -= 1;
            let touched = self.touched(trace, history);
            if !touched.is_empty() {
                finding.commits_total = touched.len() as u64;
                finding.commits = touched.into_iter().take(NAMED_MAX).collect();
            }
        });
    }

    fn touched(&self, trace: &Trace, history: &History) -> Vec<CommitId> {
        let mut touched = Vec::new();
        // Most commits have the map of the one before.
        let mut last: Option<(Cid, bool)> = None;
        for id in &history.order {
            let Ok(Some(commit)) = self.commit(id) else { continue };
            let Some(root) = root_of(&commit, &trace.map) else { return touched };
            let leads = match last {
                Some((known, leads)) if known == root => leads,
                _ => self.leads(&root, trace),
            };
            last = Some((root, leads));
            if leads {
                touched.push(*id);
            }
        }
        touched
    }

    fn leads(&self, root: &Cid, trace: &Trace) -> bool {
        let Some(inner) = &trace.inner else {
            return self.trees.tree(*root).leads_to(&trace.key, &trace.target);
        };
        match self.trees.tree(*root).get(&trace.key) {
            Ok(Some(value)) => {
                value_link(&value).is_some_and(|map| self.trees.tree(map).leads_to(inner, &trace.target))
            }
            _ => false,
        }
    }
}

const fn root_of(commit: &Commit, map: &Part) -> Option<Cid> {
    Some(match map {
        Part::Nodes => commit.nodes,
        Part::Edges => commit.edges,
        Part::Tombs => commit.tombs,
        Part::Conflicts => commit.conflicts,
        Part::Schema => commit.schema,
        Part::Models | Part::Vectors => commit.vectors,
        _ => return None,
    })
}
