//! Taking a moment while a checkpoint sets aside what is in memory: a reader loads version and tip, a writer commits, a
//! checkpoint freezes and installs. The moment must have every commit up to its position, and none behind it.
//!
//! A version is which commits are in its pages, in its frozen table, in its table; a commit goes into the table of the
//! version that the writer sees.

use super::{Model, check};

const COMMITS: u8 = 3;
const CHECKPOINTS: u8 = 2;

/// Sets of commits, a bit each. Tables are shared: by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Version {
    pages: u8,
    frozen: Option<u8>,
    table: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    tables: Vec<u8>,
    version: Version,
    /// The tip: position, and its version where both are one pointer.
    tip: (u8, Version),
    commits: u8,
    checkpoints: u8,
    /// A commit that is in the table and not published yet.
    is_writing: bool,
    /// What a reader has loaded: the version, then the position.
    version_read: Option<Version>,
    moment: Option<(Version, u8)>,
}

struct Snapshots {
    without: Option<&'static str>,
}

const RULES: [&str; 3] = [
    "version and tip are one pointer",
    "freezing waits for the writer",
    "entries behind the position are not seen",
];

impl Snapshots {
    fn has(&self, rule: &str) -> bool {
        self.without != Some(rule)
    }
}

impl Model for Snapshots {
    type State = State;

    fn start(&self) -> State {
        let version = Version { pages: 0, frozen: None, table: 0 };
        State {
            tables: vec![0],
            version,
            tip: (0, version),
            commits: 0,
            checkpoints: 0,
            is_writing: false,
            version_read: None,
            moment: None,
        }
    }

    fn moves(&self, state: &State) -> Vec<(&'static str, State)> {
        let mut moves = Vec::new();
        let mut go = |name, change: &dyn Fn(&mut State)| {
            let mut next = state.clone();
            change(&mut next);
            moves.push((name, next));
        };
        if state.commits < COMMITS && !state.is_writing {
            go("append", &|next| {
                next.commits += 1;
                let table = next.tip.1.table as usize;
                next.tables[table] |= 1 << next.commits;
                next.is_writing = true;
            });
        }
        if state.is_writing {
            go("publish", &|next| {
                // The tip that the writer began with: a version installed meanwhile would be lost.
                next.tip = (next.commits, next.tip.1);
                next.is_writing = false;
            });
        }
        let may_freeze = !state.is_writing || !self.has("freezing waits for the writer");
        if state.version.frozen.is_none() && state.checkpoints < CHECKPOINTS && may_freeze {
            go("freeze", &|next| {
                next.tables.push(0);
                let table = u8::try_from(next.tables.len()).unwrap() - 1;
                next.version = Version { frozen: Some(next.version.table), table, ..next.version };
                next.tip.1 = next.version;
                next.checkpoints += 1;
            });
        }
        if let (Some(frozen), true) = (state.version.frozen, may_freeze) {
            go("install", &|next| {
                // What was in the table when the pages were written.
                let published = next.tables[frozen as usize] & ((2 << next.tip.0) - 1);
                next.version = Version {
                    pages: next.version.pages | published,
                    frozen: None,
                    table: next.version.table,
                };
                next.tip.1 = next.version;
            });
        }
        if state.moment.is_none() {
            if self.has("version and tip are one pointer") {
                go("take", &|next| next.moment = Some((next.tip.1, next.tip.0)));
            } else if let Some(version) = state.version_read {
                go("read tip", &|next| next.moment = Some((version, next.tip.0)));
            } else {
                go("read version", &|next| next.version_read = Some(next.tip.1));
            }
        }
        moves
    }

    fn broken(&self, state: &State) -> Option<&'static str> {
        let (version, position) = state.moment?;
        let until = (2_u8 << position) - 1;
        let seen = if self.has("entries behind the position are not seen") { until } else { u8::MAX };
        let frozen = version.frozen.map_or(0, |frozen| state.tables[frozen as usize]);
        let found = version.pages | ((frozen | state.tables[version.table as usize]) & seen);
        match (found ^ (until & !1), found & !until) {
            (0, _) => None,
            (_, 0) => Some("a commit before the moment is missing"),
            _ => Some("a commit behind the moment is seen"),
        }
    }
}

#[test]
fn a_moment_has_every_commit_up_to_its_position_and_none_behind() {
    check("snapshots", &RULES, |without| Snapshots { without });
}
