//! A folder of one's own, with the `mnem` command in it.

#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value as Json;
use tempfile::TempDir;

/// A folder, and an environment that nothing of the person who runs the tests shows in.
pub(crate) struct Shell {
    folder: TempDir,
}

/// What became of a line.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// Returns the lines of stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Json> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        self.out.lines().map(parse).collect()
    }
}

impl Shell {
    pub(crate) fn new() -> Shell {
        Shell { folder: TempDir::new().unwrap() }
    }

    /// With a small repository in it: Ada, an engine, an edge, a tag, and a branch that says otherwise.
    pub(crate) fn with_story() -> Shell {
        static STORY: OnceLock<Shell> = OnceLock::new();
        let shell = Shell::new();
        copy(STORY.get_or_init(Shell::tell_story).folder(), shell.folder());
        shell
    }

    fn tell_story() -> Shell {
        let shell = Shell::new();
        for line in [
            "mnem init --time 2026-10-01",
            "mnem add Person name=Ada born=1815 --time 2026-10-01",
            "mnem add Machine name=Engine does='weaves algebra' --time 2026-10-02",
            "mnem link Person/Ada described Machine/Engine year=1843 --time 2026-10-03",
            "mnem add Person name=Mary born=1797 --time 2026-10-04",
            "mnem tag v1 --time 2026-10-04",
            "mnem branch letters --time 2026-10-04",
        ] {
            shell.ok(line);
        }
        shell
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The command itself, for lines that no shell is needed for.
    pub(crate) fn mnem(&self) -> Command {
        self.prepared(Command::new(env!("CARGO_BIN_EXE_mnem")))
    }

    fn prepared(&self, mut command: Command) -> Command {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_mnem"));
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", program.parent().unwrap().display());
        command.current_dir(self.folder()).env_clear().env("PATH", path);
        command.env("HOME", self.folder()).env("MNEM_CONFIG", self.folder().join("user.toml"));
        command.env("MNEM_ACTOR", "ada");
        command
    }

    /// Runs a line as a shell does.
    pub(crate) fn run(&self, line: &str) -> Done {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(line);
        done(self.prepared(shell).output().unwrap())
    }

    /// Runs a line that has to work, and returns what it wrote.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        let done = self.run(line);
        assert_eq!(done.exit, 0, "{line}\n{}{}", done.out, done.err);
        done.out
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn done(output: Output) -> Done {
    Done {
        exit: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The names of all commands, from the help.
pub(crate) fn commands(shell: &Shell) -> Vec<String> {
    let help = shell.ok("mnem --help");
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let names: Vec<String> =
        names.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect();
    assert!(names.len() > 10, "the help lists commands");
    names.into_iter().filter(|name| name != "help").collect()
}
