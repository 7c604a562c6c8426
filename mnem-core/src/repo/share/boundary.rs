//! Where a partial copy ends: commits and operations that others follow and that are not here.
//!
//! A record of one store, in the side table `boundary`: it permits absence, and nothing else rests on it. If it is lost, a
//! check calls missing what was left out, and the next fetch of the whole brings it. Bytes: FORMAT.md, "Boundary rows".

use std::collections::HashSet;

use bytes::Bytes;

use crate::cid::Cid;
use crate::port::StoreError;
use crate::port::{Namespace, Row, RowTable, SideTable};
use crate::repo::error::RepoError;
use crate::repo::handle::Repo;

const TABLE: RowTable = RowTable::new("boundary");

impl Repo {
    /// Returns what may be absent here although others follow it: where a partial copy ends. Reading on from there is
    /// [`Pruned`](RepoError::Pruned).
    pub fn boundary(&self) -> Result<HashSet<Cid>, RepoError> {
        read(&*self.shared.store, &self.shared.options.namespace)
    }
}

/// Reads the boundary of a namespace.
pub(in crate::repo) fn read(rows: &dyn SideTable, namespace: &Namespace) -> Result<HashSet<Cid>, RepoError> {
    let prefix = prefix(namespace);
    let mut found = HashSet::new();
    for row in rows.rows(TABLE, &prefix).map_err(StoreError::from)? {
        let (key, _) = row.map_err(StoreError::from)?;
        let Some(cid) = key.strip_prefix(prefix.as_slice()) else { break };
        found.extend(Cid::from_bytes(cid));
    }
    Ok(found)
}

/// The row that permits the absence of a block, or no longer does.
pub(in crate::repo) fn row(namespace: &Namespace, cid: &Cid, is_left_out: bool) -> Row {
    let key = [prefix(namespace).as_slice(), &cid.to_bytes()].concat();
    Row { table: TABLE, key: key.into(), value: is_left_out.then(Bytes::new) }
}

fn prefix(namespace: &Namespace) -> Vec<u8> {
    [namespace.as_str().as_bytes(), &[0]].concat()
}
