//! The durable backends on a disk that cuts the power.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mnem::Store;
use mnem::port::OpenError;
use mnem::testing::{Abilities, Lab};
use mnem_backend_native::{Compression, MaintenancePolicy, StorageEngine, StorageMode, StorageOptions};
use mnem_backend_simple::SimpleStore;
use mnem_vfs::sim::Crash;
use mnem_vfs::{Kind, SimVfs, Vfs as _};

use crate::redb;

/// A simulated disk that may be about to lose its power.
struct SimDisk {
    /// Any outcome of a power cut that the backend is made for, by the seed.
    any: fn(u64) -> Crash,
    state: Mutex<State>,
}

struct State {
    disk: SimVfs,
    cut: Option<u64>,
}

impl SimDisk {
    fn new(any: fn(u64) -> Crash) -> SimDisk {
        SimDisk { any, state: Mutex::new(State { disk: SimVfs::new(), cut: None }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the disk as a new process sees it; after a cut, as the restarted machine does.
    fn process(&self) -> SimVfs {
        let mut state = self.state();
        if let Some(seed) = state.cut.take() {
            state.disk.cut_power();
            state.disk = state.disk.restart(outcome(seed, self.any));
        }
        state.disk.process()
    }

    fn cut_power(&self, calls: u64, seed: u64) {
        let mut state = self.state();
        state.disk.cut_at(state.disk.calls() + calls);
        state.cut = Some(seed);
    }

    fn damage(&self, stored: &[u8], seed: u64) -> io::Result<usize> {
        let disk = self.process();
        let mut damaged = 0;
        let mut folders = vec![PathBuf::from("/")];
        while let Some(folder) = folders.pop() {
            for entry in disk.list(&folder)? {
                let entry = entry?;
                let path = folder.join(entry.name);
                if entry.kind == Kind::Dir {
                    folders.push(path);
                    continue;
                }
                let content = disk.peek(&path)?;
                let found = content.windows(stored.len()).enumerate().filter(|(_, part)| *part == stored);
                for (at, _) in found {
                    disk.flip_bit(&path, at as u64 * 8 + seed % (stored.len() as u64 * 8))?;
                    damaged += 1;
                }
            }
        }
        Ok(damaged)
    }
}

/// What a power cut leaves: for every fourth seed the least, for every fourth the most, else anything.
fn outcome(seed: u64, any: fn(u64) -> Crash) -> Crash {
    match seed % 4 {
        0 => Crash::KEEPS_SYNCED,
        1 => Crash::KEEPS_ALL,
        _ => any(seed),
    }
}

const ALL: Abilities = Abilities { keeps: true, shares: true, damages: true, cuts_power: true };

macro_rules! sim_lab {
    ($(#[$doc:meta])* $lab:ident, $name:literal, $abilities:expr, $any:expr, $open:expr) => {
        $(#[$doc])*
        pub struct $lab(SimDisk);

        impl $lab {
            /// Makes a fresh one.
            pub fn new() -> $lab {
                $lab(SimDisk::new($any))
            }
        }

        impl Default for $lab {
            fn default() -> $lab {
                $lab::new()
            }
        }

        impl Lab for $lab {
            fn name(&self) -> &'static str {
                $name
            }

            fn abilities(&self) -> Abilities {
                $abilities
            }

            fn open(&self) -> Result<Arc<dyn Store>, OpenError> {
                $open(self.0.process())
            }

            fn damage(&self, stored: &[u8], seed: u64) {
                let damaged = self.0.damage(stored, seed).expect("no fault is planned");
                assert!(damaged > 0, "the bytes to damage are in no file");
            }

            fn cut_power(&self, calls: u64, seed: u64) {
                self.0.cut_power(calls, seed);
            }
        }
    };
}

sim_lab! {
    /// Plain files on the simulated disk; each handle is a process of its own.
    SimSimpleLab, "simple on a simulated disk", ALL, Crash::random, open_simple
}

sim_lab! {
    /// redb on the simulated disk.
    SimRedbLab, "redb on a simulated disk", Abilities { shares: false, ..ALL }, redb::crash, open_redb
}

sim_lab! {
    /// Pages and a log on the simulated disk, with small limits, so that the log goes round.
    SimNativeLab, "native on a simulated disk", Abilities { shares: false, ..ALL }, Crash::random, open_native
}

sim_lab! {
    /// The same, each handle a process of its own.
    SimSharedNativeLab, "native on a simulated disk, shared", ALL, Crash::random, open_native_shared
}

fn open_native(disk: SimVfs) -> Result<Arc<dyn Store>, OpenError> {
    open_native_as(disk, StorageMode::Single)
}

fn open_native_shared(disk: SimVfs) -> Result<Arc<dyn Store>, OpenError> {
    open_native_as(disk, StorageMode::Shared)
}

fn open_native_as(disk: SimVfs, mode: StorageMode) -> Result<Arc<dyn Store>, OpenError> {
    let options = StorageOptions {
        mode,
        compression: Compression::None,
        segment_bytes_max: 32 << 10,
        checkpoint_bytes: 64 << 10,
        direct_bytes: 16 << 10,
        maintenance: MaintenancePolicy::Inline,
        ..StorageOptions::default()
    };
    Ok(Arc::new(StorageEngine::open_or_init_with(Arc::new(disk), "/store", options)?))
}

fn open_simple(disk: SimVfs) -> Result<Arc<dyn Store>, OpenError> {
    Ok(Arc::new(SimpleStore::open_or_init_with(Arc::new(disk), "/store")?))
}

#[allow(clippy::needless_pass_by_value, reason = "both openers have one form")]
fn open_redb(disk: SimVfs) -> Result<Arc<dyn Store>, OpenError> {
    Ok(Arc::new(redb::open(&disk)?))
}
