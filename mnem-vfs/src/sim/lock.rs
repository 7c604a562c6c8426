//! Who holds which lock.
//!
//! Used by: `handle`. Threads: under the lock of `sim`.

use std::collections::BTreeMap;
use std::thread::ThreadId;

use super::{HandleId, NodeId, ProcessId};
use crate::port::LockKind;

#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    pub(super) handle: HandleId,
    pub(super) process: ProcessId,
    pub(super) thread: ThreadId,
    pub(super) kind: LockKind,
}

#[derive(Debug, Default)]
pub(super) struct Locks(BTreeMap<NodeId, Vec<Holder>>);

impl Locks {
    pub(super) fn held(&self, node: NodeId, handle: HandleId) -> Option<LockKind> {
        self.holders(node).find(|holder| holder.handle == handle).map(|holder| holder.kind)
    }

    /// Somebody who is in the way of a lock of this kind.
    pub(super) fn obstacle(&self, node: NodeId, kind: LockKind) -> Option<&Holder> {
        self.holders(node).find(|holder| kind == LockKind::Exclusive || holder.kind == LockKind::Exclusive)
    }

    pub(super) fn grant(&mut self, node: NodeId, holder: Holder) {
        debug_assert!(self.obstacle(node, holder.kind).is_none(), "{holder:?}");
        self.0.entry(node).or_default().push(holder);
    }

    pub(super) fn release(&mut self, node: NodeId, handle: HandleId) {
        if let Some(holders) = self.0.get_mut(&node) {
            holders.retain(|holder| holder.handle != handle);
            if holders.is_empty() {
                self.0.remove(&node);
            }
        }
    }

    pub(super) fn release_all_of(&mut self, process: ProcessId) {
        self.0.values_mut().for_each(|holders| holders.retain(|holder| holder.process != process));
        self.0.retain(|_, holders| !holders.is_empty());
    }

    fn holders(&self, node: NodeId) -> impl Iterator<Item = &Holder> {
        self.0.get(&node).into_iter().flatten()
    }
}
