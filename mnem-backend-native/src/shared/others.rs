//! Reading what the other processes need that share a store.
//!
//! Invariant: whoever lived when the reading began is found alive, with all that it had written by then.
//!
//! Used by: `shared`. Threads: any.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use mnem_core::Cid;
use mnem_core::port::Fault;
use mnem_vfs::{Kind, LockKind, OpenMode, Vfs, VfsFile, VfsFileExt};

use super::journal::{Record, records};
use super::member::{UNFINISHED, fault, folder};
use crate::space::PageMap;

/// How often a list is opened again that was written anew meanwhile.
const OPENINGS_MAX: usize = 100;

/// Another process, or one that was.
pub(crate) struct Other {
    pub(crate) id: u64,
    /// It lives: its file is locked.
    pub(crate) is_alive: bool,
    pub(crate) is_writer: bool,
    /// How often its list was written anew.
    pub(crate) moves: u64,
    bytes: Vec<u8>,
}

/// What leases of others hold.
#[derive(Default)]
pub(crate) struct Leased {
    pub(crate) roots: Vec<Cid>,
    pub(crate) puts: HashSet<u64>,
}

/// Where the list of each member ended.
pub(crate) type Ends = HashMap<u64, (u64, u64)>;

/// Reads the lists of all but `own`.
pub(crate) fn read_all(vfs: &dyn Vfs, root: &Path, own: Option<u64>) -> Result<Vec<Other>, Fault> {
    let folder = folder(root);
    let listing = match vfs.list(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| fault("list", &folder, error))?,
    };
    let mut others = Vec::new();
    for entry in listing {
        let entry = entry.map_err(|error| fault("list", &folder, error))?;
        let Some(id) = entry.name.to_str().and_then(number).filter(|_| entry.kind == Kind::File) else {
            continue;
        };
        if Some(id) != own {
            others.extend(read(vfs, &folder.join(&entry.name), id)?);
        }
    }
    Ok(others)
}

fn number(name: &str) -> Option<u64> {
    let number = u64::from_str_radix(name, 16).ok()?;
    (format!("{number:016x}") == name).then_some(number)
}

/// Reads one list. `None`: it is gone.
fn read(vfs: &dyn Vfs, path: &Path, id: u64) -> Result<Option<Other>, Fault> {
    let mut seen = None;
    for _ in 0..OPENINGS_MAX {
        let file = match vfs.open(path, OpenMode::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| fault("open", path, error))?,
        };
        // Before the list is read: what an owner adds who is found dead is in it.
        let is_alive = !file.try_lock(LockKind::Shared).map_err(|error| fault("lock", path, error))?;
        let bytes = read_whole(file.as_ref()).map_err(|error| fault("read", path, error))?;
        let (moves, is_writer) = match records(&bytes).next() {
            Some((_, Record::Hello { moves, is_writer })) => (moves, is_writer),
            // Whoever it is, it was not written by mnem or has rotted: it may need anything.
            _ => return Ok(Some(Other { id, is_alive, is_writer: true, moves: 0, bytes: Vec::new() })),
        };
        // Without a lock it may also be a list that its owner has just put another one in the place of.
        if is_alive || seen == Some(moves) {
            return Ok(Some(Other { id, is_alive, is_writer, moves, bytes }));
        }
        seen = Some(moves);
    }
    Err(Fault::Locked {
        at: path.display().to_string(),
        by: "its owner, who writes it again and again".into(),
    })
}

fn read_whole(file: &dyn VfsFile) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    let read = file.read_up_to_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Says whether a process lives that may write the store.
pub(crate) fn has_writer(others: &[Other]) -> bool {
    others.iter().any(|other| other.is_alive && other.is_writer)
}

/// Returns the pages that others need. `None`: any of them.
pub(crate) fn pages(others: &[Other]) -> Option<PageMap> {
    let mut pages = PageMap::of_slots();
    for other in others.iter().filter(|other| other.is_alive) {
        if other.bytes.is_empty() {
            return None;
        }
        let mut own = PageMap::of_slots();
        for (_, record) in records(&other.bytes) {
            match record {
                Record::Pages(map) => own = map,
                Record::MorePages(runs) => runs.into_iter().for_each(|run| own.insert(run)),
                _ => {}
            }
        }
        pages.unite(&own);
    }
    Some(pages)
}

/// Returns what the leases hold that live now, and how long each list is.
pub(crate) fn leased(others: &[Other]) -> (Leased, Ends) {
    let mut all = Leased::default();
    let mut ends = Ends::new();
    for other in others {
        ends.insert(other.id, (other.moves, other.bytes.len() as u64));
        if !other.is_alive {
            continue;
        }
        let mut live: BTreeMap<u64, Leased> = BTreeMap::new();
        for (_, record) in records(&other.bytes) {
            match record {
                Record::Lease { number, roots } => {
                    live.insert(number, Leased { roots, ..Leased::default() });
                }
                Record::Puts { number, prints } => {
                    live.entry(number).and_modify(|lease| lease.puts.extend(prints));
                }
                Record::End { number } => drop(live.remove(&number)),
                _ => {}
            }
        }
        for lease in live.into_values() {
            all.roots.extend(lease.roots);
            all.puts.extend(lease.puts);
        }
    }
    (all, ends)
}

/// Returns what was put behind `ends`, by those who live or died since.
pub(crate) fn put_since(others: &[Other], ends: &Ends) -> HashSet<u64> {
    let mut puts = HashSet::new();
    for other in others {
        let from = match ends.get(&other.id) {
            Some((moves, end)) if *moves == other.moves => *end,
            _ => 0,
        };
        for (at, record) in records(&other.bytes) {
            if let (Record::Puts { prints, .. }, true) = (record, at >= from) {
                puts.extend(prints);
            }
        }
    }
    puts
}

/// Removes what the dead have left. Not while a collection is under way: it has yet to hear what they put.
pub(crate) fn remove_dead(vfs: &dyn Vfs, root: &Path, others: &[Other]) {
    let folder = folder(root);
    for other in others.iter().filter(|other| !other.is_alive) {
        // What stays is found dead the next time.
        let _ = vfs.remove_file(&folder.join(format!("{:016x}", other.id)));
    }
}

/// Removes what joining left behind when it was cut off. The caller is the only one who may join.
pub(crate) fn remove_unfinished(vfs: &dyn Vfs, root: &Path) {
    let folder = folder(root);
    let Ok(listing) = vfs.list(&folder) else { return };
    for entry in listing.map_while(Result::ok) {
        if entry.name.to_str().is_some_and(|name| name.ends_with(UNFINISHED)) {
            let path = folder.join(entry.name);
            // A reader may be joining at this moment: then it is locked, or it tries once more.
            let is_left = vfs.open(&path, OpenMode::Read).and_then(|file| file.try_lock(LockKind::Shared));
            if matches!(is_left, Ok(true)) {
                let _ = vfs.remove_file(&path);
            }
        }
    }
}
