//! Opening a store that others may have open: joining those who are there, or beginning alone.
//!
//! Used by: `open`. Threads: one.

use std::path::Path;
use std::sync::Arc;

use mnem_core::port::{Fault, OpenError};
use mnem_vfs::{LockKind, OpenMode, Vfs, VfsFile};

use super::board::{Board, Notice};
use super::follow::{end_recovery, needs};
use super::member::Member;
use super::others::{self, has_writer};
use super::{Cursor, Sharing};
use crate::checkpoint::begin_space;
use crate::engine::Inner;
use crate::open::open_data;
use crate::options::StorageOptions;
use crate::recovery::{Trust, assemble, find, random};

/// How often opening is tried because others come and go meanwhile.
const ATTEMPTS_MAX: usize = 100;

/// Opens to read and write. `file` is locked by the caller, as all who share the store lock it.
pub(crate) fn enter(
    vfs: Arc<dyn Vfs>,
    root: &Path,
    file: Box<dyn VfsFile>,
    options: StorageOptions,
) -> Result<Inner, OpenError> {
    let board = Board::open(vfs.as_ref(), root)?;
    board.take_turn()?;
    let others = others::read_all(vfs.as_ref(), root, None)?;
    let last = board.read()?;
    let (notice, trust) = match last {
        Some(notice) if has_writer(&others) && !notice.is_open && notice.generation > 0 => {
            (notice, Trust::Notice(notice))
        }
        // Nobody is here who knows more than the disk, or somebody was cut off.
        Some(notice) if has_writer(&others) => (Notice { is_open: true, ..notice }, Trust::Nothing),
        last => {
            others::remove_dead(vfs.as_ref(), root, &others);
            others::remove_unfinished(vfs.as_ref(), root);
            let number = last.map_or(0, |last| last.number) + 1;
            let mut notice = Notice { session: random(), number, is_open: true, ..Notice::default() };
            // Over both that are left from before.
            board.write(&notice)?;
            notice.number += 1;
            board.write(&notice)?;
            (notice, Trust::Nothing)
        }
    };
    // From now on nobody takes what is on the board for that of an earlier time.
    let member = Member::join(&vfs, root, true)?;
    let is_trusted = matches!(trust, Trust::Notice(_));
    let found = find(&vfs, root, file, &options, trust)?;
    let sharing = Sharing::new(&vfs, root, Some(board), Some(member), notice)?;
    let identity = found.identity;
    let cursor = Cursor { epoch: identity.epoch, ..Cursor::of_loaded(&found.loaded) };
    let (generation, lsn) = (cursor.generation, cursor.position);
    let durable = if is_trusted { notice.durable } else { lsn };
    let inner = assemble(vfs, root, found, options, Some(sharing))?;
    let sharing = inner.sharing.as_ref().expect("it was given");
    inner.writer().wal.durable_up_to(durable);
    sharing.need_pages(needs(&inner, None))?;
    {
        let mut seen = sharing.seen();
        seen.cursor = cursor;
        seen.is_writer_current = true;
        if !is_trusted {
            seen.notice = Notice {
                generation,
                lsn,
                durable,
                epoch: identity.epoch,
                nonce: identity.nonce,
                is_collecting: false,
                ..notice
            };
        }
    }
    begin_space(&inner, &mut inner.maintenance());
    inner.in_first_turn(|| if is_trusted { Ok(()) } else { end_recovery(&inner, sharing) })?;
    Ok(inner)
}

/// Opens to read. Nothing is written but what says which pages must stay, where that is possible.
pub(crate) fn enter_to_read(
    vfs: &Arc<dyn Vfs>,
    root: &Path,
    options: StorageOptions,
) -> Result<Inner, OpenError> {
    let member = match Member::join(vfs, root, false) {
        Ok(member) => Some(member),
        // The folder cannot be written.
        Err(Fault::Io { source, .. })
            if matches!(
                source.kind(),
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            None
        }
        Err(Fault::Full { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let board = Board::open_to_read(vfs.as_ref(), root)?;
    let sharing = Sharing::new(vfs, root, board, member, Notice::default())?;
    let own = sharing.member.as_ref().map(|member| member.id);
    // Until it is known which.
    sharing.need_all()?;
    let published = |sharing: &Sharing| -> Result<Option<Notice>, Fault> {
        let others = others::read_all(vfs.as_ref(), root, own)?;
        let notice = sharing.board()?.map(Board::read).transpose()?.flatten();
        Ok(notice.filter(|notice| has_writer(&others) && notice.generation > 0))
    };
    let mut last = None;
    for _ in 0..ATTEMPTS_MAX {
        let before = published(&sharing)?;
        let on_board = sharing.board()?.map(Board::read).transpose()?.flatten().unwrap_or_default();
        let trust = before.map_or(Trust::Disk, Trust::Notice);
        let file = open_data(vfs.as_ref(), root, OpenMode::Read, LockKind::Shared)?;
        let opened = find(vfs, root, file, &options, trust);
        let is_steady = match (before, published(&sharing)?) {
            (Some(before), Some(after)) => {
                (before.session, before.generation) == (after.session, after.generation)
            }
            // Nobody who writes was there, nor is: or somebody is opening it, who keeps what is needed.
            (None, None) => true,
            _ => false,
        };
        match opened {
            Ok(found) if is_steady => {
                let cursor = Cursor::of_loaded(&found.loaded);
                let inner = assemble(vfs.clone(), root, found, options, Some(sharing))?;
                let sharing = inner.sharing.as_ref().expect("it was given");
                sharing.need_pages(needs(&inner, None))?;
                let mut seen = sharing.seen();
                seen.cursor = cursor;
                seen.notice = before.unwrap_or(on_board);
                drop(seen);
                return Ok(inner);
            }
            Ok(_) => {}
            Err(error) => last = Some(error),
        }
        if is_steady && let Some(error) = last.take() {
            return Err(error);
        }
    }
    let by = "writers who never pause".to_owned();
    Err(last.unwrap_or(OpenError::Locked { at: root.display().to_string(), by }))
}
