//! Makes the rows of commits.
//!
//! A writer makes those of its commit, and of what it finds without rows right behind it: merges that nobody wrote as
//! commits of their own. How far it goes for that is bounded; what it leaves out costs time when it is asked for.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use super::prints::{Prints, print};
use super::rows::{CommitRow, EXACT_MAX, OWN_PRINTS_MAX, Own, Rows, SEGMENT_PRINTS_MAX, Segment};
use super::touched::{AllTouched, Known};
use crate::cid::Cid;
use crate::id::CommitId;
use crate::object::{Commit, Time};
use crate::port::{BlockRead, Row};
use crate::repo::error::RepoError;
use crate::repo::read::decode;
use crate::tree::{TreeError, TreeStore};

/// How many commits without rows a writer goes back over.
const BEHIND_MAX: usize = 32;

/// How many commits a writer looks at to see what a merge brings.
const MERGED_MAX: usize = 256;

pub(super) struct Recorder<'a> {
    rows: Rows<'a>,
    blocks: &'a dyn BlockRead,
    trees: TreeStore,
    empty: Cid,
    merged_max: usize,
    /// Made, and not stored yet.
    made: BTreeMap<CommitId, CommitRow>,
}

impl<'a> Recorder<'a> {
    /// `trees` reads over `blocks`; `empty` is the root of the empty map.
    pub(super) fn new(
        rows: Rows<'a>,
        blocks: &'a dyn BlockRead,
        trees: TreeStore,
        empty: Cid,
    ) -> Recorder<'a> {
        Recorder { rows, blocks, trees, empty, merged_max: MERGED_MAX, made: BTreeMap::new() }
    }

    /// Looks at all that a merge brings, however much it is.
    pub(super) const fn unbounded(mut self) -> Recorder<'a> {
        self.merged_max = usize::MAX;
        self
    }

    /// Makes the row of a commit, after those that are missing right behind it.
    pub(super) fn record(&mut self, commit: CommitId) -> Result<(), RepoError> {
        let mut missing = vec![commit];
        while missing.len() <= BEHIND_MAX
            && let Some(last) = missing.last()
            && let Some((_, commit)) = self.find(*last)?
            && let Some(parent) = commit.parents.first()
            && self.row(*parent)?.is_none()
        {
            missing.push(*parent);
        }
        missing.into_iter().rev().try_for_each(|commit| self.make(commit))
    }

    /// Lists the commits behind `tip` whose rows are missing or sum nothing up, ancestors first.
    pub(super) fn missing(&self, tip: Option<CommitId>) -> Result<Vec<CommitId>, RepoError> {
        let (mut missing, mut seen) = (Vec::new(), BTreeSet::new());
        let mut open: Vec<CommitId> = tip.into_iter().collect();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let row = self.row(id)?;
            if let Some(CommitRow { parents, segment: Some(_), .. }) = row {
                open.extend(parents.into_iter().map(|(parent, _)| parent));
            } else if let Some((_, commit)) = self.find(id)? {
                missing.push((commit.generation, id));
                open.extend(&commit.parents);
            }
        }
        missing.sort_unstable();
        Ok(missing.into_iter().map(|(_, id)| id).collect())
    }

    /// Makes the row of one commit from those before it.
    pub(super) fn make(&mut self, id: CommitId) -> Result<(), RepoError> {
        let Some((_, commit)) = self.find(id)? else { return Ok(()) };
        let parents = commit.parents.iter().map(|parent| self.find(*parent));
        let Some(parents) = parents.collect::<Result<Option<Vec<Known>>, RepoError>>()? else {
            return Ok(());
        };
        let Some((own, prints)) = self.own(&commit, &parents)? else { return Ok(()) };
        let segment = match prints {
            Some(prints) => self.segment(&commit, prints, &parents)?,
            None => None,
        };
        let parents = parents.iter().map(|(id, parent)| (*id, parent.time)).collect();
        self.made.insert(id, CommitRow { parents, skip: commit.skip, own, segment });
        Ok(())
    }

    /// Forgets a row that was made: the stored one is as good.
    pub(super) fn forget(&mut self, commit: CommitId) {
        self.made.remove(&commit);
    }

    /// Returns a row that was made, and how many there are.
    pub(super) fn made(&self, commit: CommitId) -> (Option<&CommitRow>, usize) {
        (self.made.get(&commit), self.made.len())
    }

    /// Looks at so many commits to see what a merge brings.
    pub(super) const fn look_at(&mut self, commits: usize) {
        self.merged_max = commits;
    }

    /// Returns the rows that were made, and forgets them.
    pub(super) fn take(&mut self) -> Vec<Row> {
        let made = std::mem::take(&mut self.made);
        made.iter().flat_map(|(commit, row)| self.rows.make(*commit, row)).collect()
    }

    pub(super) fn row(&self, commit: CommitId) -> Result<Option<CommitRow>, RepoError> {
        match self.made.get(&commit) {
            Some(row) => Ok(Some(row.clone())),
            None => self.rows.get(commit),
        }
    }

    fn find(&self, id: CommitId) -> Result<Option<Known>, RepoError> {
        let Some(block) = self.blocks.get(id.cid())? else { return Ok(None) };
        Ok(Some((id, Arc::new(decode(&block)?))))
    }

    /// What a commit itself touches, and the prints of that unless they are too many. `None` if parts of the history
    /// are not there.
    fn own(
        &self,
        commit: &Arc<Commit>,
        parents: &[Known],
    ) -> Result<Option<(Own, Option<Prints>)>, RepoError> {
        let parents = parents.iter().map(|(_, parent)| Arc::clone(parent)).collect();
        let (mut exact, mut prints) = (Vec::new(), Vec::new());
        for touched in AllTouched::new(self.trees.clone(), Arc::clone(commit), parents, self.empty) {
            let touched = match touched {
                Err(RepoError::Tree(TreeError::Missing { .. })) => return Ok(None),
                touched => touched?,
            };
            prints.push(print(touched.entity));
            if prints.len() > SEGMENT_PRINTS_MAX {
                return Ok(Some((Own::Unknown, None)));
            }
            if prints.len() <= EXACT_MAX {
                exact.push(touched);
            }
        }
        let is_exact = exact.len() == prints.len();
        let prints = Prints::of(prints);
        let own = match prints.len() {
            _ if is_exact => Own::Exact(exact),
            0..=OWN_PRINTS_MAX => Own::Prints(prints.clone()),
            _ => Own::Unknown,
        };
        Ok(Some((own, Some(prints))))
    }

    /// Sums up what lies between a commit and the end of its skip link: the link of the parent and the link from where
    /// that ends, where they lead there; else the parent is the end.
    fn segment(&self, commit: &Commit, own: Prints, parents: &[Known]) -> Result<Option<Segment>, RepoError> {
        let (mut since, mut prints) = (commit.time, own);
        if let Some((first, others)) = parents.split_first() {
            let Some((oldest, merged)) = self.merged(first, others)? else { return Ok(None) };
            (since, prints) = (since.min(oldest), prints.union(&merged));
            let end = commit.skip.map(|skip| skip.commit);
            let mut at = first.0;
            for _ in 0..2 {
                if end == Some(at) {
                    break;
                }
                let Some((skip, oldest, passed)) = self.passed(at)? else { return Ok(None) };
                (since, prints, at) = (since.min(oldest), prints.union(&passed), skip);
            }
            if end != Some(at) {
                return Ok(None);
            }
        }
        Ok(Segment::new(since, prints))
    }

    /// Returns what the skip link of a commit passes by, and where it leads.
    fn passed(&self, commit: CommitId) -> Result<Option<(CommitId, Time, Prints)>, RepoError> {
        let Some(row) = self.row(commit)? else { return Ok(None) };
        let (Some(segment), Some(skip)) = (&row.segment, row.skip) else { return Ok(None) };
        let prints = self.rows.prints(commit, segment)?;
        Ok(prints.map(|prints| (skip.commit, segment.since, prints)))
    }

    /// Returns what was touched behind `others` and not behind `first`, and the oldest time there. `None`: too many.
    fn merged(&self, first: &Known, others: &[Known]) -> Result<Option<(Time, Prints)>, RepoError> {
        let (mut since, mut prints) = (Time::MAX, Prints::default());
        if others.is_empty() {
            return Ok(Some((since, prints)));
        }
        let Some(merged) = self.behind_only(others, first)? else { return Ok(None) };
        for (id, commit) in merged {
            since = since.min(commit.time);
            let own = match self.row(id)?.map(|row| row.own) {
                Some(Own::Exact(touched)) => {
                    Some(Prints::of(touched.iter().map(|touched| print(touched.entity)).collect()))
                }
                Some(Own::Prints(prints)) => Some(prints),
                Some(Own::Unknown) | None => {
                    let parents = commit.parents.iter().map(|parent| self.find(*parent));
                    match parents.collect::<Result<Option<Vec<Known>>, RepoError>>()? {
                        Some(parents) => self.own(&commit, &parents)?.and_then(|(_, prints)| prints),
                        None => None,
                    }
                }
            };
            let Some(own) = own else { return Ok(None) };
            prints = prints.union(&own);
        }
        Ok((prints.len() <= SEGMENT_PRINTS_MAX).then_some((since, prints)))
    }

    /// Returns the commits behind `of`, themselves among them, that are not behind `not`. Visits the youngest
    /// generation first, so that when a commit is left it is known what it is behind. `None`: too many, or not there.
    fn behind_only(&self, of: &[Known], not: &Known) -> Result<Option<Vec<Known>>, RepoError> {
        let mut met: BTreeMap<CommitId, (Arc<Commit>, bool)> = BTreeMap::new();
        let mut open = BinaryHeap::new();
        let (mut wanted, mut found) = (0usize, Vec::new());
        let starts = of.iter().map(|known| (known, true)).chain([(not, false)]);
        let mut next: Vec<(Known, bool)> =
            starts.map(|(known, is_wanted)| (known.clone(), is_wanted)).collect();
        loop {
            for ((id, commit), is_wanted) in next.drain(..) {
                match met.get_mut(&id) {
                    Some((_, known)) if *known && !is_wanted => {
                        *known = false;
                        wanted -= 1;
                    }
                    Some(_) => {}
                    None => {
                        wanted += usize::from(is_wanted);
                        open.push((commit.generation, id));
                        met.insert(id, (commit, is_wanted));
                    }
                }
            }
            let Some((_, id)) = open.pop().filter(|_| wanted > 0) else { return Ok(Some(found)) };
            let Some((commit, is_wanted)) = met.get(&id).cloned() else { return Ok(None) };
            if met.len() > self.merged_max {
                return Ok(None);
            }
            for parent in &commit.parents {
                let Some(parent) = self.find(*parent)? else { return Ok(None) };
                // Generations fall on the way back, or a commit that was left could be met again.
                if parent.1.generation >= commit.generation {
                    return Ok(None);
                }
                next.push((parent, is_wanted));
            }
            if is_wanted {
                wanted -= 1;
                found.push((id, commit));
            }
        }
    }
}
