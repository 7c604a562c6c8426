//! The matrix: every check of every numbered promise, on every backend. The one list of backends.
//!
//! The real disk cannot lose its power, so the durable backends appear twice: as they are used, and on the
//! simulated disk.

use mnem::testing::{MemoryLab, NativeLab, RedbLab, SimpleLab};
use mnem_tests::{SimNativeLab, SimRedbLab, SimSharedNativeLab, SimSimpleLab};

mnem::conformance! {
    memory: MemoryLab::new(),
    simple: SimpleLab::new(),
    redb: RedbLab::new(),
    native: NativeLab::new(),
    native_shared: NativeLab::shared(),
    simple_simulated: SimSimpleLab::new(),
    redb_simulated: SimRedbLab::new(),
    native_simulated: SimNativeLab::new(),
    native_shared_simulated: SimSharedNativeLab::new(),
}
