//! What the run took place on, and whether it had that to itself.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The kind of machine, never its name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) compiler: String,
    pub(crate) date: String,
}

impl Machine {
    pub(crate) fn describe(folder: &Path) -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpus = read("/proc/cpuinfo");
        let line = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory_kib: u64 =
            line(&read("/proc/meminfo"), "MemTotal").replace(" kB", "").parse().unwrap_or(0);
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: line(&cpus, "model name"),
            memory_gib: memory_kib >> 20,
            kernel: read("/proc/sys/kernel/osrelease")
                .split('-')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
            file_system: file_system(folder, &read("/proc/mounts")),
            compiler: said(Command::new("rustc").arg("--version")),
            date: date(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()),
        }
    }
}

/// Returns the first line that a command prints, or nothing.
pub(crate) fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned()
}

fn file_system(folder: &Path, mounts: &str) -> String {
    let folder = fs::canonicalize(folder).unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let holds = mounts.filter(|(place, _)| folder.starts_with(place));
    holds.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind.to_owned()).unwrap_or_default()
}

/// Year, month and day, in UTC.
fn date(unix_seconds: u64) -> String {
    let (mut days, mut year) = (unix_seconds / 86_400, 1970);
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let months = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= months[month] {
        days -= months[month];
        month += 1;
    }
    format!("{year}-{:02}-{:02}", month + 1, days + 1)
}

/// Who used the processors since it was made.
pub(crate) struct Watch {
    all: Times,
    children: f64,
}

/// Seconds since the start of the machine.
#[derive(Clone, Copy, Default)]
struct Times {
    user: f64,
    stolen: f64,
    all: f64,
}

/// Share of one processor that went to other programs, and of all that went to other machines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disturbance {
    pub(crate) others: f64,
    pub(crate) stolen: f64,
}

impl Disturbance {
    const OTHERS_MAX: f64 = 0.08;
    const STOLEN_MAX: f64 = 0.03;

    pub(crate) fn is_busy(self) -> bool {
        self.others > Self::OTHERS_MAX || self.stolen > Self::STOLEN_MAX
    }
}

impl Watch {
    pub(crate) fn start() -> Watch {
        Watch { all: Times::read(), children: children_user_seconds() }
    }

    /// Only time in programs counts: what the kernel does for a disk cannot be told apart by who asked for it.
    pub(crate) fn stop(self) -> Disturbance {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let now = Times::read();
        let wall = ((now.all - self.all.all) / cores).max(0.05);
        let ours = children_user_seconds() - self.children;
        Disturbance {
            others: ((now.user - self.all.user - ours) / wall).max(0.0),
            stolen: (now.stolen - self.all.stolen) / (wall * cores),
        }
    }
}

/// The kernel's unit of processor time, on every machine that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

impl Times {
    fn read() -> Times {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = stat.lines().next().unwrap_or_default();
        let ticks: Vec<f64> = first.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let at = |place: usize| ticks.get(place).copied().unwrap_or(0.0) / TICKS_PER_SECOND;
        Times { user: at(0) + at(1), stolen: at(7), all: (0..8).map(at).sum() }
    }
}

/// User time of the children that ended.
fn children_user_seconds() -> f64 {
    own_stat(2)
}

/// User and system time of this process, the threads that ended included.
pub(crate) fn own_seconds() -> f64 {
    own_stat(0) + own_stat(1)
}

/// Of utime, stime, cutime, cstime.
fn own_stat(place: usize) -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let word = rest.split_whitespace().nth(11 + place).unwrap_or_default();
    word.parse::<f64>().unwrap_or(0.0) / TICKS_PER_SECOND
}

/// A line of `/proc/self/…`, as a number.
fn own(file: &str, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// What this process has in memory that no file backs, in MiB.
pub(crate) fn own_memory_mib() -> f64 {
    own("status", "RssAnon") / 1024.0
}

/// Bytes this process handed to the system to be written. What the system counts as sent to the disk is of no use: it
/// counts whole folios, of which a commit changes a part.
pub(crate) fn own_written_bytes() -> f64 {
    own("io", "wchar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_leap_days() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(1_798_675_200), "2026-12-31");
    }

    #[test]
    fn a_program_beside_us_is_seen() {
        let watch = Watch { all: Times::default(), children: 0.0 };
        assert!(watch.all.all < Times::read().all);
        assert!(Disturbance { others: 0.5, stolen: 0.0 }.is_busy());
        assert!(Disturbance { others: 0.0, stolen: 0.1 }.is_busy());
        assert!(!Disturbance { others: 0.01, stolen: 0.0 }.is_busy());
    }
}
