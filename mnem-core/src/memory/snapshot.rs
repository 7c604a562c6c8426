//! One moment of a store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::{Moment, Taken};
use super::{Shared, stream};
use crate::block::Block;
use crate::cid::Cid;
use crate::id::OperationId;
use crate::port::{
    BlockRead, CidStream, HeadsError, Lease, LeaseKeeper, Namespace, StoreError, StoreSnapshot,
};

/// The heads of a moment, and a hold on the blocks that were present in it.
pub(super) struct MemorySnapshot {
    heads: BTreeMap<Namespace, Vec<OperationId>>,
    lease: Lease,
    hold: Arc<Hold>,
}

/// Keeps readable what was present at its moment. Streams share it, as they may outlive their snapshot.
struct Hold {
    shared: Arc<Shared>,
    moment: Moment,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.write().release(self.moment);
    }
}

impl MemorySnapshot {
    pub(super) fn take(shared: &Arc<Shared>) -> Result<MemorySnapshot, StoreError> {
        let Taken { moment, lease, heads } = shared.write().take_snapshot()?;
        let keeper: Arc<dyn LeaseKeeper> = shared.clone();
        let hold = Arc::new(Hold { shared: shared.clone(), moment });
        Ok(MemorySnapshot { heads, lease: Lease::new(lease, keeper), hold })
    }
}

impl BlockRead for MemorySnapshot {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(self.hold.shared.read().get(cid, Some(self.hold.moment)))
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let state = self.hold.shared.read();
        Ok(cids.iter().map(|cid| state.get(cid, Some(self.hold.moment))).collect())
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.hold.shared.read().has(cid, Some(self.hold.moment)))
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        let state = self.hold.shared.read();
        Ok(cids.iter().map(|cid| state.has(cid, Some(self.hold.moment))).collect())
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        let hold = self.hold.clone();
        let next = move |after, most| hold.shared.read().cids_after(after, most, Some(hold.moment));
        Ok(stream::cids(after, next))
    }
}

impl StoreSnapshot for MemorySnapshot {
    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        Ok(self.heads.get(namespace).cloned().unwrap_or_default())
    }

    fn lease(&self) -> &Lease {
        &self.lease
    }
}
