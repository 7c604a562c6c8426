//! One moment of a store: its heads, a lease on them, and what is set aside while the lease lives.

use std::collections::BTreeMap;
use std::sync::Arc;

use mnem_core::port::{BlockRead, CidStream, Fault, HeadsError, Lease, Namespace, StoreError, StoreSnapshot};
use mnem_core::{Block, Cid, OperationId};

use crate::Inner;
use crate::objects::Scan;

pub(crate) struct Snapshot {
    inner: Arc<Inner>,
    heads: BTreeMap<Namespace, Vec<OperationId>>,
    lease: Lease,
    /// What was set aside in later generations was there when the snapshot was taken.
    born: u64,
}

impl Inner {
    pub(crate) fn take_snapshot(self: &Arc<Inner>) -> Result<Snapshot, Fault> {
        let _shared = self.lock_shared()?;
        let heads = {
            let _heads = self.lock_heads()?;
            self.all_heads()?
        };
        let roots: Vec<Cid> = heads.values().flatten().map(|head| *head.cid()).collect();
        let granted = match self.refuse_writes() {
            Ok(()) => self.grant(&roots),
            Err(_) => self.grant_reader().map(|lease| (lease, 0)),
        };
        let (lease, born) = match granted {
            // A full disk is read like one that cannot be written.
            Err(Fault::Full { .. }) => (self.grant_reader()?, 0),
            granted => granted?,
        };
        Ok(Snapshot { inner: self.clone(), heads, lease, born })
    }
}

impl StoreSnapshot for Snapshot {
    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        Ok(self.heads.get(namespace).cloned().unwrap_or_default())
    }

    fn lease(&self) -> &Lease {
        &self.lease
    }
}

impl BlockRead for Snapshot {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        if let Some(block) = self.inner.read_block(&self.inner.layout.objects(), cid)? {
            return Ok(Some(block));
        }
        for tree in self.inner.set_aside_after(self.born)? {
            if let Some(block) = self.inner.read_block(&tree, cid)? {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        cids.iter().map(|cid| self.get(cid)).collect()
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        if self.inner.block_bytes(&self.inner.layout.objects(), cid)?.is_some() {
            return Ok(true);
        }
        for tree in self.inner.set_aside_after(self.born)? {
            if self.inner.block_bytes(&tree, cid)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        cids.iter().map(|cid| self.has(cid)).collect()
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        Ok(Box::new(Scan::new(self.inner.clone(), after, Some(self.born))))
    }
}
