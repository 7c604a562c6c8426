//! The doctor: looks at the files of a store that nobody writes to, and says what is wrong. It writes nothing.
//!
//! Opening trusts what passes its checksum; the doctor holds everything against everything: pages against their parents,
//! keys against each other, the map against what is reachable, blocks against their names.
//!
//! Invariants
//!  K1  Not a byte is written, and nothing is made: files are opened for reading only.
//!  K2  Damage is a finding, never an error: an error says that the store could not be looked at.
//!  K3  Nothing is believed before it is checked; memory is bounded by the file, not by what it says.
//!
//! Used by: whoever doubts a disk. Threads: each examination by itself; the data file is locked meanwhile, alone.

mod log;
mod repair;
#[cfg(test)]
mod repair_tests;
mod report;
mod show;
#[cfg(test)]
mod tests;
mod tree;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mnem_core::port::{Fault, Marker, OpenError};
use mnem_vfs::{Kind, LockKind, OpenMode, RealVfs, Vfs, VfsFile, VfsFileExt};

use crate::bytes::StoreId;
use crate::keys::Key;
use crate::memtable::Value;
use crate::open::{DATA, KIND};
use crate::page::PAGE_SIZE;
use crate::space::PageMap;
use crate::superblock::{FORMAT, SUPERBLOCK_BYTES, SlotFault, Superblock};
use crate::wal::segment;

pub use repair::{RepairError, Repaired};
pub use report::{Ailment, Examination, Finding, Level, PageCounts, Severity};
pub use show::Shown;

const PAGE_BYTES: u64 = PAGE_SIZE as u64;

/// Names in a store's folder that are its own beside marker, data file and log.
const OWN_NAMES: [&str; 5] = ["turn", "gate", "members", "poison", "history"];

/// Hears what is being looked at, how much of it is done, and of how much.
pub type Progress<'a> = dyn FnMut(&'static str, u64, u64) + 'a;

/// Looks at a store that is not open.
#[derive(Debug)]
pub struct Doctor {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
}

impl Doctor {
    /// For the store at `path`.
    pub fn new(path: impl AsRef<Path>) -> Doctor {
        Doctor::with(Arc::new(RealVfs::new()), path)
    }

    /// The same, on another file system.
    pub fn with(vfs: Arc<dyn Vfs>, path: impl AsRef<Path>) -> Doctor {
        Doctor { vfs, root: path.as_ref().to_owned() }
    }

    /// Looks at everything that `level` names. Whoever writes to the store waits, or is in the way: then it is `Locked`.
    pub fn examine(&self, level: Level, progress: &mut Progress<'_>) -> Result<Examination, OpenError> {
        let mut report = Examination { at: self.root.display().to_string(), level, ..Examination::default() };
        let segments = self.look_around(&mut report)?;
        self.examine_marker(&mut report)?;
        let Some(data) = self.open_data()? else {
            report.find(Ailment::DataMissing, self.root.join(DATA).display());
            return Ok(report);
        };
        report.data_bytes = data.length;
        let Some(slots) = examine_superblocks(&data, &mut report) else { return Ok(report) };
        let data = Data { store: slots.newest.id, ..data };
        report.format = Some(FORMAT);
        report.generation = slots.newest.generation;
        report.pages.superblocks = 2;
        report.pages.map = u64::from(slots.newest.space.pages);
        let used = examine_maps(&data, &slots, &mut report);
        let changes = log::examine(self, &segments, &slots.newest, &mut report)?;
        if level >= Level::Pages {
            tree::examine(&data, &slots.newest, used.as_ref(), &changes, &mut report, progress);
        }
        if level >= Level::Blocks {
            values::examine(&data, &slots.newest, &changes, &mut report, progress);
        }
        Ok(report)
    }

    fn fault(action: &'static str, path: &Path, error: std::io::Error) -> Fault {
        Fault::io(action, path.display().to_string(), error)
    }

    /// Goes through the names in the folder, and returns the numbers of the log's segments.
    fn look_around(&self, report: &mut Examination) -> Result<Vec<u32>, OpenError> {
        let root = &self.root;
        let found = self.vfs.metadata(root).map_err(|error| Doctor::fault("look at", root, error))?;
        match found {
            None => return Err(OpenError::Missing { at: report.at.clone() }),
            Some(found) if found.kind != Kind::Dir => {
                return Err(OpenError::NotAStore { at: report.at.clone(), found: "it is a file" });
            }
            Some(_) => {}
        }
        let mut segments = Vec::new();
        for entry in self.vfs.list(root).map_err(|error| Doctor::fault("list", root, error))? {
            let entry = entry.map_err(|error| Doctor::fault("list", root, error))?;
            let path = root.join(&entry.name);
            match entry.name.to_str() {
                Some(Marker::FILE | DATA) => {}
                Some(name) if OWN_NAMES.contains(&name) => {}
                Some(crate::open::MARKER_TEMP) => report.find(Ailment::Leftover, path.display()),
                Some(name) if entry.kind == Kind::File && segment::number(name).is_some() => {
                    segments.extend(segment::number(name));
                }
                _ => report.find(Ailment::ForeignFile, path.display()),
            }
        }
        segments.sort_unstable();
        Ok(segments)
    }

    fn examine_marker(&self, report: &mut Examination) -> Result<(), OpenError> {
        let path = self.root.join(Marker::FILE);
        let Some(text) = crate::open::read_small(self.vfs.as_ref(), &path, Marker::BYTES_MAX + 1)? else {
            report.find(Ailment::MarkerMissing, path.display());
            return Ok(());
        };
        match Marker::parse(&text) {
            None => report.find(Ailment::MarkerDamaged, path.display()),
            Some(marker) if marker.kind != KIND => {
                report.find(Ailment::OtherKind, format_args!("{}: {}", path.display(), marker.kind));
            }
            Some(marker) if marker.format > FORMAT => {
                report.find(Ailment::NewerFormat, format_args!("{}: {}", path.display(), marker.format));
            }
            Some(marker) => report.is_upgradable = marker.format < FORMAT,
        }
        Ok(())
    }

    /// Opens the data file for reading, and sees to it that nobody writes meanwhile.
    fn open_data(&self) -> Result<Option<Data>, OpenError> {
        let path = self.root.join(DATA);
        let file = match self.vfs.open(&path, OpenMode::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| Doctor::fault("open", &path, error))?,
        };
        let is_ours =
            file.try_lock(LockKind::Exclusive).map_err(|error| Doctor::fault("lock", &path, error))?;
        if !is_ours {
            let by = "whoever uses it".to_owned();
            return Err(OpenError::Locked { at: self.root.display().to_string(), by });
        }
        let length = file.len().map_err(|error| Doctor::fault("measure", &path, error))?;
        Ok(Some(Data { file, path, length, store: StoreId([0; 16]) }))
    }
}

/// What the log adds to the pages.
pub(crate) type Changes = BTreeMap<Key, Option<Value>>;

/// A data file that nobody writes to.
struct Data {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    length: u64,
    store: StoreId,
}

impl Data {
    /// Reads what is there of a range; whatever cannot be read is a finding.
    fn read(&self, offset: u64, length: usize, report: &mut Examination) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        match self.file.read_up_to_at(&mut bytes, offset) {
            Ok(read) => {
                bytes.truncate(read);
                Some(bytes)
            }
            Err(error) => {
                report.find(Ailment::Unreadable, format_args!("{}: {error}", self.place(offset)));
                None
            }
        }
    }

    fn place(&self, offset: u64) -> String {
        format!("{}, byte {offset}", self.path.display())
    }

    fn page(&self, page: u64) -> String {
        format!("{}, page {page}", self.path.display())
    }
}

/// The superblocks that pass.
struct Slots {
    newest: Superblock,
    older: Option<Superblock>,
}

fn examine_superblocks(data: &Data, report: &mut Examination) -> Option<Slots> {
    let mut valid: Vec<Superblock> = Vec::new();
    let mut damaged = Vec::new();
    for slot in 0..2 {
        let offset = Superblock::slot_offset(slot);
        let bytes = data.read(offset, SUPERBLOCK_BYTES, report)?;
        match <&[u8; SUPERBLOCK_BYTES]>::try_from(&bytes[..]).map(Superblock::decode) {
            Ok(Ok(superblock)) if superblock.generation & 1 == slot => valid.push(superblock),
            Ok(Err(SlotFault::Newer(version))) => {
                report.find(Ailment::NewerFormat, format_args!("{}: {version}", data.place(offset)));
                return None;
            }
            _ => damaged.push(offset),
        }
    }
    valid.sort_by_key(|superblock| superblock.generation);
    let Some(newest) = valid.pop() else {
        report.find(Ailment::SuperblocksLost, data.path.display());
        return None;
    };
    // A new store has one only.
    for offset in damaged.into_iter().filter(|_| newest.generation > 1) {
        report.find(Ailment::SuperblockDamaged, data.place(offset));
    }
    let older = valid.pop();
    if older.is_some_and(|older| older.id != newest.id) {
        report.find(Ailment::SuperblockForeign, data.path.display());
    }
    Some(Slots { newest, older: older.filter(|older| older.id == newest.id) })
}

/// Reads the maps of used pages, and returns the one that counts.
fn examine_maps(data: &Data, slots: &Slots, report: &mut Examination) -> Option<PageMap> {
    if let Some(older) = &slots.older
        && map(data, older, report).is_none()
    {
        report.find(Ailment::OlderMapDamaged, data.page(older.space.page.0));
    }
    let newest = &slots.newest;
    // The last page below `file_pages` is used.
    if data.length < newest.file_pages.saturating_mul(PAGE_BYTES) {
        report.find(Ailment::DataShort, data.place(data.length));
    }
    let Some(used) = map(data, newest, report) else {
        report.find(Ailment::MapDamaged, data.page(newest.space.page.0));
        return None;
    };
    let pages = data.length.div_ceil(PAGE_BYTES);
    report.pages.free = pages.saturating_sub(used.count());
    Some(used)
}

fn map(data: &Data, superblock: &Superblock, report: &mut Examination) -> Option<PageMap> {
    let run = superblock.space;
    let offset = run.page.offset_bytes()?;
    let bytes = u64::from(run.pages) * PAGE_BYTES;
    let bytes = usize::try_from(bytes).ok().filter(|_| offset.saturating_add(bytes) <= data.length)?;
    let map = data.read(offset, bytes, report)?;
    (superblock.id.checksum(run.page.0, &map) == run.crc).then(|| PageMap::from_bytes(&map))
}
