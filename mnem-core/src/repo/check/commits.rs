//! Commits: how they follow each other.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::operations::{STEPS_A_WORD, Tell};
use super::work::{Spot, Work};
use super::{Checked, Flaw, Part};
use crate::id::CommitId;
use crate::object::{Commit, Skip, Time, skip_depth};
use crate::repo::error::RepoError;

/// All commits that could be read, each after its parents.
pub(super) struct History {
    pub(super) order: Vec<CommitId>,
    pub(super) seen: HashMap<CommitId, Seen>,
}

/// What is kept of a commit.
pub(super) struct Seen {
    pub(super) parents: Vec<CommitId>,
    generation: u64,
    time: Time,
    /// What the commit says.
    depth: u64,
    skip: Option<Skip>,
    /// What follows from its parents; unknown where the first one is.
    line: Option<Line>,
}

#[derive(Clone, Copy)]
struct Line {
    depth: u64,
    skip: Option<CommitId>,
}

impl Work<'_> {
    /// Reads all commits behind `heads`. `None` if that was ended.
    pub(super) fn history(
        &self,
        heads: BTreeSet<CommitId>,
        checked: &mut Checked,
        tell: &mut Tell<'_>,
    ) -> Result<Option<History>, RepoError> {
        let mut history = History { order: Vec::new(), seen: HashMap::new() };
        let mut met: HashSet<CommitId> = heads.iter().copied().collect();
        let mut open: Vec<CommitId> = heads.iter().copied().collect();
        while let Some(id) = open.pop() {
            if history.seen.len().is_multiple_of(STEPS_A_WORD)
                && tell("commits", history.seen.len() as u64, None).is_break()
            {
                return Ok(None);
            }
            let Some(commit) = self.object_or_gap::<Commit>(id.cid(), &Spot::in_commit(Part::Commit, id))?
            else {
                continue;
            };
            self.params_of(&commit.params)?;
            open.extend(commit.parents.iter().filter(|parent| met.insert(**parent)));
            let Commit { parents, generation, time, depth, skip, .. } = commit;
            history.seen.insert(id, Seen { parents, generation, time, depth, skip, line: None });
        }
        history.sort(heads);
        for at in 0..history.order.len() {
            let id = history.order[at];
            let line = self.place_of_commit(id, &history);
            if let Some(seen) = history.seen.get_mut(&id) {
                seen.line = line;
            }
        }
        checked.commits += history.order.len() as u64;
        Ok(Some(history))
    }

    /// Checks a commit against its parents. Returns where on its line it really is.
    fn place_of_commit(&self, id: CommitId, history: &History) -> Option<Line> {
        let commit = history.seen.get(&id)?;
        let wrong = |detail: String| {
            self.found(&Spot::in_commit(Part::Commit, id), Flaw::Ancestry, Some(id.cid()), detail);
        };
        let parents: Option<Vec<&Seen>> =
            commit.parents.iter().map(|parent| history.seen.get(parent)).collect();
        if let Some(parents) = parents {
            let latest = parents.iter().map(|parent| parent.generation).max().unwrap_or(0);
            let generation = latest.saturating_add(1);
            if commit.generation != generation {
                wrong(format!("its generation is {}, not {generation}", commit.generation));
            } else if parents.iter().any(|parent| parent.time >= commit.time) {
                wrong("it is not later than what it follows".to_owned());
            }
        }
        let line = match commit.parents.first() {
            None => Line { depth: 0, skip: None },
            Some(parent) => history.line_after(*parent)?,
        };
        let time = |id: CommitId| history.seen.get(&id).map(|seen| seen.time);
        let skip = line.skip.and_then(|commit| Some(Skip { commit, time: time(commit)? }));
        if commit.depth != line.depth {
            wrong(format!("its depth is {}, not {}", commit.depth, line.depth));
        } else if commit.skip != skip {
            wrong("its skip link does not lead where its depth says".to_owned());
        }
        Some(line)
    }
}

impl History {
    /// Puts commits in order, each after its parents. Does not rest on what they say of themselves.
    fn sort(&mut self, heads: BTreeSet<CommitId>) {
        let mut done = HashSet::new();
        // A commit is left when all its parents were.
        let mut open: Vec<(CommitId, usize)> = heads.into_iter().map(|head| (head, 0)).collect();
        while let Some((id, next)) = open.pop() {
            let Some(seen) = self.seen.get(&id) else { continue };
            if next == 0 && done.contains(&id) {
                continue;
            }
            match seen.parents.get(next) {
                Some(parent) => {
                    open.push((id, next + 1));
                    if !done.contains(parent) {
                        open.push((*parent, 0));
                    }
                }
                None => {
                    if done.insert(id) {
                        self.order.push(id);
                    }
                }
            }
        }
    }

    /// Returns where a commit stands whose first parent is `parent`: its skip link leads to the parent, or to where the
    /// link of the end of the parent's link leads.
    fn line_after(&self, parent: CommitId) -> Option<Line> {
        let line = |id: CommitId| self.seen.get(&id).and_then(|seen| seen.line);
        let depth = line(parent)?.depth + 1;
        let target = skip_depth(depth)?;
        let far = line(parent)?.skip.and_then(line).and_then(|end| end.skip);
        let skip = [Some(parent), far]
            .into_iter()
            .flatten()
            .find(|id| line(*id).is_some_and(|it| it.depth == target));
        Some(Line { depth, skip: Some(skip?) })
    }

    pub(super) fn first_parent(&self, id: &CommitId) -> Option<CommitId> {
        self.seen.get(id)?.parents.first().copied().filter(|parent| self.seen.contains_key(parent))
    }
}
