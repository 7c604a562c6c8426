//! What an examination says.

use std::fmt;

use crate::json::{self, Object};
use crate::wal::Lsn;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing that was stored is lost by it.
    Warning,
    /// Something that was stored cannot be read, or may be lost.
    Error,
}

macro_rules! ailments {
    ($($severity:ident $name:ident $code:literal $says:literal;)*) => {
        /// What can be wrong with a store.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Ailment {
            $(#[doc = $says] $name,)*
        }

        impl Ailment {
            /// All of them.
            pub const ALL: &[Ailment] = &[$(Ailment::$name),*];

            /// Returns the word for programs.
            pub const fn code(self) -> &'static str {
                match self { $(Ailment::$name => $code,)* }
            }

            /// Returns the sentence for people.
            pub const fn says(self) -> &'static str {
                match self { $(Ailment::$name => $says,)* }
            }

            /// Returns how bad it is.
            pub const fn severity(self) -> Severity {
                match self { $(Ailment::$name => Severity::$severity,)* }
            }
        }
    };
}

ailments! {
    Error MarkerMissing "marker-missing" "the marker is missing";
    Error MarkerDamaged "marker-damaged" "the marker cannot be read";
    Error OtherKind "other-kind" "the marker is that of another kind of store";
    Error NewerFormat "newer-format" "a newer program wrote this";
    Error DataMissing "data-missing" "the data file is missing";
    Error DataShort "data-short" "the data file ends before its last used page";
    Error SuperblocksLost "superblocks-lost" "neither superblock passes";
    Warning SuperblockDamaged "superblock-damaged" "one superblock does not pass: a checkpoint was cut off, or it is damaged";
    Error SuperblockForeign "superblock-foreign" "the superblocks are of two stores";
    Error MapDamaged "map-damaged" "the map of used pages does not pass";
    Warning OlderMapDamaged "older-map-damaged" "the older superblock's map of used pages does not pass";
    Error Unreadable "unreadable" "the system cannot read this";
    Error PageDamaged "page-damaged" "an index page does not pass its checksum";
    Error PageStale "page-stale" "an index page is not the one that its parent points at";
    Error PageMisplaced "page-misplaced" "an index page is at another page's place";
    Error PageSenseless "page-senseless" "an index page passes its checksum and makes no sense";
    Error PageLevel "page-level" "an index page is of another level than its parent says";
    Error PageOutside "page-outside" "a pointer leads out of the data file";
    Error PageTwice "page-twice" "an index page is reached twice";
    Error PageShared "page-shared" "a page is used for two things";
    Error PageUnmarked "page-unmarked" "a page is used and not marked as used";
    Warning PagesLeaked "pages-leaked" "pages are marked as used and nothing reaches them";
    Error KeyOrder "key-order" "keys do not ascend";
    Error KeyUnknown "key-unknown" "a key is none that this format has";
    Error KeyCount "key-count" "the index has another number of keys than the superblock says";
    Error LocatorBad "locator-bad" "a value points to where no value can be";
    Error HeadAbsent "head-absent" "a head names a block that is not there";
    Error LogSegmentMissing "log-segment-missing" "the log segment that the superblock names is missing";
    Warning LogSegmentDamaged "log-segment-damaged" "the header of a log segment does not pass; it is not in use";
    Warning LogSegmentForeign "log-segment-foreign" "a log segment is of another store";
    Error LogLost "log-lost" "log records are missing that were acknowledged";
    Error LogRecord "log-record" "a log record passes its checksum and cannot be read";
    Warning LogTail "log-tail" "behind the end of the log is something that was never acknowledged; opening drops it";
    Error LogBlock "log-block" "a block in the log is not what its name says";
    Error GroupDamaged "group-damaged" "no value group is where values should be";
    Error GroupStale "group-stale" "a value group is not the one that the index points at";
    Error GroupPayload "group-payload" "the values of a group do not pass their checksum";
    Error GroupSenseless "group-senseless" "a value group passes its checksums and makes no sense";
    Error SlotAbsent "slot-absent" "a value group has no such value";
    Error BlockWrong "block-wrong" "a block is not what its name says";
    Warning RowDamaged "row-damaged" "a row cannot be read; it is computed again when it is needed";
    Warning Leftover "leftover" "a file was left over when the store was made";
    Warning ForeignFile "foreign-file" "a file is none of the store's";
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.says())
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub ailment: Ailment,
    /// Where.
    pub at: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.ailment.severity() {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {} ({}): {}", self.ailment, self.ailment.code(), self.at)
    }
}

/// How thorough an examination is. Each level does what those before it do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Marker, superblocks, maps and the log.
    Outline,
    /// Every index page, and which pages are used.
    #[default]
    Pages,
    /// Every value; every block is hashed.
    Blocks,
}

impl Level {
    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Outline => "outline",
            Level::Pages => "pages",
            Level::Blocks => "blocks",
        }
    }
}

/// How many pages of the data file are what. Index pages and what follows are counted from the level of pages on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageCounts {
    /// Superblock slots.
    pub superblocks: u64,
    /// Of the map of used pages.
    pub map: u64,
    /// Inner pages of the index.
    pub inner: u64,
    /// Leaves of the index.
    pub leaf: u64,
    /// Pages that hold values.
    pub values: u64,
    /// Pages that nothing reaches.
    pub free: u64,
}

/// What an examination found. Findings beyond the first thousand are counted and not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examination {
    /// Where the store is.
    pub at: String,
    /// How thorough it was.
    pub level: Level,
    /// The version of the format, as the superblock has it.
    pub format: Option<u32>,
    /// A newer version of the format can be had with `upgrade`.
    pub is_upgradable: bool,
    /// The newest checkpoint.
    pub generation: u64,
    /// Length of the data file.
    pub data_bytes: u64,
    /// What its pages are.
    pub pages: PageCounts,
    /// Files of the log.
    pub log_segments: u64,
    /// Their length together.
    pub log_bytes: u64,
    /// Records that opening would apply.
    pub log_records: u64,
    /// Where the log ends.
    pub log_end: Lsn,
    /// Blocks in the index. The log may add some and take some away.
    pub blocks: u64,
    /// Heads, those in the log among them.
    pub heads: u64,
    /// Rows in the index.
    pub rows: u64,
    /// What is wrong, in the order in which it was found.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more_findings: u64,
}

/// So many findings are listed.
const FINDINGS_MAX: usize = 1000;

impl Examination {
    pub(crate) fn find(&mut self, ailment: Ailment, at: impl fmt::Display) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { ailment, at: at.to_string() });
        } else {
            self.more_findings += 1;
        }
    }

    /// Says whether nothing at all is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Says whether anything that was stored is in danger.
    pub fn has_errors(&self) -> bool {
        self.more_findings > 0
            || self.findings.iter().any(|finding| finding.ailment.severity() == Severity::Error)
    }

    /// Returns the numbers of the report, each with its name.
    pub fn numbers(&self) -> [(&'static str, u64); 15] {
        [
            ("generation", self.generation),
            ("data_bytes", self.data_bytes),
            ("superblock_pages", self.pages.superblocks),
            ("map_pages", self.pages.map),
            ("inner_pages", self.pages.inner),
            ("leaf_pages", self.pages.leaf),
            ("value_pages", self.pages.values),
            ("free_pages", self.pages.free),
            ("log_segments", self.log_segments),
            ("log_bytes", self.log_bytes),
            ("log_records", self.log_records),
            ("log_end", self.log_end.0),
            ("blocks", self.blocks),
            ("heads", self.heads),
            ("rows", self.rows),
        ]
    }

    /// Returns the report as one JSON object.
    pub fn to_json(&self) -> String {
        let mut object = Object::new();
        object.text("at", &self.at);
        object.text("level", self.level.name());
        if let Some(format) = self.format {
            object.number("format", u64::from(format));
        }
        object.flag("upgradable", self.is_upgradable);
        self.numbers().into_iter().for_each(|(name, number)| object.number(name, number));
        let findings = self.findings.iter().map(|finding| {
            let mut object = Object::new();
            let is_error = finding.ailment.severity() == Severity::Error;
            object.text("severity", if is_error { "error" } else { "warning" });
            object.text("code", finding.ailment.code());
            object.text("says", finding.ailment.says());
            object.text("at", &finding.at);
            object.end()
        });
        object.raw("findings", &json::list(findings));
        object.number("more_findings", self.more_findings);
        object.end()
    }
}

impl fmt::Display for Examination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} examined: {}", self.level.name(), self.at)?;
        for (name, number) in self.numbers() {
            writeln!(f, "{name:<17} {number}")?;
        }
        self.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))?;
        match (self.findings.len(), self.more_findings) {
            (0, _) => writeln!(f, "nothing is wrong"),
            (_, 0) => Ok(()),
            (_, more) => writeln!(f, "and {more} more"),
        }
    }
}
