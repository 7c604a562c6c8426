//! The values: every group taken apart, every block hashed.
//!
//! Values are read in the order in which they lie on the disk: the index is gone through once, or a few times where there
//! are many, and each time the next places by address are kept.

use mnem_core::{Block, Cid};

use super::tree::{for_each_leaf, is_inside, places};
use super::{Ailment, Changes, Data, Examination, Progress};
use crate::group::{Group, GroupFault, Locator};
use crate::keys;
use crate::superblock::{Root, Superblock};

/// So many places are kept at a time.
const PLACES_MAX: usize = 1 << 20;

/// A value of the index: a block, or a row.
pub(super) type Place = (Locator, Option<Cid>);

/// Reads every value that index and log point at.
pub(super) fn examine(
    data: &Data,
    superblock: &Superblock,
    changes: &Changes,
    report: &mut Examination,
    progress: &mut Progress<'_>,
) {
    let total = report.blocks + report.rows;
    let mut done = 0;
    let mut last: Option<(Locator, Option<Group>)> = None;
    for_each_value(data, superblock, changes, &mut |(place, cid)| {
        done += 1;
        if done % 1024 == 0 {
            progress("values", done, total);
        }
        let is_same = |other: &Locator| (other.granule, other.crc) == (place.granule, place.crc);
        if !last.as_ref().is_some_and(|(other, _)| is_same(other)) {
            last = Some((*place, group(data, place, cid.is_none(), report)));
        }
        let Some((_, Some(group))) = &last else { return };
        value(data, group, place, cid, report);
    });
}

fn group(data: &Data, place: &Locator, is_row: bool, report: &mut Examination) -> Option<Group> {
    let range = place.range();
    let bytes = data.read(range.start, usize::try_from(range.end - range.start).ok()?, report)?;
    let fault = match Group::judge(data.store, place, &bytes) {
        Ok(group) => return Some(group),
        Err(fault) => fault,
    };
    let ailment = match fault {
        _ if is_row => Ailment::RowDamaged,
        GroupFault::Header => Ailment::GroupDamaged,
        GroupFault::Stale => Ailment::GroupStale,
        GroupFault::Payload => Ailment::GroupPayload,
        GroupFault::Packing => Ailment::GroupSenseless,
    };
    report.find(ailment, data.place(range.start));
    None
}

fn value(data: &Data, group: &Group, place: &Locator, cid: &Option<Cid>, report: &mut Examination) {
    let at = || data.place(place.range().start);
    let class = cid.map_or(keys::ROWS, |cid| cid.class().number());
    match (group.value(place.slot), cid) {
        (None, Some(cid)) => report.find(Ailment::SlotAbsent, format_args!("{}, {cid}", at())),
        (None, None) => report.find(Ailment::RowDamaged, at()),
        (Some(_), None) if group.class(place.slot) != Some(class) => report.find(Ailment::RowDamaged, at()),
        (Some(bytes), Some(cid)) => {
            if group.class(place.slot) != Some(class) || Block::verify(*cid, bytes).is_err() {
                report.find(Ailment::BlockWrong, format_args!("{}, {cid}", at()));
            }
        }
        (Some(_), None) => {}
    }
}

/// Hands every place that index and log name to `each`, by address. What cannot be one is left out.
pub(super) fn for_each_value(
    data: &Data,
    superblock: &Superblock,
    changes: &Changes,
    each: &mut dyn FnMut(&Place),
) {
    let mut from = Some(0);
    while let Some(start) = from {
        let mut batch = Batch { from: start, end: None, places: Vec::new() };
        places(changes)
            .filter(|(_, place)| is_inside(place, superblock.file_pages))
            .for_each(|(cid, place)| batch.offer((place, Some(cid))));
        collect(data, superblock.root, superblock, &mut batch);
        batch.places.sort_unstable_by_key(|(place, _)| (place.granule, place.crc, place.slot));
        batch.places.iter().for_each(&mut *each);
        from = batch.end;
    }
}

fn collect(data: &Data, root: Option<Root>, superblock: &Superblock, batch: &mut Batch) {
    for_each_leaf(data, root, &mut |leaf| {
        for entry in 0..leaf.len() {
            let key = leaf.key(entry);
            let place =
                Locator::decode(leaf.value(entry)).filter(|place| is_inside(place, superblock.file_pages));
            let is_value = keys::is_block(key) || key.first() == Some(&keys::ROWS);
            if let Some(place) = place.filter(|_| is_value) {
                batch.offer((place, keys::cid(key)));
            }
        }
    });
}

/// The next places by address.
struct Batch {
    from: u64,
    /// Where those begin that are for the next time.
    end: Option<u64>,
    places: Vec<Place>,
}

impl Batch {
    fn offer(&mut self, place: Place) {
        let granule = place.0.granule;
        if granule < self.from || self.end.is_some_and(|end| granule >= end) {
            return;
        }
        self.places.push(place);
        if self.places.len() >= 2 * PLACES_MAX {
            let by_granule = |(place, _): &Place| place.granule;
            let (_, (first, _), _) = self.places.select_nth_unstable_by_key(PLACES_MAX, by_granule);
            let first = first.granule;
            self.places.retain(|(place, _)| place.granule < first);
            self.end = Some(first);
        }
    }
}
