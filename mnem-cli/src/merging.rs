//! What merge, cherry-pick and revert have in common: stage, tell what is in conflict, commit or only pretend.

use mnem::{RepoError, Snapshot, Transaction};
use mnem_core::key::ConflictKey;
use mnem_core::repo::{Conflict, Disputed, MergeReport};
use serde_json::{Value as Json, json};

use crate::args;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::output::{Fields, Paint, Record, Text, counted};
use crate::report::short;
use crate::values::to_json;

/// Stages a merge in a new transaction, and commits it unless it is only a question.
pub(crate) fn run(
    context: &mut Context<'_>,
    record: &args::Record,
    dry_run: bool,
    about: &str,
    stage: impl FnOnce(&mut Transaction) -> Result<MergeReport, RepoError>,
) -> Result<Exit, Failure> {
    let (repo, actor) = context.open_to_write(&record.write)?;
    let mut tx = repo.begin(&actor)?;
    let branch = tx.base().branch().to_owned();
    let report = stage(&mut tx)?;
    let conflicts = tx.conflicts()?;
    let conflicts =
        conflicts.into_iter().map(|conflict| Open::new(tx.base(), conflict)).collect::<Result<_, _>>()?;
    let is_nothing = report.is_up_to_date || (tx.is_empty() && !report.is_fast_forward);
    let commit = if dry_run || is_nothing {
        None
    } else {
        tx.commit(record.message.as_deref().unwrap_or(about))?.commit_id().map(|id| id.to_string())
    };
    let merged = Merged { branch, about: about.to_owned(), report, conflicts, commit, dry_run };
    let (is_settled, first) = (merged.conflicts.is_empty(), merged.conflicts.first().map(Open::answer));
    context.output.report(&merged)?;
    if is_settled {
        return Ok(Exit::Done);
    }
    if let (Some(answer), Some(_)) = (first, &merged.commit) {
        context.output.hint(&format!(
            "settle it with `mnem resolve {answer}`, now or later; take it back with `mnem undo`"
        ))?;
    }
    Ok(Exit::Conflicts)
}

/// Something in conflict, and what it is called.
pub(crate) struct Open {
    title: String,
    conflict: Conflict,
}

impl Open {
    pub(crate) fn new(now: &Snapshot, conflict: Conflict) -> Result<Open, RepoError> {
        Ok(Open { title: title(now, conflict.key())?, conflict })
    }

    /// Returns an answer to it, as it would be written.
    fn answer(&self) -> String {
        let title = &self.title;
        match self.conflict.fields.first() {
            Some(disputed) => format!("{title} {}=VALUE", disputed.field),
            None => format!("{title} --keep"),
        }
    }

    /// Writes one line a field.
    pub(crate) fn text(&self, text: &mut Text) {
        if self.conflict.is_removed || self.conflict.fields.is_empty() {
            let why = if self.conflict.is_removed {
                "removed on one side, needed or changed on another"
            } else {
                "differs"
            };
            text.painted(Paint::Bad, "!").plain(" ").plain(&self.title).plain("  ").plain(why).end();
        }
        for disputed in &self.conflict.fields {
            text.painted(Paint::Bad, "!").plain(" ").plain(&self.title).plain("  ");
            text.plain(&disputed.field).plain("  ").plain(&sides(disputed)).plain("   was ");
            text.plain(&value(disputed.base.as_ref())).end();
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        let mut fields = Fields::new();
        self.fields(&mut fields);
        Json::Object(fields)
    }

    fn fields(&self, fields: &mut Fields) {
        let (kind, id) = match self.conflict.key() {
            ConflictKey::Node(id) => ("node", id.to_string()),
            ConflictKey::Edge(id) => ("edge", id.to_string()),
            ConflictKey::Schema(_) => ("schema", self.title.clone()),
            ConflictKey::Vector { node, .. } => ("vector_of", node.to_string()),
        };
        fields.insert(kind.into(), json!(id));
        fields.insert("title".into(), json!(self.title));
        fields.insert("removed".into(), json!(self.conflict.is_removed));
        fields.insert("fields".into(), self.conflict.fields.iter().map(disputed_to_json).collect());
    }
}

impl Record for Open {
    fn schema(&self) -> &'static str {
        "mnem.conflict/1"
    }

    fn fields(&self, fields: &mut Fields) {
        Open::fields(self, fields);
    }

    fn text(&self, text: &mut Text) {
        Open::text(self, text);
    }
}

/// Returns what the sides say: `1814 or 1816`.
pub(crate) fn sides(disputed: &Disputed) -> String {
    let sides: Vec<String> = disputed.sides.iter().map(|side| value(side.as_ref())).collect();
    sides.join(" or ")
}

fn value(value: Option<&mnem::value::Value>) -> String {
    value.map_or("none".to_owned(), ToString::to_string)
}

/// Writes a field in dispute. What is absent is null: that is one of the answers.
pub(crate) fn disputed_to_json(disputed: &Disputed) -> Json {
    let value = |value: &Option<mnem::value::Value>| value.as_ref().map_or(Json::Null, to_json);
    let sides: Json = disputed.sides.iter().map(value).collect();
    json!({ "field": disputed.field, "base": value(&disputed.base), "sides": sides })
}

/// Returns what to call what is in conflict.
pub(crate) fn title(now: &Snapshot, key: &ConflictKey) -> Result<String, RepoError> {
    Ok(match key {
        ConflictKey::Node(id) => find::title_of(now, (*id).into())?,
        ConflictKey::Edge(id) => find::title_of(now, (*id).into())?,
        ConflictKey::Schema(_) => key.to_string(),
        ConflictKey::Vector { model, node } => format!("{} in {model}", find::title_of(now, (*node).into())?),
    })
}

/// What a merge did, or would do.
struct Merged {
    branch: String,
    about: String,
    report: MergeReport,
    conflicts: Vec<Open>,
    commit: Option<String>,
    dry_run: bool,
}

impl Record for Merged {
    fn schema(&self) -> &'static str {
        "mnem.merge/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("branch".into(), json!(self.branch));
        if let Some(commit) = &self.commit {
            fields.insert("commit".into(), json!(commit));
        }
        fields.insert("up_to_date".into(), json!(self.report.is_up_to_date));
        fields.insert("fast_forward".into(), json!(self.report.is_fast_forward));
        fields.insert("nodes".into(), json!(self.report.nodes));
        fields.insert("edges".into(), json!(self.report.edges));
        fields.insert("fields".into(), json!(self.report.fields));
        fields.insert("in_conflict".into(), json!(self.report.in_conflict));
        fields.insert("conflicts".into(), self.conflicts.iter().map(Open::to_json).collect());
    }

    fn text(&self, text: &mut Text) {
        match &self.commit {
            Some(commit) => {
                text.plain("[").painted(Paint::Name, &self.branch).plain(" ");
                text.painted(Paint::Id, &short(commit)).plain("] ").plain(&self.about).plain(": ");
            }
            None if self.dry_run => drop(text.plain("would ").plain(&self.about).plain(": ")),
            None => {}
        }
        if self.report.is_up_to_date || (self.commit.is_none() && !self.dry_run) {
            text.plain("nothing to do: all of it is here already").end();
        } else {
            let MergeReport { fields, in_conflict, .. } = self.report;
            text.plain(&format!("{} taken, {in_conflict} in conflict", counted(fields, "field")));
            if self.report.is_fast_forward {
                text.plain("; the branch moved on, without a commit of its own");
            }
            text.end();
        }
        for conflict in &self.conflicts {
            conflict.text(text);
        }
    }
}
