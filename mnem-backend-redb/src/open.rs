//! Opening and creating: what is at the place, and whether it is ours.
//!
//! Invariants
//!  O1  What cannot be opened is left as it was, and nothing is left behind.
//!  O2  A store at a path is there whole or not at all, whenever the power fails while it is made.
//!  O3  Opening and closing a store without writing to it changes no byte of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

use mnem_core::port::{Fault, Marker, OpenError};
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, StorageBackend, TableError};

use crate::gate::Gate;
use crate::store::RedbStore;
use crate::tables::{KNN_EDGES_TABLE, META, OBJECTS, OP_HEADS, SIDE};
use crate::trouble::{Trouble, contain};

/// The word that begins this backend's URLs, and what the file says it is.
pub const KIND: &str = "redb";

/// The version of what mnem keeps inside redb.
pub const FORMAT: u32 = 1;

/// The major version of redb that reads and writes the file. Another one means another format.
pub const REDB_MAJOR: u32 = 4;

/// What every redb file begins with.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// Where redb keeps its flags, and the one that it sets as long as a file is in use.
const GOD_BYTE: usize = 9;
const RECOVERY_REQUIRED: u8 = 2;

/// So much of a file redb keeps in memory: enough for the inner pages of a large store. A commit that is larger
/// reaches the file before it is durable, which costs nothing but time.
const CACHE_BYTES: usize = 64 << 20;

/// Opens the store at `path`, or makes one where nothing is. The same as [`RedbStore::open_or_init`].
pub fn open_or_init(path: impl AsRef<Path>) -> Result<RedbStore, OpenError> {
    RedbStore::open_or_init(path)
}

impl RedbStore {
    /// Opens the store at `path`. Writes nothing before the first write.
    pub fn open(path: impl AsRef<Path>) -> Result<RedbStore, OpenError> {
        open_file(path.as_ref(), false)
    }

    /// Makes a store at `path`, where nothing may be yet. Its folder must be there.
    pub fn init(path: impl AsRef<Path>) -> Result<RedbStore, OpenError> {
        let path = path.as_ref();
        let made = match path.try_exists() {
            Ok(there) => !there && create(path)?,
            Err(source) => return Err(Fault::io("open", path.display().to_string(), source).into()),
        };
        if made {
            return RedbStore::open(path);
        }
        // What is no store, or is in use, is refused as that.
        drop(RedbStore::open(path)?);
        Err(OpenError::Exists { at: path.display().to_string() })
    }

    /// Opens the store at `path`, or makes one where nothing is. Its folder must be there.
    pub fn open_or_init(path: impl AsRef<Path>) -> Result<RedbStore, OpenError> {
        let path = path.as_ref();
        match RedbStore::open(path) {
            Err(OpenError::Missing { .. }) => {}
            other => return other,
        }
        create(path)?;
        RedbStore::open(path)
    }

    /// Opens the store at `path` to read it, beside others that read. Never writes, not even to repair what a crash
    /// left: that happens in memory.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<RedbStore, OpenError> {
        open_file(path.as_ref(), true)
    }

    /// Opens the store in `file`, or makes one if `file` is empty. `at` is what messages call it.
    ///
    /// What a path gets for free is the caller's here: locks; that nothing is shown from a cache that a failed sync
    /// has lost; and that making a store is whole: if the power fails meanwhile, `file` may be left without one, to be
    /// emptied and made again.
    pub fn open_with_backend(file: impl StorageBackend, at: &str) -> Result<RedbStore, OpenError> {
        let gate = Gate::new(file, false);
        gate.settle().map_err(|source| Fault::io("sync", at, source))?;
        open_backend(gate, at, false)
    }

    /// Opens the store in `file` to read it. Never writes.
    pub fn open_read_only_with_backend(file: impl StorageBackend, at: &str) -> Result<RedbStore, OpenError> {
        open_backend(Gate::new(file, true), at, true)
    }
}

fn open_file(path: &Path, read_only: bool) -> Result<RedbStore, OpenError> {
    let at = path.display().to_string();
    let failed = |source| OpenError::from(Fault::io("open", at.as_str(), source));
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(OpenError::Missing { at }),
        other => other.map_err(failed)?,
    };
    if metadata.is_dir() {
        return Err(what_folder_is(path, at));
    }
    if !metadata.is_file() {
        return Err(OpenError::NotAStore { at, found: "it is no file" });
    }
    if metadata.len() == 0 {
        return Err(OpenError::NotAStore { at, found: "the file is empty" });
    }
    let file = OpenOptions::new().read(true).write(!read_only).open(path).map_err(failed)?;
    // Whoever only reads may lack the right to sync.
    if let Err(source) = settle(&file)
        && !read_only
    {
        return Err(Fault::io("sync", at, source).into());
    }
    let file = FileBackend::new(file).map_err(|error| refused(error.into(), &at, None))?;
    open_backend(Gate::new(file, read_only), &at, read_only)
}

/// Brings what is read and what is on the disk together. What a process that died had written may be in the system's
/// memory only: the sync writes it. What a failed sync lost may be there too, looking as if it were written: the
/// cache is dropped where redb marks the file as not closed.
fn settle(file: &File) -> io::Result<()> {
    file.sync_data()?;
    let mut front = Vec::new();
    file.take(GOD_BYTE as u64 + 1).read_to_end(&mut front)?;
    match front.get(GOD_BYTE) {
        Some(flags) if flags & RECOVERY_REQUIRED != 0 => drop_cache(file),
        _ => Ok(()),
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn drop_cache(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)?)
}

/// Other systems have no such call for a file.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn drop_cache(_: &File) -> io::Result<()> {
    Ok(())
}

fn what_folder_is(path: &Path, at: String) -> OpenError {
    let mut text = Vec::new();
    let read = File::open(path.join(Marker::FILE))
        .and_then(|file| file.take(Marker::BYTES_MAX as u64 + 1).read_to_end(&mut text));
    match read.ok().and_then(|_| Marker::parse(&text)) {
        Some(marker) => OpenError::OtherKind { at, found: marker.kind, wanted: KIND },
        None => OpenError::NotAStore { at, found: "it is a folder" },
    }
}

fn open_backend(gate: Gate, at: &str, read_only: bool) -> Result<RedbStore, OpenError> {
    let failed = |source| OpenError::from(Fault::io("open", at, source));
    let len = gate.len().map_err(failed)?;
    if len == 0 && read_only {
        return Err(OpenError::Missing { at: at.to_owned() });
    }
    if len > 0 {
        check_magic(&gate, len, at)?;
    } else {
        gate.open().map_err(failed)?;
    }
    let db = contain(|| Ok(builder().create_with_backend(gate.clone())?));
    let db = db.map_err(|trouble| refused(trouble, at, Some(&gate)))?;
    let checked = contain(|| {
        if len == 0 {
            write_meta(&db)?;
        }
        check_meta(&db, at)
    });
    match checked.map_err(|trouble| refused(trouble, at, Some(&gate))) {
        Ok(Ok(())) => Ok(RedbStore::new(db, gate, at.to_owned(), read_only)),
        Ok(Err(error)) | Err(error) => {
            // Not through `?`: redb may panic when it closes a damaged file.
            let _ = contain(|| {
                drop(db);
                Ok(())
            });
            Err(error)
        }
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn check_magic(gate: &Gate, len: u64, at: &str) -> Result<(), OpenError> {
    let mut magic = [0; MAGIC.len()];
    if len >= MAGIC.len() as u64 {
        gate.read(0, &mut magic).map_err(|source| Fault::io("read", at, source))?;
    }
    if magic == MAGIC {
        Ok(())
    } else {
        Err(OpenError::NotAStore { at: at.to_owned(), found: "it is no redb file" })
    }
}

/// Makes all tables, and says in the file what it is.
fn write_meta(db: &Database) -> Result<(), Trouble> {
    let transaction = db.begin_write()?;
    {
        transaction.open_table(OBJECTS)?;
        transaction.open_table(OP_HEADS)?;
        transaction.open_table(KNN_EDGES_TABLE)?;
        transaction.open_table(SIDE)?;
        let mut meta = transaction.open_table(META)?;
        meta.insert("kind", KIND)?;
        meta.insert("format", FORMAT.to_string().as_str())?;
        meta.insert("redb", REDB_MAJOR.to_string().as_str())?;
    }
    transaction.commit()?;
    Ok(())
}

fn check_meta(db: &Database, at: &str) -> Result<Result<(), OpenError>, Trouble> {
    let not_ours =
        || OpenError::NotAStore { at: at.to_owned(), found: "it is the redb file of another program" };
    let transaction = db.begin_read()?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Ok(Err(not_ours())),
    };
    let read = |key| Ok::<_, Trouble>(meta.get(key)?.map(|value| value.value().to_owned()));
    if read("kind")?.as_deref() != Some(KIND) {
        return Ok(Err(not_ours()));
    }
    let number = |text: Option<String>| text.and_then(|text| text.parse::<u32>().ok());
    let (Some(found), Some(major)) = (number(read("format")?), number(read("redb")?)) else {
        return Err(Fault::Corrupt { what: "the table `meta`", at: at.to_owned() }.into());
    };
    if found > FORMAT {
        return Ok(Err(OpenError::NewerFormat { at: at.to_owned(), found, readable: FORMAT }));
    }
    if major != REDB_MAJOR {
        return Err(Fault::Unsupported { what: "a file of another major version of redb" }.into());
    }
    Ok(Ok(()))
}

/// Says why redb does not open a file.
fn refused(trouble: Trouble, at: &str, gate: Option<&Gate>) -> OpenError {
    let at_owned = || at.to_owned();
    match trouble {
        Trouble::Redb(redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch) => {
            OpenError::Locked { at: at_owned(), by: "another handle, in this process or another".to_owned() }
        }
        Trouble::Redb(redb::Error::UpgradeRequired(_)) => {
            OpenError::NotAStore { at: at_owned(), found: "it is a redb file from before mnem" }
        }
        Trouble::Redb(redb::Error::Io(source)) => {
            // redb says this way that a header is not what it must be.
            if source.kind() == io::ErrorKind::InvalidData && gate.is_some_and(|gate| gate.failed().is_none())
            {
                return Fault::Corrupt { what: "the redb file", at: format!("{at} ({source})") }.into();
            }
            let action = gate.and_then(Gate::failed).unwrap_or("open");
            Fault::io(action, at, source).into()
        }
        other => match gate {
            Some(gate) => other.into_fault(at, gate).into(),
            None => {
                Fault::Io { action: "open", at: at_owned(), source: io::Error::other(format!("{other:?}")) }
                    .into()
            }
        },
    }
}

/// Makes a store, unless somebody else does meanwhile: what came first stays. Says whether it did.
fn create(path: &Path) -> Result<bool, Fault> {
    move_into_place(path).map_err(|source| Fault::io("create", path.display().to_string(), source))
}

/// Makes a store under another name and moves it to `path`, if nothing is there.
fn move_into_place(path: &Path) -> io::Result<bool> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let temporary = tempfile::Builder::new().prefix(".mnem-").suffix(".tmp").tempfile_in(parent)?;
    contain(|| fill(temporary.reopen()?)).map_err(|trouble| match trouble {
        Trouble::Redb(redb::Error::Io(source)) => source,
        other => io::Error::other(format!("{other:?}")),
    })?;
    temporary.as_file().sync_all()?;
    let moved = match temporary.persist_noclobber(path) {
        Ok(_) => true,
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error.error),
    };
    sync_folder(parent)?;
    Ok(moved)
}

fn fill(file: File) -> Result<(), Trouble> {
    let mut db = builder().create_with_backend(FileBackend::new(file)?)?;
    write_meta(&db)?;
    // redb begins with a megabyte: this cuts the file to what is used.
    db.compact()?;
    Ok(db.close()?)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems have no such call, and journal their names.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
