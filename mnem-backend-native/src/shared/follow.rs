//! Moving this process to what others have published.
//!
//! Used by: whoever reads (`refresh`), whoever takes a turn (`catch_up`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mnem_core::port::{Fault, OpenError};
use mnem_vfs::OpenMode;

use super::board::Notice;
use super::{Cursor, Seen, Sharing};
use crate::changes;
use crate::checkpoint::{Maintenance, begin_space, checkpoint};
use crate::engine::Inner;
use crate::load::{Loaded, Slots, load, pages_ahead, replay_heads, superblocks};
use crate::recovery::{Identity, new_identity, resume, settle_all};
use crate::space::PageMap;
use crate::view::Tip;
use crate::wal::scan::{From, Segments, scan};

/// How often something is read anew because others went on meanwhile.
const ATTEMPTS_MAX: usize = 1000;

/// Moves this process to what is published, if it is behind. Waits for nobody.
pub(crate) fn refresh(inner: &Inner) -> Result<(), Fault> {
    let Some(sharing) = &inner.sharing else { return Ok(()) };
    if sharing.in_turn.load(Ordering::Acquire) {
        return Ok(());
    }
    let Some(board) = sharing.board()? else { return Ok(()) };
    let Some(notice) = board.read()? else { return Ok(()) };
    let mut seen = sharing.seen();
    // This process may have taken its turn meanwhile.
    if sharing.in_turn.load(Ordering::Acquire) || notice == seen.notice {
        return Ok(());
    }
    follow(inner, sharing, &mut seen, notice)
}

/// Brings this process up to date, which has just got the turn.
pub(super) fn catch_up(inner: &Inner, sharing: &Sharing) -> Result<(), Fault> {
    let board = sharing.own_board()?;
    let mut seen = sharing.seen();
    let what = "the file of turns";
    let notice = board.read()?.ok_or_else(|| Fault::Corrupt { what, at: inner.at.clone() })?;
    if notice.is_open {
        take_over(inner, sharing, &mut seen, notice)?;
        sharing.in_turn.store(true, Ordering::Release);
        drop(seen);
        return end_recovery(inner, sharing);
    }
    follow(inner, sharing, &mut seen, notice)?;
    if !seen.is_writer_current {
        load_writer(inner, sharing, &mut seen)?;
    }
    sharing.in_turn.store(true, Ordering::Release);
    Ok(())
}

fn follow(inner: &Inner, sharing: &Sharing, seen: &mut Seen, first: Notice) -> Result<(), Fault> {
    let mut notice = first;
    for _ in 0..ATTEMPTS_MAX {
        let was_published = notice.generation > 0;
        if !was_published || notice.is_same_moment(&seen.notice) {
            seen.notice = notice;
            return Ok(());
        }
        let moved = step(inner, sharing, seen, &notice);
        if let Ok(true) = moved {
            seen.notice = notice;
            return Ok(());
        }
        let again = sharing.board()?.map(super::Board::read).transpose()?.flatten().unwrap_or(notice);
        match moved {
            // Nobody went on meanwhile: what cannot be read is damaged.
            Err(error) if again.is_same_moment(&notice) => return Err(error),
            _ => notice = again,
        }
    }
    Err(Fault::Locked { at: inner.at.clone(), by: "writers who never pause".to_owned() })
}

fn slots(inner: &Inner) -> Result<Slots, Fault> {
    superblocks(inner.data.file.as_ref(), &inner.data.path, &inner.at).map_err(|error| match error {
        OpenError::Fault(fault) => fault,
        // It was opened in a format that this program knows.
        _ => Fault::Unsupported { what: "a store that a newer mnem has changed meanwhile" },
    })
}

/// Tries to move to a notice. `false`: another checkpoint was published before it was certain that its pages stay.
fn step(inner: &Inner, sharing: &Sharing, seen: &mut Seen, notice: &Notice) -> Result<bool, Fault> {
    let cursor = seen.cursor;
    let is_behind = (notice.epoch, notice.generation) == (cursor.epoch, cursor.generation)
        && notice.session == seen.notice.session
        && notice.lsn >= cursor.position;
    let stays = |sharing: &Sharing| -> Result<bool, Fault> {
        let again = sharing.board()?.map(super::Board::read).transpose()?.flatten();
        Ok(again
            .is_some_and(|again| (again.session, again.generation) == (notice.session, notice.generation)))
    };
    let data = &inner.data;
    let segments = Segments::open(sharing.vfs.as_ref(), &sharing.root, data.store, OpenMode::Read)?;
    if is_behind {
        let Some((records, next)) = read_on(&segments, cursor, notice)? else { return Ok(true) };
        let ahead: Vec<_> =
            records.iter().filter_map(|(_, changes)| pages_ahead(changes)).flatten().collect();
        if !ahead.is_empty() {
            seen.has_foreign_pages = true;
            sharing.need_more_pages(ahead)?;
            if !stays(sharing)? {
                return Ok(false);
            }
        }
        apply(inner, records).ok_or_else(|| data.corrupt("a log record", "the key of a head"))?;
        seen.cursor = next;
    } else {
        let slots = slots(inner)?.with(notice.generation, &inner.at)?;
        let loaded = load(data, slots, &segments, Some(notice.lsn))?;
        sharing.need_pages(needs(inner, Some(&loaded)))?;
        if !stays(sharing)? {
            return Ok(false);
        }
        seen.has_foreign_pages = true;
        seen.cursor = Cursor { epoch: notice.epoch, ..Cursor::of_loaded(&loaded) };
        if !inner.options.mode.writes() {
            *inner.maintenance() = Maintenance::new(slots.newest, slots.previous(data)?);
        }
        install(inner, loaded);
    }
    seen.is_writer_current = false;
    Ok(true)
}

type Records = Vec<(crate::wal::Lsn, Vec<crate::memtable::Change>)>;

/// Reads what was appended since. `None`: nothing.
fn read_on(
    segments: &Segments<'_>,
    cursor: Cursor,
    notice: &Notice,
) -> Result<Option<(Records, Cursor)>, Fault> {
    if cursor.position == notice.lsn {
        return Ok(None);
    }
    let Cursor { position, segment, chain, epoch, txn, generation } = cursor;
    let mut records = Records::new();
    let from = From { position, segment, chain, epoch, txn };
    let end = scan(segments, from, Some(notice.lsn), |lsn, raw| {
        records.push((lsn, changes::decode(raw)?));
        Some(())
    })?;
    let next = Cursor {
        generation,
        position: end.position,
        segment: end.start,
        chain: end.chain,
        epoch: end.epoch,
        txn: end.txn,
    };
    Ok(Some((records, next)))
}

/// Applies records to what this process has in memory.
fn apply(inner: &Inner, records: Records) -> Option<()> {
    let tip = inner.tip_to_keep();
    let mut heads = (*tip.heads).clone();
    records.iter().try_for_each(|(_, changes)| replay_heads(&mut heads, changes))?;
    let mut last = tip.lsn;
    for (lsn, changes) in records {
        if let Some(pages) = pages_ahead(&changes) {
            inner.space.found_ahead(pages, lsn);
        }
        inner.add_pending(changes::memory_bytes(&changes));
        tip.version.table.apply(lsn, changes);
        last = lsn;
    }
    inner.publish(Tip { lsn: last, heads: Arc::new(heads), version: tip.version.clone() });
    Some(())
}

/// Returns the pages that must stay for this process: of what it has read and, if it is to move there, of `next`.
pub(crate) fn needs(inner: &Inner, next: Option<&Loaded>) -> PageMap {
    let mut pages = PageMap::clone(&inner.tip().version.used);
    inner.space.add_ahead(&mut pages);
    inner.retired.unite_into(&mut pages);
    if let Some(next) = next {
        pages.unite(&next.version.used);
        next.ahead.iter().flat_map(|(_, runs)| runs).for_each(|run| pages.insert(run.clone()));
    }
    pages
}

/// From now on this process sees what was read.
pub(crate) fn install(inner: &Inner, loaded: Loaded) {
    let old = inner.tip_to_keep();
    inner.retired.add(&old.version, &inner.space);
    drop(old);
    inner.space.forget_ahead();
    for (lsn, pages) in loaded.ahead {
        inner.space.found_ahead(pages, lsn);
    }
    inner.begin_pending();
    inner.add_pending(loaded.pending_bytes);
    let version = Arc::new(loaded.version);
    inner.publish(Tip { lsn: loaded.last, heads: Arc::new(loaded.heads), version });
}

/// Makes this process write where the others stopped. In a turn, at what is published.
fn load_writer(inner: &Inner, sharing: &Sharing, seen: &mut Seen) -> Result<(), Fault> {
    let data = &inner.data;
    let cursor = seen.cursor;
    let segments = Segments::open(sharing.vfs.as_ref(), &sharing.root, data.store, OpenMode::ReadWrite)?;
    let mut state = inner.maintenance();
    let is_other_checkpoint = state.superblock.generation != cursor.generation;
    if is_other_checkpoint {
        let slots = slots(inner)?.with(cursor.generation, &inner.at)?;
        *state = Maintenance::new(slots.newest, slots.previous(data)?);
    }
    let missing = || data.corrupt("the log (the newest segment is missing)", cursor.segment);
    let (index, _) = segments.starting_at(cursor.segment).ok_or_else(missing)?;
    let identity = Identity { epoch: seen.notice.epoch, nonce: seen.notice.nonce };
    let at = identity.at(cursor.position, cursor.chain, cursor.txn);
    let mut writer = inner.writer();
    writer.replace_log(resume(inner.log_parts(), segments, index, at), seen.notice.durable);
    writer.wal.release(state.superblock.segment);
    drop(writer);
    if is_other_checkpoint || seen.has_foreign_pages {
        begin_space(inner, &mut state);
    }
    seen.is_writer_current = true;
    seen.has_foreign_pages = false;
    Ok(())
}

/// Somebody was cut off while they wrote: finds out what became of it, as opening does.
fn take_over(inner: &Inner, sharing: &Sharing, seen: &mut Seen, notice: Notice) -> Result<(), Fault> {
    let data = &inner.data;
    let vfs = sharing.vfs.as_ref();
    settle_all(vfs, &sharing.root, data)?;
    let slots = slots(inner)?;
    let segments = Segments::open(vfs, &sharing.root, data.store, OpenMode::ReadWrite)?;
    let loaded = load(data, slots, &segments, None)?;
    let previous = slots.previous(data)?;
    let end = loaded.end.clone();
    let identity = new_identity(&end, &inner.at)?;
    let mut state = inner.maintenance();
    *state = Maintenance::new(slots.newest, previous);
    let at = identity.at(end.position, end.chain, end.txn);
    inner.writer().replace_log(resume(inner.log_parts(), segments, end.segment, at), end.position);
    sharing.need_pages(needs(inner, Some(&loaded)))?;
    seen.cursor = Cursor { epoch: identity.epoch, ..Cursor::of_loaded(&loaded) };
    let (generation, lsn) = (loaded.slots.newest.generation, end.position);
    install(inner, loaded);
    // Still open, until it is certain that this is what counts. What was begun to be collected may miss a head.
    seen.notice = Notice {
        generation,
        lsn,
        durable: lsn,
        epoch: identity.epoch,
        nonce: identity.nonce,
        is_open: true,
        is_collecting: false,
        ..notice
    };
    seen.writing = 0;
    seen.is_writer_current = true;
    begin_space(inner, &mut state);
    Ok(())
}

/// What was found in the log goes into the pages before anything is acknowledged.
pub(crate) fn end_recovery(inner: &Inner, sharing: &Sharing) -> Result<(), Fault> {
    let writing = inner.begin_writing()?;
    checkpoint(inner, &mut inner.maintenance())?;
    let generation = sharing.seen().cursor.generation;
    writing.publish_checkpoint(generation)
}
