//! What is current: the set of head operations.

use std::fmt;

use super::fault::Fault;
use crate::id::OperationId;

/// Names one of several repositories in a store. They share blocks, never heads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Box<str>);

impl Namespace {
    /// Longest name, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// Takes a name of 1 to 64 letters, digits, `-` and `_`, in lower case: it may become a folder's name.
    pub fn new(name: &str) -> Option<Namespace> {
        let letters =
            name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_');
        (letters && (1..=Self::BYTES_MAX).contains(&name.len())).then(|| Namespace(name.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    /// The namespace that is meant where none is named.
    fn default() -> Namespace {
        Namespace("main".into())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A change of one set of heads: the new set is the old one without `remove`, and with `add`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadsUpdate {
    /// Whose heads.
    pub namespace: Namespace,
    /// With this given, the heads must be exactly these, in any order; else nothing changes.
    pub expected: Option<Vec<OperationId>>,
    /// What becomes a head.
    pub add: Vec<OperationId>,
    /// What is one no more. Not being one is no error: somebody else removed it.
    pub remove: Vec<OperationId>,
}

impl HeadsUpdate {
    /// `new` takes the place of `old`, whatever others did meanwhile.
    pub fn advance(namespace: Namespace, old: &[OperationId], new: OperationId) -> HeadsUpdate {
        HeadsUpdate { namespace, expected: None, add: vec![new], remove: old.to_vec() }
    }

    /// Says whether this changes nothing and expects nothing.
    pub fn is_empty(&self) -> bool {
        self.expected.is_none() && self.add.is_empty() && self.remove.is_empty()
    }
}

/// Whether an update took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a swap that lost its race changed nothing"]
pub enum Swap {
    /// It did.
    Done,
    /// The heads were not the expected ones; nothing changed.
    Moved,
}

/// Keeps, for each namespace, the set of head operations.
///
///  P1  The set is never empty after its first update: an update that would leave none is refused.
///  P2  What is added shows before what is removed goes: no reader ever sees neither.
///  P3  With `expected`, all or [`Swap::Moved`]; without it, concurrent updates unite.
///  P4  Durable when it returns, together with every block stored before the call.
///  P5  A head names a block that is present: others are refused.
///  P6  An update of one namespace changes no other.
pub trait OpHeadsStore: Send + Sync {
    /// Returns the namespaces that have heads, in order.
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError>;

    /// Returns the heads, in ascending order. Empty before the first update.
    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError>;

    /// Changes the heads. Outside any lease: a collection that is under way cannot know what the new heads rest
    /// on, and gives up. What is added was a head before, or was put under a lease: such a block, as long as it is
    /// present, has all that it reaches. One that was put outside leases may have lost it.
    fn update(&self, update: &HeadsUpdate) -> Result<Swap, HeadsError>;
}

/// Why heads could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadsError {
    /// The medium failed, or the store is in a state that forbids this.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A head must name a block that is there.
    #[error("operation {head} cannot become a head: its block is missing")]
    Absent {
        /// The head.
        head: OperationId,
    },
    /// Without heads, all that was recorded would be out of reach.
    #[error("namespace {namespace} would be left without heads")]
    WouldBeEmpty {
        /// The namespace.
        namespace: Namespace,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_safe_as_folder_names() {
        for good in ["main", "a", "notes-2", "x_y", &"n".repeat(64)] {
            assert_eq!(Namespace::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "A", "a b", "ä", &"n".repeat(65)] {
            assert_eq!(Namespace::new(bad), None, "{bad}");
        }
        assert_eq!(Some(Namespace::default()), Namespace::new("main"));
    }
}
