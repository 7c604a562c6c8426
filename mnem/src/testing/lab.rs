//! What a backend brings to its tests.

use std::sync::Arc;

use crate::Store;
use crate::error::Error;
use crate::port::OpenError;

/// What can be shown on a lab. A check that needs more is passed over, and says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// The store is kept when its last handle goes.
    pub keeps: bool,
    /// Several handles may be open at once.
    pub shares: bool,
    /// [`Lab::damage`] works.
    pub damages: bool,
    /// [`Lab::cut_power`] works.
    pub cuts_power: bool,
}

impl Abilities {
    /// Nothing: a store that ends with its last handle.
    pub const NONE: Abilities = Abilities { keeps: false, shares: false, damages: false, cuts_power: false };

    /// Says whether this is as much as `need`.
    pub const fn cover(self, need: Abilities) -> bool {
        (self.keeps || !need.keeps)
            && (self.shares || !need.shares)
            && (self.damages || !need.damages)
            && (self.cuts_power || !need.cuts_power)
    }
}

/// A place for one store, empty at first, and the accidents that can befall it.
pub trait Lab: Send + Sync {
    /// Names the backend.
    fn name(&self) -> &'static str;

    /// Declares what can be shown here.
    fn abilities(&self) -> Abilities;

    /// Opens the store; makes it the first time. After a power cut this is the restart.
    fn open(&self) -> Result<Arc<dyn Store>, OpenError>;

    /// Changes one bit of the place where `stored` (a block's bytes, or a row's value) is kept; `seed` chooses
    /// which. Called with no handle open, and only if declared.
    fn damage(&self, stored: &[u8], seed: u64);

    /// Lets the power fail after `calls` more calls to the disk: from then on every call fails. What was not made
    /// durable survives or not, as `seed` has it. Called with the store open, and only if declared. The next
    /// [`open`](Lab::open) comes after all handles are gone; if the power did not fail until then, it fails there.
    fn cut_power(&self, calls: u64, seed: u64);
}

/// Conveniences, the same on every lab.
pub trait LabExt: Lab {
    /// Closes the store, where that was the last handle, and opens it again.
    fn reopen(&self, store: Arc<dyn Store>) -> Result<Arc<dyn Store>, Error> {
        drop(store);
        Ok(self.open()?)
    }

    /// Returns `count` handles: of their own where the lab shares, else the same one.
    fn handles(&self, count: usize) -> Result<Vec<Arc<dyn Store>>, Error> {
        let first = self.open()?;
        let mut handles = vec![first];
        while handles.len() < count {
            let next = if self.abilities().shares { self.open()? } else { Arc::clone(&handles[0]) };
            handles.push(next);
        }
        Ok(handles)
    }
}

impl<L: Lab + ?Sized> LabExt for L {}
