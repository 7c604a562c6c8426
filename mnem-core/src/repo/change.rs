//! A node or an edge that differs between two states, as plain data.

use std::fmt;

use super::delta::{Deltas, Differ};
use crate::id::EntityId;
use crate::object::{Edge, Node};
use crate::value::{Props, Value};

/// A node or an edge that differs between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A node.
    Node(Changed<Node>),
    /// An edge.
    Edge(Changed<Edge>),
}

/// Both versions of what differs. Of one in conflict, what [`Snapshot::get`](super::Snapshot::get) shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed<T> {
    /// As it was; `None` if it was not there.
    pub old: Option<T>,
    /// As it is; `None` if it is gone.
    pub new: Option<T>,
    /// If it was in conflict, the fields that sides disagreed on.
    pub old_disputed: Option<Vec<String>>,
    /// If it is in conflict, the fields that sides disagree on.
    pub new_disputed: Option<Vec<String>>,
}

/// What became of a node or an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It changed.
    Changed,
    /// It came into conflict.
    Disputed,
    /// It was in conflict.
    Settled,
}

impl ChangeKind {
    /// Returns the sign for it in reports.
    pub const fn sign(self) -> char {
        match self {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Changed => '~',
            ChangeKind::Disputed => '!',
            ChangeKind::Settled => '=',
        }
    }
}

impl<T: Differ> Changed<T> {
    /// Returns what became of it.
    pub fn kind(&self) -> ChangeKind {
        match (&self.old, &self.new, &self.old_disputed, &self.new_disputed) {
            (_, Some(_), None, Some(_)) => ChangeKind::Disputed,
            (None, ..) => ChangeKind::Added,
            (_, None, ..) => ChangeKind::Removed,
            (_, _, Some(_), None) => ChangeKind::Settled,
            _ => ChangeKind::Changed,
        }
    }

    /// Returns the fields that differ. There may be none where only a conflict came or went.
    pub fn deltas(&self) -> Deltas {
        T::differ(self.old.as_ref(), self.new.as_ref())
    }

    /// Returns one version that is there: the new one, or of what is gone the old one.
    pub fn either(&self) -> &T {
        self.new.as_ref().or(self.old.as_ref()).expect("a change has a version at one end at least")
    }
}

impl Change {
    /// Returns which node or edge it is.
    pub fn entity(&self) -> EntityId {
        match self {
            Change::Node(node) => node.either().id.into(),
            Change::Edge(edge) => edge.either().id.into(),
        }
    }

    /// Returns what became of it.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Change::Node(node) => node.kind(),
            Change::Edge(edge) => edge.kind(),
        }
    }

    /// Returns the fields that differ.
    pub fn deltas(&self) -> Deltas {
        match self {
            Change::Node(node) => node.deltas(),
            Change::Edge(edge) => edge.deltas(),
        }
    }

    pub(super) fn carries(&self, label: &str) -> bool {
        match self {
            Change::Node(Changed { old, new, .. }) => {
                [old, new].into_iter().flatten().any(|node| node.labels.has(label))
            }
            Change::Edge(_) => false,
        }
    }
}

/// `~ Person/Ada  born 1815 -> 1816`; a node without a name shows its id, an edge the ids of its ends.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        write!(f, "{} ", kind.sign())?;
        let props = match self {
            Change::Node(node) => {
                write_title(f, node.either())?;
                &node.either().props
            }
            Change::Edge(edge) => {
                let edge = edge.either();
                write!(f, "{} -{}-> {}", edge.src, &*edge.edge_type, edge.dst)?;
                &edge.props
            }
        };
        match kind {
            ChangeKind::Removed => Ok(()),
            ChangeKind::Added => write_props(f, props),
            _ => {
                self.deltas().iter().enumerate().try_for_each(|(index, delta)| {
                    write!(f, "{}{delta}", if index > 0 { ", " } else { "  " })
                })
            }
        }
    }
}

/// The first label, and the name or else the id.
fn write_title(f: &mut fmt::Formatter<'_>, node: &Node) -> fmt::Result {
    if let Some(label) = node.labels.first() {
        write!(f, "{label}/")?;
    }
    match node.props.value("name") {
        Some(Value::Text(name)) => f.write_str(name),
        _ => write!(f, "{}", node.id),
    }
}

fn write_props(f: &mut fmt::Formatter<'_>, props: &Props) -> fmt::Result {
    let told = |(name, value): &(&str, &Value)| *name != "name" || !matches!(value, Value::Text(_));
    props.iter().filter(told).enumerate().try_for_each(|(index, (name, value))| {
        write!(f, "{}{name} {value}", if index > 0 { ", " } else { "  " })
    })
}

/// How many nodes and edges differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiffStat {
    /// Of the nodes.
    pub nodes: Counts,
    /// Of the edges.
    pub edges: Counts,
}

/// How many came, went and changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Are new.
    pub added: u64,
    /// Are gone.
    pub removed: u64,
    /// Are there in both states, and differ.
    pub changed: u64,
}

impl Counts {
    pub(super) fn count(&mut self, was_there: bool, is_there: bool) {
        match (was_there, is_there) {
            (false, _) => self.added += 1,
            (true, false) => self.removed += 1,
            (true, true) => self.changed += 1,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{} -{} ~{}", self.added, self.removed, self.changed)
    }
}

impl fmt::Display for DiffStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nodes {}, edges {}", self.nodes, self.edges)
    }
}
