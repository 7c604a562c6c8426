//! What a repository needs from outside: the time, randomness, and what to be frugal with.

use std::fmt;
use std::sync::Arc;

use super::collect::Automatic;
use crate::id::{ActorId, SessionId};
use crate::object::Time;
use crate::port::Namespace;
use crate::tree::TreeParams;

/// Says what time it is.
pub trait Clock: Send + Sync {
    /// Returns the present moment. It may stand still or run back: the repository keeps its own times in order.
    fn now(&self) -> Time;
}

/// Gives randomness.
pub trait Randomness: Send + Sync {
    /// Fills `bytes`. What is filled must not repeat in any other program: ids are made of it.
    fn fill(&self, bytes: &mut [u8]);
}

/// What to open a repository with.
#[derive(Clone)]
pub struct Options {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub randomness: Arc<dyn Randomness>,
    /// Which of the store's repositories.
    pub namespace: Namespace,
    /// The branch in use. It belongs to the handle, never to the store.
    pub branch: String,
    /// Minutes east of UTC, for moments that name no zone.
    pub zone_minutes: i16,
    /// How much memory checked tree nodes may take.
    pub node_cache_bytes: u64,
    /// How the trees of a new repository are cut. One that exists keeps its own.
    pub tree_params: TreeParams,
    /// Whether commits pay for collection, slice by slice. Off by default: a program that has a quiet moment does better
    /// to [collect](super::Repo::collect) then, and one that is done after a few commits has nothing to collect.
    pub collect: Option<Automatic>,
}

impl Options {
    /// The branch that is meant where none is named.
    pub const BRANCH: &'static str = "main";

    /// Takes what has no default; the rest is usual.
    pub fn new(clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Options {
        Options {
            clock,
            randomness,
            namespace: Namespace::default(),
            branch: Options::BRANCH.to_owned(),
            zone_minutes: 0,
            node_cache_bytes: 64 << 20,
            tree_params: TreeParams::V1,
            collect: None,
        }
    }

    /// Draws an id whose order follows the time.
    pub(super) fn draw(&self) -> (u64, [u8; 10]) {
        let mut random = [0; 10];
        self.randomness.fill(&mut random);
        let unix_ms = u64::try_from(self.clock.now().micros().div_euclid(1000)).unwrap_or(0);
        (unix_ms, random)
    }

    pub(super) fn draw_session(&self) -> SessionId {
        let (unix_ms, random) = self.draw();
        SessionId::from_time_and_random(unix_ms, random)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("namespace", &self.namespace)
            .field("branch", &self.branch)
            .field("zone_minutes", &self.zone_minutes)
            .field("node_cache_bytes", &self.node_cache_bytes)
            .field("tree_params", &self.tree_params)
            .field("collect", &self.collect)
            .finish_non_exhaustive()
    }
}

/// Who acts. The same name is the same actor everywhere. No key, no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    name: Arc<str>,
    id: ActorId,
}

impl Actor {
    /// Returns the actor of this name.
    pub fn named(name: &str) -> Actor {
        Actor { name: name.into(), id: ActorId::named(name) }
    }

    /// Who does what nobody asked for.
    pub(super) fn system() -> Actor {
        Actor { name: "".into(), id: ActorId::SYSTEM }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the id.
    pub const fn id(&self) -> ActorId {
        self.id
    }
}
