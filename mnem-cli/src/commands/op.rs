//! `mnem op`

use clap::{Args, Subcommand};
use mnem::{ActorId, NameChange, OperationId, Recorded, Repo, RepoError, Snapshot};
use mnem_core::Time;
use serde_json::{Value as Json, json};

use crate::args::Write;
use crate::clock;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};
use crate::report::short;
use crate::when;

pub(crate) const EXAMPLES: &str = "  mnem op log -n 5
  mnem op restore \"$(mnem op log --json -n 2 | tail -n 1 | cut -d '\"' -f 8)\"\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Op {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List what was done, newest first: commits, and moves of names
    Log {
        /// No more than so many
        #[arg(short = 'n', long, value_name = "COUNT")]
        limit: Option<usize>,
    },
    /// Put all names back as an operation left them
    Restore {
        /// Its id, or the first digits
        #[arg(value_name = "OPERATION")]
        operation: String,
        #[command(flatten)]
        write: Write,
    },
    /// Take back one operation of the middle
    Revert {
        /// Its id, or the first digits
        #[arg(value_name = "OPERATION")]
        operation: String,
        #[command(flatten)]
        write: Write,
    },
}

impl Op {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        match &self.what {
            What::Log { limit } => log(context, limit.unwrap_or(usize::MAX)),
            What::Restore { operation, write } => {
                let (repo, actor) = context.open_to_write(write)?;
                let to = find(&repo, operation)?;
                let done = repo.restore(&actor, to)?;
                tell(context, done, "restored all names as they were after", to)
            }
            What::Revert { operation, write } => {
                let (repo, actor) = context.open_to_write(write)?;
                let of = find(&repo, operation)?;
                let done = repo.revert_op(&actor, of)?;
                tell(context, done, "took back", of)
            }
        }
    }
}

fn find(repo: &Repo, operation: &str) -> Result<OperationId, Failure> {
    repo.resolve_op(operation).map_err(|error| {
        let failure = Failure::from(error);
        if failure.exit == Exit::NotFound {
            failure.hint("`mnem op log` lists what was done")
        } else {
            failure
        }
    })
}

fn log(context: &mut Context<'_>, limit: usize) -> Result<Exit, Failure> {
    let repo = context.open()?;
    let names = repo.head()?;
    context.page();
    for recorded in repo.op_log()?.take(limit) {
        let recorded = match recorded {
            // Where the log begins is no failure.
            Err(RepoError::Pruned { horizon, .. }) => {
                context.output.hint(&format!("the log begins at {horizon}; what was before is not kept"))?;
                break;
            }
            recorded => recorded?,
        };
        let line = Line::new(&names, recorded, clock::now(), context.zone_minutes)?;
        context.output.data(&line)?;
    }
    Ok(Exit::Done)
}

fn tell(
    context: &mut Context<'_>,
    operation: OperationId,
    word: &'static str,
    of: OperationId,
) -> Result<Exit, Failure> {
    context.output.report(&Done { operation, word, of })?;
    Ok(Exit::Done)
}

struct Line {
    recorded: Recorded,
    actor: String,
    when: String,
}

impl Line {
    fn new(names: &Snapshot, recorded: Recorded, now: Time, zone_minutes: i16) -> Result<Line, Failure> {
        let actor = match recorded.operation.actor {
            ActorId::SYSTEM => "mnem".to_owned(),
            actor => names.actor_name(actor)?.unwrap_or_else(|| actor.to_string()),
        };
        let when = when::for_people(recorded.operation.time, now, zone_minutes);
        Ok(Line { recorded, actor, when })
    }
}

impl Record for Line {
    fn schema(&self) -> &'static str {
        "mnem.operation/1"
    }

    fn fields(&self, fields: &mut Fields) {
        let Recorded { id, operation, moved, .. } = &self.recorded;
        fields.insert("operation".into(), json!(id.to_string()));
        fields.insert("parents".into(), operation.parents.iter().map(|id| json!(id.to_string())).collect());
        fields.insert("kind".into(), json!(operation.kind.name()));
        fields.insert("time".into(), json!(operation.time.to_string()));
        fields.insert("actor".into(), json!(self.actor));
        fields.insert("summary".into(), json!(self.recorded.summary()));
        fields.insert("moved".into(), moved.names.iter().map(name_change).collect());
    }

    fn text(&self, text: &mut Text) {
        text.painted(Paint::Id, &short(&self.recorded.id)).plain("  ").painted(Paint::Dim, &self.when);
        text.plain("  ").plain(&self.actor).plain("  ");
        let (kind, summary) = (self.recorded.operation.kind.name(), self.recorded.summary());
        if !summary.starts_with(kind) {
            text.plain(kind).plain("  ");
        }
        text.plain(&summary).end();
    }
}

fn name_change(change: &NameChange) -> Json {
    let ids = |ids: &[mnem::CommitId]| ids.iter().map(|id| json!(id.to_string())).collect::<Json>();
    json!({ "kind": change.kind.word(), "name": change.name, "old": ids(&change.old), "new": ids(&change.new) })
}

struct Done {
    operation: OperationId,
    word: &'static str,
    of: OperationId,
}

impl Record for Done {
    fn schema(&self) -> &'static str {
        "mnem.op/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("operation".into(), json!(self.operation.to_string()));
        fields.insert("of".into(), json!(self.of.to_string()));
    }

    fn text(&self, text: &mut Text) {
        text.plain(self.word).plain(" ").painted(Paint::Id, &short(&self.of));
        text.plain(" (back with `mnem undo`)").end();
    }
}
