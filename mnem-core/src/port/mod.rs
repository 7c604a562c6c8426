//! The ports: what a backend promises. Traits and their errors, nothing else.
//!
//! * [`BlockRead`] and [`Blockstore`]: what exists.
//! * [`OpHeadsStore`]: what is current.
//! * [`Store`]: both, changed in one atomic step.
//! * [`SideTable`]: derived rows, whose loss costs time and never data.
//! * [`Collector`]: leases, cycles, and the only way to delete.
//!
//! Every promise has a number (S1, P2, T3, R1, C4). The conformance suite has a test of the same number and runs it
//! on every backend. Ports have no default methods: a default with a weaker guarantee than an override would be two
//! promises under one name. All ports are synchronous, object-safe and used through shared references.

mod blockstore;
mod collector;
mod fault;
mod heads;
mod open;
mod side;
mod store;

pub use blockstore::{BlockRead, BlockReadExt, Blockstore, CidStream, StoreError, check_size};
pub use collector::{Collector, CollectorError, Compact, Cycle, Deleted, Lease, LeaseId, LeaseKeeper};
pub use fault::Fault;
pub use heads::{HeadsError, HeadsUpdate, Namespace, OpHeadsStore, Swap};
pub use open::{Marker, OpenError};
pub use side::{
    ROW_KEY_BYTES_MAX, ROW_VALUE_BYTES_MAX, Row, RowStream, RowTable, SideError, SideTable, check_rows,
};
pub use store::{Store, StoreSnapshot, WriteBatch};
