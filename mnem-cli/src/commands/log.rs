//! `mnem log`

use clap::Args;
use mnem::object::Commit;
use mnem::{CommitId, RepoError, Snapshot};
use mnem_core::Time;
use serde_json::json;

use crate::args::At;
use crate::clock;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};
use crate::report::short;
use crate::when;

pub(crate) const EXAMPLES: &str = "  mnem log
  mnem log -n 5 --json
  mnem log --at letters\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Log {
    /// No more than so many
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
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
        context.output.page(context.config.value("pager"));
        let now = clock::now();
        for (index, entry) in repo.log(&from).take(self.limit.unwrap_or(usize::MAX)).enumerate() {
            let (id, commit) = entry?;
            let line = Line::new(&from, id, commit, now, context.zone_minutes)?;
            context.output.data(&Graphed { mark: if index == 0 { "@" } else { "○" }, line })?;
        }
        Ok(Exit::Done)
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

    pub(crate) fn text(&self, text: &mut Text) {
        text.painted(Paint::Id, &short(&self.id)).plain("  ").painted(Paint::Dim, &self.when);
        text.plain("  ").plain(&self.actor).plain("  ");
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
    mark: &'static str,
    line: Line,
}

impl Record for Graphed {
    fn schema(&self) -> &'static str {
        "mnem.log/1"
    }

    fn fields(&self, fields: &mut Fields) {
        self.line.fields(fields);
    }

    fn text(&self, text: &mut Text) {
        text.plain(self.mark).plain("  ");
        self.line.text(text);
        text.end();
    }
}
