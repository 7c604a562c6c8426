//! What was changed, as every command tells it: `+` is new, `~` changed, `-` gone, `!` in conflict, `=` settled.

use mnem::object::{Edge, Node};
use mnem::{ChangeKind, Changed, Delta, RepoError, Snapshot};
use serde_json::{Value as Json, json};

use crate::find;
use crate::output::{Fields, Paint, Record, Text};
use crate::values::to_json;

/// Digits of a commit's id that people are shown, after those that all ids begin with.
const SHORT_DIGITS: std::ops::Range<usize> = 7..15;

/// Returns the id of a commit or operation as people are shown it. It is taken wherever an id is.
pub(crate) fn short(id: &impl ToString) -> String {
    let id = id.to_string();
    id.get(SHORT_DIGITS).map_or(id.clone(), str::to_owned)
}

/// A node or an edge that differs between two states, and what it is called.
pub(crate) struct Change {
    title: String,
    change: mnem::Change,
}

impl Change {
    /// Finds out what it is called. Ends of edges are called what `now` calls them.
    pub(crate) fn new(now: &Snapshot, change: mnem::Change) -> Result<Change, RepoError> {
        let title = match &change {
            mnem::Change::Node(node) => find::title(node.either()),
            mnem::Change::Edge(edge) => find::edge_title(now, edge.either())?,
        };
        Ok(Change { title, change })
    }

    /// Takes two versions; `None` if neither is there.
    pub(crate) fn of_versions<T>(
        now: &Snapshot,
        versions: (Option<T>, Option<T>),
        kind: fn(Changed<T>) -> mnem::Change,
    ) -> Result<Option<Change>, RepoError> {
        let (old, new) = versions;
        if old.is_none() && new.is_none() {
            return Ok(None);
        }
        Change::new(now, kind(Changed { old, new, old_disputed: None, new_disputed: None })).map(Some)
    }

    /// Returns what the entity is called.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    fn word(&self) -> (&'static str, Paint) {
        match self.change.kind() {
            ChangeKind::Added => ("added", Paint::Added),
            ChangeKind::Removed => ("removed", Paint::Removed),
            ChangeKind::Changed => ("changed", Paint::Changed),
            ChangeKind::Disputed => ("disputed", Paint::Bad),
            ChangeKind::Settled => ("settled", Paint::Added),
        }
    }

    /// Says whether the title tells a delta already.
    fn is_told(&self, delta: &Delta) -> bool {
        let is_node = matches!(self.change, mnem::Change::Node(_));
        match (self.change.kind(), delta) {
            (ChangeKind::Removed, _) => true,
            (ChangeKind::Added, Delta::Ends { .. }) => true,
            (ChangeKind::Added, Delta::Labels { new, .. }) => new.len() == 1,
            (ChangeKind::Added, Delta::Property { name, .. }) => is_node && &**name == find::NAME,
            _ => false,
        }
    }

    /// Writes one line.
    pub(crate) fn text(&self, text: &mut Text) {
        let (_, paint) = self.word();
        text.painted(paint, &self.change.kind().sign().to_string()).plain(" ").painted(paint, &self.title);
        let deltas = self.change.deltas();
        let told: Vec<String> =
            deltas.iter().filter(|delta| !self.is_told(delta)).map(ToString::to_string).collect();
        if !told.is_empty() {
            text.plain("  ").plain(&told.join(", "));
        }
        if let Some(disputed) = self.disputed() {
            text.plain("  (in conflict: ").plain(&disputed.join(", ")).plain(")");
        }
        text.end();
    }

    fn disputed(&self) -> Option<&Vec<String>> {
        match &self.change {
            mnem::Change::Node(node) => node.new_disputed.as_ref(),
            mnem::Change::Edge(edge) => edge.new_disputed.as_ref(),
        }
    }

    /// Writes the JSON form.
    pub(crate) fn fields(&self, fields: &mut Fields) {
        match &self.change {
            mnem::Change::Node(node) => node_head(node.either(), fields),
            mnem::Change::Edge(edge) => edge_head(edge.either(), fields),
        }
        fields.insert("title".into(), json!(self.title));
        fields.insert("change".into(), json!(self.word().0));
        fields.insert("deltas".into(), self.change.deltas().iter().map(delta_to_json).collect());
        if let Some(disputed) = self.disputed() {
            fields.insert("conflict".into(), json!(disputed));
        }
    }

    /// Returns the JSON form.
    pub(crate) fn to_json(&self) -> Json {
        let mut fields = Fields::new();
        self.fields(&mut fields);
        Json::Object(fields)
    }
}

/// Writes which node, and what it is.
pub(crate) fn node_head(node: &Node, fields: &mut Fields) {
    fields.insert("node".into(), json!(node.id.to_string()));
    fields.insert("labels".into(), node.labels.iter().map(|label| json!(**label)).collect());
}

/// Writes which edge, and what it connects.
pub(crate) fn edge_head(edge: &Edge, fields: &mut Fields) {
    fields.insert("edge".into(), json!(edge.id.to_string()));
    fields.insert("src".into(), json!(edge.src.to_string()));
    fields.insert("type".into(), json!(*edge.edge_type));
    fields.insert("dst".into(), json!(edge.dst.to_string()));
}

/// Writes what differs in one field. What is absent is left out.
pub(crate) fn delta_to_json(delta: &Delta) -> Json {
    let mut fields = Fields::new();
    let mut put = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            fields.insert(name.into(), value);
        }
    };
    let labels = |labels: &[std::sync::Arc<str>]| labels.iter().map(|label| json!(**label)).collect::<Json>();
    match delta {
        Delta::Property { name, old, new } => {
            put("property", Some(json!(**name)));
            put("old", old.as_ref().map(to_json));
            put("new", new.as_ref().map(to_json));
        }
        Delta::Labels { old, new } => {
            put("field", Some(json!("labels")));
            put("old", Some(labels(old)));
            put("new", Some(labels(new)));
        }
        Delta::Ends { .. } => put("field", Some(json!("ends"))),
        Delta::Content { .. } => put("field", Some(json!("content"))),
        Delta::Other { field, .. } => put("field", Some(json!(**field))),
        _ => put("field", Some(json!("other"))),
    }
    Json::Object(fields)
}

/// A commit that a command made, and what is in it.
pub(crate) struct Committed {
    pub(crate) now: Snapshot,
    pub(crate) changes: Vec<Change>,
}

impl Record for Committed {
    fn schema(&self) -> &'static str {
        "mnem.commit/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("branch".into(), json!(self.now.branch()));
        if let (Some(id), Some(commit)) = (self.now.commit_id(), self.now.commit()) {
            fields.insert("commit".into(), json!(id.to_string()));
            fields.insert("time".into(), json!(commit.time.to_string()));
            fields.insert("message".into(), json!(*commit.message));
        }
        fields.insert("changes".into(), self.changes.iter().map(Change::to_json).collect());
    }

    fn text(&self, text: &mut Text) {
        let id = self.now.commit_id().map(|id| short(&id)).unwrap_or_default();
        text.plain("[").painted(Paint::Name, self.now.branch()).plain(" ");
        text.painted(Paint::Id, &id).plain("] ");
        for change in &self.changes {
            change.text(text);
        }
        if self.changes.is_empty() {
            text.end();
        }
    }
}

/// A command that was asked for what is so already, or was only to say what it would do.
pub(crate) struct Unchanged {
    pub(crate) branch: String,
    /// What would be changed.
    pub(crate) changes: Vec<Change>,
}

impl Record for Unchanged {
    fn schema(&self) -> &'static str {
        "mnem.unchanged/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("branch".into(), json!(self.branch));
        fields.insert("changes".into(), self.changes.iter().map(Change::to_json).collect());
    }

    fn text(&self, text: &mut Text) {
        if self.changes.is_empty() {
            text.plain("nothing to change on ").painted(Paint::Name, &self.branch).end();
            return;
        }
        text.plain("would change on ").painted(Paint::Name, &self.branch).plain(":").end();
        for change in &self.changes {
            change.text(text);
        }
    }
}
