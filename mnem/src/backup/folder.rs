//! A folder of backups: the first holds everything, each further one what came and went.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mnem_core::port::Store;
use mnem_core::{Block, Cid, Time};
use mnem_vfs::{Kind, LockKind, OpenMode, RealVfs, Vfs, VfsExt, VfsFile, VfsFileExt};

use super::frame::{Begin, Change};
use super::read::{Backup, FileInput, ends};
use super::write::{Moment, write};
use super::{BackupError, Id, Info};
use mnem_core::progress::{Listener, Progress};

/// A chain has at most so many backups: then comes one that holds everything.
pub const CHAIN_MAX: usize = 64;

const EXTENSION: &str = ".mnem-backup";
const PART: &str = ".part";
const LOCK: &str = "lock";

/// A folder of backups.
#[derive(Clone, Debug)]
pub struct Backups {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
}

/// What became of a call to [`Backups::add`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// A backup.
    Made(Info),
    /// None: the last one says it all.
    Unchanged(Info),
}

/// What was read and proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Backups.
    pub backups: u64,
    /// Blocks in them.
    pub blocks: u64,
    /// Bytes of these.
    pub bytes: u64,
}

impl Backups {
    /// The folder at `path`. It need not be there yet.
    pub fn at(path: impl AsRef<Path>) -> Backups {
        Backups::with(Arc::new(RealVfs::new()), path)
    }

    /// The same, on another file system.
    pub fn with(vfs: Arc<dyn Vfs>, path: impl AsRef<Path>) -> Backups {
        Backups { vfs, root: path.as_ref().to_owned() }
    }

    fn shown(&self) -> String {
        self.root.display().to_string()
    }

    /// Returns the names in the folder; none, if there is no folder.
    fn names(&self) -> Result<Vec<String>, BackupError> {
        let fault = |error| BackupError::io("list", self.root.display(), error);
        match self.vfs.metadata(&self.root).map_err(fault)? {
            None => return Ok(Vec::new()),
            Some(found) if found.kind != Kind::Dir => {
                return Err(BackupError::NotABackup { at: self.shown() });
            }
            Some(_) => {}
        }
        let mut names = Vec::new();
        for entry in self.vfs.list(&self.root).map_err(fault)? {
            names.push(entry.map_err(fault)?.name.to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn VfsFile>, BackupError> {
        self.vfs.open(path, OpenMode::Read).map_err(|error| BackupError::io("open", path.display(), error))
    }

    /// Lists the backups, the oldest first: what their first and last frames say. Their blocks are not read.
    pub fn list(&self) -> Result<Vec<Info>, BackupError> {
        let mut found = Vec::new();
        for name in self.names()?.into_iter().filter(|name| name.ends_with(EXTENSION)) {
            let path = self.root.join(name);
            let file = self.open(&path)?;
            let (begin, id, end) = ends(file.as_ref(), &path.display().to_string())?;
            let bytes = file.len().map_err(|error| BackupError::io("measure", path.display(), error))?;
            found.push(Info::new(&path, bytes, begin, id, end));
        }
        found.sort_by_key(|info| info.number);
        Ok(found)
    }

    /// Returns the backup with a number or the first digits of a name; the newest, if none is asked for.
    pub fn find(&self, wanted: Option<&str>) -> Result<Info, BackupError> {
        let unknown = |wanted: &str| BackupError::Unknown { wanted: wanted.to_owned(), at: self.shown() };
        let mut found = self.list()?;
        let Some(wanted) = wanted else { return found.pop().ok_or_else(|| unknown("at all")) };
        let number = wanted.parse::<u32>().ok();
        let mut matching = found.into_iter().filter(|info| {
            number.map_or_else(|| info.id.to_string().starts_with(wanted), |number| info.number == number)
        });
        match (matching.next(), matching.next()) {
            (Some(info), None) => Ok(info),
            _ => Err(unknown(wanted)),
        }
    }

    /// Returns a backup and those that it builds on, the oldest first.
    pub fn chain(&self, newest: &Info) -> Result<Vec<Info>, BackupError> {
        let all = self.list()?;
        let mut chain = vec![newest.clone()];
        while let Some((number, parent)) = chain.last().and_then(|last| Some((last.number, last.parent?))) {
            // Parents have lower numbers: the walk ends.
            let found = all.iter().find(|info| info.id == parent && info.number < number);
            let missing = || BackupError::ParentMissing { number, parent, at: self.shown() };
            chain.push(found.ok_or_else(missing)?.clone());
        }
        chain.reverse();
        Ok(chain)
    }

    /// Keeps what `store` shows now: what came and went since the newest backup, or everything, if `is_full`, if there is
    /// no backup yet, or if the chain has become long. Others may write meanwhile.
    pub fn add(
        &self,
        store: &dyn Store,
        is_full: bool,
        time: Time,
        listener: &mut Listener<'_>,
    ) -> Result<Added, BackupError> {
        let _lock = self.begin()?;
        let newest = if is_full { self.last_number()? } else { self.list()?.pop() };
        let chain = match &newest {
            Some(newest) if !is_full => self.chain(newest)?,
            _ => Vec::new(),
        };
        let chain = if chain.len() < CHAIN_MAX { chain } else { Vec::new() };
        let begin = Begin {
            number: newest.as_ref().map_or(1, |newest| newest.number.saturating_add(1)),
            parent: chain.last().map(|parent| parent.id),
            time,
            kind: store.kind().to_owned(),
        };
        let part = self.root.join(format!("{:04}{PART}", begin.number));
        let moment = Moment::of(store)?;
        let made = self.write(&part, &moment, &begin, &chain, listener);
        let (id, end) = match made {
            Ok(made) => made,
            Err(error) => {
                // If it stays, the next backup removes it.
                let _ = self.vfs.remove_file(&part);
                return Err(error);
            }
        };
        if let Some(parent) = chain.last()
            && (end.put, end.gone) == (0, 0)
            && end.heads == parent.heads
        {
            self.vfs.remove_file(&part).map_err(|error| BackupError::io("remove", part.display(), error))?;
            return Ok(Added::Unchanged(parent.clone()));
        }
        let path = self.root.join(format!("{:04}-{}{EXTENSION}", begin.number, id.short()));
        let fault = |error| BackupError::io("rename to", path.display(), error);
        self.vfs.rename(&part, &path).map_err(fault)?;
        self.vfs.sync_dir(&self.root).map_err(fault)?;
        let bytes = self.vfs.metadata(&path).map_err(fault)?.map_or(0, |found| found.len);
        Ok(Added::Made(Info::new(&path, bytes, begin, id, end)))
    }

    fn write(
        &self,
        part: &Path,
        moment: &Moment,
        begin: &Begin,
        chain: &[Info],
        listener: &mut Listener<'_>,
    ) -> Result<(Id, super::frame::End), BackupError> {
        let at = part.display().to_string();
        let fault = |error| BackupError::io("write", &at, error);
        let file = self.vfs.open(part, OpenMode::OpenOrCreate).map_err(fault)?;
        file.set_len(0).map_err(fault)?;
        let mut merge = self.merge(chain)?;
        let mut base = std::iter::from_fn(|| merge.next_present().transpose());
        let mut out = Out { file: file.as_ref(), at: 0 };
        let made = write(moment, begin, &mut base, &mut out, &at, listener)?;
        file.sync_all().map_err(fault)?;
        Ok(made)
    }

    /// Makes the folder, if need be, and sees to it that nobody else writes there.
    fn begin(&self) -> Result<Box<dyn VfsFile>, BackupError> {
        let root = &self.root;
        let fault = |error| BackupError::io("create", root.display(), error);
        let names = self.names()?;
        let is_ours =
            |name: &String| name.ends_with(EXTENSION) || name.ends_with(PART) || name.as_str() == LOCK;
        if !names.iter().all(is_ours) {
            let what = "there are other files; name a folder of its own for backups";
            return Err(BackupError::Unsuitable { what, at: self.shown() });
        }
        self.vfs.ensure_dir(root).map_err(fault)?;
        if let Some(parent) = root.parent() {
            self.vfs.sync_dir(parent).map_err(fault)?;
        }
        let lock = self.vfs.open(&root.join(LOCK), OpenMode::OpenOrCreate).map_err(fault)?;
        if !lock.try_lock(LockKind::Exclusive).map_err(fault)? {
            return Err(BackupError::Locked { at: self.shown() });
        }
        for name in names.iter().filter(|name| name.ends_with(PART)) {
            self.vfs.remove_file_if_exists(&root.join(name)).map_err(fault)?;
        }
        Ok(lock)
    }

    /// Returns the newest backup that can be read: one that holds everything does not build on it.
    fn last_number(&self) -> Result<Option<Info>, BackupError> {
        let mut last: Option<Info> = None;
        let mut highest = 0;
        for name in self.names()?.into_iter().filter(|name| name.ends_with(EXTENSION)) {
            let number = name.split('-').next().and_then(|number| number.parse::<u32>().ok());
            highest = highest.max(number.unwrap_or(0));
            let path = self.root.join(name);
            let file = self.open(&path)?;
            if let Ok((begin, id, end)) = ends(file.as_ref(), &path.display().to_string()) {
                let info = Info::new(&path, 0, begin, id, end);
                if last.as_ref().is_none_or(|last| last.number < info.number) {
                    last = Some(info);
                }
            }
        }
        Ok(last.map(|last| Info { number: last.number.max(highest), ..last }))
    }

    /// Reads a chain as one.
    pub(super) fn merge(&self, chain: &[Info]) -> Result<Merge, BackupError> {
        let mut backups = Vec::new();
        for info in chain {
            let input = FileInput::new(self.open(&info.path)?);
            backups.push(Backup::open(input, info.path.display().to_string())?);
        }
        let next = vec![None; backups.len()];
        let is_due = vec![true; backups.len()];
        Ok(Merge { backups, next, is_due })
    }

    /// Reads every byte of a backup and of all that it builds on, or of all backups of the folder, and proves it.
    pub fn verify(
        &self,
        newest: Option<&Info>,
        listener: &mut Listener<'_>,
    ) -> Result<Verified, BackupError> {
        let mut verified = Verified::default();
        let chain = match newest {
            Some(newest) => self.chain(newest)?,
            None => self.list()?,
        };
        for info in &chain {
            // Also where nothing else asks for the chain.
            self.chain(info)?;
            let input = FileInput::new(self.open(&info.path)?);
            let mut backup = Backup::open(input, info.path.display().to_string())?;
            while let Some((cid, change)) = backup.next()? {
                let Change::Put(bytes) = change else { continue };
                backup.block(&cid, bytes)?;
                verified.blocks += 1;
                verified.bytes += bytes as u64;
                let progress = Progress::new("verified", verified.blocks, None);
                if verified.blocks % 256 == 0 && listener(&progress).is_break() {
                    return Err(BackupError::Stopped);
                }
            }
            verified.backups += 1;
        }
        if let Some(newest) = chain.last() {
            self.check_whole(newest)?;
        }
        Ok(verified)
    }

    /// Checks that a chain holds as many blocks as its newest backup says, and all its heads.
    fn check_whole(&self, newest: &Info) -> Result<(), BackupError> {
        let mut heads: std::collections::BTreeSet<Cid> =
            newest.heads.iter().flat_map(|(_, heads)| heads).map(|head| *head.cid()).collect();
        let mut merge = self.merge(&self.chain(newest)?)?;
        let mut blocks = 0;
        while let Some(cid) = merge.next_present()? {
            heads.remove(&cid);
            blocks += 1;
        }
        let at = newest.path.display().to_string();
        if blocks != newest.blocks {
            return Err(BackupError::Damaged { what: "the count of blocks", at });
        }
        match heads.is_empty() {
            true => Ok(()),
            false => Err(BackupError::Damaged { what: "a head", at }),
        }
    }
}

/// Writes a file from front to back.
struct Out<'a> {
    file: &'a dyn VfsFile,
    at: u64,
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A chain read as one: of each block the newest change.
pub(super) struct Merge {
    backups: Vec<Backup<FileInput>>,
    next: Vec<Option<(Cid, Change)>>,
    /// Whose next change was used.
    is_due: Vec<bool>,
}

impl Merge {
    /// Returns the next change, and which backup it is in.
    fn step(&mut self) -> Result<Option<(Cid, Change, usize)>, BackupError> {
        for (index, backup) in self.backups.iter_mut().enumerate() {
            if std::mem::take(&mut self.is_due[index]) {
                self.next[index] = backup.next()?;
            }
        }
        let Some(least) = self.next.iter().flatten().map(|(cid, _)| *cid).min() else { return Ok(None) };
        let mut newest = None;
        for (index, next) in self.next.iter().enumerate() {
            if let Some((cid, change)) = next.filter(|(cid, _)| *cid == least) {
                self.is_due[index] = true;
                newest = Some((cid, change, index));
            }
        }
        Ok(newest)
    }

    fn next_present(&mut self) -> Result<Option<Cid>, BackupError> {
        while let Some((cid, change, _)) = self.step()? {
            if change != Change::Gone {
                return Ok(Some(cid));
            }
        }
        Ok(None)
    }

    /// Returns the next block.
    pub(super) fn next_block(&mut self) -> Result<Option<Block>, BackupError> {
        while let Some((cid, change, index)) = self.step()? {
            if let Change::Put(bytes) = change {
                return self.backups[index].block(&cid, bytes).map(Some);
            }
        }
        Ok(None)
    }
}
