//! What was changed, as every command tells it: `+` is new, `~` changed, `-` gone.

use mnem::object::{Edge, Node};
use mnem::{Delta, Differ as _, RepoError, Snapshot};
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

/// A node or an edge that differs between two states.
pub(crate) struct Change {
    title: String,
    what: What,
    old: bool,
    new: bool,
    deltas: Vec<Delta>,
}

enum What {
    Node(Node),
    Edge(Edge),
}

impl Change {
    /// Compares two versions of a node; `None` if neither is there.
    pub(crate) fn of_node(old: Option<&Node>, new: Option<&Node>) -> Option<Change> {
        let shown = new.or(old)?;
        Some(Change {
            title: find::title(shown),
            what: What::Node(shown.clone()),
            old: old.is_some(),
            new: new.is_some(),
            deltas: Node::differ(old, new).into_iter().collect(),
        })
    }

    /// Compares two versions of an edge, whose ends are called what `now` calls them; `None` if neither is there.
    pub(crate) fn of_edge(
        now: &Snapshot,
        old: Option<&Edge>,
        new: Option<&Edge>,
    ) -> Result<Option<Change>, RepoError> {
        let Some(shown) = new.or(old) else { return Ok(None) };
        Ok(Some(Change {
            title: find::edge_title(now, shown)?,
            what: What::Edge(shown.clone()),
            old: old.is_some(),
            new: new.is_some(),
            deltas: Edge::differ(old, new).into_iter().collect(),
        }))
    }

    /// Returns what the entity is called.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    const fn word(&self) -> (&'static str, &'static str, Paint) {
        match (self.old, self.new) {
            (false, _) => ("+", "added", Paint::Added),
            (true, true) => ("~", "changed", Paint::Changed),
            (true, false) => ("-", "removed", Paint::Removed),
        }
    }

    /// Says whether the title tells a delta already.
    fn is_told(&self, delta: &Delta) -> bool {
        let is_whole = self.old != self.new;
        match delta {
            Delta::Ends { .. } => is_whole,
            Delta::Labels { old, new } => is_whole && old.len() + new.len() == 1,
            Delta::Property { name, .. } => {
                is_whole && &**name == find::NAME && matches!(self.what, What::Node(_))
            }
            _ => false,
        }
    }

    /// Writes one line.
    pub(crate) fn text(&self, text: &mut Text) {
        let (mark, _, paint) = self.word();
        text.painted(paint, mark).plain(" ").painted(paint, &self.title);
        // Of what is gone the title is enough.
        let told: Vec<String> = match self.new {
            true => {
                self.deltas.iter().filter(|delta| !self.is_told(delta)).map(ToString::to_string).collect()
            }
            false => Vec::new(),
        };
        if !told.is_empty() {
            text.plain("  ").plain(&told.join(", "));
        }
        text.end();
    }

    /// Writes the JSON form.
    pub(crate) fn fields(&self, fields: &mut Fields) {
        match &self.what {
            What::Node(node) => {
                fields.insert("node".into(), json!(node.id.to_string()));
                fields.insert("labels".into(), node.labels.iter().map(|label| json!(**label)).collect());
            }
            What::Edge(edge) => {
                fields.insert("edge".into(), json!(edge.id.to_string()));
                fields.insert("src".into(), json!(edge.src.to_string()));
                fields.insert("type".into(), json!(*edge.edge_type));
                fields.insert("dst".into(), json!(edge.dst.to_string()));
            }
        }
        fields.insert("title".into(), json!(self.title));
        fields.insert("change".into(), json!(self.word().1));
        fields.insert("deltas".into(), self.deltas.iter().map(delta_to_json).collect());
    }

    /// Returns the JSON form.
    pub(crate) fn to_json(&self) -> Json {
        let mut fields = Fields::new();
        self.fields(&mut fields);
        Json::Object(fields)
    }
}

/// Writes what differs in one field. What is absent is left out.
fn delta_to_json(delta: &Delta) -> Json {
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
