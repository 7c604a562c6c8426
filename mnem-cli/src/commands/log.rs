//! `mnem log`

use std::collections::BTreeMap;

use clap::Args;
use mnem::object::Commit;
use mnem::{Actor, CommitId, Repo, RepoError, Snapshot};
use mnem_core::Time;
use serde_json::json;

use crate::args::At;
use crate::clock;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::graph::{Drawn, Graph};
use crate::output::{Fields, Paint, Record, Text};
use crate::report::short;
use crate::when;

pub(crate) const EXAMPLES: &str = "  mnem log
  mnem log -n 5 --json
  mnem log --at letters --first-parent
  mnem log --by ada\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Log {
    /// No more than so many
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
    /// The line of the branch, without what was merged into it
    #[arg(long)]
    first_parent: bool,
    /// Only what this actor did; may be repeated
    #[arg(long, value_name = "NAME")]
    by: Vec<String>,
    #[command(flatten)]
    at: At,
}

impl Log {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let repo = context.open()?;
        let from = self.at.state(&repo)?;
        if from.commit_id().is_none() {
            context.output.hint(&format!("there is no commit on {} yet", from.branch()))?;
            return Ok(Exit::Done);
        }
        let mut log = repo.log(&from);
        if self.first_parent {
            log = log.first_parents();
        }
        for actor in &self.by {
            log = log.by(Actor::named(actor).id());
        }
        let names = Names::of(&repo)?;
        context.page();
        let now = clock::now();
        let mut graph = Graph::default();
        for entry in log.take(self.limit.unwrap_or(usize::MAX)) {
            let (id, commit) = entry?;
            // Where commits are left out, lines between the others would lead nowhere.
            let is_whole = self.by.is_empty();
            let shown = if self.first_parent { commit.parents.len().min(1) } else { commit.parents.len() };
            let parents = if is_whole { &commit.parents[..shown] } else { &[] };
            let drawn = graph.next(id, parents, if from.commit_id() == Some(id) { '@' } else { '○' });
            let names = names.at(id);
            let line = Line::new(&from, id, commit, now, context.zone_minutes)?;
            context.output.data(&Graphed { drawn, names, line })?;
        }
        Ok(Exit::Done)
    }
}

/// The branches and tags, by where they stand.
struct Names(BTreeMap<CommitId, Vec<String>>);

impl Names {
    fn of(repo: &Repo) -> Result<Names, RepoError> {
        let mut names: BTreeMap<CommitId, Vec<String>> = BTreeMap::new();
        for (name, commit) in repo.branches()?.into_iter().chain(repo.tags()?) {
            names.entry(commit).or_default().push(name);
        }
        Ok(Names(names))
    }

    fn at(&self, commit: CommitId) -> Vec<String> {
        self.0.get(&commit).cloned().unwrap_or_default()
    }
}

/// A commit, in one line.
pub(crate) struct Line {
    pub(crate) id: CommitId,
    pub(crate) commit: Commit,
    /// Whoever made it, by name where that is known.
    pub(crate) actor: String,
    when: String,
}

impl Line {
    pub(crate) fn new(
        names: &Snapshot,
        id: CommitId,
        commit: Commit,
        now: Time,
        zone_minutes: i16,
    ) -> Result<Line, RepoError> {
        let actor = actor(names, &commit)?;
        let when = when::for_people(commit.time, now, zone_minutes);
        Ok(Line { id, commit, actor, when })
    }

    pub(crate) fn fields(&self, fields: &mut Fields) {
        fields.insert("commit".into(), json!(self.id.to_string()));
        fields.insert("parents".into(), self.commit.parents.iter().map(|id| json!(id.to_string())).collect());
        fields.insert("time".into(), json!(self.commit.time.to_string()));
        fields.insert("actor".into(), json!(self.actor));
        fields.insert("message".into(), json!(*self.commit.message));
    }

    fn head(&self, text: &mut Text) {
        text.painted(Paint::Id, &short(&self.id)).plain("  ").painted(Paint::Dim, &self.when);
        text.plain("  ").plain(&self.actor);
    }

    fn message(&self, text: &mut Text) {
        match self.commit.message.lines().next() {
            Some(first) => text.plain(first),
            None => text.painted(Paint::Dim, "(united by itself)"),
        };
    }
}

/// Returns who made a commit: a name, or an id.
pub(crate) fn actor(names: &Snapshot, commit: &Commit) -> Result<String, RepoError> {
    if commit.actor == mnem::ActorId::SYSTEM {
        return Ok("mnem".to_owned());
    }
    Ok(names.actor_name(commit.actor)?.unwrap_or_else(|| commit.actor.to_string()))
}

struct Graphed {
    drawn: Drawn,
    names: Vec<String>,
    line: Line,
}

impl Record for Graphed {
    fn schema(&self) -> &'static str {
        "mnem.log/1"
    }

    fn fields(&self, fields: &mut Fields) {
        self.line.fields(fields);
        fields.insert("names".into(), json!(self.names));
    }

    fn text(&self, text: &mut Text) {
        for line in &self.drawn.before {
            text.plain(line).end();
        }
        text.plain(&self.drawn.at).plain("  ");
        self.line.head(text);
        for name in &self.names {
            text.plain("  ").painted(Paint::Name, name);
        }
        text.plain("  ");
        self.line.message(text);
        text.end();
        for line in &self.drawn.after {
            text.plain(line).end();
        }
    }
}
