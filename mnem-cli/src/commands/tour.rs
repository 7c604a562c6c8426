//! `mnem tour`
//!
//! Tells a story with the commands that anybody would write: each is run as it is printed, by this same program, in a
//! folder of its own. What the story promises is checked: a step that does not do what it says ends the tour.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};

pub(crate) const EXAMPLES: &str = "  mnem tour\n  mnem tour --text 'a sentence of your own'\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Tour {
    /// Keep the folder, to go on in it
    #[arg(long)]
    keep: bool,
    /// A sentence of your own, to be recorded and found again
    #[arg(long, value_name = "SENTENCE")]
    text: Option<String>,
}

/// One step: what it is about, its commands, and words that their output has to hold.
struct Step {
    title: &'static str,
    commands: &'static [&'static str],
    shows: &'static [&'static str],
}

const STEPS: &[Step] = &[
    Step {
        title: "Record. Each command is one durable commit.",
        commands: &[
            "mnem init",
            "mnem config set embedder hash-ngram/1",
            "mnem add Person name=Ada born=1815 --time 2026-10-01",
            "mnem add Machine name=Engine does='weaves algebra' --time 2026-10-02",
            "mnem link Person/Ada described Machine/Engine --time 2026-10-03",
        ],
        shows: &["native store", "Person/Ada -described-> Machine/Engine"],
    },
    Step {
        title: "Branch. Another source disagrees; try it on the side.",
        commands: &[
            "mnem switch --create letters",
            "mnem set Person/Ada born=1816 died=1852 --time 2026-10-05",
            "mnem switch main",
            "mnem set Person/Ada born=1814 --time 2026-10-06",
        ],
        shows: &["born 1815 -> 1816, died 1852", "born 1815 -> 1814"],
    },
    Step {
        title: "Merge. What does not clash is taken; what does is kept as a conflict.",
        commands: &[
            "mnem merge letters --time 2026-10-07",
            "mnem resolve Person/Ada born=1815 --time 2026-10-08",
            "mnem log",
        ],
        shows: &["! Person/Ada  born", "resolve Person/Ada", "├─╯"],
    },
    Step {
        title: "Travel, by name and by date.",
        commands: &[
            "mnem get Person/Ada --at main~1",
            "mnem get Person/Ada --at letters",
            "mnem get Person/Ada --at '*2026-10-04'",
            "mnem diff '*2026-10-04' main",
        ],
        shows: &[" or ", "born 1816", "born 1815, name Ada", "~ Person/Ada  died 1852"],
    },
    Step {
        title: "One fact's life.",
        commands: &["mnem history Person/Ada born", "mnem blame Person/Ada"],
        shows: &["2026-10-08", "2026-10-05", "2026-10-01", "died"],
    },
    Step {
        title: "Search, now and then: by words, and by hash-ngram/1, which knows letters, not meaning.",
        commands: &[
            "mnem schema declare does text --words --time 2026-10-09",
            "mnem set Machine/Engine does='composes elaborate music' --time 2026-10-10",
            "mnem search elaborate music",
            "mnem search algebra --at '*2026-10-09'",
            "mnem search --like 'elaborate pieces of music' -n 1",
            "mnem search --like 'elaborate pieces of music' -n 1 --label Machine --at '*2026-10-04'",
            "mnem query Person 'born>1800' --count",
        ],
        shows: &[
            "Machine/Engine  composes elaborate music",
            "Machine/Engine  weaves algebra",
            "by hash-ngram/1",
            "1\n",
        ],
    },
    Step {
        title: "Undo. Nothing leaves the log.",
        commands: &["mnem undo", "mnem get Machine/Engine", "mnem redo", "mnem op log -n 3"],
        shows: &["undid: set Machine/Engine", "does weaves algebra", "redid: set Machine/Engine"],
    },
];

impl Tour {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let started = Instant::now();
        let folder = Folder::make(self.keep)?;
        context.output.report(&Line::Head)?;
        for (number, step) in STEPS.iter().enumerate() {
            context.output.report(&Line::Title { number: number + 1, title: step.title })?;
            let mut said = String::new();
            for command in step.commands {
                let (output, exit) = run(&folder.0, command)?;
                said.push_str(&output);
                context.output.report(&Line::Ran { command, output, exit })?;
                // A conflict is no failure: the story settles it.
                if !matches!(exit, 0 | 3) {
                    return Err(wrong(command));
                }
            }
            if let Some(missing) = step.shows.iter().find(|words| !said.contains(**words)) {
                return Err(wrong(&format!("`{missing}` was to be shown by step {}", number + 1)));
            }
        }
        if let Some(text) = &self.text {
            tell_own(&folder.0, context, text)?;
        }
        let took_s = started.elapsed().as_secs_f64();
        let kept = self.keep.then(|| folder.0.clone());
        context.output.data(&Line::End { steps: STEPS.len(), took_s, kept })?;
        Ok(Exit::Done)
    }
}

/// Records a sentence, and finds it again by a part of it.
fn tell_own(folder: &Path, context: &mut Context<'_>, text: &str) -> Result<(), Failure> {
    // Single quotes end what a line holds together.
    let text = text.replace('\'', "\u{2019}");
    let number = STEPS.len() + 1;
    context.output.report(&Line::Title { number, title: "Your own sentence." })?;
    let mut said = String::new();
    for command in
        [format!("mnem add Note says='{text}'"), format!("mnem search --like '{text}' --label Note -n 1")]
    {
        let (output, exit) = run(folder, &command)?;
        said.push_str(&output);
        context.output.report(&Line::Ran { command: &command, output, exit })?;
        if exit != 0 {
            return Err(Failure::new("tour", Exit::Failure, "that sentence cannot be found by its letters")
                .hint("write some words: mnem tour --text 'a sentence of your own'"));
        }
    }
    if said.contains("1.00") { Ok(()) } else { Err(wrong("your sentence was not found")) }
}

fn wrong(what: &str) -> Failure {
    Failure::new("tour", Exit::Failure, format!("the tour went wrong: {what}"))
        .hint("please report it, with what `mnem tour --keep` says")
}

/// A folder that goes with the tour.
struct Folder(PathBuf, bool);

impl Folder {
    fn make(keep: bool) -> Result<Folder, Failure> {
        let path = std::env::temp_dir().join(format!("mnem-tour-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| Failure::file("make", &path, &error))?;
        Ok(Folder(path, keep))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.1 {
            // What cannot be removed is in the folder for such things.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Runs a command as it is printed, apart from all that the person has set. Returns what it said, and how it ended.
fn run(folder: &Path, command: &str) -> Result<(String, i32), Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure::file("find", Path::new("mnem"), &error))?;
    let mut run = Command::new(&program);
    run.args(words(command).iter().skip(1)).current_dir(folder);
    for name in [
        "MNEM_REPO",
        "MNEM_BRANCH",
        "MNEM_ZONE",
        "MNEM_PAGER",
        "MNEM_WAIT",
        "MNEM_EMBEDDER",
        "CLICOLOR_FORCE",
    ] {
        run.env_remove(name);
    }
    run.env("MNEM_CONFIG", folder.join("settings.toml")).env("MNEM_ACTOR", "ada");
    let done = run.output().map_err(|error| Failure::file("run", &program, &error))?;
    let said = [done.stdout, done.stderr].concat();
    Ok((String::from_utf8_lossy(&said).into_owned(), done.status.code().unwrap_or(-1)))
}

/// Cuts a line as a shell does, as far as the story needs it: single quotes keep what they hold.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (index, part) in line.split('\'').enumerate() {
        let mut pieces = part.split(if index % 2 == 0 { ' ' } else { '\0' });
        let first = pieces.next().unwrap_or_default();
        words.last_mut().expect("there is a word").push_str(first);
        words.extend(pieces.map(str::to_owned));
    }
    words.retain(|word| !word.is_empty());
    words
}

enum Line<'a> {
    Head,
    Title { number: usize, title: &'a str },
    Ran { command: &'a str, output: String, exit: i32 },
    End { steps: usize, took_s: f64, kept: Option<PathBuf> },
}

impl Record for Line<'_> {
    fn schema(&self) -> &'static str {
        "mnem.tour/1"
    }

    fn fields(&self, fields: &mut Fields) {
        match self {
            Line::Head => drop(fields.insert("what".into(), json!("head"))),
            Line::Title { number, title } => {
                fields.insert("what".into(), json!("step"));
                fields.insert("number".into(), json!(number));
                fields.insert("title".into(), json!(title));
            }
            Line::Ran { command, output, exit } => {
                fields.insert("what".into(), json!("command"));
                fields.insert("command".into(), json!(command));
                fields.insert("output".into(), json!(output));
                fields.insert("exit".into(), json!(exit));
            }
            Line::End { steps, took_s, .. } => {
                fields.insert("what".into(), json!("end"));
                fields.insert("steps".into(), json!(steps));
                fields.insert("seconds".into(), json!(took_s));
            }
        }
    }

    fn text(&self, text: &mut Text) {
        match self {
            Line::Head => {
                text.plain("A small story in a temporary folder, on the native store, with its commands.")
                    .end();
            }
            Line::Title { number, title } => {
                text.painted(Paint::Name, &format!("{number} {title}")).end();
            }
            Line::Ran { command, output, .. } => {
                text.plain("  $ ").painted(Paint::Hint, command).end();
                for line in output.lines() {
                    text.plain("  ").plain(line).end();
                }
            }
            Line::End { steps, took_s, kept } => {
                text.painted(Paint::Added, &format!("tour ok: {steps} steps in {took_s:.1} s")).plain(". ");
                match kept {
                    Some(folder) => text.plain("Go on in ").plain(&folder.display().to_string()).end(),
                    None => text.plain("Next: mnem init").end(),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_as_a_shell_cuts_them() {
        assert_eq!(words("mnem get a --at '*2026-10-04'"), ["mnem", "get", "a", "--at", "*2026-10-04"]);
        assert_eq!(
            words("mnem set x does='weaves algebra' y=1"),
            ["mnem", "set", "x", "does=weaves algebra", "y=1"]
        );
    }
}
