//! Naming nodes and edges: how people write them, and how they are shown.
//!
//! | written | means |
//! |---|---|
//! | `Person/Ada` | the node that carries the label and has this `name`, if there is one |
//! | `01a1fd8c-6900-7c1e-a5d0-93b1f2c7e604` | the node or edge of this id |
//! | `01a1fd8c-69`, `Person/01a1fd8c-69` | the one whose id begins so, if there is one |

use mnem::object::{Edge, Node};
use mnem::value::Value;
use mnem::{EdgeId, EntityId, NodeId, RepoError, Snapshot};
use mnem_core::repo::query::{self, Query, prop};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::similar::similar;

/// The property that names a node.
pub(crate) const NAME: &str = "name";

/// Fewer digits than this begin no id: people would hit by chance.
const DIGITS_MIN: usize = 4;

/// How many of those that are meant are listed.
const CANDIDATES_MAX: usize = 16;

/// How many names of a label are looked at for one that is similar.
const LOOKED_AT_MAX: usize = 10_000;

/// A node or an edge.
pub(crate) enum Found {
    Node(Node),
    Edge(Edge),
}

/// Finds a node or an edge.
pub(crate) fn entity(now: &Snapshot, text: &str) -> Result<EntityId, Failure> {
    if let Some((label, name)) = text.split_once('/') {
        let found = by_name(now, label, name)?;
        match found.as_slice() {
            [] => {}
            [one] => return Ok((*one).into()),
            several => {
                let several: Vec<EntityId> = several.iter().copied().map(EntityId::from).collect();
                return Err(ambiguous(now, text, &several)?);
            }
        }
    }
    let digits = text.rsplit('/').next().unwrap_or(text);
    if digits.len() >= DIGITS_MIN {
        let label = text.split_once('/').map(|(label, _)| label);
        let found = by_digits(now, label, digits)?;
        match found.as_slice() {
            [] => {}
            [one] => return Ok(*one),
            several => return Err(ambiguous(now, text, several)?),
        }
    }
    Err(unknown(text, &names_like(now, text)?))
}

/// Finds a node or an edge that may be gone: then its id has to be given whole.
pub(crate) fn entity_that_was(now: &Snapshot, text: &str) -> Result<EntityId, Failure> {
    let found = entity(now, text);
    match (&found, text.parse::<NodeId>()) {
        (Err(failure), Ok(node)) if failure.exit == Exit::NotFound => {
            if now.last_modified(node)?.is_some() {
                return Ok(node.into());
            }
            let edge = EdgeId::from_bytes(*node.as_bytes());
            if now.last_modified(edge)?.is_some() { Ok(edge.into()) } else { found }
        }
        _ => found,
    }
}

/// Finds a node.
pub(crate) fn node(now: &Snapshot, text: &str) -> Result<NodeId, Failure> {
    match entity(now, text)? {
        EntityId::Node(id) => Ok(id),
        EntityId::Edge(_) => Err(Failure::bad_word(format!("`{text}` is an edge; a node is wanted here"))),
    }
}

/// Reads a node or an edge that was found.
pub(crate) fn read(now: &Snapshot, id: EntityId) -> Result<Found, RepoError> {
    Ok(match id {
        EntityId::Node(id) => Found::Node(now.require(id)?),
        EntityId::Edge(id) => Found::Edge(now.require(id)?),
    })
}

/// Finds the nodes of a label that have a name: a text or, where it is one, a number.
fn by_name(now: &Snapshot, label: &str, name: &str) -> Result<Vec<NodeId>, Failure> {
    let is_called = prop(NAME).equals(name);
    let is_called = match name.parse::<i64>() {
        Ok(number) if number.to_string() == name => is_called.or(prop(NAME).equals(number)),
        _ => is_called,
    };
    let asked = Query::nodes(query::label(label).and(is_called));
    let found = now.find(&asked)?.take(CANDIDATES_MAX);
    Ok(found.map(|node| Ok(node?.id)).collect::<Result<Vec<_>, RepoError>>()?)
}

/// Lists what the nodes are called that carry the label of one that is not there.
fn names_like(now: &Snapshot, text: &str) -> Result<Vec<String>, Failure> {
    let Some((label, _)) = text.split_once('/') else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for node in now.labelled(label)?.take(LOOKED_AT_MAX) {
        names.extend(name_of(&node?).map(|name| format!("{label}/{name}")));
    }
    Ok(names)
}

fn by_digits(now: &Snapshot, label: Option<&str>, digits: &str) -> Result<Vec<EntityId>, Failure> {
    let mut found = now.starting_with(digits, CANDIDATES_MAX)?;
    if let Some(label) = label {
        let mut carries = |id: &EntityId| match id {
            EntityId::Node(id) => Ok(now.get(*id)?.is_some_and(|node| node.labels.has(label))),
            EntityId::Edge(_) => Ok::<bool, RepoError>(false),
        };
        let carry = found.iter().map(&mut carries).collect::<Result<Vec<bool>, _>>()?;
        let mut carry = carry.into_iter();
        found.retain(|_| carry.next().unwrap_or(false));
    }
    Ok(found)
}

fn ambiguous(now: &Snapshot, text: &str, several: &[EntityId]) -> Result<Failure, Failure> {
    let shown = several.iter().take(CANDIDATES_MAX).map(|id| Ok(format!("{id}  {}", title_of(now, *id)?)));
    let candidates = shown.collect::<Result<Vec<String>, RepoError>>()?;
    let failure =
        Failure::new("ambiguous", Exit::Failure, format!("`{text}` names {} entities", several.len()));
    Ok(failure.hint("say which by its id, or by more digits of it").candidates(candidates))
}

fn unknown(text: &str, names: &[String]) -> Failure {
    let failure = Failure::new("unknown", Exit::NotFound, format!("nothing here is called `{text}`"));
    let similar = similar(text, names.iter().map(String::as_str));
    match similar.first() {
        Some(name) => failure.hint(format!("did you mean {name}?")).candidates(similar),
        None => failure
            .hint("name a node LABEL/NAME, or a node or an edge by its id; it may be on another branch"),
    }
}

/// Returns the name of a node, if it has one that can be written in a line.
fn name_of(node: &Node) -> Option<String> {
    match node.props.value(NAME)? {
        Value::Text(name) if !name.is_empty() => Some(name.as_ref().to_owned()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns what to call a node: its first label and its name, or its id.
pub(crate) fn title(node: &Node) -> String {
    let name = name_of(node).unwrap_or_else(|| node.id.to_string());
    match node.labels.first() {
        Some(label) => format!("{label}/{name}"),
        None => name,
    }
}

/// Returns what to call an edge: what it connects, and how.
pub(crate) fn edge_title(now: &Snapshot, edge: &Edge) -> Result<String, RepoError> {
    let end = |id| {
        Ok::<String, RepoError>(now.get::<NodeId>(id)?.map_or_else(|| id.to_string(), |node| title(&node)))
    };
    Ok(format!("{} -{}-> {}", end(edge.src)?, &*edge.edge_type, end(edge.dst)?))
}

/// Returns what to call a node or an edge.
pub(crate) fn title_of(now: &Snapshot, id: EntityId) -> Result<String, RepoError> {
    Ok(match id {
        EntityId::Node(id) => now.get(id)?.map_or_else(|| id.to_string(), |node| title(&node)),
        EntityId::Edge(id) => match now.get::<EdgeId>(id)? {
            Some(edge) => edge_title(now, &edge)?,
            None => id.to_string(),
        },
    })
}
