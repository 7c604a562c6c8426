//! What a block leads to, told apart by what the links mean.
//!
//! Which block may be absent depends on the link that leads there: a version must be there, a value that somebody set to
//! a link promises nothing, and where a skip link leads is no business of who asks whether a commit is complete.

use std::collections::HashSet;

use crate::block::Block;
use crate::cid::{Cid, Codec};
use crate::codec::{DecodeError, Malformed, Reader, known_links};
use crate::id::{EdgeId, EntityId, NodeId};
use crate::key::ConflictKey;
use crate::object::kind_of;
use crate::tree::VALUE_DEPTH_MAX;

/// Where a block stands: what the entries of a tree node mean cannot be told from the node itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// An object, which says what it is; raw bytes; or a block of others.
    Object,
    /// In the map of nodes.
    Nodes,
    /// In the map of edges.
    Edges,
    /// In the map of what is in conflict.
    Conflicts,
    /// In the map of models with vectors.
    Models,
    /// In the map of the vectors of one model.
    Vectors,
    /// In the map of settings.
    Settings,
    /// In any other tree.
    Tree,
}

/// How a link binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bond {
    /// What it leads to belongs to what it comes from.
    Part,
    /// It leads from a commit or operation to one that it follows.
    Parent,
    /// Somebody set a value to it: it promises nothing.
    Loose,
}

/// A link, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub cid: Cid,
    /// Where that stands.
    pub place: Place,
    /// How it binds.
    pub bond: Bond,
}

/// Returns the links of a block, in the order in which they stand. Left out are skip links, links of operations to what
/// they take back, and what stands under an erased id.
pub fn links(block: &Block, place: Place, erased: &HashSet<EntityId>) -> Result<Vec<Link>, DecodeError> {
    if block.cid().codec() == Codec::Raw {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    if place != Place::Object {
        tree_node(block.bytes(), place, erased, &mut found)?;
        return Ok(found);
    }
    match kind_of(block) {
        Ok(Some(kind)) => object(block.bytes(), &kind, &mut found)?,
        // Blocks of others may hold what no object of ours does.
        _ => found.extend(known_links(block.bytes())?.into_iter().map(loose)),
    }
    Ok(found)
}

const fn loose(cid: Cid) -> Link {
    Link { cid, place: Place::Object, bond: Bond::Loose }
}

fn object(bytes: &[u8], kind: &str, found: &mut Vec<Link>) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut fields = reader.map()?;
    while let Some(field) = fields.next(&mut reader)? {
        if (kind, field) == ("operation", "kind") {
            of_operation_kind(&mut reader, found)?;
            continue;
        }
        let item = reader.item(crate::codec::DEPTH_MAX - 1)?;
        let Some((place, bond)) = meaning(kind, field) else { continue };
        found.extend(known_links(item)?.into_iter().map(|cid| Link { cid, place, bond }));
    }
    Ok(())
}

/// Says what the links in a field are; `None` if they are not followed. What a newer version added is kept as if
/// somebody had set it.
fn meaning(kind: &str, field: &str) -> Option<(Place, Bond)> {
    let part = |place| Some((place, Bond::Part));
    match (kind, field) {
        ("commit", "skip") => None,
        ("commit" | "operation", "parents") => Some((Place::Object, Bond::Parent)),
        ("commit" | "view" | "bundle", "params") => part(Place::Object),
        ("commit", "nodes") => part(Place::Nodes),
        ("commit", "edges") => part(Place::Edges),
        ("commit", "conflicts") => part(Place::Conflicts),
        ("commit", "vectors") => part(Place::Models),
        ("commit", "tombs" | "schema") => part(Place::Tree),
        ("operation", "view") => part(Place::Object),
        ("view", "refs" | "remotes" | "erased" | "sigs") => part(Place::Tree),
        ("view", "config") => part(Place::Settings),
        ("node", "content") => part(Place::Tree),
        ("conflict", "adds" | "removes") => part(Place::Object),
        ("bundle", "heads") => part(Place::Object),
        ("bundle", "boundary" | "erased") => part(Place::Tree),
        _ => Some((Place::Object, Bond::Loose)),
    }
}

fn of_operation_kind(reader: &mut Reader<'_>, found: &mut Vec<Link>) -> Result<(), DecodeError> {
    let mut fields = reader.map()?;
    while let Some(field) = fields.next(reader)? {
        let item = reader.item(crate::codec::DEPTH_MAX - 2)?;
        if !matches!(field, "of" | "to") {
            found.extend(known_links(item)?.into_iter().map(loose));
        }
    }
    Ok(())
}

/// Reads no more of a node than where it leads; whether the node is what the rules of trees ask is not looked at.
fn tree_node(
    bytes: &[u8],
    place: Place,
    erased: &HashSet<EntityId>,
    found: &mut Vec<Link>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let refused = reader.error(Malformed::Expected { expected: "a tree node" });
    let mut fields = reader.map()?;
    if fields.next(&mut reader)? != Some("e") {
        return Err(refused);
    }
    for _ in 0..reader.list()? {
        let parts = reader.list()?;
        let key = reader.bytes()?;
        if parts == 3 {
            found.push(Link { cid: reader.link()?, place, bond: Bond::Part });
            reader.uint()?;
            continue;
        }
        let value = reader.item(VALUE_DEPTH_MAX)?;
        if !is_erased(place, key, erased) {
            let (place, bond) = below(place);
            found.extend(known_links(value)?.into_iter().map(|cid| Link { cid, place, bond }));
        }
    }
    if fields.next(&mut reader)? != Some("l") {
        return Err(refused);
    }
    reader.uint()?;
    reader.end()
}

const fn below(place: Place) -> (Place, Bond) {
    match place {
        Place::Models => (Place::Vectors, Bond::Part),
        Place::Settings => (Place::Object, Bond::Loose),
        _ => (Place::Object, Bond::Part),
    }
}

fn is_erased(place: Place, key: &[u8], erased: &HashSet<EntityId>) -> bool {
    if erased.is_empty() {
        return false;
    }
    let node = |id| EntityId::Node(NodeId::from_bytes(id));
    let edge = |id| EntityId::Edge(EdgeId::from_bytes(id));
    let entity = match place {
        Place::Nodes | Place::Vectors => key.try_into().ok().map(node),
        Place::Edges => key.try_into().ok().map(edge),
        Place::Conflicts => match ConflictKey::from_key(key) {
            Some(ConflictKey::Node(id) | ConflictKey::Vector { node: id, .. }) => Some(EntityId::Node(id)),
            Some(ConflictKey::Edge(id)) => Some(EntityId::Edge(id)),
            _ => None,
        },
        _ => None,
    };
    entity.is_some_and(|entity| erased.contains(&entity))
}
