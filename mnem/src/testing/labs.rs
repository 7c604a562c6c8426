//! The labs of mnem's own backends, on the file system of the machine.

use std::sync::Arc;

use super::lab::{Abilities, Lab};
use crate::Store;
use crate::port::OpenError;
use mnem_core::memory::MemoryStore;

/// Returns a fresh lab of each backend that is built in.
pub fn labs() -> Vec<Box<dyn Lab>> {
    vec![Box::new(MemoryLab::new())]
}

/// A store in memory, which stays as long as the lab.
#[derive(Debug, Default)]
pub struct MemoryLab {
    store: MemoryStore,
}

impl MemoryLab {
    /// Makes a fresh one.
    pub fn new() -> MemoryLab {
        MemoryLab::default()
    }
}

impl Lab for MemoryLab {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn abilities(&self) -> Abilities {
        // The same store again: it shares, and it is there as long as the lab is.
        Abilities { keeps: true, shares: true, ..Abilities::NONE }
    }

    fn open(&self) -> Result<Arc<dyn Store>, OpenError> {
        Ok(Arc::new(self.store.clone()))
    }

    fn damage(&self, _: &[u8], _: u64) {
        unreachable!("not declared");
    }

    fn cut_power(&self, _: u64, _: u64) {
        unreachable!("not declared");
    }
}
