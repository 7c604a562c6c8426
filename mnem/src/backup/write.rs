//! Making a backup: what a snapshot shows, less what the backups before hold.

use std::io::{self, Write};
use std::iter::Peekable;

use mnem_core::port::{BlockRead, Namespace, Store, StoreError, StoreSnapshot};
use mnem_core::{Cid, OperationId};

use super::frame::{Begin, Change, End, FRAME_BYTES, FRAME_ENTRIES, Frame, Kind, fold, put_change, trailer};
use super::{BackupError, Id};
use mnem_core::progress::{Listener, Progress};

/// So many blocks are read at once.
const READ_AT_ONCE: usize = 32;

/// One moment of a store, to be kept.
pub(super) struct Moment {
    snapshot: Box<dyn StoreSnapshot>,
    pub(super) heads: Vec<(Namespace, Vec<OperationId>)>,
}

impl Moment {
    /// Fixes what is visible now.
    pub(super) fn of(store: &dyn Store) -> Result<Moment, BackupError> {
        let snapshot = store.snapshot()?;
        let mut heads = Vec::new();
        for namespace in store.namespaces()? {
            // A namespace may be younger than the snapshot.
            let ids = snapshot.heads(&namespace)?;
            if !ids.is_empty() {
                heads.push((namespace, ids));
            }
        }
        Ok(Moment { snapshot, heads })
    }
}

/// CIDs in ascending order, of what the backups before hold.
pub(super) type Base<'a> = dyn Iterator<Item = Result<Cid, BackupError>> + 'a;

/// Writes a backup. `at` is what messages call it.
pub(super) fn write(
    moment: &Moment,
    begin: &Begin,
    base: &mut Base<'_>,
    out: &mut dyn Write,
    at: &str,
    listener: &mut Listener<'_>,
) -> Result<(Id, End), BackupError> {
    let mut writer = Writer {
        out,
        at,
        written: 0,
        list: Vec::new(),
        raw: Vec::new(),
        entries: 0,
        end: End { heads: moment.heads.clone(), ..End::default() },
    };
    writer.frame(Kind::Begin, &begin.encode(), &[])?;
    let mut cids = moment.snapshot.scan(None)?.peekable();
    let mut base = base.peekable();
    let mut waiting = Vec::new();
    loop {
        let next = next(&mut cids, &mut base)?;
        let is_over = next.is_none();
        match next {
            Some(Next::Kept) => writer.end.blocks += 1,
            Some(Next::Came(cid)) => waiting.push((cid, true)),
            Some(Next::Went(cid)) => waiting.push((cid, false)),
            None => {}
        }
        if is_over || waiting.len() == READ_AT_ONCE {
            writer.changes(&*moment.snapshot, &waiting)?;
            waiting.clear();
            let progress = Progress::new("blocks", writer.end.put, None);
            if listener(&progress).is_break() {
                return Err(BackupError::Stopped);
            }
        }
        if is_over {
            break;
        }
    }
    writer.finish()
}

enum Next {
    Kept,
    Came(Cid),
    Went(Cid),
}

/// Goes on in whichever of the two lists is behind.
fn next(
    cids: &mut Peekable<impl Iterator<Item = Result<Cid, StoreError>>>,
    base: &mut Peekable<&mut Base<'_>>,
) -> Result<Option<Next>, BackupError> {
    let here = match cids.peek() {
        Some(Ok(cid)) => Some(*cid),
        Some(Err(_)) => return Err(cids.next().and_then(Result::err).expect("it was seen").into()),
        None => None,
    };
    let there = match base.peek() {
        Some(Ok(cid)) => Some(*cid),
        Some(Err(_)) => return Err(base.next().and_then(Result::err).expect("it was seen")),
        None => None,
    };
    let next = match (here, there) {
        (None, None) => return Ok(None),
        (Some(here), Some(there)) if here == there => {
            cids.next();
            base.next();
            Next::Kept
        }
        (Some(here), there) if there.is_none_or(|there| here < there) => {
            cids.next();
            Next::Came(here)
        }
        (_, there) => {
            base.next();
            Next::Went(there.expect("one of them is behind"))
        }
    };
    Ok(Some(next))
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    at: &'a str,
    written: u64,
    list: Vec<u8>,
    raw: Vec<u8>,
    entries: usize,
    end: End,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        let fault = |error: io::Error| BackupError::io("write", self.at, error);
        self.out.write_all(bytes).map_err(fault)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes a frame, and returns its hash.
    fn frame(&mut self, kind: Kind, list: &[u8], raw: &[u8]) -> Result<[u8; 32], BackupError> {
        let (bytes, hash) = Frame::lay_out(kind, list, raw);
        self.put(&bytes)?;
        self.end.root = fold(&self.end.root, &hash);
        Ok(hash)
    }

    fn changes(&mut self, blocks: &dyn BlockRead, changes: &[(Cid, bool)]) -> Result<(), BackupError> {
        let came: Vec<Cid> = changes.iter().filter(|(_, came)| *came).map(|(cid, _)| *cid).collect();
        let mut found = blocks.get_many(&came)?.into_iter();
        for (cid, came) in changes {
            if !came {
                self.end.gone += 1;
                self.entry(cid, Change::Gone, &[])?;
                continue;
            }
            // Absent are only blocks that came after the snapshot and went again.
            let Some(block) = found.next().flatten() else { continue };
            self.end.blocks += 1;
            self.end.put += 1;
            self.end.put_bytes += block.bytes().len() as u64;
            self.entry(cid, Change::Put(block.bytes().len()), block.bytes())?;
        }
        Ok(())
    }

    fn entry(&mut self, cid: &Cid, change: Change, bytes: &[u8]) -> Result<(), BackupError> {
        put_change(cid, change, &mut self.list);
        self.raw.extend_from_slice(bytes);
        self.entries += 1;
        if self.raw.len() >= FRAME_BYTES || self.entries == FRAME_ENTRIES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BackupError> {
        if self.entries > 0 {
            let (list, raw) = (std::mem::take(&mut self.list), std::mem::take(&mut self.raw));
            self.frame(Kind::Changes, &list, &raw)?;
            self.entries = 0;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Id, End), BackupError> {
        self.flush()?;
        let (end, at) = (self.end.clone(), self.written);
        let hash = self.frame(Kind::End, &end.encode(), &[])?;
        self.put(&trailer(at))?;
        self.out.flush().map_err(|error| BackupError::io("write", self.at, error))?;
        Ok((Id(hash), end))
    }
}
