//! Derived rows: what can be computed again from blocks.

use std::fmt;

use bytes::Bytes;

use super::fault::Fault;

/// Longest key of a row.
pub const ROW_KEY_BYTES_MAX: usize = 1024;

/// Longest value of a row.
pub const ROW_VALUE_BYTES_MAX: usize = 1 << 20;

/// Names a table of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowTable(&'static str);

impl RowTable {
    /// Takes a name of 1 to 32 letters, digits and `-`, in lower case.
    ///
    /// # Panics
    /// On any other name: names are constants of programs, so this happens while they are compiled.
    pub const fn new(name: &'static str) -> RowTable {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty() && bytes.len() <= 32, "a table's name has 1 to 32 bytes");
        let mut at = 0;
        while at < bytes.len() {
            let c = bytes[at];
            assert!(
                c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-',
                "a table's name is lower case"
            );
            at += 1;
        }
        RowTable(name)
    }

    /// Returns the name.
    pub const fn name(&self) -> &'static str {
        self.0
    }
}

impl fmt::Display for RowTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// In which table.
    pub table: RowTable,
    /// Under which key.
    pub key: Bytes,
    /// What it becomes; `None` removes it.
    pub value: Option<Bytes>,
}

/// Rows in ascending order of their keys. Owned, and ends after its first error.
pub type RowStream = Box<dyn Iterator<Item = Result<(Bytes, Bytes), SideError>> + Send>;

/// Keeps rows that are derived from blocks.
///
///  R1  A row reads as it was last put, or not at all: never as other bytes. A torn row is absent.
///  R2  Losing rows never keeps a store from opening, and never changes a block or a head.
///  R3  `rows` ascends by key, from the first key at or after `from`, and gives each row once.
///  R4  A key or value over its limit is refused, and with it all that were given in the same call.
///  R5  Rows are visible on return, and durable no earlier than the next commit or sync.
pub trait SideTable: Send + Sync {
    /// Returns a row.
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError>;

    /// Lists rows.
    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError>;

    /// Changes rows.
    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError>;

    /// Removes every row of a table.
    fn clear_rows(&self, table: RowTable) -> Result<(), SideError>;
}

/// Refuses rows over the limits: the check behind R4, for backends to call before they write.
pub fn check_rows(rows: &[Row]) -> Result<(), SideError> {
    let over = |row: &&Row| {
        row.key.len() > ROW_KEY_BYTES_MAX
            || row.value.as_ref().is_some_and(|value| value.len() > ROW_VALUE_BYTES_MAX)
    };
    match rows.iter().find(over) {
        Some(row) => Err(SideError::TooLarge { table: row.table }),
        None => Ok(()),
    }
}

/// Why rows could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SideError {
    /// The medium failed, or the store is in a state that forbids this.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A key is over 1 KiB, or a value over 1 MiB.
    #[error(
        "a row of {table} is over the limit of {ROW_KEY_BYTES_MAX} bytes of key and {ROW_VALUE_BYTES_MAX} of value"
    )]
    TooLarge {
        /// The table.
        table: RowTable,
    },
}
