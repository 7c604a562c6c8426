//! One moment of the store, held for as long as somebody looks at it.

use std::sync::Arc;

use mnem_core::port::{
    BlockRead, CidStream, CollectorError, HeadsError, Lease, LeaseId, Namespace, StoreError, StoreSnapshot,
};
use mnem_core::{Block, Cid, OperationId};

use crate::engine::Handle;
use crate::ports::scan;
use crate::view::Tip;

/// A tip that does not move. It never blocks a writer, and no writer blocks it; its pages stay as long as it lives.
pub(crate) struct Snapshot {
    inner: Arc<Handle>,
    tip: Arc<Tip>,
    lease: Lease,
}

impl Snapshot {
    pub(crate) fn take(inner: &Arc<Handle>) -> Result<Snapshot, StoreError> {
        let id = LeaseId::fresh();
        let tip = inner.grant(id, None).map_err(|error| match error {
            CollectorError::Fault(fault) => StoreError::Fault(fault),
            _ => StoreError::Stale,
        })?;
        Ok(Snapshot { inner: inner.clone(), tip, lease: Lease::new(id, inner.clone()) })
    }
}

impl BlockRead for Snapshot {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(self.tip.block(&self.inner.data, cid)?)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        self.inner.get_many(&self.tip, cids)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.inner.has(&self.tip, cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        cids.iter().map(|cid| self.inner.has(&self.tip, cid)).collect()
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        let tip = self.tip.clone();
        Ok(scan(self.inner.clone(), after, move |_| tip.clone()))
    }
}

impl StoreSnapshot for Snapshot {
    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        Ok(self.tip.heads.get(namespace).into_iter().flatten().copied().collect())
    }

    fn lease(&self) -> &Lease {
        &self.lease
    }
}
