//! Reading a backup: what comes out of here is proven.

use std::io;

use mnem_core::{Block, Cid};
use mnem_vfs::{VfsFile, VfsFileExt};

use super::frame::{
    Begin, BeginFault, Change, End, FORMAT, Frame, HEADER_BYTES, Header, Kind, TRAILER_BYTES, changes, fold,
    read_trailer,
};
use super::{BackupError, Id};

/// Where the bytes of a backup come from.
pub(super) trait Input {
    /// Fills the front of `buffer`, and says how much: less than all only at the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Passes over so many bytes.
    fn skip(&mut self, bytes: usize) -> io::Result<()>;
}

/// A file that is read from its front.
pub(super) struct FileInput {
    file: Box<dyn VfsFile>,
    at: u64,
}

impl FileInput {
    pub(super) fn new(file: Box<dyn VfsFile>) -> FileInput {
        FileInput { file, at: 0 }
    }
}

impl Input for FileInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_up_to_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }

    fn skip(&mut self, bytes: usize) -> io::Result<()> {
        self.at += bytes as u64;
        Ok(())
    }
}

/// A stream that cannot go back.
pub(super) struct StreamInput<'a>(pub(super) &'a mut dyn io::Read);

impl Input for StreamInput<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.0.read(&mut buffer[done..]) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn skip(&mut self, mut bytes: usize) -> io::Result<()> {
        let mut buffer = [0; 4096];
        while bytes > 0 {
            let most = bytes.min(buffer.len());
            match self.read(&mut buffer[..most])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => bytes -= read,
            }
        }
        Ok(())
    }
}

/// A backup that is read from front to back.
pub(super) struct Backup<I> {
    input: I,
    at: String,
    pub(super) begin: Begin,
    root: [u8; 32],
    offset: u64,
    /// The current frame's changes, the next first.
    changes: std::vec::IntoIter<(Cid, Change)>,
    frame: Option<Frame>,
    /// The current frame's blocks, and where the next one begins. Absent: not read yet.
    raw: Option<Vec<u8>>,
    raw_at: usize,
    last: Option<Cid>,
    seen: End,
    end: Option<(Id, End)>,
}

impl<I: Input> Backup<I> {
    /// Reads the first frame. `at` is what messages call the backup.
    pub(super) fn open(mut input: I, at: String) -> Result<Backup<I>, BackupError> {
        let mut offset = 0;
        let not_one = || BackupError::NotABackup { at: at.clone() };
        let frame = frame(&mut input, &mut offset, &at)?.filter(|frame| frame.header.kind == Kind::Begin);
        let frame = frame.ok_or_else(not_one)?;
        let begin = match Begin::decode(&frame.list) {
            Ok(begin) => begin,
            Err(BeginFault::Newer(found)) => {
                return Err(BackupError::NewerFormat { at, found, readable: FORMAT });
            }
            Err(BeginFault::Invalid) => return Err(not_one()),
        };
        let root = fold(&[0; 32], &frame.hash());
        Ok(Backup {
            input,
            at,
            begin,
            root,
            offset,
            changes: Vec::new().into_iter(),
            frame: None,
            raw: None,
            raw_at: 0,
            last: None,
            seen: End::default(),
            end: None,
        })
    }

    fn damaged(&self, what: &'static str) -> BackupError {
        BackupError::Damaged { what, at: format!("{}, byte {}", self.at, self.offset) }
    }

    /// Returns the next change. The last one was followed by a last frame that covers everything.
    pub(super) fn next(&mut self) -> Result<Option<(Cid, Change)>, BackupError> {
        loop {
            if let Some((cid, change)) = self.changes.next() {
                if self.last.is_some_and(|last| last >= cid) {
                    return Err(self.damaged("the order of blocks"));
                }
                self.last = Some(cid);
                match change {
                    Change::Gone => self.seen.gone += 1,
                    Change::Put(bytes) => {
                        self.seen.put += 1;
                        self.seen.put_bytes += bytes as u64;
                        self.raw_at += bytes;
                    }
                }
                return Ok(Some((cid, change)));
            }
            if self.end.is_some() {
                return Ok(None);
            }
            self.go_on()?;
        }
    }

    /// Goes on to the next frame.
    fn go_on(&mut self) -> Result<(), BackupError> {
        self.leave_frame()?;
        let begins = self.offset;
        let Some(frame) = frame(&mut self.input, &mut self.offset, &self.at)? else {
            return Err(self.damaged("a frame (the backup is cut short)"));
        };
        match frame.header.kind {
            Kind::Begin => return Err(self.damaged("the order of frames")),
            Kind::Changes => {
                let changes = changes(&frame.list).ok_or_else(|| self.damaged("a list of blocks"))?;
                self.root = fold(&self.root, &frame.hash());
                self.changes = changes.into_iter();
                self.frame = Some(frame);
                self.raw_at = 0;
            }
            Kind::End => {
                let end = End::decode(&frame.list).ok_or_else(|| self.damaged("the last frame"))?;
                let is_all = end.root == self.root
                    && (end.put, end.put_bytes, end.gone)
                        == (self.seen.put, self.seen.put_bytes, self.seen.gone);
                if !is_all {
                    return Err(self.damaged("the order of frames"));
                }
                self.check_trailer(begins)?;
                self.end = Some((Id(frame.hash()), end));
            }
        }
        Ok(())
    }

    /// Passes over blocks that nobody asked for.
    fn leave_frame(&mut self) -> Result<(), BackupError> {
        if let Some(frame) = self.frame.take()
            && self.raw.take().is_none()
        {
            let stored = frame.header.stored;
            self.input.skip(stored).map_err(|error| BackupError::io("read", &self.at, error))?;
            self.offset += stored as u64;
        }
        Ok(())
    }

    fn check_trailer(&mut self, begins: u64) -> Result<(), BackupError> {
        let mut bytes = [0; TRAILER_BYTES + 1];
        let read = self.input.read(&mut bytes).map_err(|error| BackupError::io("read", &self.at, error))?;
        let trailer = bytes[..TRAILER_BYTES].try_into().expect("its length");
        if read != TRAILER_BYTES || read_trailer(trailer) != Some(begins) {
            return Err(self.damaged("the end of the backup"));
        }
        Ok(())
    }

    /// Returns the block of the change that came last, of so many bytes.
    pub(super) fn block(&mut self, cid: &Cid, bytes: usize) -> Result<Block, BackupError> {
        if self.raw.is_none() {
            let frame = self.frame.as_ref().expect("a change has a frame");
            let mut payload = vec![0; frame.header.stored];
            let read = self.input.read(&mut payload);
            let read = read.map_err(|error| BackupError::io("read", &self.at, error))?;
            payload.truncate(read);
            let raw = frame.unpack(payload).ok_or_else(|| self.damaged("blocks"))?;
            self.offset += frame_stored(self.frame.as_ref());
            self.raw = Some(raw);
        }
        let raw = self.raw.as_deref().unwrap_or_default();
        let found = self.raw_at.checked_sub(bytes).and_then(|start| raw.get(start..self.raw_at));
        let block = found.and_then(|found| Block::verify(*cid, found.to_vec()).ok());
        block.ok_or_else(|| self.damaged("a block"))
    }

    /// Returns what the last frame says, when everything was read.
    pub(super) fn end(&self) -> Option<&(Id, End)> {
        self.end.as_ref()
    }
}

fn frame_stored(frame: Option<&Frame>) -> u64 {
    frame.map_or(0, |frame| frame.header.stored as u64)
}

/// Reads a frame up to its blocks. `None`: the input is over.
fn frame(input: &mut dyn Input, offset: &mut u64, at: &str) -> Result<Option<Frame>, BackupError> {
    let fault = |error| BackupError::io("read", at, error);
    let damaged = || BackupError::Damaged { what: "a frame", at: format!("{at}, byte {offset}") };
    let mut header = [0; HEADER_BYTES];
    let read = input.read(&mut header).map_err(fault)?;
    if read == 0 {
        return Ok(None);
    }
    let header = Header::read(header).filter(|_| read == HEADER_BYTES).ok_or_else(damaged)?;
    // Memory is taken as bytes come, not as a header says.
    let mut list = Vec::new();
    while list.len() < header.listed {
        let start = list.len();
        list.resize(header.listed.min(start + (1 << 20)), 0);
        if input.read(&mut list[start..]).map_err(fault)? < list.len() - start {
            return Err(damaged());
        }
    }
    let frame = header.with_list(list).ok_or_else(damaged)?;
    *offset += (HEADER_BYTES + frame.list.len()) as u64;
    Ok(Some(frame))
}

/// Reads the first and the last frame of a file. Nothing is said of what is between.
pub(super) fn ends(file: &dyn VfsFile, at: &str) -> Result<(Begin, Id, End), BackupError> {
    let damaged = |what| BackupError::Damaged { what, at: at.to_owned() };
    let fault = |error| BackupError::io("read", at, error);
    let length = file.len().map_err(fault)?;
    let mut bytes = [0; TRAILER_BYTES];
    let place = length.checked_sub(TRAILER_BYTES as u64).ok_or_else(|| damaged("the end of the backup"))?;
    file.read_exact_at(&mut bytes, place).map_err(fault)?;
    let begins = read_trailer(bytes).filter(|begins| *begins < length);
    let begins = begins.ok_or_else(|| damaged("the end of the backup"))?;
    let mut first = BorrowedInput { file, at: 0 };
    let begin = Backup::open(&mut first, at.to_owned())?.begin;
    let mut last = BorrowedInput { file, at: begins };
    let mut offset = begins;
    let frame = frame(&mut last, &mut offset, at)?.filter(|frame| frame.header.kind == Kind::End);
    let frame = frame.ok_or_else(|| damaged("the last frame"))?;
    let end = End::decode(&frame.list).ok_or_else(|| damaged("the last frame"))?;
    Ok((begin, Id(frame.hash()), end))
}

struct BorrowedInput<'a> {
    file: &'a dyn VfsFile,
    at: u64,
}

impl Input for &mut BorrowedInput<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Input::read(*self, buffer)
    }

    fn skip(&mut self, bytes: usize) -> io::Result<()> {
        Input::skip(*self, bytes)
    }
}

impl Input for BorrowedInput<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_up_to_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }

    fn skip(&mut self, bytes: usize) -> io::Result<()> {
        self.at += bytes as u64;
        Ok(())
    }
}
