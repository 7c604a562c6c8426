//! Which pages are used, and which may be.
//!
//! Invariants
//!  F1  The map of a generation has exactly the pages that are reachable from it, and the two superblock slots.
//!  F2  A page is handed out only if it is clear in the maps of both superblocks and of every version that somebody
//!      reads, and is not written ahead for a record that the last checkpoint does not cover; so nothing that a crash or
//!      a reader may come back to is written over.
//!
//! Used by: `checkpoint`, `direct`, `recovery`. Threads: a checkpoint and large commits take pages at the same time.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::page::{PAGE_SIZE, PageId};
use crate::wal::Lsn;

/// A set of pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageMap {
    words: Vec<u64>,
}

fn place(page: u64) -> (usize, u64) {
    (usize::try_from(page / 64).expect("as many words as fit memory"), 1 << (page % 64))
}

impl PageMap {
    /// Returns the map of an empty store: the superblock slots.
    pub(crate) fn of_slots() -> PageMap {
        PageMap { words: vec![0b11] }
    }

    pub(crate) fn insert(&mut self, pages: Range<u64>) {
        for page in pages {
            let (word, bit) = place(page);
            if word >= self.words.len() {
                self.words.resize(word + 1, 0);
            }
            self.words[word] |= bit;
        }
    }

    pub(crate) fn remove(&mut self, page: PageId) {
        let (word, bit) = place(page.0);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
    }

    pub(crate) fn contains(&self, page: u64) -> bool {
        let (word, bit) = place(page);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(crate) fn unite(&mut self, other: &PageMap) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Returns the page behind the last one.
    pub(crate) fn end(&self) -> u64 {
        let last = self.words.iter().rposition(|word| *word != 0);
        last.map_or(0, |word| word as u64 * 64 + u64::from(64 - self.words[word].leading_zeros()))
    }

    /// Returns how many pages it has.
    pub(crate) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Lays it out for pages below `end`: a bit each, the first in the lowest bit of the first byte.
    pub(crate) fn to_bytes(&self, end: u64) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(map_bytes(end), 0);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> PageMap {
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        PageMap { words: words.collect() }
    }
}

/// Returns how many bytes the map of so many pages has.
pub(crate) fn map_bytes(pages: u64) -> usize {
    usize::try_from(pages.div_ceil(8)).expect("a map fits memory")
}

/// Returns how many pages hold the map of a file whose other pages end at `end`, and which it may extend.
pub(crate) fn map_pages(end: u64) -> u64 {
    let mut pages = 1;
    while (end + pages).div_ceil(8) > pages * PAGE_SIZE as u64 {
        pages += 1;
    }
    pages
}

/// Finds free pages.
#[derive(Debug)]
pub(crate) struct Allocator {
    busy: PageMap,
    end: u64,
    /// Where to go on looking.
    next: u64,
    /// There is no free run of so many pages or more.
    none_of: u64,
}

impl Allocator {
    pub(crate) fn new(busy: PageMap) -> Allocator {
        let end = busy.end();
        Allocator { busy, end, next: 0, none_of: u64::MAX }
    }

    /// Takes a run of `least` to `most` pages.
    pub(crate) fn take(&mut self, least: u64, most: u64) -> Range<u64> {
        let run = self.find(least, most).unwrap_or(self.end..self.end + most);
        self.end = self.end.max(run.end);
        self.busy.insert(run.clone());
        run
    }

    /// Takes back what was taken and not written.
    pub(crate) fn give_back(&mut self, pages: Range<u64>) {
        pages.clone().for_each(|page| self.busy.remove(PageId(page)));
        if self.end == pages.end {
            self.end = pages.start;
        }
        self.none_of = u64::MAX;
        self.next = self.next.min(pages.start);
    }

    fn find(&mut self, least: u64, most: u64) -> Option<Range<u64>> {
        if least >= self.none_of {
            return None;
        }
        let start = self.next;
        let found = self.find_in(start..self.end, least, most);
        let found = found.or_else(|| self.find_in(0..self.end, least, most));
        match &found {
            Some(run) => self.next = run.end,
            None => self.none_of = least,
        }
        found
    }

    /// Finds the first free run inside `range` that is long enough.
    fn find_in(&self, range: Range<u64>, least: u64, most: u64) -> Option<Range<u64>> {
        let mut start = range.start;
        let mut page = range.start;
        while page < range.end {
            if page.is_multiple_of(64) && self.busy.words.get(place(page).0) == Some(&u64::MAX) {
                page += 64;
                start = page;
                continue;
            }
            let is_busy = self.busy.contains(page);
            if is_busy {
                if page - start >= least {
                    return Some(start..page);
                }
                start = page + 1;
            } else if page + 1 - start == most {
                return Some(start..page + 1);
            }
            page += 1;
        }
        (page <= range.end && page - start >= least && page > start).then_some(start..page)
    }

    /// Returns the page behind the last one that is in use or was handed out.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }
}

/// Tells the runs of one large commit apart from those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RunId(u64);

/// Pages that a large commit wrote ahead of its log record.
#[derive(Debug)]
struct Ahead {
    id: RunId,
    pages: Vec<Range<u64>>,
    /// Of the record that refers to them. Absent: it is not written yet.
    lsn: Option<Lsn>,
}

/// The free pages of an open store, and those that are written ahead of a checkpoint.
#[derive(Debug)]
pub(crate) struct Space {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    allocator: Allocator,
    ahead: Vec<Ahead>,
    next_id: u64,
}

impl Space {
    pub(crate) fn new() -> Space {
        let state = State { allocator: Allocator::new(PageMap::of_slots()), ahead: Vec::new(), next_id: 0 };
        Space { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each step is complete by itself; at worst pages stay busy until the next checkpoint.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self, least: u64, most: u64) -> Range<u64> {
        self.state().allocator.take(least, most)
    }

    pub(crate) fn give_back(&self, pages: Range<u64>) {
        self.state().allocator.give_back(pages);
    }

    /// Takes the pages of a map of used pages that covers itself, and returns the page behind all that is busy.
    pub(crate) fn take_map(&self) -> Range<u64> {
        let mut state = self.state();
        let pages = map_pages(state.allocator.end());
        state.allocator.take(pages, pages)
    }

    /// Begins a large commit.
    pub(crate) fn begin_ahead(&self) -> RunId {
        let mut state = self.state();
        state.next_id += 1;
        let id = RunId(state.next_id);
        state.ahead.push(Ahead { id, pages: Vec::new(), lsn: None });
        id
    }

    /// Takes pages for a large commit.
    pub(crate) fn take_ahead(&self, id: RunId, least: u64, most: u64) -> Range<u64> {
        let mut state = self.state();
        let run = state.allocator.take(least, most);
        let ahead = state.ahead.iter_mut().find(|ahead| ahead.id == id).expect("it was begun");
        ahead.pages.push(run.clone());
        run
    }

    /// Takes back the end of a run that a large commit did not fill.
    pub(crate) fn shorten_ahead(&self, id: RunId, rest: Range<u64>) {
        let mut state = self.state();
        let ahead = state.ahead.iter_mut().find(|ahead| ahead.id == id).expect("it was begun");
        let run = ahead.pages.iter_mut().find(|pages| pages.end == rest.end).expect("it was taken");
        run.end = rest.start;
        state.allocator.give_back(rest);
    }

    /// The record that refers to its pages is written.
    pub(crate) fn logged(&self, id: RunId, lsn: Lsn) {
        let mut state = self.state();
        let ahead = state.ahead.iter_mut().find(|ahead| ahead.id == id).expect("it was begun");
        ahead.lsn = Some(lsn);
    }

    /// There will be no record: its pages are free.
    pub(crate) fn abandon(&self, id: RunId) {
        let mut state = self.state();
        if let Some(at) = state.ahead.iter().position(|ahead| ahead.id == id) {
            let ahead = state.ahead.swap_remove(at);
            ahead.pages.into_iter().for_each(|pages| state.allocator.give_back(pages));
        }
    }

    /// Notes pages that a record refers to which was found in the log.
    pub(crate) fn found_ahead(&self, pages: Vec<Range<u64>>, lsn: Lsn) {
        let id = self.begin_ahead();
        let mut state = self.state();
        let ahead = state.ahead.iter_mut().find(|ahead| ahead.id == id).expect("it was begun");
        (ahead.pages, ahead.lsn) = (pages, Some(lsn));
    }

    /// Forgets everything that was written ahead: what was found on the disk counts.
    pub(crate) fn forget_ahead(&self) {
        self.state().ahead.clear();
    }

    /// Returns the pages that one large commit has taken.
    pub(crate) fn pages_ahead(&self, id: RunId) -> Vec<Range<u64>> {
        let state = self.state();
        state.ahead.iter().find(|ahead| ahead.id == id).map_or_else(Vec::new, |ahead| ahead.pages.clone())
    }

    /// Adds all pages that are written ahead to `busy`.
    pub(crate) fn add_ahead(&self, busy: &mut PageMap) {
        let state = self.state();
        let pages = state.ahead.iter().flat_map(|ahead| &ahead.pages);
        pages.for_each(|pages| busy.insert(pages.clone()));
    }

    /// Forgets what was written ahead of records before `lsn`: a checkpoint has taken it over.
    pub(crate) fn covered(&self, lsn: Lsn) {
        self.state().ahead.retain(|ahead| ahead.lsn.is_none_or(|at| at >= lsn));
    }

    /// Begins anew with what is `busy` beside what is written ahead, and hands the page behind it all to `end`, while
    /// nobody takes any.
    pub(crate) fn reset(&self, mut busy: PageMap, end: impl FnOnce(u64)) {
        let mut state = self.state();
        state.ahead.iter().flat_map(|ahead| &ahead.pages).for_each(|pages| busy.insert(pages.clone()));
        state.allocator = Allocator::new(busy);
        end(state.allocator.end());
    }
}

/// How many values lie in each page: one whose count falls to zero is free.
#[derive(Debug, Default)]
pub(crate) struct Counts(Vec<u32>);

impl Counts {
    pub(crate) fn add(&mut self, pages: Range<u64>) {
        for page in pages {
            let page = usize::try_from(page).expect("as many counts as fit memory");
            if page >= self.0.len() {
                self.0.resize(page + 1, 0);
            }
            self.0[page] += 1;
        }
    }

    /// Takes a value out, and hands out the pages that have none left.
    pub(crate) fn remove(&mut self, pages: Range<u64>, mut freed: impl FnMut(PageId)) {
        for page in pages {
            let place = usize::try_from(page).expect("as many counts as fit memory");
            let Some(count) = self.0.get_mut(place) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                freed(PageId(page));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pages: &[u64]) -> PageMap {
        let mut map = PageMap::of_slots();
        pages.iter().for_each(|page| map.insert(*page..page + 1));
        map
    }

    #[test]
    fn maps_round_trip_and_know_their_end() {
        let map = map(&[3, 64, 200]);
        assert_eq!(map.end(), 201);
        assert_eq!(map.count(), 5);
        let mut again = PageMap::from_bytes(&map.to_bytes(300));
        assert!(again.contains(200) && !again.contains(199));
        again.remove(PageId(200));
        assert_eq!(again.end(), 65);
        assert_eq!(PageMap::default().end(), 0);
    }

    #[test]
    fn runs_fill_gaps_before_the_file_grows_and_never_overlap() {
        let mut allocator = Allocator::new(map(&[2, 5, 9]));
        assert_eq!(allocator.take(1, 1), 3..4);
        assert_eq!(allocator.take(2, 8), 6..9);
        assert_eq!(allocator.take(2, 2), 10..12);
        assert_eq!(allocator.take(1, 1), 4..5);
        assert_eq!(allocator.take(1, 1), 12..13);
        assert_eq!(allocator.take(4, 4), 13..17);
        allocator.give_back(14..17);
        assert_eq!(allocator.end(), 14);
        assert_eq!(allocator.take(1, 1), 14..15);
    }

    /// Whatever is free and however it is asked for: no page twice, none that is busy, and none beyond what was needed.
    #[test]
    fn what_is_handed_out_was_free() {
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        for _ in 0..300 {
            let mut busy = PageMap::of_slots();
            (0..next(60)).for_each(|_| {
                let page = next(200);
                busy.insert(page..page + 1 + next(9));
            });
            let mut seen = busy.clone();
            let mut allocator = Allocator::new(busy);
            for _ in 0..40 {
                let least = 1 + next(6);
                let most = least + next(4);
                let run = allocator.take(least, most);
                assert!((least..=most).contains(&(run.end - run.start)), "{run:?}");
                assert!(run.clone().all(|page| !seen.contains(page)), "{run:?}");
                seen.insert(run);
            }
            assert_eq!(allocator.end(), seen.end());
        }
    }

    #[test]
    fn pages_written_ahead_stay_busy_until_a_checkpoint_covers_their_record() {
        let space = Space::new();
        let (kept, dropped) = (space.begin_ahead(), space.begin_ahead());
        let run = space.take_ahead(kept, 2, 2);
        assert_eq!(space.take_ahead(dropped, 1, 1), 4..5);
        space.abandon(dropped);
        space.reset(PageMap::of_slots(), |end| assert_eq!(end, 4));
        space.logged(kept, Lsn(100));
        space.covered(Lsn(100));
        space.reset(PageMap::of_slots(), |end| assert_eq!(end, 4));
        assert_eq!(space.take(1, 1), 4..5);
        space.covered(Lsn(101));
        space.reset(PageMap::of_slots(), |_| ());
        assert_eq!(space.take(2, 2), run);
    }

    #[test]
    fn a_page_is_free_when_its_last_value_goes() {
        let mut counts = Counts::default();
        counts.add(3..5);
        counts.add(4..6);
        let mut freed = Vec::new();
        counts.remove(3..5, |page| freed.push(page.0));
        assert_eq!(freed, [3]);
        counts.remove(4..6, |page| freed.push(page.0));
        assert_eq!(freed, [3, 4, 5]);
    }

    #[test]
    fn a_map_has_room_for_its_own_pages() {
        for end in [2, 32_767, 32_768, 65_535, 1 << 20] {
            let pages = map_pages(end);
            assert!(map_bytes(end + pages) as u64 <= pages * PAGE_SIZE as u64);
        }
        assert_eq!((map_pages(10), map_pages(32_768)), (1, 2));
    }
}
