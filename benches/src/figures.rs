//! What was measured: lines of JSON, and medians of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// First line of a file of results.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) mode: String,
    pub(crate) rounds: usize,
    pub(crate) machine: Machine,
}

/// One measured value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) group: String,
    pub(crate) scenario: String,
    pub(crate) size: usize,
    pub(crate) contender: String,
    pub(crate) figure: String,
    pub(crate) value: f64,
    pub(crate) round: usize,
    /// Other programs or other machines used the processors meanwhile.
    pub(crate) busy: bool,
}

/// Median, least and greatest of the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) rounds: usize,
    pub(crate) busy: bool,
}

impl Spread {
    /// Rounds on a busy machine count only where there is no other.
    fn of(values: &[(f64, bool)]) -> Option<Spread> {
        let quiet: Vec<f64> = values.iter().filter(|(_, busy)| !busy).map(|(value, _)| *value).collect();
        let busy = quiet.is_empty();
        let mut values = if busy { values.iter().map(|(value, _)| *value).collect() } else { quiet };
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Spread { median: values[values.len() / 2], min, max, rounds: values.len(), busy })
    }
}

/// Everything of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    pub(crate) header: Header,
    figures: Vec<Figure>,
}

impl Results {
    pub(crate) fn new(header: Header) -> Results {
        Results { header, figures: Vec::new() }
    }

    pub(crate) fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Returns the spread of each contender that has this figure, and of each size.
    pub(crate) fn spreads(
        &self,
        group: &str,
        scenario: &str,
        figure: &str,
    ) -> BTreeMap<(usize, String), Spread> {
        let mut values: BTreeMap<(usize, String), Vec<(f64, bool)>> = BTreeMap::new();
        for found in &self.figures {
            if (&*found.group, &*found.scenario, &*found.figure) == (group, scenario, figure) {
                let key = (found.size, found.contender.clone());
                values.entry(key).or_default().push((found.value, found.busy));
            }
        }
        values.into_iter().filter_map(|(key, values)| Some((key, Spread::of(&values)?))).collect()
    }

    /// Says which figures have no round on a quiet machine.
    pub(crate) fn busy(&self) -> Vec<String> {
        let mut quiet: BTreeMap<String, bool> = BTreeMap::new();
        for found in &self.figures {
            let name = format!("{} {} {} {}", found.group, found.scenario, found.size, found.contender);
            *quiet.entry(name).or_default() |= !found.busy;
        }
        quiet.into_iter().filter(|(_, quiet)| !quiet).map(|(name, _)| name).collect()
    }

    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file = File::create(path)?;
        writeln!(file, "{}", serde_json::to_string(&self.header)?)?;
        for figure in &self.figures {
            writeln!(file, "{}", serde_json::to_string(figure)?)?;
        }
        file.sync_all()
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(path: &Path) -> std::io::Result<Results> {
        let mut lines = BufReader::new(File::open(path)?).lines();
        let header = lines.next().ok_or(std::io::ErrorKind::UnexpectedEof)??;
        let figures = lines.map(|line| Ok(serde_json::from_str(&line?)?));
        Ok(Results {
            header: serde_json::from_str(&header)?,
            figures: figures.collect::<std::io::Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_rounds_count_only_where_there_is_no_other() {
        let spread = Spread::of(&[(1.0, false), (9.0, true), (2.0, false), (3.0, false)]).expect("values");
        assert_eq!(spread, Spread { median: 2.0, min: 1.0, max: 3.0, rounds: 3, busy: false });
        let spread = Spread::of(&[(9.0, true)]).expect("a value");
        assert_eq!(spread, Spread { median: 9.0, min: 9.0, max: 9.0, rounds: 1, busy: true });
    }
}
