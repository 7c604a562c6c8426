//! What a power cut leaves: one image for each choice, and an enumeration of choices.
//!
//! A unit is what survives or not by itself: a write, a change of length, a change of names. Units are numbered
//! in the order they were made. A write that extends its file is two of them, the length first.
//!
//! Used by: tests, through [`SimVfs::restart`] and [`SimVfs::crash_images`]. Threads: works on a copy.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{Content, PAGE_BYTES, index};
use super::disk::Disk;
use super::file::{Change, FileNode};
use super::hash::Hasher;
use super::names::{Names, ROOT, Tree};
use super::random::Random;
use super::{NodeId, Seq, SimVfs};

const SECTOR_BYTES: u64 = 512;

/// Most bytes of one extension that show old content of the disk; the rest shows zeros.
const STALE_BYTES_MAX: u64 = 1 << 20;

/// What a power cut does to the units: `keep` says which survive, `rest` what becomes of other writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Crash {
    /// Which units survive.
    pub keep: Keep,
    /// What becomes of writes that do not.
    pub rest: Rest,
}

/// Which units survive a power cut. A unit that needs another one (a file moved into a new directory needs the
/// directory) takes it along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keep {
    /// All.
    All,
    /// None: the least that syncs promise.
    Nothing,
    /// The first so many.
    First(usize),
    /// One.
    Only(usize),
    /// All but one.
    AllBut(usize),
    /// Those whose bit is set; none from the 65th on.
    Mask(u64),
    /// Each with probability one half.
    Random(u64),
}

/// What becomes of writes that do not survive as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rest {
    /// They leave nothing.
    Vanishes,
    /// Any of their sectors survive; the seed says which.
    Torn(u64),
    /// Like torn, with garbage in one sector each, and old content of the disk where a file grew.
    Garbage(u64),
}

impl Crash {
    /// The most that can survive: everything.
    pub const KEEPS_ALL: Crash = Crash { keep: Keep::All, rest: Rest::Vanishes };
    /// The least that can survive: what was synced.
    pub const KEEPS_SYNCED: Crash = Crash { keep: Keep::Nothing, rest: Rest::Vanishes };

    /// Any outcome, by the seed.
    pub fn random(seed: u64) -> Crash {
        let rest = match Random::new(seed, 0).below(3) {
            0 => Rest::Vanishes,
            1 => Rest::Torn(seed),
            _ => Rest::Garbage(seed),
        };
        Crash { keep: Keep::Random(seed), rest }
    }
}

impl From<Keep> for Crash {
    fn from(keep: Keep) -> Crash {
        Crash { keep, rest: Rest::Vanishes }
    }
}

impl Keep {
    fn holds(self, unit: usize) -> bool {
        match self {
            Keep::All => true,
            Keep::Nothing => false,
            Keep::First(count) => unit < count,
            Keep::Only(one) => unit == one,
            Keep::AllBut(one) => unit != one,
            Keep::Mask(bits) => unit < 64 && bits >> unit & 1 == 1,
            Keep::Random(seed) => Random::new(seed, unit as u64).coin(),
        }
    }
}

/// How many images [`SimVfs::crash_images`] yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Up to this many units, every subset; beyond, a selection: none, all, each prefix, each alone, each left
    /// out, and some at random. At most 20 are taken at their word.
    pub exhaustive_units_max: usize,
    /// Most prefixes, most units alone, and most units left out, spread evenly.
    pub each_max: usize,
    /// Random subsets.
    pub random: u64,
    /// How often each choice is repeated with torn writes, and again with garbage.
    pub tears: u64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { exhaustive_units_max: 12, each_max: 256, random: 64, tears: 1 }
    }
}

impl SimVfs {
    /// Returns the disk as a machine finds it that starts after a power cut now: nothing is open or locked, no
    /// fault is planned, no call counted. The limit on space stays.
    pub fn restart(&self, crash: impl Into<Crash>) -> SimVfs {
        SimVfs::with_disk(self.shared.lock().disk.image(crash.into()))
    }

    /// Returns disks as [`restart`](Self::restart) would, for as many choices as `budget` allows, each image
    /// once. Later calls on this disk change none of them.
    pub fn crash_images(&self, budget: Budget) -> CrashImages {
        let disk = self.shared.lock().disk.clone();
        let crashes = disk.crashes(budget).into_iter();
        CrashImages { disk, crashes, seen: BTreeSet::new() }
    }

    /// Returns what a power cut now would decide on, one line a unit, in the order of their numbers.
    pub fn unsynced(&self) -> Vec<String> {
        let state = self.shared.lock();
        state.disk.units().iter().map(|unit| state.disk.describe(unit)).collect()
    }

    /// Returns a hash of all names and bytes as processes see them. Equal disks have equal hashes, always.
    pub fn image_hash(&self) -> u128 {
        self.shared.lock().disk.hash()
    }
}

/// The images of [`SimVfs::crash_images`], each with the choice that made it.
pub struct CrashImages {
    disk: Disk,
    crashes: std::vec::IntoIter<Crash>,
    seen: BTreeSet<u128>,
}

impl Iterator for CrashImages {
    type Item = (Crash, SimVfs);

    fn next(&mut self) -> Option<(Crash, SimVfs)> {
        loop {
            let crash = self.crashes.next()?;
            let image = self.disk.image(crash);
            if self.seen.insert(image.hash()) {
                return Some((crash, SimVfs::with_disk(image)));
            }
        }
    }
}

impl std::fmt::Debug for CrashImages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CrashImages").field("left", &self.crashes.len()).finish_non_exhaustive()
    }
}

struct Unit {
    seq: Seq,
    /// Absent: a change of names.
    file: Option<NodeId>,
    /// The unit makes a file longer, whose every unsynced change of length does.
    grows: bool,
}

impl Disk {
    fn units(&self) -> Vec<Unit> {
        let reach = self.within_reach();
        let mut units: Vec<Unit> = Vec::new();
        for (node, file) in self.files.iter().filter(|(node, _)| reach.contains(node)) {
            let only_grows = file.unsynced.iter().all(|(_, change)| !change.shrinks());
            units.extend(file.unsynced.iter().map(|(seq, change)| Unit {
                seq: *seq,
                file: Some(*node),
                grows: only_grows && matches!(change, Change::Length { .. }),
            }));
        }
        let names = self.names.changes.iter().filter(|(_, change)| !change.synced);
        units.extend(names.map(|(seq, _)| Unit { seq: *seq, file: None, grows: false }));
        units.sort_by_key(|unit| unit.seq);
        units
    }

    fn describe(&self, unit: &Unit) -> String {
        match unit.file {
            Some(node) => {
                let change = self.file(node).unsynced.iter().find(|(seq, _)| *seq == unit.seq);
                let change = change.map_or("?".to_owned(), |(_, change)| change.describe());
                format!("{}: {change}", self.names.path(node))
            }
            None => self.names.describe(unit.seq),
        }
    }

    fn crashes(&self, budget: Budget) -> Vec<Crash> {
        let units = self.units();
        let keeps = if units.len() <= budget.exhaustive_units_max.min(20) {
            subsets(&units)
        } else {
            selection(units.len(), budget)
        };
        let mut crashes: Vec<Crash> = keeps.iter().map(|keep| Crash::from(*keep)).collect();
        for seed in 0..budget.tears {
            crashes.extend(keeps.iter().map(|keep| Crash { keep: *keep, rest: Rest::Torn(seed) }));
            crashes.extend(keeps.iter().map(|keep| Crash { keep: *keep, rest: Rest::Garbage(seed) }));
        }
        crashes
    }

    fn image(&self, crash: Crash) -> Disk {
        let units: Vec<Seq> = self.units().iter().map(|unit| unit.seq).collect();
        let keep = |seq| units.binary_search(&seq).is_ok_and(|unit| crash.keep.holds(unit));
        let tree = self.names.after_crash(keep);
        let reach = tree.reachable();
        let mut files = BTreeMap::new();
        for node in reach.iter().filter(|node| !tree.is_dir(**node)) {
            let content = self.file(*node).after_crash(keep, crash.rest, self);
            files.insert(*node, FileNode::settled(content));
        }
        Disk::settled(Names::settled(tree.restricted_to(&reach)), files, self)
    }

    fn hash(&self) -> u128 {
        let mut hasher = Hasher::new();
        self.hash_dir(&self.names.current, ROOT, &mut hasher);
        hasher.finish()
    }

    fn hash_dir(&self, tree: &Tree, dir: NodeId, hasher: &mut Hasher) {
        hasher.number(tree.entries(dir).count() as u64);
        for (name, node) in tree.entries(dir) {
            hasher.bytes(name.as_encoded_bytes());
            match self.files.get(&node) {
                Some(file) => hasher.bytes(&file.current.hash().to_le_bytes()),
                None => self.hash_dir(tree, node, hasher),
            }
        }
    }

    /// A page that some file of the disk holds, or random bytes.
    fn stale_page(&self, random: &mut Random) -> Vec<u8> {
        let files = self.files.values().filter(|file| file.durable.len() > 0);
        let pages: u64 = files.clone().map(|file| file.durable.len().div_ceil(PAGE_BYTES as u64)).sum();
        if pages == 0 || random.coin() {
            return random.bytes(PAGE_BYTES);
        }
        let mut page = random.below(pages);
        let mut bytes = vec![0; PAGE_BYTES];
        for file in files {
            let count = file.durable.len().div_ceil(PAGE_BYTES as u64);
            if page < count {
                file.durable.read(&mut bytes, page * PAGE_BYTES as u64);
                break;
            }
            page -= count;
        }
        bytes
    }
}

impl Change {
    fn shrinks(&self) -> bool {
        matches!(self, Change::Length { from, to } if to < from)
    }

    fn describe(&self) -> String {
        match self {
            Change::Write { offset, bytes } => format!("write {} bytes at {offset}", bytes.len()),
            Change::Length { from, to } => format!("length from {from} to {to}"),
        }
    }
}

impl FileNode {
    fn after_crash(&self, keep: impl Fn(Seq) -> bool, rest: Rest, disk: &Disk) -> Content {
        let mut content = self.durable.clone();
        for (seq, change) in &self.unsynced {
            match change {
                Change::Length { to, .. } if keep(*seq) => grow(&mut content, *to, *seq, rest, disk),
                Change::Length { .. } => {}
                Change::Write { offset, bytes } if keep(*seq) => content.write(bytes, *offset),
                Change::Write { offset, bytes } => tear(&mut content, bytes, *offset, *seq, rest),
            }
        }
        content.trim();
        content
    }
}

/// Sets a length. Where the file grows, old content of the disk may show, page by page.
fn grow(content: &mut Content, to: u64, seq: Seq, rest: Rest, disk: &Disk) {
    let from = content.len();
    content.set_len(to);
    if let Rest::Garbage(seed) = rest {
        let mut random = Random::new(seed, seq.0);
        let mut at = from;
        while at < to.min(from + STALE_BYTES_MAX) {
            let end = (at / PAGE_BYTES as u64 + 1) * PAGE_BYTES as u64;
            let len = index(end.min(to) - at);
            if random.coin() {
                content.write(&disk.stale_page(&mut random)[..len], at);
            }
            at = end;
        }
    }
}

/// Writes what a lost write leaves behind.
fn tear(content: &mut Content, bytes: &[u8], offset: u64, seq: Seq, rest: Rest) {
    let (seed, has_garbage) = match rest {
        Rest::Vanishes => return,
        Rest::Torn(seed) => (seed, false),
        Rest::Garbage(seed) => (seed, true),
    };
    let mut random = Random::new(seed, seq.0);
    let first = offset / SECTOR_BYTES;
    let sectors = (offset + bytes.len() as u64).div_ceil(SECTOR_BYTES) - first;
    let garbage = has_garbage.then(|| first + random.below(sectors));
    for sector in first..first + sectors {
        let start = (sector * SECTOR_BYTES).max(offset);
        let end = ((sector + 1) * SECTOR_BYTES).min(offset + bytes.len() as u64);
        if garbage == Some(sector) {
            content.write(&random.bytes(index(end - start)), start);
        } else if random.coin() {
            content.write(&bytes[index(start - offset)..index(end - offset)], start);
        }
    }
}

/// All subsets that can differ: of several extensions of one file, only the last that survives shows.
fn subsets(units: &[Unit]) -> Vec<Keep> {
    let differs = |mask: u64| {
        let mut grown = BTreeSet::new();
        let kept = units.iter().enumerate().filter(|(unit, _)| mask >> unit & 1 == 1);
        kept.filter(|(_, unit)| unit.grows).all(|(_, unit)| grown.insert(unit.file))
    };
    (0..1 << units.len()).filter(|mask| differs(*mask)).map(Keep::Mask).collect()
}

fn selection(units: usize, budget: Budget) -> Vec<Keep> {
    let step = units.div_ceil(budget.each_max.max(1)).max(1);
    let each = || (0..units).step_by(step);
    let mut keeps = vec![Keep::Nothing, Keep::All];
    keeps.extend(each().skip(1).map(Keep::First));
    keeps.extend(each().map(Keep::Only));
    keeps.extend(each().map(Keep::AllBut));
    keeps.extend((0..budget.random).map(Keep::Random));
    keeps
}
