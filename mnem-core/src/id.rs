//! Stable ids: 16 bytes that name a thing through all its versions, typed so that one cannot pass for another.
//!
//! Random ids have the layout of UUIDv7, so that what is made together is stored together. Derived ids (natural
//! keys) have the layout of UUIDv8, so that the same key is the same id everywhere. Ids of commits and operations
//! are CIDs, wrapped for the same reason.

use std::fmt;
use std::str::FromStr;

use crate::cid::{Cid, CidError};

/// Text is not a UUID in its hyphenated lower-case form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the text of an id: {text:?}")]
pub struct IdError {
    /// What was given, cut to 64 characters.
    pub text: String,
}

fn format_uuid(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

fn parse_uuid(text: &str) -> Result<[u8; 16], IdError> {
    let refused = || IdError { text: text.chars().take(64).collect() };
    let mut bytes = [0; 16];
    let mut digits = text.bytes();
    for (index, byte) in bytes.iter_mut().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) && digits.next() != Some(b'-') {
            return Err(refused());
        }
        let mut digit = || match digits.next() {
            Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
            Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
            _ => Err(refused()),
        };
        *byte = digit()? << 4 | digit()?;
    }
    if digits.next().is_some() { Err(refused()) } else { Ok(bytes) }
}

/// Overwrites the six bits that say which layout a UUID has.
const fn with_layout(mut bytes: [u8; 16], version: u8) -> [u8; 16] {
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

/// Hashes `parts` under a context of its own and gives the result the layout of UUIDv8.
fn derived(context: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    with_layout(bytes, 8)
}

/// Length of a part, for hashing: two lists of parts never give the same bytes.
fn length_prefix(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).expect("parts of a key are far below 4 GiB").to_le_bytes()
}

macro_rules! stable_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Takes the bytes as they are.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Returns the bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Makes an id that sorts by time: 48 bits of milliseconds since 1970, then randomness (UUIDv7).
            pub const fn from_time_and_random(unix_ms: u64, random: [u8; 10]) -> Self {
                let t = unix_ms.to_be_bytes();
                let r = random;
                Self(with_layout(
                    [t[2], t[3], t[4], t[5], t[6], t[7], r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9]],
                    7,
                ))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                format_uuid(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_uuid(text).map(Self)
            }
        }
    };
}

stable_id! {
    /// Names a node through all its versions.
    NodeId
}
stable_id! {
    /// Names an edge through all its versions.
    EdgeId
}
stable_id! {
    /// Names a change through the commits that it is rewritten into.
    ChangeId
}
stable_id! {
    /// Names who did something. All zero is the system.
    ActorId
}
stable_id! {
    /// Names one run of one program: what it counts is its own.
    SessionId
}
stable_id! {
    /// Names a repository through all its copies.
    RepoId
}

impl NodeId {
    /// Returns the id of the node with this natural key in this keyspace: the same everywhere.
    pub fn of_key(space: &str, key: &[u8]) -> NodeId {
        let space = space.as_bytes();
        NodeId(derived("mnem node key v1", &[&length_prefix(space), space, &length_prefix(key), key]))
    }
}

impl EdgeId {
    /// Returns the id of the one edge of this type between these ends, told apart by `disc` where there may be
    /// several: concurrent identical edges coincide.
    pub fn of_unique(src: NodeId, edge_type: &str, dst: NodeId, disc: &[u8]) -> EdgeId {
        let kind = edge_type.as_bytes();
        EdgeId(derived(
            "mnem unique edge v1",
            &[&src.0, &length_prefix(kind), kind, &dst.0, &length_prefix(disc), disc],
        ))
    }
}

impl ActorId {
    /// The system itself: automatic merges.
    pub const SYSTEM: ActorId = ActorId([0; 16]);

    /// Returns the actor of this name: the same everywhere.
    pub fn named(name: &str) -> ActorId {
        ActorId(derived("mnem actor v1", &[name.as_bytes()]))
    }
}

impl SessionId {
    /// The session of automatic merges.
    pub const SYSTEM: SessionId = SessionId([0; 16]);
}

/// A node or an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityId {
    /// A node.
    Node(NodeId),
    /// An edge.
    Edge(EdgeId),
}

impl EntityId {
    /// Returns the 17-byte key of erased entities and tombstones: a kind byte and the id.
    pub fn to_key(self) -> [u8; 17] {
        let (kind, id) = match self {
            EntityId::Node(id) => (b'n', id.0),
            EntityId::Edge(id) => (b'e', id.0),
        };
        let mut key = [kind; 17];
        key[1..].copy_from_slice(&id);
        key
    }

    /// Reads what [`to_key`](Self::to_key) made.
    pub fn from_key(key: &[u8]) -> Option<EntityId> {
        let (kind, id) = key.split_first()?;
        let id = id.try_into().ok()?;
        match kind {
            b'n' => Some(EntityId::Node(NodeId(id))),
            b'e' => Some(EntityId::Edge(EdgeId(id))),
            _ => None,
        }
    }
}

impl From<NodeId> for EntityId {
    fn from(id: NodeId) -> EntityId {
        EntityId::Node(id)
    }
}

impl From<EdgeId> for EntityId {
    fn from(id: EdgeId) -> EntityId {
        EntityId::Edge(id)
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntityId::Node(id) => fmt::Display::fmt(id, f),
            EntityId::Edge(id) => fmt::Display::fmt(id, f),
        }
    }
}

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Cid);

        impl $name {
            /// Takes the CID as it is; that an object of this kind lies there is found out by reading it.
            pub const fn new(cid: Cid) -> Self {
                Self(cid)
            }

            /// Returns the CID.
            pub const fn cid(&self) -> &Cid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = CidError;

            fn from_str(text: &str) -> Result<Self, CidError> {
                text.parse().map(Self)
            }
        }
    };
}

object_id! {
    /// Where a commit lies.
    CommitId
}
object_id! {
    /// Where an operation lies.
    OperationId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_sort_by_time_and_have_the_uuidv7_layout() {
        let early = NodeId::from_time_and_random(1_700_000_000_000, [0xff; 10]);
        let late = NodeId::from_time_and_random(1_700_000_000_001, [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string(), "018bcfe5-6800-7fff-bfff-ffffffffffff");
        assert_eq!(late.to_string(), "018bcfe5-6801-7000-8000-000000000000");
    }

    #[test]
    fn text_round_trips_and_nothing_else_is_accepted() {
        let id = EdgeId::from_time_and_random(1_700_000_000_000, *b"0123456789");
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        for other in
            [text.to_uppercase(), text.replace('-', ""), format!("{text}0"), String::new(), "é".repeat(18)]
        {
            assert!(other.parse::<EdgeId>().is_err(), "{other}");
        }
    }

    /// Other bytes would give the same names other ids: FORMAT.md, "Ids".
    #[test]
    fn derived_ids_are_frozen() {
        let ada = NodeId::of_key("person", b"ada");
        let engine = NodeId::of_key("machine", b"engine");
        let ids = [
            ActorId::named("curator").to_string(),
            ada.to_string(),
            engine.to_string(),
            EdgeId::of_unique(ada, "described", engine, b"").to_string(),
        ];
        assert_eq!(
            ids,
            include_str!("../../tests/fixtures/v1/derived_ids.txt").lines().collect::<Vec<_>>()[..]
        );
    }

    #[test]
    fn natural_keys_do_not_run_into_each_other() {
        assert_ne!(NodeId::of_key("ab", b"c"), NodeId::of_key("a", b"bc"));
        let (a, b) = (NodeId::of_key("", b"a"), NodeId::of_key("", b"b"));
        assert_ne!(EdgeId::of_unique(a, "x", b, b"y"), EdgeId::of_unique(a, "xy", b, b""));
    }

    #[test]
    fn entity_keys_round_trip() {
        let node = EntityId::Node(NodeId::of_key("", b"a"));
        let edge = EntityId::Edge(EdgeId::from_bytes([9; 16]));
        for entity in [node, edge] {
            assert_eq!(EntityId::from_key(&entity.to_key()), Some(entity));
        }
        assert_eq!(EntityId::from_key(b"x0123456789abcdef"), None);
        assert_eq!(EntityId::from_key(b"n012"), None);
    }
}
