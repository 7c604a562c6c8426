//! What only the native engine has: a doctor, and repair.

use std::ops::ControlFlow;
use std::path::Path;

use mnem_core::progress::{Listener, Progress};

pub use mnem_backend_native::doctor::{
    Ailment, Doctor, Examination, Finding, Level, PageCounts, RepairError, Repaired, Severity, Shown,
};
pub use mnem_backend_native::{Lsn, PageId, RecoveryReport, StorageEngine, StorageMetrics, StorageOptions};

use crate::backup::staged;
use crate::error::Error;
use crate::url::StoreUrl;

/// Hands on where work stands. That it cannot be stopped does no harm: it only reads.
fn tell(listener: &mut Listener<'_>) -> impl FnMut(&'static str, u64, u64) {
    move |step, done, total| {
        let _: ControlFlow<()> = listener(&Progress::new(step, done, (total > 0).then_some(total)));
    }
}

/// Looks at everything in the store at `path` that `level` names. Nothing is written.
pub fn examine(path: &Path, level: Level, listener: &mut Listener<'_>) -> Result<Examination, Error> {
    Ok(Doctor::new(path).examine(level, &mut tell(listener))?)
}

/// Saves what is good in the store at `path` to a new store of any kind at `url`, where nothing is yet. The damaged store
/// is only read; the new one has its place when it is whole.
pub fn repair(path: &Path, url: &StoreUrl, listener: &mut Listener<'_>) -> Result<Repaired, Error> {
    staged(url, |store| Ok(Doctor::new(path).repair(store.as_ref(), &mut tell(listener))?))
}
