//! Compares codes pair by pair: all with all, or some with all.
//!
//! A tile of codes is widened once and then compared with every other code in turn, four at a time, so that a code is read
//! once a tile. Of two codes both lists are shown the other: each pair is compared once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mnem_core::tree::Executor;

use super::lists::Lists;
use super::rows::Rows;
use crate::error::SearchError;
use crate::kernel::fast;
use crate::progress::Watched;

/// How many codes are compared with one that is read.
const TILE: usize = 32;

/// Terms whose sum has room in 32 bits.
const TERMS_MAX: usize = 65_536;

/// Tiles between two reports.
const TILES_AT_ONCE: usize = 8;

/// Widened codes of a few slots.
struct Tile {
    slots: Vec<u32>,
    codes: Vec<i16>,
    dim: usize,
    dots: [i64; TILE],
}

impl Tile {
    fn new(rows: &Rows, slots: &[u32]) -> Tile {
        let codes = slots.iter().flat_map(|slot| rows.codes(*slot)).map(|code| i16::from(*code)).collect();
        Tile { slots: slots.to_vec(), codes, dim: rows.dim, dots: [0; TILE] }
    }

    /// Multiplies every code of the tile with one.
    #[inline(always)]
    fn multiply(&mut self, code: &[i16]) {
        let dim = self.dim;
        if dim == 0 || dim > TERMS_MAX {
            for (at, dot) in self.dots.iter_mut().enumerate().take(self.slots.len()) {
                let own = &self.codes[at * dim..][..dim];
                *dot = own.iter().zip(code).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
            }
            return;
        }
        let mut fours = self.codes.chunks_exact(4 * dim);
        let mut at = 0;
        for four in &mut fours {
            let (a, rest) = four.split_at(dim);
            let (b, rest) = rest.split_at(dim);
            let (c, d) = rest.split_at(dim);
            let mut sums = [0_i32; 4];
            for ((((x, a), b), c), d) in code.iter().zip(a).zip(b).zip(c).zip(d) {
                let x = i32::from(*x);
                sums[0] += x * i32::from(*a);
                sums[1] += x * i32::from(*b);
                sums[2] += x * i32::from(*c);
                sums[3] += x * i32::from(*d);
            }
            for sum in sums {
                self.dots[at] = i64::from(sum);
                at += 1;
            }
        }
        for own in fours.remainder().chunks_exact(dim) {
            self.dots[at] =
                i64::from(own.iter().zip(code).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>());
            at += 1;
        }
    }
}

/// Compares the slots of a tile with all slots from `from` on, each pair once.
fn compare_half(rows: &Rows, slots: &[u32], lists: &mut Lists) {
    let mut tile = Tile::new(rows, slots);
    let mut code = vec![0; rows.dim];
    let first = slots[0];
    fast(
        #[inline(always)]
        || {
            for other in first..u32::try_from(rows.slots()).expect("slots have numbers of 32 bits") {
                if !rows.is_alive(other) {
                    continue;
                }
                widen(rows.codes(other), &mut code);
                tile.multiply(&code);
                for (slot, dot) in tile.slots.iter().zip(&tile.dots) {
                    // The pairs within the tile are met from both sides: taken from one.
                    if *slot < other {
                        let measure = rows.measure(*slot, other, *dot);
                        if measure >= lists.bar(*slot) {
                            lists.show(*slot, other, measure, rows);
                        }
                        if measure >= lists.bar(other) {
                            lists.show(other, *slot, measure, rows);
                        }
                    }
                }
            }
        },
    );
}

#[inline(always)]
fn widen(codes: &[i8], wide: &mut [i16]) {
    for (wide, code) in wide.iter_mut().zip(codes) {
        *wide = i16::from(*code);
    }
}

/// Compares every pair.
pub(super) fn all(
    rows: &Rows,
    k: usize,
    executor: &dyn Executor,
    watch: &mut Watched<'_>,
) -> Result<Lists, SearchError> {
    let slots: Vec<u32> = (0..).take(rows.slots()).collect();
    let tiles: Vec<&[u32]> = slots.chunks(TILE).collect();
    let width = executor.width().clamp(1, tiles.len().max(1));
    let parts: Vec<Mutex<Lists>> = (0..width).map(|_| Mutex::new(Lists::new(rows.slots(), k))).collect();
    let total = tiles.len() as u64;
    for some in tiles.chunks(TILES_AT_ONCE * width) {
        let next = AtomicUsize::new(0);
        let (next, tasks) = (&next, parts.iter());
        let task =
            |lists| -> Box<dyn FnOnce() + Send + '_> { Box::new(move || work(rows, some, next, lists)) };
        executor.run(tasks.map(task).collect());
        for _ in some {
            watch.step_of(total)?;
        }
    }
    let mut parts =
        parts.into_iter().map(|part| part.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
    let mut lists = parts.next().unwrap_or_else(|| Lists::new(rows.slots(), k));
    parts.for_each(|part| lists.merge(&part, rows));
    Ok(lists)
}

/// Takes one tile after the other until none is left. Which worker takes which makes no difference: a list has the nearest
/// of all that were shown to it, in whatever order.
fn work(rows: &Rows, tiles: &[&[u32]], next: &AtomicUsize, lists: &Mutex<Lists>) {
    let mut lists = lists.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    while let Some(tile) = tiles.get(next.fetch_add(1, Ordering::Relaxed)) {
        compare_half(rows, tile, &mut lists);
    }
}

/// Compares `some` slots with all others. `shown` is given each pair that may have a place in one of the two lists.
pub(super) fn some(rows: &Rows, some: &[u32], mut shown: impl FnMut(u32, u32, f32)) {
    for slots in some.chunks(TILE) {
        let mut tile = Tile::new(rows, slots);
        let mut code = vec![0; rows.dim];
        let shown = &mut shown;
        fast(
            #[inline(always)]
            || {
                for other in 0..u32::try_from(rows.slots()).expect("slots have numbers of 32 bits") {
                    if !rows.is_alive(other) {
                        continue;
                    }
                    widen(rows.codes(other), &mut code);
                    tile.multiply(&code);
                    for (slot, dot) in tile.slots.iter().zip(&tile.dots) {
                        if *slot != other {
                            shown(*slot, other, rows.measure(*slot, other, *dot));
                        }
                    }
                }
            },
        );
    }
}
