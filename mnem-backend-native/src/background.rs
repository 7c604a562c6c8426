//! One thread for all open stores of the process: it runs the checkpoints that writers ask for.
//!
//! Used by: `engine`. Threads: this is the one.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;

use crate::engine::Inner;

/// Where the thread takes its work from. Absent: the system gave us none.
static WORK: OnceLock<Option<Mutex<Sender<Weak<Inner>>>>> = OnceLock::new();

/// Has a store maintained soon; at once, where there is no thread for it.
pub(crate) fn schedule(inner: &Arc<Inner>) {
    if inner.is_scheduled.swap(true, Ordering::AcqRel) {
        return;
    }
    let sent = WORK.get_or_init(start).as_ref().is_some_and(|work| {
        let work = work.lock().unwrap_or_else(PoisonError::into_inner);
        work.send(Arc::downgrade(inner)).is_ok()
    });
    if !sent {
        inner.is_scheduled.store(false, Ordering::Release);
        inner.maintain();
    }
}

fn start() -> Option<Mutex<Sender<Weak<Inner>>>> {
    let (sender, receiver) = channel::<Weak<Inner>>();
    let run = move || {
        for store in receiver {
            if let Some(inner) = store.upgrade() {
                inner.is_scheduled.store(false, Ordering::Release);
                inner.maintain();
            }
        }
    };
    thread::Builder::new().name("mnem-native".to_owned()).spawn(run).ok().map(|_| Mutex::new(sender))
}
