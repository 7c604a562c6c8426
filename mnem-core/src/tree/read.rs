//! Look-ups: by key, by many keys, by position.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::path::Frame;
use super::{Entry, KeyRange, Tree, TreeError};
use crate::cid::Cid;

impl Tree {
    /// Returns the value of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, TreeError> {
        let mut frame = self.store.root_frame(&self.root)?;
        while frame.node.level() > 0 {
            let at = frame.node.below(key);
            if at == frame.node.len() {
                return Ok(None);
            }
            frame = self.store.descend(frame, at)?;
        }
        Ok(frame.node.find(key).map(|at| frame.node.value_bytes(at)))
    }

    /// Returns the values of `keys`, in the order of the question. Each node is read once, and the nodes of a level
    /// in one call.
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Bytes>>, TreeError> {
        let mut found = vec![None; keys.len()];
        let mut frontier = vec![(self.store.root_frame(&self.root)?, (0..keys.len()).collect::<Vec<_>>())];
        while frontier.first().is_some_and(|(frame, _)| frame.node.level() > 0) {
            frontier = self.below(&frontier, keys)?;
        }
        for (frame, wanted) in frontier {
            for i in wanted {
                found[i] = frame.node.find(keys[i].as_ref()).map(|at| frame.node.value_bytes(at));
            }
        }
        Ok(found)
    }

    /// Goes one level down with each key. Those above all keys of the tree are dropped.
    fn below<K: AsRef<[u8]>>(
        &self,
        frontier: &[(Frame, Vec<usize>)],
        keys: &[K],
    ) -> Result<Vec<(Frame, Vec<usize>)>, TreeError> {
        let mut steps: Vec<(&Frame, usize, Vec<usize>)> = Vec::new();
        for (frame, wanted) in frontier {
            let mut by_child: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for &i in wanted {
                let at = frame.node.below(keys[i].as_ref());
                by_child.entry(at).or_default().push(i);
            }
            by_child.remove(&frame.node.len());
            steps.extend(by_child.into_iter().map(|(at, wanted)| (frame, at, wanted)));
        }
        let cids: Vec<Cid> = steps.iter().map(|(frame, at, _)| frame.node.child(*at).0).collect();
        let nodes = self.store.load_many(&cids)?;
        steps
            .into_iter()
            .zip(nodes)
            .map(|((frame, at, wanted), node)| Ok((frame.enter(at, node)?, wanted)))
            .collect()
    }

    /// Returns how many entries there are. Reads the root.
    pub fn len(&self) -> Result<u64, TreeError> {
        Ok(self.store.root_frame(&self.root)?.node.count())
    }

    /// Says whether there are no entries.
    pub fn is_empty(&self) -> Result<bool, TreeError> {
        Ok(self.len()? == 0)
    }

    /// Returns how many keys are less than `key`.
    pub fn rank(&self, key: &[u8]) -> Result<u64, TreeError> {
        self.rank_where(|other| other < key)
    }

    /// Returns how many entries a range has, without walking it.
    pub fn count(&self, range: &KeyRange) -> Result<u64, TreeError> {
        let before = self.rank_where(|key| range.starts_above(key))?;
        let until = self.rank_where(|key| !range.ends_below(key))?;
        Ok(until.saturating_sub(before))
    }

    /// Counts the keys for which `below` holds: a prefix of all.
    fn rank_where(&self, below: impl Fn(&[u8]) -> bool) -> Result<u64, TreeError> {
        let mut frame = self.store.root_frame(&self.root)?;
        let mut rank = 0;
        loop {
            let at = frame.node.partition(&below);
            // Cannot overflow: these are parts of the count that the root was checked for.
            rank += (0..at).map(|i| frame.node.entry_count(i)).sum::<u64>();
            if frame.node.level() == 0 || at == frame.node.len() {
                return Ok(rank);
            }
            frame = self.store.descend(frame, at)?;
        }
    }

    /// Returns the entry that has `position` entries before it.
    pub fn nth(&self, position: u64) -> Result<Option<Entry>, TreeError> {
        let mut frame = self.store.root_frame(&self.root)?;
        if position >= frame.node.count() {
            return Ok(None);
        }
        let mut left = position;
        loop {
            let mut at = 0;
            while left >= frame.node.entry_count(at) {
                left -= frame.node.entry_count(at);
                at += 1;
            }
            if frame.node.level() == 0 {
                return Ok(Some(Entry { key: frame.node.key_bytes(at), value: frame.node.value_bytes(at) }));
            }
            frame = self.store.descend(frame, at)?;
        }
    }
}
