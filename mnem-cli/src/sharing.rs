//! What clone, fetch, push, pull and archives have in common: finding the other repository, and telling what moved.

use std::ops::ControlFlow;
use std::path::Path;

use mnem::{NameChange, Progress, Repo, RepoError, Synced};
use serde_json::{Value as Json, json};

use crate::clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text, counted};
use crate::place::Place;
use crate::progress::Meter;
use crate::report::short;

/// The other repository that is meant where none is named.
pub(crate) const ORIGIN: &str = "origin";

/// Returns the URL of a repository as it can be found from anywhere.
pub(crate) fn url_of(named: &str) -> Result<String, Failure> {
    let place = Place::find(Some(named))?;
    let (kind, path) = place.url.split_once(':').unwrap_or((place.kind(), ""));
    let whole = std::path::absolute(Path::new(path))
        .map_err(|error| Failure::file("find", Path::new(path), &error))?;
    Ok(if path.is_empty() { place.url.clone() } else { format!("{kind}:{}", tidy(&whole)) })
}

/// Takes `.` and `..` out: the path is shown to people.
fn tidy(path: &Path) -> String {
    let mut tidy = std::path::PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(tidy.pop()),
            std::path::Component::CurDir => {}
            part => tidy.push(part),
        }
    }
    tidy.display().to_string()
}

/// Opens another repository.
pub(crate) fn open(context: &Context<'_>, url: &str) -> Result<Repo, Failure> {
    let options = clock::options(None);
    context.waiting(|| Ok(Repo::open(mnem::store::open(url)?, options.clone())?))
}

/// Opens the other repository that is known by this name.
pub(crate) fn open_remote(context: &Context<'_>, repo: &Repo, name: &str) -> Result<Repo, Failure> {
    let url = mnem::share::remote_url(repo, name).map_err(|error| match error {
        mnem::Error::Repo(RepoError::Unknown { .. }) => {
            let known = repo.remote_urls().unwrap_or_default().into_iter().map(|(name, _)| name).collect();
            Failure::new("unknown", crate::exit::Exit::NotFound, format!("there is no remote `{name}`"))
                .hint(format!("`mnem remote` lists what there is; make it with `mnem remote add {name} URL`"))
                .candidates(known)
        }
        error => error.into(),
    })?;
    open(context, &url)
}

/// Tells progress to who sits there.
pub(crate) fn listener(meter: &mut Meter) -> impl FnMut(&Progress) -> ControlFlow<()> {
    |progress| {
        meter.show(progress.step, progress.done, progress.total);
        ControlFlow::Continue(())
    }
}

/// What went from one repository to another.
pub(crate) struct Moved {
    pub(crate) schema: &'static str,
    pub(crate) verb: &'static str,
    pub(crate) remote: String,
    pub(crate) synced: Synced,
    pub(crate) dry_run: bool,
    pub(crate) took: String,
}

impl Record for Moved {
    fn schema(&self) -> &'static str {
        self.schema
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("remote".into(), json!(self.remote));
        counts(&self.synced, fields);
        fields.insert("names".into(), self.synced.names.iter().map(name_to_json).collect());
        fields.insert("tags_kept".into(), json!(self.synced.tags_kept));
        fields.insert("dry_run".into(), json!(self.dry_run));
    }

    fn text(&self, text: &mut Text) {
        text.plain(if self.dry_run { "would have " } else { "" }).plain(self.verb).plain(" ");
        text.painted(Paint::Name, &self.remote).plain(": ").plain(&summary(&self.synced));
        text.plain(", ").plain(&self.took).end();
        for name in &self.synced.names {
            name_text(name, text);
        }
        for tag in &self.synced.tags_kept {
            text.painted(Paint::Bad, "!").plain(" tag ").painted(Paint::Name, tag);
            text.plain(" stays where it is here; it is elsewhere there").end();
        }
    }
}

/// `12 commits, 34 blocks, 5678 bytes`
pub(crate) fn summary(synced: &Synced) -> String {
    let Synced { commits, blocks, bytes, .. } = synced;
    format!("{}, {}, {}", counted(*commits, "commit"), counted(*blocks, "block"), counted(*bytes, "byte"))
}

/// Writes what moved, in numbers.
pub(crate) fn counts(synced: &Synced, fields: &mut Fields) {
    fields.insert("commits".into(), json!(synced.commits));
    fields.insert("blocks".into(), json!(synced.blocks));
    fields.insert("bytes".into(), json!(synced.bytes));
}

fn name_to_json(name: &NameChange) -> Json {
    let commits = |ids: &[mnem::CommitId]| ids.iter().map(|id| json!(id.to_string())).collect::<Json>();
    json!({ "kind": name.kind.word(), "name": name.name, "old": commits(&name.old), "new": commits(&name.new) })
}

fn name_text(name: &NameChange, text: &mut Text) {
    let (mark, paint) = match (name.old.is_empty(), name.new.is_empty()) {
        (true, _) => ("+", Paint::Added),
        (_, true) => ("-", Paint::Removed),
        _ => ("~", Paint::Changed),
    };
    let shown = |ids: &[mnem::CommitId]| ids.iter().map(short).collect::<Vec<_>>().join(" or ");
    text.painted(paint, mark).plain(" ").plain(name.kind.word()).plain(" ").painted(Paint::Name, &name.name);
    text.plain("  ");
    if !name.old.is_empty() {
        text.painted(Paint::Id, &shown(&name.old)).plain(" -> ");
    }
    text.painted(Paint::Id, if name.new.is_empty() { "gone" } else { "" })
        .painted(Paint::Id, &shown(&name.new))
        .end();
}
