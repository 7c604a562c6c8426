//! Opening a folder as a store, and making one. The marker is written last: a folder without it is no store.
//!
//! Invariants
//!  O1  What cannot be opened is left as it was. What cannot be trusted is never opened as an empty store.
//!  O2  A store is there whole or not at all, whenever the power fails while it is made.
//!  O3  The data file is locked from opening to closing: a store is open once, or by those who share it.

use std::path::Path;
use std::sync::Arc;

use mnem_core::port::{Fault, Marker, OpenError};
use mnem_vfs::{Kind, LockKind, OpenMode, RealVfs, Vfs, VfsExt, VfsFile, VfsFileExt};

use crate::bytes::StoreId;
use crate::engine::{Handle, StorageEngine};
use crate::options::{SEGMENT_BYTES_MIN, StorageMode, StorageOptions};
use crate::page::{PAGE_SIZE, PageId};
use crate::recovery::{random, recover};
use crate::shared::{enter, enter_to_read};
use crate::space::PageMap;
use crate::superblock::{FORMAT, SUPERBLOCK_BYTES, SpaceRun, Superblock};
use crate::wal::Lsn;
use crate::wal::segment::{self, SegmentHeader};

/// The word that begins this backend's URLs, and what the marker says.
pub const KIND: &str = "native";

pub(crate) const DATA: &str = "data.nd";
pub(crate) const MARKER_TEMP: &str = "mnem-store.new";
const FIRST_SEGMENT: u32 = 1;

/// Pages of a new store: two superblock slots and the map.
const NEW_PAGES: u64 = 3;

impl StorageEngine {
    /// Opens the store at `path`.
    pub fn open(path: impl AsRef<Path>, options: StorageOptions) -> Result<StorageEngine, OpenError> {
        StorageEngine::open_with(Arc::new(RealVfs::new()), path, options)
    }

    /// Makes a store at `path`: a folder that is new or empty. Its parent must be there.
    pub fn init(path: impl AsRef<Path>, options: StorageOptions) -> Result<StorageEngine, OpenError> {
        StorageEngine::init_with(Arc::new(RealVfs::new()), path, options)
    }

    /// Opens the store at `path`, or makes it.
    pub fn open_or_init(path: impl AsRef<Path>, options: StorageOptions) -> Result<StorageEngine, OpenError> {
        StorageEngine::open_or_init_with(Arc::new(RealVfs::new()), path, options)
    }

    /// Like [`open`](Self::open), on another file system.
    pub fn open_with(
        vfs: Arc<dyn Vfs>,
        path: impl AsRef<Path>,
        options: StorageOptions,
    ) -> Result<StorageEngine, OpenError> {
        open(vfs, path.as_ref(), options, How { may_make: false, may_exist: true })
    }

    /// Like [`init`](Self::init), on another file system.
    pub fn init_with(
        vfs: Arc<dyn Vfs>,
        path: impl AsRef<Path>,
        options: StorageOptions,
    ) -> Result<StorageEngine, OpenError> {
        open(vfs, path.as_ref(), options, How { may_make: true, may_exist: false })
    }

    /// Like [`open_or_init`](Self::open_or_init), on another file system.
    pub fn open_or_init_with(
        vfs: Arc<dyn Vfs>,
        path: impl AsRef<Path>,
        options: StorageOptions,
    ) -> Result<StorageEngine, OpenError> {
        open(vfs, path.as_ref(), options, How { may_make: true, may_exist: true })
    }
}

#[derive(Clone, Copy)]
struct How {
    may_make: bool,
    may_exist: bool,
}

/// What is at a path.
enum Found {
    Store,
    /// Nothing, an empty folder, or a store whose making was cut short.
    Nothing,
    Foreign(&'static str),
}

fn fault(action: &'static str, path: &Path, error: std::io::Error) -> Fault {
    Fault::io(action, path.display().to_string(), error)
}

fn open(
    vfs: Arc<dyn Vfs>,
    root: &Path,
    options: StorageOptions,
    how: How,
) -> Result<StorageEngine, OpenError> {
    options.check().map_err(|what| Fault::Unsupported { what })?;
    let at = || root.display().to_string();
    match look(vfs.as_ref(), root)? {
        Found::Store if !how.may_exist => {
            return Err(OpenError::Exists { at: at() });
        }
        Found::Store => {}
        Found::Nothing if !how.may_make => return Err(OpenError::Missing { at: at() }),
        Found::Nothing => make(vfs.as_ref(), root)?,
        Found::Foreign(found) => return Err(OpenError::NotAStore { at: at(), found }),
    }
    let inner = match options.mode {
        StorageMode::Single => {
            let data = open_data(vfs.as_ref(), root, OpenMode::ReadWrite, LockKind::Exclusive)?;
            recover(vfs, root, data, options)?
        }
        StorageMode::Shared => {
            let data = open_data(vfs.as_ref(), root, OpenMode::ReadWrite, LockKind::Shared)?;
            enter(vfs, root, data, options)?
        }
        StorageMode::ReadOnly => enter_to_read(&vfs, root, options)?,
    };
    Ok(StorageEngine { inner: Arc::new(Handle::new(inner)) })
}

/// Opens the data file, locked: alone, or with all who share it.
pub(crate) fn open_data(
    vfs: &dyn Vfs,
    root: &Path,
    mode: OpenMode,
    lock: LockKind,
) -> Result<Box<dyn VfsFile>, OpenError> {
    let path = root.join(DATA);
    let data = match vfs.open(&path, mode) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let what = "the store (its data file is missing)";
            return Err(Fault::Corrupt { what, at: path.display().to_string() }.into());
        }
        other => other.map_err(|error| fault("open", &path, error))?,
    };
    if !data.try_lock(lock).map_err(|error| fault("lock", &path, error))? {
        let by = match lock {
            LockKind::Exclusive => "another handle, in this process or another",
            LockKind::Shared => "a handle that has it for itself, in this process or another",
        };
        return Err(OpenError::Locked { at: root.display().to_string(), by: by.to_owned() });
    }
    Ok(data)
}

fn look(vfs: &dyn Vfs, root: &Path) -> Result<Found, OpenError> {
    let metadata = |path: &Path| vfs.metadata(path).map_err(|error| fault("look at", path, error));
    match metadata(root)? {
        None => return Ok(Found::Nothing),
        Some(found) if found.kind != Kind::Dir => return Ok(Found::Foreign("it is a file")),
        Some(_) => {}
    }
    let marker = root.join(Marker::FILE);
    if let Some(text) = read_small(vfs, &marker, Marker::BYTES_MAX + 1)? {
        return check_marker(root, &text).map(|()| Found::Store);
    }
    for entry in vfs.list(root).map_err(|error| fault("list", root, error))? {
        let entry = entry.map_err(|error| fault("list", root, error))?;
        let path = root.join(&entry.name);
        let is_ours = match (entry.name.to_str(), entry.kind) {
            (Some(MARKER_TEMP), Kind::File) => true,
            (Some(DATA), Kind::File) => check_unused_data(vfs, &path)?,
            (Some(name), Kind::File) if segment::number(name) == Some(FIRST_SEGMENT) => {
                check_unused_log(vfs, &path)?
            }
            _ => false,
        };
        if !is_ours {
            return Ok(Found::Foreign("the folder holds other files, or a store whose marker is lost"));
        }
    }
    Ok(Found::Nothing)
}

pub(crate) fn read_small(vfs: &dyn Vfs, path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, Fault> {
    let file = match vfs.open(path, OpenMode::Read) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| fault("open", path, error))?,
    };
    let mut bytes = vec![0; bytes_max];
    let read = file.read_up_to_at(&mut bytes, 0).map_err(|error| fault("read", path, error))?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

fn check_marker(root: &Path, text: &[u8]) -> Result<(), OpenError> {
    let at = || root.display().to_string();
    let damaged = || Fault::Corrupt { what: "the marker", at: root.join(Marker::FILE).display().to_string() };
    let marker = Marker::parse(text).ok_or_else(damaged)?;
    if marker.kind != KIND {
        return Err(OpenError::OtherKind { at: at(), found: marker.kind, wanted: KIND });
    }
    if marker.format > FORMAT {
        return Err(OpenError::NewerFormat { at: at(), found: marker.format, readable: FORMAT });
    }
    Ok(())
}

/// Says whether a data file without a marker is what making a store leaves behind when it is cut short: its size, and no
/// superblock but the first.
fn check_unused_data(vfs: &dyn Vfs, path: &Path) -> Result<bool, Fault> {
    let bytes = read_small(vfs, path, PAGE_SIZE + SUPERBLOCK_BYTES)?.unwrap_or_default();
    let length =
        vfs.metadata(path).map_err(|error| fault("look at", path, error))?.map_or(0, |file| file.len);
    let slots = [0, PAGE_SIZE].map(|at| bytes.get(at..at + SUPERBLOCK_BYTES));
    let is_later = |slot: &[u8]| {
        let slot = slot.try_into().expect("the length of a superblock");
        Superblock::decode(slot).is_ok_and(|superblock| superblock.generation > 1)
    };
    Ok(length <= NEW_PAGES * PAGE_SIZE as u64 && !slots.into_iter().flatten().any(is_later))
}

/// The same for the first segment: its size, and nothing in it that looks like a record.
fn check_unused_log(vfs: &dyn Vfs, path: &Path) -> Result<bool, Fault> {
    let most = usize::try_from(SEGMENT_BYTES_MIN).expect("small");
    let bytes = read_small(vfs, path, most + 1)?.unwrap_or_default();
    let has_record = bytes.as_chunks::<PAGE_SIZE>().0.iter().skip(1).any(|block| block.starts_with(b"mlog"));
    Ok(bytes.len() <= most && !has_record)
}

/// Makes a store, or makes it anew where that was cut short. Of several who do so at once, one does.
fn make(vfs: &dyn Vfs, root: &Path) -> Result<(), OpenError> {
    vfs.ensure_dir(root).map_err(|error| fault("create folder", root, error))?;
    if let Some(parent) = root.parent() {
        vfs.sync_dir(parent).map_err(|error| fault("sync", parent, error))?;
    }
    let temp = root.join(MARKER_TEMP);
    let marker_file =
        vfs.open(&temp, OpenMode::OpenOrCreate).map_err(|error| fault("create", &temp, error))?;
    marker_file.lock(LockKind::Exclusive).map_err(|error| fault("lock", &temp, error))?;
    let is_made = |path: &Path| vfs.metadata(path).map_err(|error| fault("look at", path, error));
    if is_made(&root.join(Marker::FILE))?.is_some() {
        // Somebody else was faster. Before the rename their file had this name; what has it now is of no use.
        vfs.remove_file_if_exists(&temp).map_err(|error| fault("remove", &temp, error))?;
        vfs.sync_dir(root).map_err(|error| fault("sync", root, error))?;
        return Ok(());
    }
    let mut id = StoreId([0; 16]);
    id.0[..8].copy_from_slice(&random().to_le_bytes());
    id.0[8..].copy_from_slice(&random().to_le_bytes());
    make_log(vfs, root, id)?;
    make_data(vfs, root, id)?;
    let marker = Marker { kind: KIND.to_owned(), format: FORMAT }.to_text();
    marker_file.set_len(0).map_err(|error| fault("cut", &temp, error))?;
    write_synced(&temp, marker_file.as_ref(), &[(0, marker.as_bytes())])?;
    vfs.sync_dir(root).map_err(|error| fault("sync", root, error))?;
    let marker = root.join(Marker::FILE);
    vfs.rename(&temp, &marker).map_err(|error| fault("rename to", &marker, error))?;
    vfs.sync_dir(root).map_err(|error| fault("sync", root, error))?;
    Ok(())
}

fn make_log(vfs: &dyn Vfs, root: &Path, id: StoreId) -> Result<(), Fault> {
    let path = segment::path(root, FIRST_SEGMENT);
    vfs.remove_file_if_exists(&path).map_err(|error| fault("remove", &path, error))?;
    let file = segment::create(vfs, root, FIRST_SEGMENT, SEGMENT_BYTES_MIN)?;
    let header = SegmentHeader { start: Lsn(0), size: SEGMENT_BYTES_MIN, epoch: 0 };
    write_synced(&path, file.as_ref(), &[(0, &header.encode(id))])
}

fn make_data(vfs: &dyn Vfs, root: &Path, id: StoreId) -> Result<(), Fault> {
    let path = root.join(DATA);
    let file = vfs.open(&path, OpenMode::OpenOrCreate).map_err(|error| fault("create", &path, error))?;
    file.set_len(0).map_err(|error| fault("cut", &path, error))?;
    let mut used = PageMap::of_slots();
    let page = NEW_PAGES - 1;
    used.insert(page..NEW_PAGES);
    let mut map = used.to_bytes(NEW_PAGES);
    map.resize(PAGE_SIZE, 0);
    let first = SegmentHeader { start: Lsn(0), size: SEGMENT_BYTES_MIN, epoch: 0 };
    let superblock = Superblock {
        id,
        generation: 1,
        epoch: 0,
        chain: 0,
        lsn: first.first_record(),
        segment: first.start,
        txn: 0,
        file_pages: NEW_PAGES,
        keys: 0,
        root: None,
        space: SpaceRun { page: PageId(page), pages: 1, crc: id.checksum(page, &map) },
    };
    let zeros = [0; PAGE_SIZE];
    let slot = Superblock::slot_offset(1);
    let parts: [(u64, &[u8]); 3] =
        [(0, &zeros), (slot, &superblock.encode()), (page * PAGE_SIZE as u64, &map)];
    write_synced(&path, file.as_ref(), &parts)
}

fn write_synced(path: &Path, file: &dyn VfsFile, parts: &[(u64, &[u8])]) -> Result<(), Fault> {
    for (offset, bytes) in parts {
        file.write_all_at(bytes, *offset).map_err(|error| fault("write", path, error))?;
    }
    file.sync_all().map_err(|error| fault("sync", path, error))
}
