//! URLs: one text that says which backend, and where.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Which backend, and where its store is.
///
/// | text          | store                                                      |
/// |---------------|------------------------------------------------------------|
/// | `memory:`     | in memory, empty at first, gone with its last handle       |
/// | `simple:PATH` | plain files in the folder PATH, readable with any tool     |
/// | `redb:PATH`   | PATH is one redb file                                      |
/// | `native:PATH` | pages and a log of mnem's own in the folder PATH           |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreUrl {
    /// In memory.
    Memory,
    /// Plain files in a folder.
    Simple(PathBuf),
    /// One redb file.
    Redb(PathBuf),
    /// Pages and a log.
    Native(PathBuf),
}

impl StoreUrl {
    /// Returns the word before the colon.
    pub const fn kind(&self) -> &'static str {
        match self {
            StoreUrl::Memory => "memory",
            StoreUrl::Simple(_) => "simple",
            StoreUrl::Redb(_) => "redb",
            StoreUrl::Native(_) => "native",
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Memory => f.write_str("memory:"),
            StoreUrl::Simple(path) | StoreUrl::Redb(path) | StoreUrl::Native(path) => {
                write!(f, "{}:{}", self.kind(), path.display())
            }
        }
    }
}

impl FromStr for StoreUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<StoreUrl, BadUrl> {
        let Some((kind, path)) = text.split_once(':') else {
            return Err(BadUrl::NoKind { text: text.into() });
        };
        let with_path = |make: fn(PathBuf) -> StoreUrl| {
            if path.is_empty() { Err(BadUrl::NoPath { kind: kind.into() }) } else { Ok(make(path.into())) }
        };
        match kind {
            "memory" if path.is_empty() => Ok(StoreUrl::Memory),
            "memory" => Err(BadUrl::PathInMemory { path: path.into() }),
            "simple" => with_path(StoreUrl::Simple),
            "redb" => with_path(StoreUrl::Redb),
            "native" => with_path(StoreUrl::Native),
            _ => Err(BadUrl::UnknownKind { kind: kind.into() }),
        }
    }
}

/// Why a text is no URL of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadUrl {
    /// It does not say which backend.
    #[error("`{text}` does not say which kind of store it is; write KIND:PATH, for example simple:{text}")]
    NoKind {
        /// The text.
        text: String,
    },
    /// No backend has this name.
    #[error("`{kind}` is no kind of store; there are memory:, simple:PATH, redb:PATH, native:PATH")]
    UnknownKind {
        /// The name.
        kind: String,
    },
    /// It does not say where.
    #[error("`{kind}:` does not say where; write {kind}:PATH")]
    NoPath {
        /// The backend.
        kind: String,
    },
    /// A store in memory is nowhere.
    #[error("a store in memory has no path, but `{path}` was given; write memory:")]
    PathInMemory {
        /// What was given.
        path: String,
    },
    /// This program was built without that backend.
    #[error("the {kind} backend is not built into this program; {hint}")]
    NotBuiltIn {
        /// The backend.
        kind: &'static str,
        /// What to do.
        hint: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_round_trips() {
        for text in ["memory:", "simple:./a b", "redb:/x/y.redb", "native:n", "simple:C:\\store"] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_url_says_what_to_write_instead() {
        let check = |text: &str, part: &str| {
            let said = text.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(said.contains(part), "{text}: {said}");
        };
        check("./memory", "simple:./memory");
        check("", "KIND:PATH");
        check("simple:", "simple:PATH");
        check("memory:./x", "write memory:");
        check("postgres://x", "redb:PATH");
        check("Simple:x", "no kind of store");
    }
}
