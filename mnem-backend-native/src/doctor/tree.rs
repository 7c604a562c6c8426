//! The index and the map: every page against its parent, every key against its neighbours, what is reachable against what
//! is marked.

use mnem_core::Cid;

use super::{Ailment, Changes, Data, Examination, PAGE_BYTES, Progress};
use crate::group::Locator;
use crate::index::Node;
use crate::keys;
use crate::memtable::Value;
use crate::page::{PAGE_SIZE, Page, PageFault, PageId};
use crate::space::PageMap;
use crate::superblock::{Pointer, Root, Superblock};

/// Where values may lie: behind the superblock slots.
const FIRST_PAGE: u64 = 2;

/// Examines everything that the superblock reaches but the values themselves.
pub(super) fn examine(
    data: &Data,
    superblock: &Superblock,
    used: Option<&PageMap>,
    changes: &Changes,
    report: &mut Examination,
    progress: &mut Progress<'_>,
) {
    let mut walk = Walk {
        data,
        superblock,
        progress,
        nodes: PageMap::default(),
        values: PageMap::default(),
        last_key: None,
        keys: 0,
        is_whole: true,
        heads: Vec::new(),
    };
    if let Some(Root { at, level }) = superblock.root {
        walk.node(at, level, None, None, report);
    }
    let Walk { nodes, values, keys, is_whole, mut heads, .. } = walk;
    if is_whole && keys != superblock.keys {
        report.find(Ailment::KeyCount, format_args!("{keys} instead of {}", superblock.keys));
    }
    report.pages.values = values.count();
    compare_maps(data, superblock, used.filter(|_| is_whole), &nodes, &values, report);
    for (key, value) in changes.iter().filter(|(key, _)| keys::is_head(key)) {
        let Some((_, head)) = keys::parse_head(key) else {
            report.find(Ailment::KeyUnknown, "a head in the log");
            continue;
        };
        heads.retain(|other| other != head.cid());
        heads.extend(value.is_some().then(|| *head.cid()));
    }
    report.heads = heads.len() as u64;
    for head in heads.into_iter().filter(|_| is_whole) {
        let is_there = match changes.get(&keys::block_key(&head)[..]) {
            Some(change) => change.is_some(),
            None => has(data, superblock, &head, report),
        };
        if !is_there {
            report.find(Ailment::HeadAbsent, head);
        }
    }
}

fn compare_maps(
    data: &Data,
    superblock: &Superblock,
    used: Option<&PageMap>,
    nodes: &PageMap,
    values: &PageMap,
    report: &mut Examination,
) {
    let mut reached = PageMap::of_slots();
    let map = superblock.space.page.0..superblock.space.page.0 + u64::from(superblock.space.pages);
    let mut own = PageMap::default();
    own.insert(map);
    for (one, other) in [(nodes, values), (nodes, &own), (values, &own)] {
        for page in 0..one.end() {
            if one.contains(page) && other.contains(page) {
                report.find(Ailment::PageShared, data.page(page));
            }
        }
    }
    [nodes, values, &own].into_iter().for_each(|pages| reached.unite(pages));
    let Some(used) = used else { return };
    let mut leaked = 0;
    for page in 0..reached.end().max(used.end()) {
        match (reached.contains(page), used.contains(page)) {
            (true, false) => report.find(Ailment::PageUnmarked, data.page(page)),
            (false, true) => leaked += 1,
            _ => {}
        }
    }
    if leaked > 0 {
        report.find(Ailment::PagesLeaked, format_args!("{leaked} pages of {}", data.path.display()));
    }
}

struct Walk<'a, 'p> {
    data: &'a Data,
    superblock: &'a Superblock,
    progress: &'a mut Progress<'p>,
    nodes: PageMap,
    values: PageMap,
    last_key: Option<Vec<u8>>,
    keys: u64,
    /// No page was left out.
    is_whole: bool,
    heads: Vec<Cid>,
}

impl Walk<'_, '_> {
    /// Examines a page and what is below it. Its keys lie from `low` to before `high`.
    fn node(
        &mut self,
        at: Pointer,
        level: u8,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
        report: &mut Examination,
    ) {
        let Some(node) = self.read(at, level, report) else {
            self.is_whole = false;
            return;
        };
        for entry in 0..node.len() {
            let key = node.key(entry);
            if low.is_some_and(|low| key < low) || high.is_some_and(|high| key >= high) {
                report.find(Ailment::KeyOrder, self.data.page(at.page.0));
            }
            if level == 0 {
                self.leaf(at, key, node.value(entry), report);
            } else {
                // The first child also holds keys below its separator.
                let low = if entry == 0 { low } else { Some(key) };
                let high = if entry + 1 < node.len() { Some(node.key(entry + 1)) } else { high };
                self.node(node.child(entry), level - 1, low, high, report);
            }
        }
    }

    fn read(&mut self, at: Pointer, level: u8, report: &mut Examination) -> Option<Node> {
        let place = at.page.0;
        let is_inside = (FIRST_PAGE..self.superblock.file_pages).contains(&place);
        let Some(offset) = at.page.offset_bytes().filter(|_| is_inside) else {
            report.find(Ailment::PageOutside, self.data.page(place));
            return None;
        };
        if self.nodes.contains(place) {
            report.find(Ailment::PageTwice, self.data.page(place));
            return None;
        }
        self.nodes.insert(place..place + 1);
        let bytes = self.data.read(offset, PAGE_SIZE, report)?;
        let node = match open(self.data, at, bytes) {
            Ok(node) => node,
            Err(ailment) => {
                report.find(ailment, self.data.page(place));
                return None;
            }
        };
        if node.level() != level {
            report.find(Ailment::PageLevel, self.data.page(place));
            return None;
        }
        match level {
            0 => report.pages.leaf += 1,
            _ => report.pages.inner += 1,
        }
        let done = report.pages.leaf + report.pages.inner;
        if done.is_multiple_of(256) {
            (self.progress)("index pages", done, 0);
        }
        Some(node)
    }

    fn leaf(&mut self, at: Pointer, key: &[u8], value: &[u8], report: &mut Examination) {
        self.keys += 1;
        if self.last_key.as_deref().is_some_and(|last| last >= key) {
            report.find(Ailment::KeyOrder, self.data.page(at.page.0));
        }
        self.last_key = Some(key.to_vec());
        if keys::is_head(key) {
            match keys::parse_head(key).filter(|_| value.is_empty()) {
                Some((_, head)) => self.heads.push(*head.cid()),
                None => report.find(Ailment::KeyUnknown, self.data.page(at.page.0)),
            }
            return;
        }
        match key.first() {
            Some(_) if keys::cid(key).is_some() => report.blocks += 1,
            Some(&keys::ROWS) => report.rows += 1,
            _ => {
                report.find(Ailment::KeyUnknown, self.data.page(at.page.0));
                return;
            }
        }
        match Locator::decode(value).filter(|place| is_inside(place, self.superblock.file_pages)) {
            Some(place) => self.values.insert(place.pages()),
            None => report.find(Ailment::LocatorBad, self.data.page(at.page.0)),
        }
    }
}

/// Says whether a place is one where values can be.
pub(super) fn is_inside(place: &Locator, file_pages: u64) -> bool {
    let range = place.range();
    place.granules > 0
        && range.start >= FIRST_PAGE * PAGE_BYTES
        && range.end <= file_pages.saturating_mul(PAGE_BYTES)
}

fn open(data: &Data, at: Pointer, bytes: Vec<u8>) -> Result<Node, Ailment> {
    match Page::identify(data.store, &bytes) {
        None => return Err(Ailment::PageDamaged),
        Some((page, _)) if page != at.page => return Err(Ailment::PageMisplaced),
        Some((_, crc)) if crc != at.crc => return Err(Ailment::PageStale),
        Some(_) => {}
    }
    let page = Page::open(data.store, at.page, at.crc, bytes).map_err(|fault| match fault {
        PageFault::Checksum => Ailment::PageDamaged,
        PageFault::WrongPage => Ailment::PageMisplaced,
        PageFault::Header => Ailment::PageSenseless,
    })?;
    Node::new(page).ok_or(Ailment::PageSenseless)
}

/// Looks a block up. What is in the way was found before.
fn has(data: &Data, superblock: &Superblock, cid: &Cid, report: &mut Examination) -> bool {
    let key = keys::block_key(cid);
    let Some(root) = superblock.root else { return false };
    let (mut at, mut level) = (root.at, root.level);
    loop {
        let offset = at.page.offset_bytes().unwrap_or(u64::MAX);
        let Some(bytes) = data.read(offset, PAGE_SIZE, report) else { return true };
        let Some(node) = open(data, at, bytes).ok().filter(|node| node.level() == level) else { return true };
        if level == 0 {
            return node.search(&key).1;
        }
        at = node.child(node.child_for(&key));
        level -= 1;
    }
}

/// Hands every leaf that can be read to `leaf`, in the order of the keys, and says whether none was left out.
pub(super) fn for_each_leaf(data: &Data, root: Option<Root>, leaf: &mut dyn FnMut(&Node)) -> bool {
    root.is_none_or(|root| descend(data, root.at, root.level, leaf))
}

fn descend(data: &Data, at: Pointer, level: u8, leaf: &mut dyn FnMut(&Node)) -> bool {
    // What cannot be read was found when the index was examined.
    let mut ignored = Examination::default();
    let bytes = at.page.offset_bytes().and_then(|offset| data.read(offset, PAGE_SIZE, &mut ignored));
    let node = bytes.and_then(|bytes| open(data, at, bytes).ok()).filter(|node| node.level() == level);
    let Some(node) = node else { return false };
    if level == 0 {
        leaf(&node);
        return true;
    }
    let mut is_whole = true;
    for entry in 0..node.len() {
        is_whole &= descend(data, node.child(entry), level - 1, leaf);
    }
    is_whole
}

/// Returns the places that the log points at.
pub(super) fn places(changes: &Changes) -> impl Iterator<Item = (Cid, Locator)> + '_ {
    changes.iter().filter_map(|(key, value)| match value {
        Some(Value::Placed(place) | Value::Moved(place)) => Some((keys::cid(key)?, *place)),
        _ => None,
    })
}

/// A page by its number.
pub(super) fn read_page(data: &Data, page: PageId, report: &mut Examination) -> Option<Vec<u8>> {
    let offset = page.offset_bytes().filter(|offset| *offset < data.length)?;
    data.read(offset, PAGE_SIZE, report).filter(|bytes| bytes.len() == PAGE_SIZE)
}
