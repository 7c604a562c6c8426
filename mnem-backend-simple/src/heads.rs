//! Heads: empty files named by their operation. That a file is there is the truth; nothing else is kept.
//!
//! Locks: a change holds the store shared, so that no cycle begins meanwhile, and the heads alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mnem_core::port::{Fault, HeadsError, HeadsUpdate, Namespace, OpHeadsStore, Swap};
use mnem_core::{Block, Cid, OperationId};

use crate::{Inner, SimpleStore};

impl OpHeadsStore for SimpleStore {
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError> {
        let _heads = self.inner.lock_heads()?;
        Ok(self.inner.all_heads()?.into_keys().collect())
    }

    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        let _heads = self.inner.lock_heads()?;
        Ok(self.inner.heads_of(namespace)?)
    }

    fn update(&self, update: &HeadsUpdate) -> Result<Swap, HeadsError> {
        self.inner.begin_write()?;
        let _shared = self.inner.lock_shared()?;
        self.inner.change_heads(update, &[], false)
    }
}

impl Inner {
    /// Returns the heads, in order. The caller keeps them from changing.
    fn heads_of(&self, namespace: &Namespace) -> Result<Vec<OperationId>, Fault> {
        let parse = |name: &str| name.parse().ok();
        self.disk.names(&self.layout.heads(namespace), parse)
    }

    /// Returns all namespaces that have heads. The caller keeps them from changing.
    pub(crate) fn all_heads(&self) -> Result<BTreeMap<Namespace, Vec<OperationId>>, Fault> {
        let mut all = BTreeMap::new();
        for namespace in self.disk.names(&self.layout.file("heads"), Namespace::new)? {
            let heads = self.heads_of(&namespace)?;
            if !heads.is_empty() {
                all.insert(namespace, heads);
            }
        }
        Ok(all)
    }

    /// Says whether a head of any namespace is this one. It may be one no more when this returns.
    pub(crate) fn is_head(&self, cid: &Cid) -> Result<bool, Fault> {
        for namespace in self.disk.names(&self.layout.file("heads"), Namespace::new)? {
            if self.disk.file_bytes(&self.layout.heads(&namespace).join(cid.to_string()))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes all stored blocks durable, `blocks` among them, then changes the heads. The caller holds the store.
    pub(crate) fn change_heads(
        &self,
        update: &HeadsUpdate,
        blocks: &[Block],
        is_leased: bool,
    ) -> Result<Swap, HeadsError> {
        let absent = self.first_absent(&update.add)?;
        let folder = self.layout.heads(&update.namespace);
        if absent.is_none() {
            if !update.add.is_empty() {
                self.disk.ensure_dir(&folder)?;
            }
            self.settle(blocks.iter().map(Block::cid).chain(update.add.iter().map(OperationId::cid)))?;
        }
        if update.is_empty() {
            return Ok(Swap::Done);
        }
        let _heads = self.lock_heads()?;
        let Some(change) = Change::of(update, &self.heads_of(&update.namespace)?) else {
            return Ok(Swap::Moved);
        };
        if let Some(head) = absent {
            return Err(HeadsError::Absent { head });
        }
        if change.leaves_none {
            return Err(HeadsError::WouldBeEmpty { namespace: update.namespace.clone() });
        }
        if !change.added.is_empty() && !is_leased {
            self.end_announced_cycle()?;
        }
        self.or_poison("change of heads", self.apply(&folder, &change))?;
        Ok(Swap::Done)
    }

    fn first_absent(&self, heads: &[OperationId]) -> Result<Option<OperationId>, Fault> {
        for head in heads {
            if self.block_bytes(&self.layout.objects(), head.cid())?.is_none() {
                return Ok(Some(*head));
            }
        }
        Ok(None)
    }

    /// Makes durable all that is stored, these blocks among it, and the folders of all namespaces.
    fn settle<'a>(&self, cids: impl Iterator<Item = &'a Cid>) -> Result<(), Fault> {
        if !self.sync_all()? {
            self.sync_names(cids)?;
            self.sync_folder(&self.layout.file("heads"))?;
        }
        Ok(())
    }

    /// Adds before it removes, with a sync between: no crash leaves neither. Even where nothing is added or removed
    /// one sync runs, for the name may be the work of somebody who died before its sync.
    fn apply(&self, folder: &Path, change: &Change) -> Result<(), Fault> {
        for head in &change.added {
            self.disk.touch(&folder.join(head.cid().to_string()))?;
        }
        if self.disk.metadata(folder)?.is_some() {
            self.disk.sync_dir(folder)?;
        }
        for head in &change.removed {
            self.disk.remove(&folder.join(head.cid().to_string()))?;
        }
        if !change.removed.is_empty() {
            self.disk.sync_dir(folder)?;
        }
        Ok(())
    }
}

/// What an update comes to.
struct Change {
    added: Vec<OperationId>,
    removed: Vec<OperationId>,
    leaves_none: bool,
}

impl Change {
    /// `None` if the heads are not the expected ones.
    fn of(update: &HeadsUpdate, heads: &[OperationId]) -> Option<Change> {
        let set = |heads: &[OperationId]| heads.iter().copied().collect::<BTreeSet<_>>();
        let (old, add, remove) = (set(heads), set(&update.add), set(&update.remove));
        if update.expected.as_deref().is_some_and(|expected| set(expected) != old) {
            return None;
        }
        let removed: Vec<_> = old.intersection(&remove).filter(|head| !add.contains(head)).copied().collect();
        let added: Vec<_> = add.difference(&old).copied().collect();
        let leaves_none = add.is_empty() && old.len() == removed.len();
        Some(Change { added, removed, leaves_none })
    }
}
