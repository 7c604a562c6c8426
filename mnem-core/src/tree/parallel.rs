//! Builds a large tree on several workers, with the same bytes as on one.
//!
//! Only leaves are made side by side: they are nearly all of the work. Each worker cuts its part as if a node began
//! there. Joining goes from left to right: entries are cut anew from where the last part left off, until a cut meets
//! one of the worker's; from there on its nodes are the right ones.

use std::ops::Range;

use super::build::{Levels, check_entry};
use super::chunker::{Chunker, Made};
use super::{BlockSink, Tree, TreeError, TreeStore};

/// Runs closures, side by side if it can. Returns when all of them have ended.
pub trait Executor {
    /// Runs all of `tasks`, in any order.
    fn run<'a>(&self, tasks: Vec<Box<dyn FnOnce() + Send + 'a>>);

    /// Returns how many can run at the same time.
    fn width(&self) -> usize;
}

/// Runs one closure after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Executor for Serial {
    fn run<'a>(&self, tasks: Vec<Box<dyn FnOnce() + Send + 'a>>) {
        tasks.into_iter().for_each(|task| task());
    }

    fn width(&self) -> usize {
        1
    }
}

/// Parts smaller than this are not worth a task.
const PART_ENTRIES_MIN: usize = 4096;

/// A leaf that a worker made.
struct Leaf {
    entries: Range<usize>,
    made: Made,
}

impl TreeStore {
    /// Makes a tree from entries in ascending order. The nodes are those that [`build`](Self::build) makes. All leaves
    /// are in memory at once, as the entries are.
    pub fn build_parallel<K, V>(
        &self,
        entries: &[(K, V)],
        executor: &dyn Executor,
        sink: &mut dyn BlockSink,
    ) -> Result<Tree, TreeError>
    where
        K: AsRef<[u8]> + Sync,
        V: AsRef<[u8]> + Sync,
    {
        let parts = executor.width().min(entries.len() / PART_ENTRIES_MIN).max(1);
        let part_entries = entries.len().div_ceil(parts);
        let mut cut: Vec<Result<Vec<Leaf>, TreeError>> = (0..parts).map(|_| Ok(Vec::new())).collect();
        let tasks = cut.iter_mut().enumerate().map(|(i, leaves)| -> Box<dyn FnOnce() + Send + '_> {
            let part = part_entries * i..(part_entries * (i + 1)).min(entries.len());
            Box::new(move || *leaves = self.cut(entries, part))
        });
        executor.run(tasks.collect());
        let mut levels = Levels::new(0);
        let mut joined = 0;
        for leaves in cut {
            for leaf in leaves? {
                self.push(&mut levels, &entries[joined..leaf.entries.start], sink)?;
                joined = leaf.entries.start;
                if levels.stands_between_nodes() {
                    levels.adopt(&self.rule, leaf.made, sink)?;
                    joined = leaf.entries.end;
                }
            }
        }
        self.push(&mut levels, &entries[joined..], sink)?;
        Ok(self.tree(levels.finish_or_empty(&self.rule, sink)?))
    }

    /// Cuts a part of the entries into leaves. What is open at its end is left to whoever joins.
    fn cut<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        entries: &[(K, V)],
        part: Range<usize>,
    ) -> Result<Vec<Leaf>, TreeError> {
        let mut leaves = Vec::new();
        let mut chunker = Chunker::new(0);
        let mut start = part.start;
        for at in part {
            let (key, value) = (entries[at].0.as_ref(), entries[at].1.as_ref());
            check_entry(key, value)?;
            if at > 0 && entries[at - 1].0.as_ref() >= key {
                return Err(TreeError::Unsorted { at: at as u64 });
            }
            if let Some(made) = chunker.push(&self.rule, key, value, 1)? {
                leaves.push(Leaf { entries: start..at + 1, made });
                start = at + 1;
            }
        }
        Ok(leaves)
    }

    fn push<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        levels: &mut Levels,
        entries: &[(K, V)],
        sink: &mut dyn BlockSink,
    ) -> Result<(), TreeError> {
        entries
            .iter()
            .try_for_each(|(key, value)| levels.push(&self.rule, key.as_ref(), value.as_ref(), 1, sink))
    }
}
