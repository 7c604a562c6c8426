//! `mnem undo` and `mnem redo`

use clap::Args;
use mnem::{Recorded, Repo, Scope};
use serde_json::{Value as Json, json};

use crate::args::Write;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};
use crate::report::short;

pub(crate) const EXAMPLES: &str = "  mnem undo                 what you did last; what others did since stays
  mnem undo --anyone        the newest, whoever made it\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Undo {
    /// The newest, whoever made it
    #[arg(long)]
    anyone: bool,
    #[command(flatten)]
    write: Write,
}

impl Undo {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let (repo, actor) = context.open_to_write(&self.write)?;
        let Some(undone) = repo.undo(&actor, scope(self.anyone))? else {
            return Err(nothing(&format!("there is nothing of {} to undo", actor.name())));
        };
        context.output.report(&Taken::new("undid", "mnem redo", undone, &repo)?)?;
        Ok(Exit::Done)
    }
}

pub(crate) const fn scope(anyone: bool) -> Scope {
    if anyone { Scope::Anyone } else { Scope::Own }
}

pub(crate) fn nothing(message: &str) -> Failure {
    Failure::new("nothing-there", Exit::NotFound, message)
        .hint("`mnem op log` lists what was done; --anyone takes what others did too")
}

/// An operation that was taken back, or done again.
pub(crate) struct Taken {
    word: &'static str,
    back: &'static str,
    recorded: Recorded,
    branch: String,
    commit: Option<String>,
}

impl Taken {
    pub(crate) fn new(
        word: &'static str,
        back: &'static str,
        recorded: Recorded,
        repo: &Repo,
    ) -> Result<Taken, Failure> {
        let now = repo.head()?;
        let commit = now.commit_id().map(|id| id.to_string());
        Ok(Taken { word, back, recorded, branch: now.branch().to_owned(), commit })
    }
}

impl Record for Taken {
    fn schema(&self) -> &'static str {
        "mnem.undo/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("operation".into(), json!(self.recorded.id.to_string()));
        fields.insert("summary".into(), json!(self.recorded.summary()));
        fields.insert("branch".into(), json!(self.branch));
        fields.insert("commit".into(), self.commit.as_ref().map_or(Json::Null, |commit| json!(commit)));
    }

    fn text(&self, text: &mut Text) {
        text.plain(self.word).plain(": ").plain(&self.recorded.summary());
        text.plain("; ").painted(Paint::Name, &self.branch);
        match &self.commit {
            Some(commit) => text.plain(" is at ").painted(Paint::Id, &short(commit)),
            None => text.plain(" has no commit"),
        };
        text.plain(" (back with `").plain(self.back).plain("`)").end();
    }
}
