//! Making a store of a backup: beside its place, then with one rename into it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mnem_core::port::{HeadsUpdate, Namespace, Store, Swap, WriteBatch};
use mnem_core::{Block, OperationId};
use mnem_vfs::{Kind, LockKind, OpenMode, RealVfs, Vfs, VfsExt, VfsFile};

use super::folder::Backups;
use super::frame::Change;
use super::read::{Backup, StreamInput};
use super::{BackupError, Info};
use crate::error::Error;
use crate::url::StoreUrl;
use mnem_core::progress::{Listener, Progress};

/// So many bytes of blocks are put at once.
const PIECE_BYTES: usize = 4 << 20;

/// Folders within folders, of a restore that was cut off: plain files have few.
const DEPTH_MAX: usize = 16;

const LOCK: &str = "lock";
const STORE: &str = "store";

/// What a store is made of.
pub enum Source<'a> {
    /// A backup in a folder, with all that it builds on.
    Folder(&'a Backups, &'a Info),
    /// A stream.
    Stream(&'a mut dyn io::Read),
}

/// What a restore did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// Blocks.
    pub blocks: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Namespaces with heads.
    pub namespaces: u64,
}

/// Makes a store of any kind at `url`, where nothing is yet. A folder's backups are read and proven as a whole before
/// anything is written. A restore that was cut off is begun anew by the next one to the same place.
pub fn restore(source: Source<'_>, url: &StoreUrl, listener: &mut Listener<'_>) -> Result<Restored, Error> {
    if let Source::Folder(backups, newest) = &source {
        backups.verify(Some(newest), listener)?;
    }
    staged(url, |store| {
        Ok(match source {
            Source::Folder(backups, newest) => from_folder(backups, newest, store, listener)?,
            Source::Stream(stream) => from_stream(stream, store, listener)?,
        })
    })
}

/// Makes a store beside its place, has it filled, and puts it into its place when it is whole.
pub(crate) fn staged<T>(
    url: &StoreUrl,
    fill: impl FnOnce(&Arc<dyn Store>) -> Result<T, Error>,
) -> Result<T, Error> {
    let target = match url {
        StoreUrl::Simple(path) | StoreUrl::Redb(path) | StoreUrl::Native(path) => path,
        StoreUrl::Memory => {
            let what = "a store in memory is gone at once; name a place on the disk";
            return Err(BackupError::Unsuitable { what, at: url.to_string() }.into());
        }
    };
    let vfs = RealVfs::new();
    let stage = Stage::begin(&vfs, target)?;
    let place = stage.folder.join(STORE);
    let staged = match url {
        StoreUrl::Simple(_) => StoreUrl::Simple(place),
        StoreUrl::Redb(_) => StoreUrl::Redb(place),
        _ => StoreUrl::Native(place),
    };
    // The last handle closes the store: it is dropped before the store moves.
    let filled = crate::store::init(&staged.to_string()).and_then(|store| fill(&store));
    match filled {
        Ok(filled) => {
            stage.finish(&vfs, target)?;
            Ok(filled)
        }
        Err(error) => {
            // If something stays, the next one removes it.
            let _ = stage.clear(&vfs).and_then(|()| stage.leave(&vfs));
            Err(error)
        }
    }
}

fn from_folder(
    backups: &Backups,
    newest: &Info,
    store: &Arc<dyn Store>,
    listener: &mut Listener<'_>,
) -> Result<Restored, BackupError> {
    let mut merge = backups.merge(&backups.chain(newest)?)?;
    fill(store.as_ref(), Some(newest.blocks), listener, &mut || merge.next_block(), || {
        Ok((newest.blocks, newest.heads.clone()))
    })
}

fn from_stream(
    stream: &mut dyn io::Read,
    store: &Arc<dyn Store>,
    listener: &mut Listener<'_>,
) -> Result<Restored, BackupError> {
    let backup = Backup::open(StreamInput(stream), "the stream".to_owned())?;
    if backup.begin.parent.is_some() {
        let what = "this backup builds on another; name the folder with all of them";
        return Err(BackupError::Unsuitable { what, at: "the stream".to_owned() });
    }
    let backup = std::cell::RefCell::new(backup);
    let mut next = || {
        let mut backup = backup.borrow_mut();
        match backup.next()? {
            Some((cid, Change::Put(bytes))) => backup.block(&cid, bytes).map(Some),
            Some((_, Change::Gone)) => {
                Err(BackupError::Damaged { what: "a list of blocks", at: "the stream".to_owned() })
            }
            None => Ok(None),
        }
    };
    fill(store.as_ref(), None, listener, &mut next, || {
        let backup = backup.borrow();
        let (_, end) = backup.end().expect("it was read to its end");
        Ok((end.blocks, end.heads.clone()))
    })
}

type Heads = Vec<(Namespace, Vec<OperationId>)>;

/// Puts all blocks, then the heads.
fn fill(
    store: &dyn Store,
    total: Option<u64>,
    listener: &mut Listener<'_>,
    next: &mut dyn FnMut() -> Result<Option<Block>, BackupError>,
    end: impl FnOnce() -> Result<(u64, Heads), BackupError>,
) -> Result<Restored, BackupError> {
    let lease = store.lease(&[])?;
    let mut restored = Restored::default();
    let (mut piece, mut bytes) = (Vec::new(), 0);
    loop {
        let block = next()?;
        let is_over = block.is_none();
        if let Some(block) = block {
            bytes += block.bytes().len();
            piece.push(block);
        }
        if is_over || bytes >= PIECE_BYTES || piece.len() >= 1 << 14 {
            store.put_leased(&lease, &piece)?;
            restored.blocks += piece.len() as u64;
            restored.bytes += bytes as u64;
            piece.clear();
            bytes = 0;
            if listener(&Progress::new("restored", restored.blocks, total)).is_break() {
                return Err(BackupError::Stopped);
            }
        }
        if is_over {
            break;
        }
    }
    let (blocks, heads) = end()?;
    if blocks != restored.blocks {
        return Err(BackupError::Damaged { what: "the count of blocks", at: format!("{blocks} expected") });
    }
    for (namespace, add) in heads {
        let heads = HeadsUpdate { namespace, expected: Some(Vec::new()), add, remove: Vec::new() };
        match store.commit(&lease, &WriteBatch { blocks: &[], heads: &heads, rows: &[] })? {
            Swap::Done => restored.namespaces += 1,
            Swap::Moved => unreachable!("nobody else knows this store"),
        }
    }
    store.sync()?;
    Ok(restored)
}

/// A folder beside the target, locked, in which the store is made.
struct Stage {
    folder: PathBuf,
    _lock: Box<dyn VfsFile>,
}

fn fault(action: &'static str, path: &Path) -> impl Fn(io::Error) -> BackupError + use<> {
    let at = path.display().to_string();
    move |error| BackupError::io(action, &at, error)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    }
}

impl Stage {
    /// Takes the place beside `target`, and removes what a restore left there that was cut off.
    fn begin(vfs: &dyn Vfs, target: &Path) -> Result<Stage, BackupError> {
        let Some(name) = target.file_name() else {
            return Err(BackupError::Exists { at: target.display().to_string() });
        };
        let mut name = name.to_owned();
        name.push(".restoring");
        let folder = parent(target).join(name);
        let is_new = vfs.ensure_dir(&folder).map_err(fault("create", &folder))?;
        let path = folder.join(LOCK);
        let names = names(vfs, &folder)?;
        if !names.iter().all(|(name, _)| *name == LOCK || *name == STORE) {
            let what = "there are other files where the restore does its work; move them away";
            return Err(BackupError::Unsuitable { what, at: folder.display().to_string() });
        }
        let lock = vfs.open(&path, OpenMode::OpenOrCreate).map_err(fault("create", &path))?;
        if !lock.try_lock(LockKind::Exclusive).map_err(fault("lock", &path))? {
            return Err(BackupError::Locked { at: target.display().to_string() });
        }
        let stage = Stage { folder, _lock: lock };
        if !is_new {
            stage.clear(vfs)?;
        }
        if is_taken(vfs, target)? {
            stage.leave(vfs)?;
            return Err(BackupError::Exists { at: target.display().to_string() });
        }
        Ok(stage)
    }

    fn clear(&self, vfs: &dyn Vfs) -> Result<(), BackupError> {
        let store = self.folder.join(STORE);
        match vfs.metadata(&store).map_err(fault("look at", &store))? {
            None => Ok(()),
            Some(found) => remove(vfs, &store, found.kind, DEPTH_MAX),
        }
    }

    /// Puts the store into its place.
    fn finish(self, vfs: &dyn Vfs, target: &Path) -> Result<(), BackupError> {
        let store = self.folder.join(STORE);
        vfs.sync_dir(&self.folder).map_err(fault("sync", &self.folder))?;
        // Somebody may have made something there meanwhile: an empty folder is replaced, anything else refuses.
        if is_taken(vfs, target)? {
            return Err(BackupError::Exists { at: target.display().to_string() });
        }
        vfs.rename(&store, target).map_err(fault("rename to", target))?;
        vfs.sync_dir(&parent(target)).map_err(fault("sync", target))?;
        self.leave(vfs)
    }

    fn leave(&self, vfs: &dyn Vfs) -> Result<(), BackupError> {
        let lock = self.folder.join(LOCK);
        vfs.remove_file_if_exists(&lock).map_err(fault("remove", &lock))?;
        vfs.remove_dir(&self.folder).map_err(fault("remove", &self.folder))
    }
}

/// Says whether there is anything at `target` but an empty folder.
fn is_taken(vfs: &dyn Vfs, target: &Path) -> Result<bool, BackupError> {
    match vfs.metadata(target).map_err(fault("look at", target))? {
        None => Ok(false),
        Some(found) if found.kind == Kind::Dir => Ok(!names(vfs, target)?.is_empty()),
        Some(_) => Ok(true),
    }
}

fn names(vfs: &dyn Vfs, folder: &Path) -> Result<Vec<(std::ffi::OsString, Kind)>, BackupError> {
    let listed = vfs.list(folder).map_err(fault("list", folder))?;
    listed
        .map(|entry| entry.map(|entry| (entry.name, entry.kind)))
        .collect::<io::Result<_>>()
        .map_err(fault("list", folder))
}

/// Removes a file or a folder with what is in it. Links are removed, not followed.
fn remove(vfs: &dyn Vfs, path: &Path, kind: Kind, depth: usize) -> Result<(), BackupError> {
    if kind != Kind::Dir || depth == 0 {
        return vfs.remove_file(path).map_err(fault("remove", path));
    }
    for (name, kind) in names(vfs, path)? {
        remove(vfs, &path.join(name), kind, depth - 1)?;
    }
    vfs.remove_dir(path).map_err(fault("remove", path))
}
