//! Why something is no value, or not the one that was asked for.

use super::VALUE_DEPTH_MAX;

/// What was given cannot be a value, or a property is not what the caller takes it for. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// NaN and the infinities have no encoding.
    #[error("{found} is not a finite number")]
    NotFinite {
        /// What was given, as text.
        found: String,
    },
    /// Integers are those of `i64`.
    #[error("{found} does not fit an integer of 64 bits with sign")]
    OutOfRange {
        /// What was given, as text.
        found: String,
    },
    /// A name has a limit.
    #[error("{what} of {found_bytes} bytes, at most {max_bytes} are allowed")]
    TooLong {
        /// What it is a name of.
        what: &'static str,
        /// Its length.
        found_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// Names are neither empty nor `/`, which the text form of links reserves.
    #[error("{what} cannot be {name:?}")]
    Name {
        /// What it was to be a name of.
        what: &'static str,
        /// What was given.
        name: String,
    },
    /// Lists and maps nest too deep.
    #[error("lists and maps nest at most {VALUE_DEPTH_MAX} deep")]
    TooDeep,
    /// A property holds another type than the caller asked for.
    #[error("property `{property}` is {found}, not {expected}")]
    WrongType {
        /// Its name.
        property: String,
        /// What was asked for.
        expected: &'static str,
        /// What it holds.
        found: &'static str,
    },
    /// There is no such property.
    #[error("no property `{property}`")]
    Missing {
        /// The name that was asked for.
        property: String,
    },
}

impl From<std::convert::Infallible> for ValueError {
    fn from(never: std::convert::Infallible) -> ValueError {
        match never {}
    }
}
