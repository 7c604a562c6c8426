//! Reading blocks.
//!
//! Locks: none. A file has its name only while it is whole, and an open file outlives its name.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use mnem_core::cid::CidClass;
use mnem_core::port::{BlockRead, CidStream, Fault, StoreError};
use mnem_core::{BLOCK_BYTES_MAX, Block, Cid};

use crate::layout::{Suffix, Tree, cid_at, unhex};
use crate::{Inner, SimpleStore};

/// Most names that a scan holds: a larger folder is listed several times.
const SCAN_NAMES_MAX: usize = 1024;

impl BlockRead for SimpleStore {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(self.inner.read_block(&self.inner.layout.objects(), cid)?)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        cids.iter().map(|cid| self.get(cid)).collect()
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.inner.block_bytes(&self.inner.layout.objects(), cid)?.is_some())
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        cids.iter().map(|cid| self.has(cid)).collect()
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        Ok(Box::new(Scan::new(self.inner.clone(), after, None)))
    }
}

impl Inner {
    /// Reads a block and compares it with its hash: wrong bytes are never returned.
    pub(crate) fn read_block(&self, tree: &Tree, cid: &Cid) -> Result<Option<Block>, Fault> {
        let path = tree.block(cid);
        let damaged = || Fault::Corrupt { what: "a block", at: path.display().to_string() };
        let Some(bytes) = self.disk.read(&path, BLOCK_BYTES_MAX as u64)? else { return Ok(None) };
        Block::verify(*cid, Bytes::from(bytes)).map(Some).map_err(|_| damaged())
    }

    /// Returns the length of a block's file, if it is there.
    pub(crate) fn block_bytes(&self, tree: &Tree, cid: &Cid) -> Result<Option<u64>, Fault> {
        self.disk.file_bytes(&tree.block(cid))
    }

    /// Returns the generations of files set aside, oldest first.
    pub(crate) fn generations(&self) -> Result<Vec<u64>, Fault> {
        self.disk.names(&self.layout.file("aside"), crate::layout::number)
    }

    /// Returns what a snapshot looks through besides the objects: what was set aside in later generations.
    pub(crate) fn set_aside_after(&self, born: u64) -> Result<Vec<Tree>, Fault> {
        let later = self.generations()?.into_iter().filter(|generation| *generation > born);
        Ok(later.map(|generation| self.layout.aside(generation)).collect())
    }
}

/// Goes through the folders in the order of CIDs, and through each folder by selecting the next names again and
/// again: the memory it needs does not grow with the store.
pub(crate) struct Scan {
    inner: Arc<Inner>,
    /// Of a snapshot: when it was taken.
    born: Option<u64>,
    after: Option<Cid>,
    classes: VecDeque<CidClass>,
    class: Option<CidClass>,
    /// The folders of `class` that are still to be listed.
    folders: BTreeSet<u8>,
    ready: VecDeque<Cid>,
}

impl Scan {
    pub(crate) fn new(inner: Arc<Inner>, after: Option<Cid>, born: Option<u64>) -> Scan {
        let first = after.map_or(CidClass::ALL[0], |after| after.class());
        let classes = CidClass::ALL.into_iter().filter(|class| *class >= first).collect();
        Scan { inner, born, after, classes, class: None, folders: BTreeSet::new(), ready: VecDeque::new() }
    }

    /// Finds more names; `false` at the end.
    fn advance(&mut self) -> Result<bool, Fault> {
        let (Some(class), Some(first)) = (self.class, self.folders.first().copied()) else {
            self.class = self.classes.pop_front();
            let Some(class) = self.class else { return Ok(false) };
            self.folders = self.folders_of(class)?;
            return Ok(true);
        };
        let names = self.next_names(class, first)?;
        if names.len() < SCAN_NAMES_MAX {
            self.folders.pop_first();
        }
        self.ready.extend(names.iter().map(|suffix| cid_at(class, first, suffix)));
        self.after = self.ready.back().copied().or(self.after);
        Ok(true)
    }

    /// Folders are never removed, so what was set aside has one here too.
    fn folders_of(&self, class: CidClass) -> Result<BTreeSet<u8>, Fault> {
        let parse = |name: &str| <[u8; 1]>::try_from(unhex(name)?).ok();
        let names = self.inner.disk.names(&self.inner.layout.objects().class(class), parse)?;
        let from = self.after.filter(|after| after.class() == class).map_or(0, |after| after.digest()[0]);
        Ok(names.into_iter().map(|[first]| first).filter(|first| *first >= from).collect())
    }

    fn next_names(&self, class: CidClass, first: u8) -> Result<BTreeSet<Suffix>, Fault> {
        let mut names = BTreeSet::new();
        self.select(&self.inner.layout.objects(), class, first, &mut names)?;
        // After the objects: what is set aside meanwhile is seen in one of the two.
        if let Some(born) = self.born {
            for tree in self.inner.set_aside_after(born)? {
                self.select(&tree, class, first, &mut names)?;
            }
        }
        Ok(names)
    }

    fn select(
        &self,
        tree: &Tree,
        class: CidClass,
        first: u8,
        names: &mut BTreeSet<Suffix>,
    ) -> Result<(), Fault> {
        for entry in self.inner.disk.entries(&tree.folder(class, first))? {
            let name = entry?.name;
            let Some(suffix) = name.to_str().and_then(unhex).and_then(|name| Suffix::try_from(name).ok())
            else {
                continue;
            };
            if self.after.is_none_or(|after| after < cid_at(class, first, &suffix)) {
                names.insert(suffix);
            }
            if names.len() > SCAN_NAMES_MAX {
                names.pop_last();
            }
        }
        Ok(())
    }
}

impl Iterator for Scan {
    type Item = Result<Cid, StoreError>;

    fn next(&mut self) -> Option<Result<Cid, StoreError>> {
        loop {
            if let Some(cid) = self.ready.pop_front() {
                return Some(Ok(cid));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(fault) => {
                    (self.class, self.classes) = (None, VecDeque::new());
                    self.folders.clear();
                    return Some(Err(fault.into()));
                }
            }
        }
    }
}
