//! Heads: what is current.

use std::collections::BTreeSet;

use mnem_core::port::{Fault, HeadsError, HeadsUpdate, Namespace, OpHeadsStore, Swap};
use mnem_core::{Cid, OperationId};
use redb::{ReadableTable, WriteTransaction};

use crate::RedbStore;
use crate::store::{Durable, ENTRY_BYTES, Outcome};
use crate::tables::{OBJECTS, OP_HEADS, cid_key, head_key, heads_prefix, key_head};
use crate::trouble::Trouble;

/// The table of heads, for reading or writing.
pub(crate) trait HeadsTable: ReadableTable<&'static [u8], ()> {}
impl<T: ReadableTable<&'static [u8], ()>> HeadsTable for T {}

/// Returns the heads of a namespace, in ascending order.
pub(crate) fn list(
    table: &impl HeadsTable,
    namespace: &Namespace,
    at: &str,
) -> Result<BTreeSet<OperationId>, Trouble> {
    let prefix = heads_prefix(namespace);
    let mut heads = BTreeSet::new();
    for entry in table.range(prefix.as_slice()..)? {
        let (key, _) = entry?;
        if !key.value().starts_with(&prefix) {
            break;
        }
        heads.insert(read_key(key.value(), at)?.1);
    }
    Ok(heads)
}

/// Returns all heads of all namespaces.
pub(crate) fn all(table: &impl HeadsTable, at: &str) -> Result<Vec<Cid>, Trouble> {
    let mut heads = Vec::new();
    for entry in table.iter()? {
        heads.push(*read_key(entry?.0.value(), at)?.1.cid());
    }
    Ok(heads)
}

fn namespaces(table: &impl HeadsTable, at: &str) -> Result<Vec<Namespace>, Trouble> {
    let mut found: Vec<Namespace> = Vec::new();
    loop {
        // The next namespace begins after every head of the last one.
        let from = found.last().map_or(Vec::new(), |last| [last.as_str().as_bytes(), &[1]].concat());
        match table.range(from.as_slice()..)?.next() {
            Some(entry) => found.push(read_key(entry?.0.value(), at)?.0),
            None => break,
        }
    }
    Ok(found)
}

fn read_key(key: &[u8], at: &str) -> Result<(Namespace, OperationId), Fault> {
    key_head(key).ok_or_else(|| Fault::Corrupt { what: "a head's key", at: format!("{at} ({key:02x?})") })
}

/// What a change of heads did within its transaction.
#[derive(Debug)]
pub(crate) enum Change {
    /// It is made, or there was none to make.
    Made {
        /// Heads that came or went.
        entries: u64,
        /// Whether something is a head now that was none.
        added: bool,
    },
    /// The heads are not the expected ones.
    Moved,
    /// It must not be made.
    Refused(HeadsError),
}

/// Changes heads, after the blocks of the same step.
pub(crate) fn change(
    transaction: &WriteTransaction,
    update: &HeadsUpdate,
    at: &str,
) -> Result<Change, Trouble> {
    let mut table = transaction.open_table(OP_HEADS)?;
    let old = list(&table, &update.namespace, at)?;
    if update.expected.as_ref().is_some_and(|expected| old != expected.iter().copied().collect()) {
        return Ok(Change::Moved);
    }
    let mut new: BTreeSet<OperationId> =
        old.iter().filter(|head| !update.remove.contains(head)).copied().collect();
    new.extend(&update.add);
    if new.is_empty() && !update.is_empty() {
        return Ok(Change::Refused(HeadsError::WouldBeEmpty { namespace: update.namespace.clone() }));
    }
    let objects = transaction.open_table(OBJECTS)?;
    for head in &update.add {
        if objects.get(&cid_key(head.cid()))?.is_none() {
            return Ok(Change::Refused(HeadsError::Absent { head: *head }));
        }
    }
    let mut entries = 0;
    for head in new.difference(&old) {
        table.insert(head_key(&update.namespace, head).as_slice(), ())?;
        entries += 1;
    }
    let added = entries > 0;
    for head in old.difference(&new) {
        table.remove(head_key(&update.namespace, head).as_slice())?;
        entries += 1;
    }
    Ok(Change::Made { entries, added })
}

impl OpHeadsStore for RedbStore {
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError> {
        let at = self.inner.at();
        Ok(self.inner.read(|transaction| namespaces(&transaction.open_table(OP_HEADS)?, at))?)
    }

    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        let at = self.inner.at();
        let heads = self.inner.read(|transaction| list(&transaction.open_table(OP_HEADS)?, namespace, at))?;
        Ok(heads.into_iter().collect())
    }

    fn update(&self, update: &HeadsUpdate) -> Result<Swap, HeadsError> {
        let change = self.inner.write(Durable::Now, |transaction| {
            let change = change(transaction, update, self.inner.at())?;
            let outcome = match &change {
                Change::Made { entries, added } => {
                    if *added {
                        // No cycle begins before this transaction ends, and ending one early does no harm.
                        self.inner.collection().head_added_outside_lease();
                    }
                    Outcome::Commit(entries * ENTRY_BYTES)
                }
                Change::Moved | Change::Refused(_) => Outcome::Abort,
            };
            Ok((change, outcome))
        })?;
        match change {
            Change::Made { .. } => Ok(Swap::Done),
            Change::Moved => Ok(Swap::Moved),
            Change::Refused(why) => Err(why),
        }
    }
}
