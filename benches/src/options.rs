//! The command line.

use std::path::PathBuf;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Under three minutes.
    Quick,
    /// All sizes, all contenders.
    Full,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Quick => "quick",
            Mode::Full => "full",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) rounds: usize,
    /// Number of blocks, where the mode's is not wanted.
    pub(crate) blocks: usize,
    pub(crate) groups: Vec<String>,
    pub(crate) contenders: Vec<String>,
    pub(crate) scenarios: Vec<String>,
    pub(crate) folder: PathBuf,
    /// Where the report goes, and the lines of JSON with it.
    pub(crate) docs: Option<PathBuf>,
    pub(crate) even_if_busy: bool,
}

pub(crate) const USAGE: &str = "\
mnem-bench --quick | --full        measure; both take
    --groups=blocks,repository     of blocks, trees, repository, vectors
    --contenders=native,lmdb       of who takes part
    --scenarios=s1,s3              of what is measured
    --rounds=3 --blocks=50000      how often, and on how many blocks
    --folder=DIR                   work in DIR, on the disk that is to be measured
    --docs=DIR                     write BENCHMARKS.md, its charts and the results there
    --even-if-busy                 write them although other programs used the processors, and mark them
mnem-bench report RESULTS DIR      write the report anew from a file of results
mnem-bench instructions [--record] count instructions, and compare with the recorded ones";

impl Options {
    pub(crate) fn read(arguments: &[String]) -> Result<Options, String> {
        let mode = match arguments.first().map(|word| &**word) {
            Some("--quick") => Mode::Quick,
            Some("--full") => Mode::Full,
            _ => return Err(USAGE.to_owned()),
        };
        let (rounds, blocks) = if mode == Mode::Quick { (2, 50_000) } else { (3, 500_000) };
        let mut options = Options {
            mode,
            rounds,
            blocks,
            groups: Vec::new(),
            contenders: Vec::new(),
            scenarios: Vec::new(),
            folder: std::env::temp_dir().join("mnem-bench"),
            docs: None,
            even_if_busy: false,
        };
        for argument in &arguments[1..] {
            let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
            let list = || value.split(',').map(str::to_owned).collect();
            let number = || value.parse().map_err(|_| format!("{argument}: not a number"));
            match name {
                "--rounds" => options.rounds = number()?,
                "--blocks" => options.blocks = number()?,
                "--groups" => options.groups = list(),
                "--contenders" => options.contenders = list(),
                "--scenarios" => options.scenarios = list(),
                "--folder" => options.folder = value.into(),
                "--docs" => options.docs = Some(value.into()),
                "--even-if-busy" => options.even_if_busy = true,
                _ => return Err(format!("{argument}: unknown\n{USAGE}")),
            }
        }
        Ok(options)
    }

    pub(crate) fn wants_group(&self, name: &str) -> bool {
        wants(&self.groups, name)
    }

    pub(crate) fn wants_contender(&self, name: &str) -> bool {
        wants(&self.contenders, name)
    }

    pub(crate) fn wants_scenario(&self, name: &str) -> bool {
        wants(&self.scenarios, name)
    }
}

fn wants(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|wanted| wanted == name)
}
