//! Looking at everything: for tests, and for whoever doubts a disk.

use mnem_core::port::Fault;

use crate::checkpoint::reachable;
use crate::engine::StorageEngine;
use crate::index;
use crate::keys;
use crate::view::row_value;

impl StorageEngine {
    /// Reads all that the last checkpoint holds: every index page, every block against its CID, every row; and compares the
    /// map of used pages with what is reachable. Checkpoints wait meanwhile.
    pub fn check(&self) -> Result<(), Fault> {
        let inner = &self.inner;
        // Whoever only reads checks what it has seen last.
        let _turn = if inner.options.mode.writes() { Some(inner.turn()?) } else { None };
        let state = inner.maintenance();
        let tip = inner.tip();
        let superblock = &state.superblock;
        let mut keys = 0;
        let mut last: Option<Vec<u8>> = None;
        let damaged = |what| inner.data.corrupt(what, format_args!("checkpoint {}", superblock.generation));
        index::for_each_value(&inner.data, superblock.root, &mut |_| {}, &mut |key, value| {
            keys += 1;
            if last.as_deref().is_some_and(|last| last >= key) {
                return Err(damaged("the order of keys"));
            }
            last = Some(key.to_vec());
            if let Some(cid) = keys::cid(key) {
                let locator = crate::view::locator(&inner.data, value)?;
                let bytes = inner.data.value(&locator, "a block")?;
                let proved = mnem_core::Block::verify(cid, bytes);
                proved.map(|_| ()).map_err(|_| inner.data.damaged(&locator, "a block"))
            } else if keys::is_head(key) {
                keys::parse_head(key).map(|_| ()).ok_or_else(|| damaged("the key of a head"))
            } else {
                let locator = crate::view::locator(&inner.data, value)?;
                row_value(&inner.data, &locator)?.map(|_| ()).ok_or_else(|| damaged("a row"))
            }
        })?;
        let mut used = reachable(&inner.data, superblock.root)?;
        let space = superblock.space.page.0;
        used.insert(space..space + u64::from(superblock.space.pages));
        let is_exact = used.to_bytes(superblock.file_pages)
            == tip.version.used.to_bytes(superblock.file_pages)
            && used.end() == superblock.file_pages;
        if !is_exact {
            return Err(damaged("the map of used pages"));
        }
        if keys == superblock.keys { Ok(()) } else { Err(damaged("the count of keys")) }
    }
}
