//! The repository: states, names, and how they change.

mod moment;
mod revision;

pub use moment::Moment;
pub use revision::{Base, REVISION_BYTES_MAX, Revision, RevisionError, Step};
