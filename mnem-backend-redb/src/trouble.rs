//! What redb reports, and what the ports make of it.
//!
//! redb checks its pages only when it repairs a file. On a damaged one it may therefore panic as well as report; both
//! are damage to us, so every call into redb goes through [`contain`].

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mnem_core::port::Fault;

use crate::gate::Gate;

/// An error on its way out of a call into redb.
#[derive(Debug)]
pub(crate) enum Trouble {
    Redb(redb::Error),
    Fault(Fault),
    /// redb met something that it holds impossible.
    Panic(String),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Trouble {
        Trouble::Fault(fault)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Redb(redb::Error::Io(error))
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for Trouble {
            fn from(error: $error) -> Trouble {
                Trouble::Redb(error.into())
            }
        })*
    };
}
from_redb!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::CompactionError,
    redb::DatabaseError,
    redb::SetDurabilityError
);

/// Runs `call`, and turns a panic within into an error.
///
/// What `call` shares with others is redb's own, which locks itself up after a panic, and our counters, which do not
/// depend on each other: nothing half done is seen afterwards.
pub(crate) fn contain<T>(call: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        let words = payload.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| payload.downcast_ref::<&str>().copied());
        Err(Trouble::Panic(words.unwrap_or("without a message").to_owned()))
    })
}

impl Trouble {
    /// Files the error where it belongs. `at` is the store's name.
    pub(crate) fn into_fault(self, at: &str, gate: &Gate) -> Fault {
        let damage =
            |details: String| Fault::Corrupt { what: "the redb file", at: format!("{at} ({details})") };
        match self {
            Trouble::Fault(fault) => fault,
            Trouble::Panic(words) => {
                gate.fail("check of its structure");
                damage(words)
            }
            Trouble::Redb(redb::Error::Io(source)) => Fault::io(gate.failed().unwrap_or("use"), at, source),
            Trouble::Redb(error) => match gate.failed() {
                // After a failure redb refuses everything, in various words.
                Some(action) => Fault::Poisoned { action },
                None => damage(error.to_string()),
            },
        }
    }
}
