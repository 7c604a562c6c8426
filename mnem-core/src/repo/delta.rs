//! What differs between two versions of one node or edge, field by field.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::cid::Cid;
use crate::id::NodeId;
use crate::object::{Content, Edge, EdgeType, Labels, Node, Unknown};
use crate::value::{Props, Value};

/// A field that differs. What is absent is `None`; of an entity that was not there, every field was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delta {
    /// A node's labels.
    Labels {
        /// As they were.
        old: Labels,
        /// As they are.
        new: Labels,
    },
    /// Where an edge starts and ends, and its type. They change only from absence or to it.
    Ends {
        /// As they were.
        old: Option<Ends>,
        /// As they are.
        new: Option<Ends>,
    },
    /// A property.
    Property {
        /// Its name.
        name: Arc<str>,
        /// What it was.
        old: Option<Value>,
        /// What it is.
        new: Option<Value>,
    },
    /// A node's content. Equal bytes are equal content.
    Content {
        /// What it was.
        old: Option<Content>,
        /// What it is.
        new: Option<Content>,
    },
    /// A field that has no meaning to this version of the program, or to people.
    Other {
        /// Its name.
        field: Arc<str>,
    },
}

/// Which field. Ordered as they are shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Field {
    /// A node's labels.
    Labels,
    /// Where an edge starts and ends, and its type.
    Ends,
    /// A property.
    Property(Arc<str>),
    /// A node's content.
    Content,
    /// Another one.
    Other(Arc<str>),
}

impl Field {
    fn name(&self) -> &str {
        match self {
            Field::Labels => "labels",
            Field::Ends => "ends",
            Field::Property(name) | Field::Other(name) => name,
            Field::Content => "content",
        }
    }

    /// Says whether this is the field of that name, or holds it: `place` holds `place.city`.
    pub(super) fn holds(&self, name: &str) -> bool {
        name.strip_prefix(self.name()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Delta {
    /// Returns which field differs.
    pub fn field(&self) -> Field {
        match self {
            Delta::Labels { .. } => Field::Labels,
            Delta::Ends { .. } => Field::Ends,
            Delta::Property { name, .. } => Field::Property(Arc::clone(name)),
            Delta::Content { .. } => Field::Content,
            Delta::Other { field } => Field::Other(Arc::clone(field)),
        }
    }
}

/// What an edge connects, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Where it starts.
    pub src: NodeId,
    /// What it says of the two.
    pub edge_type: EdgeType,
    /// Where it ends.
    pub dst: NodeId,
}

/// An object that can be compared with another version of itself.
pub trait Differ: Sized {
    /// Lists what differs from `old` to `new`. `None` is an entity that is not there.
    fn differ(old: Option<&Self>, new: Option<&Self>) -> Deltas;
}

impl Differ for Node {
    fn differ(old: Option<&Node>, new: Option<&Node>) -> Deltas {
        let mut deltas = Vec::new();
        let labels = |node: Option<&Node>| node.map(|node| node.labels.clone()).unwrap_or_default();
        if labels(old) != labels(new) {
            deltas.push(Delta::Labels { old: labels(old), new: labels(new) });
        }
        props(old.map(|node| &node.props), new.map(|node| &node.props), &mut deltas);
        let content = |node: Option<&Node>| node.and_then(|node| node.content.clone());
        if content(old) != content(new) {
            deltas.push(Delta::Content { old: content(old), new: content(new) });
        }
        salt(old.and_then(|node| node.salt) != new.and_then(|node| node.salt), &mut deltas);
        unknown(old.map(|node| &node.unknown), new.map(|node| &node.unknown), &mut deltas);
        Deltas(deltas)
    }
}

impl Differ for Edge {
    fn differ(old: Option<&Edge>, new: Option<&Edge>) -> Deltas {
        let mut deltas = Vec::new();
        let ends = |edge: &Edge| Ends { src: edge.src, edge_type: edge.edge_type.clone(), dst: edge.dst };
        let (from, to) = (old.map(ends), new.map(ends));
        if from != to {
            deltas.push(Delta::Ends { old: from, new: to });
        }
        props(old.map(|edge| &edge.props), new.map(|edge| &edge.props), &mut deltas);
        salt(old.and_then(|edge| edge.salt) != new.and_then(|edge| edge.salt), &mut deltas);
        unknown(old.map(|edge| &edge.unknown), new.map(|edge| &edge.unknown), &mut deltas);
        Deltas(deltas)
    }
}

fn props(old: Option<&Props>, new: Option<&Props>, deltas: &mut Vec<Delta>) {
    let names = [old, new].into_iter().flatten().flat_map(|props| props.iter().map(|(name, _)| name));
    for name in names.collect::<BTreeSet<&str>>() {
        let value = |props: Option<&Props>| props.and_then(|props| props.value(name).cloned());
        let (old, new) = (value(old), value(new));
        if old != new {
            deltas.push(Delta::Property { name: name.into(), old, new });
        }
    }
}

fn salt(differs: bool, deltas: &mut Vec<Delta>) {
    if differs {
        deltas.push(Delta::Other { field: "salt".into() });
    }
}

fn unknown(old: Option<&Unknown>, new: Option<&Unknown>, deltas: &mut Vec<Delta>) {
    let names = [old, new].into_iter().flatten().flat_map(|fields| fields.iter().map(|(name, _)| name));
    for name in names.collect::<BTreeSet<&str>>() {
        let item = |fields: Option<&Unknown>| fields.and_then(|fields| fields.get(name).cloned());
        if item(old) != item(new) {
            deltas.push(Delta::Other { field: name.into() });
        }
    }
}

/// `born 1815 -> 1816`; `born 1815` where nothing was before, `born 1815 -> none` where nothing is after.
impl fmt::Display for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Delta::Labels { old, new } => {
                let shown = |labels: &Labels| Some(labels.join(", ")).filter(|text| !text.is_empty());
                write_change(f, "labels", shown(old), shown(new))
            }
            Delta::Ends { old, new } => write_change(f, "ends", old.as_ref(), new.as_ref()),
            Delta::Property { name, old, new } => write_change(f, name, old.as_ref(), new.as_ref()),
            Delta::Content { old, new } => {
                write_change(f, "content", old.as_ref().map(shown_content), new.as_ref().map(shown_content))
            }
            Delta::Other { field } => write!(f, "{field} differs"),
        }
    }
}

fn write_change(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    old: Option<impl fmt::Display>,
    new: Option<impl fmt::Display>,
) -> fmt::Result {
    match (old, new) {
        (Some(old), Some(new)) => write!(f, "{name} {old} -> {new}"),
        (Some(old), None) => write!(f, "{name} {old} -> none"),
        (None, Some(new)) => write!(f, "{name} {new}"),
        (None, None) => write!(f, "{name} none"),
    }
}

fn shown_content(content: &Content) -> String {
    let cid: &Cid = match content {
        Content::Inline(bytes) => return format!("of {} bytes", bytes.len()),
        Content::List(root) => root,
    };
    format!("in chunks {cid}")
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -{}-> {}", self.src, &*self.edge_type, self.dst)
    }
}

/// All fields that differ, in a fixed order: what says what the entity is, its properties by name, the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deltas(Vec<Delta>);

impl Deltas {
    /// Returns what became of a property, if it differs.
    pub fn property(&self, name: &str) -> Option<&Delta> {
        self.iter().find(|delta| matches!(delta, Delta::Property { name: other, .. } if &**other == name))
    }

    /// Says whether a field differs.
    pub fn has(&self, field: &Field) -> bool {
        self.iter().any(|delta| delta.field() == *field)
    }

    pub(super) fn retain(&mut self, stays: impl Fn(&Field) -> bool) {
        self.0.retain(|delta| stays(&delta.field()));
    }
}

impl Deref for Deltas {
    type Target = [Delta];

    fn deref(&self) -> &[Delta] {
        &self.0
    }
}

impl IntoIterator for Deltas {
    type Item = Delta;
    type IntoIter = std::vec::IntoIter<Delta>;

    fn into_iter(self) -> std::vec::IntoIter<Delta> {
        self.0.into_iter()
    }
}

/// One after the other: `born 1815 -> 1816, died 1852`.
impl fmt::Display for Deltas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().enumerate().try_for_each(|(index, delta)| {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{delta}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EdgeId;
    use crate::object::{IntoLabels, Salt};
    use crate::props;
    use crate::value::IntoProps;

    fn node(labels: impl IntoLabels, props: impl IntoProps) -> Node {
        let id = NodeId::from_bytes([7; 16]);
        Node::new(id, labels.into_labels().unwrap(), props.into_props().unwrap())
    }

    fn shown<T: Differ>(old: Option<&T>, new: Option<&T>) -> Vec<String> {
        T::differ(old, new).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn properties_differ_by_name_and_canonical_value() {
        let old = node("Person", props! { name: "Ada", born: 1815, place: "London", age: 1 });
        let new = node("Person", props! { name: "Ada", born: 1816, died: 1852, age: 1.0 });
        let deltas = ["age 1 -> 1.0", "born 1815 -> 1816", "died 1852", "place London -> none"];
        assert_eq!(shown(Some(&old), Some(&new)), deltas);
        let all = Node::differ(Some(&old), Some(&new));
        assert_eq!(all.to_string(), deltas.join(", "));
        assert_eq!(all.property("born"), Some(&all[1]));
        assert_eq!(all.property("name"), None);
    }

    #[test]
    fn equal_versions_do_not_differ() {
        let version = node(["Person", "Author"], props! { name: "Ada" });
        assert!(Node::differ(Some(&version), Some(&version)).is_empty());
        assert!(Node::differ(None, None).is_empty());
    }

    #[test]
    fn every_field_of_a_node_can_differ() {
        let old = node("Person", Props::new());
        let mut new = node(["Person", "Author"], Props::new());
        new.content = Some(Content::Inline("abc".into()));
        new.salt = Some(Salt([1; 16]));
        assert_eq!(
            shown(Some(&old), Some(&new)),
            ["labels Person -> Author, Person", "content of 3 bytes", "salt differs"]
        );
    }

    #[test]
    fn what_comes_and_goes_differs_in_all_its_fields() {
        let version = node("Person", props! { born: 1815 });
        assert_eq!(shown(None, Some(&version)), ["labels Person", "born 1815"]);
        assert_eq!(shown(Some(&version), None), ["labels Person -> none", "born 1815 -> none"]);
    }

    #[test]
    fn the_ends_of_an_edge_come_and_go_with_it() {
        let (src, dst) = (NodeId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
        let knows = EdgeType::new("knows").unwrap();
        let edge = Edge::new(EdgeId::from_bytes([3; 16]), src, knows, dst, Props::new());
        assert_eq!(shown(None, Some(&edge)), [format!("ends {src} -knows-> {dst}")]);
        assert_eq!(shown(Some(&edge), Some(&edge)), Vec::<String>::new());
    }
}
