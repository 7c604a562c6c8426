//! Opening: what a place says it is, and why it cannot be opened.

use std::io;

use super::fault::Fault;

/// What the file `mnem-store` in a store's folder says: one line, `mnem KIND FORMAT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Which backend wrote the folder.
    pub kind: String,
    /// The version of its format.
    pub format: u32,
}

impl Marker {
    /// Name of the file.
    pub const FILE: &'static str = "mnem-store";

    /// Longest content: what is longer was not written by mnem.
    pub const BYTES_MAX: usize = 64;

    /// Returns the content of the file.
    pub fn to_text(&self) -> String {
        format!("mnem {} {}\n", self.kind, self.format)
    }

    /// Reads the content of the file.
    pub fn parse(text: &[u8]) -> Option<Marker> {
        let text = str::from_utf8(text).ok().filter(|text| text.len() <= Self::BYTES_MAX)?;
        let mut words = text.strip_suffix('\n')?.split(' ');
        let marker = match (words.next()?, words.next()?, words.next()?, words.next()) {
            ("mnem", kind, format, None) => Marker { kind: kind.to_owned(), format: format.parse().ok()? },
            _ => return None,
        };
        // One content for one meaning: no signs, no leading zeros.
        (marker.to_text() == text).then_some(marker)
    }
}

/// Why a store cannot be opened. Nothing was created or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is nothing at this place. Make a store there first.
    #[error("there is no store at {at}; make one with `open_or_init`")]
    Missing {
        /// The place.
        at: String,
    },
    /// What is there was not made by mnem. Choose another place.
    #[error("{at} is not a store: {found}; choose an empty or new place")]
    NotAStore {
        /// The place.
        at: String,
        /// What is there instead.
        found: &'static str,
    },
    /// There is a store already where a new one was to be made.
    #[error("there is a store at {at} already; open it")]
    Exists {
        /// The place.
        at: String,
    },
    /// The system does not let this program at it.
    #[error("may not {action} {at}; change its permissions, or, if it can be read, open it for reading only")]
    NotPermitted {
        /// What was tried.
        action: &'static str,
        /// On what.
        at: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another backend made this store. Open it as what it is.
    #[error("{at} is a {found} store, not a {wanted} store; open it as {found}:{at}")]
    OtherKind {
        /// The place.
        at: String,
        /// What it is.
        found: String,
        /// What it was opened as.
        wanted: &'static str,
    },
    /// A newer mnem wrote this store. Install that one; the store was not touched.
    #[error("{at} has format {found}, this mnem reads up to {readable}; use a newer mnem")]
    NewerFormat {
        /// The place.
        at: String,
        /// Its format.
        found: u32,
        /// The newest format that can be read.
        readable: u32,
    },
    /// Somebody else has the store open, and this backend allows one at a time.
    #[error(
        "{at} is already open elsewhere ({by}); close it there, or open for reading where the backend allows it"
    )]
    Locked {
        /// The place.
        at: String,
        /// Who has it, as far as is known.
        by: String,
    },
    /// The medium failed, or what is there is damaged.
    #[error(transparent)]
    Fault(Fault),
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> OpenError {
        match fault {
            Fault::Io { action, at, source }
                if matches!(
                    source.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                OpenError::NotPermitted { action, at, source }
            }
            other => OpenError::Fault(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_may_not_be_written_is_told_from_one_that_fails() {
        let open = |kind: io::ErrorKind| OpenError::from(Fault::io("open", "there", kind.into()));
        assert!(matches!(open(io::ErrorKind::PermissionDenied), OpenError::NotPermitted { .. }));
        assert!(matches!(open(io::ErrorKind::ReadOnlyFilesystem), OpenError::NotPermitted { .. }));
        assert!(matches!(open(io::ErrorKind::Other), OpenError::Fault(Fault::Io { .. })));
    }

    #[test]
    fn marker_round_trips_and_has_one_text() {
        let marker = Marker { kind: "simple".into(), format: 1 };
        assert_eq!(marker.to_text(), "mnem simple 1\n");
        assert_eq!(Marker::parse(marker.to_text().as_bytes()), Some(marker));
        for other in
            ["", "mnem simple 1", "mnem simple 01\n", "mnem simple +1\n", "mnem simple\n", "git 1 2\n"]
        {
            assert_eq!(Marker::parse(other.as_bytes()), None, "{other:?}");
        }
    }
}
