//! Where a check reads: one moment of the store and, for what that does not have, another store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::block::Block;
use crate::cid::Cid;
use crate::port::{BlockRead, CidStream, Fault, Store, StoreError, StoreSnapshot};

/// Why a block is not there as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    Missing,
    Unreadable(String),
}

impl Loss {
    /// Tells what is wrong with one block from a store that fails.
    pub(super) fn of(why: &StoreError) -> Option<Loss> {
        match why {
            StoreError::Absent { .. } => Some(Loss::Missing),
            StoreError::Fault(Fault::Corrupt { .. } | Fault::Io { .. }) => {
                Some(Loss::Unreadable(why.to_string()))
            }
            _ => None,
        }
    }
}

/// What had been wrong with blocks, and whether they could be put back.
type Healed = BTreeMap<Cid, (Loss, Result<(), String>)>;

/// Reads the store as it was when the check began. What is lost there is taken from the other store, if there is one, and
/// written to the first.
pub(super) struct Source {
    store: Arc<dyn Store>,
    moment: Arc<dyn StoreSnapshot>,
    other: Option<Arc<dyn BlockRead>>,
    /// What was lost and is there again, or could not be put back.
    healed: Mutex<Healed>,
    blocks: AtomicU64,
    bytes: AtomicU64,
}

impl Source {
    pub(super) fn new(
        store: Arc<dyn Store>,
        other: Option<Arc<dyn BlockRead>>,
    ) -> Result<Source, StoreError> {
        Ok(Source {
            moment: Arc::from(store.snapshot()?),
            store,
            other,
            healed: Mutex::default(),
            blocks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    pub(super) fn moment(&self) -> &dyn StoreSnapshot {
        &*self.moment
    }

    /// Returns how many blocks were read, and their bytes.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.blocks.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    fn healed(&self) -> MutexGuard<'_, Healed> {
        // Each change is one insertion.
        self.healed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what had been wrong with a block that could be read, once.
    pub(super) fn take_healed(&self, cid: &Cid) -> Option<(Loss, Result<(), String>)> {
        let mut healed = self.healed();
        if healed.is_empty() { None } else { healed.remove(cid) }
    }

    /// Reads a block that must be there.
    pub(super) fn read(&self, cid: &Cid) -> Result<Result<Block, Loss>, StoreError> {
        let loss = match self.moment.get(cid) {
            Ok(Some(block)) if block.cid() == cid => {
                self.blocks.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(block.bytes().len() as u64, Ordering::Relaxed);
                return Ok(Ok(block));
            }
            Ok(Some(block)) => Loss::Unreadable(format!("the store gave the block {}", block.cid())),
            Ok(None) => Loss::Missing,
            Err(why) => match Loss::of(&why) {
                Some(loss) => loss,
                None => return Err(why),
            },
        };
        match self.fetch(cid) {
            Some(block) => {
                let put = self.put_back(&loss, &block);
                self.healed().insert(*cid, (loss, put));
                Ok(Ok(block))
            }
            None => Ok(Err(loss)),
        }
    }

    /// Says whether a block is there, without reading it.
    pub(super) fn is_there(&self, cid: &Cid) -> Result<bool, StoreError> {
        if self.moment.has(cid)? {
            return Ok(true);
        }
        Ok(self.other.is_some() && self.read(cid)?.is_ok())
    }

    fn fetch(&self, cid: &Cid) -> Option<Block> {
        // Whatever is wrong over there, it does not help here.
        let block = self.other.as_ref()?.get(cid).ok()??;
        (block.cid() == cid).then_some(block)
    }

    /// Puts blocks in the place of what is lost.
    pub(super) fn put_back(&self, loss: &Loss, block: &Block) -> Result<(), String> {
        let blocks = std::slice::from_ref(block);
        if matches!(loss, Loss::Unreadable(_)) {
            // Under its name something lies already, and what lies there is not written again: it goes first. A crash
            // in between loses what nobody could read.
            let cycle = self.store.begin_cycle().map_err(|why| why.to_string())?;
            self.store.delete_if_untouched(&cycle, &[*block.cid()]).map_err(|why| why.to_string())?;
        }
        self.store.put_leased(self.moment.lease(), blocks).map_err(|why| why.to_string())?;
        match self.store.get(block.cid()) {
            Ok(Some(found)) if found == *block => Ok(()),
            Ok(_) => Err("it was written, and is not there".to_owned()),
            Err(why) => Err(why.to_string()),
        }
    }

    /// Stores blocks that were derived again.
    pub(super) fn put(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.store.put_leased(self.moment.lease(), blocks)
    }
}

impl BlockRead for Source {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        match self.read(cid)? {
            Ok(block) => Ok(Some(block)),
            Err(Loss::Missing) => Ok(None),
            Err(Loss::Unreadable(at)) => Err(Fault::Corrupt { what: "a block", at }.into()),
        }
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        cids.iter().map(|cid| self.get(cid)).collect()
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.is_there(cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        cids.iter().map(|cid| self.has(cid)).collect()
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        self.moment.scan(after)
    }
}
