//! One contender at one piece of work, in a process of its own: what it says, and where.
//!
//! The parent starts `mnem-bench child GROUP CONTENDER SCENARIO SIZE FOLDER [name=value…]`; the child prints each figure
//! as a line of JSON. So the memory of one contender is not another's, and one that fails stops nobody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::machine;

/// What a child is to do.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) group: String,
    pub(crate) contender: String,
    pub(crate) scenario: String,
    pub(crate) size: usize,
    pub(crate) folder: PathBuf,
    pub(crate) settings: BTreeMap<String, usize>,
}

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) scenario: String,
    pub(crate) size: usize,
    pub(crate) figure: String,
    pub(crate) value: f64,
}

impl Task {
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["child".to_owned(), self.group.clone(), self.contender.clone()];
        arguments.extend([self.scenario.clone(), self.size.to_string(), self.folder.display().to_string()]);
        arguments.extend(self.settings.iter().map(|(name, value)| format!("{name}={value}")));
        arguments
    }

    pub(crate) fn read(arguments: &[String]) -> Option<Task> {
        let [group, contender, scenario, size, folder, settings @ ..] = arguments else { return None };
        let settings = settings.iter().map(|setting| {
            let (name, value) = setting.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Some(Task {
            group: group.clone(),
            contender: contender.clone(),
            scenario: scenario.clone(),
            size: size.parse().ok()?,
            folder: folder.into(),
            settings: settings.collect::<Option<_>>()?,
        })
    }

    pub(crate) fn setting(&self, name: &str) -> usize {
        *self.settings.get(name).unwrap_or_else(|| panic!("{} needs the setting {name}", self.scenario))
    }

    pub(crate) fn say(&self, figure: &str, value: f64) {
        self.say_of(&self.scenario, figure, value);
    }

    /// Says a figure of another scenario, where one process measures several.
    pub(crate) fn say_of(&self, scenario: &str, figure: &str, value: f64) {
        self.say_at(scenario, self.size, figure, value);
    }

    pub(crate) fn say_at(&self, scenario: &str, size: usize, figure: &str, value: f64) {
        let said = Said { scenario: scenario.to_owned(), size, figure: figure.to_owned(), value };
        println!("{}", serde_json::to_string(&said).expect("it has no maps"));
    }

    /// Says median, 99th percentile and greatest of some times, in microseconds.
    pub(crate) fn say_times(&self, scenario: &str, mut times: Vec<Duration>) {
        times.sort();
        let micros = |place: usize| times[place].as_secs_f64() * 1e6;
        self.say_of(scenario, "p50 us", micros(times.len() / 2));
        self.say_of(scenario, "p99 us", micros(times.len() * 99 / 100));
    }
}

/// Processor time and bytes written since it was made.
pub(crate) struct Meter {
    seconds: f64,
    bytes: f64,
}

impl Meter {
    pub(crate) fn start() -> Meter {
        Meter { seconds: machine::own_seconds(), bytes: machine::own_written_bytes() }
    }

    /// Says how much of them went to each of `count`.
    pub(crate) fn say(self, task: &Task, scenario: &str, count: usize) {
        let count = count as f64;
        task.say_of(scenario, "cpu us", (machine::own_seconds() - self.seconds) * 1e6 / count);
        task.say_of(scenario, "written bytes", (machine::own_written_bytes() - self.bytes) / count);
    }
}

pub(crate) fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Returns what the files of a folder take on the disk: the rings of logs, and the rest.
pub(crate) fn disk_bytes(folder: &Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let (mut log, mut rest) = (0, 0);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            let (inner_log, inner_rest) = disk_bytes(&entry.path());
            (log, rest) = (log + inner_log, rest + inner_rest);
        } else if entry.file_name().to_string_lossy().starts_with("wal-") {
            log += metadata.blocks() * 512;
        } else {
            rest += metadata.blocks() * 512;
        }
    }
    (log, rest)
}
