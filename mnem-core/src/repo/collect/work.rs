//! A collection under way, and how it goes on.
//!
//!  Look --> List --> (Wait) --> Mark --> Rows --> Scan --> Count --> Delete --> Done
//!
//! `Look` decides which operations stay, and records the horizon. `List` notes which rows there are. With `Mark` the cycle
//! begins; `Rows` keeps what rows name and drops rows; `Scan` and `Count` find what is left, `Delete` lets it go.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::garbage::{Garbage, Why};
use super::horizon::{self, Kept, Looking};
use super::rows::{self, Rows, Sources};
use super::{Collected, Retention};
use crate::cid::Cid;
use crate::id::EntityId;
use crate::object::{Object, Operation, OperationKind, View, kind_of};
use crate::port::{BlockRead, CidStream, Cycle, Namespace, Row, StoreSnapshot, Swap};
use crate::repo::error::{RepoError, damaged_key};
use crate::repo::history;
use crate::repo::options::Actor;
use crate::repo::reach::{Bounds, Place, Walk};
use crate::repo::read::{decode, read};
use crate::repo::shared::{ATTEMPTS_MAX, Shared};
use crate::staged::Staged;

pub(super) struct Work {
    retention: Retention,
    stage: Stage,
    /// What is looked at instead of the store, if nothing is to be deleted.
    pretended: Option<Arc<dyn StoreSnapshot>>,
    cycle: Option<Cycle>,
    kept: Kept,
    sources: Sources,
    /// What is still to be walked: in which walk, from where, how far.
    pending: VecDeque<(usize, Cid, Bounds)>,
    marking: usize,
    walks: Vec<Walk>,
    garbage: Garbage,
    report: Collected,
    /// Slices that are let pass, so that who works with names from before the horizon moved can finish.
    waits: u8,
}

enum Stage {
    Look(Box<Looking>),
    List(Rows),
    Wait,
    Mark,
    Rows(Rows),
    Scan(CidStream),
    Count,
    Delete,
    Done,
}

impl Work {
    /// Starts a collection.
    pub(super) fn begin(shared: &Shared, retention: Retention) -> Result<Work, RepoError> {
        let state = shared.reconciled()?;
        // A cycle that is over at once: it says what is leased.
        let pinned = shared.store.begin_cycle()?.roots().iter().copied().collect();
        Work::new(Looking::new(state, pinned)?, retention, None)
    }

    /// Starts one that deletes nothing.
    pub(super) fn pretend(shared: &Shared, retention: Retention) -> Result<Work, RepoError> {
        let snapshot = Arc::from(shared.store.snapshot()?);
        let state = shared.state()?;
        let pinned = state.heads.iter().map(|head| *head.cid()).collect();
        Work::new(Looking::new(state, pinned)?, retention, Some(snapshot))
    }

    fn new(
        looking: Looking,
        retention: Retention,
        pretended: Option<Arc<dyn StoreSnapshot>>,
    ) -> Result<Work, RepoError> {
        Ok(Work {
            retention,
            stage: Stage::Look(Box::new(looking)),
            pretended,
            cycle: None,
            kept: Kept::default(),
            sources: Sources::default(),
            pending: VecDeque::new(),
            marking: 0,
            walks: Vec::new(),
            garbage: Garbage::default(),
            report: Collected::default(),
            waits: 0,
        })
    }

    pub(super) fn progress(&self) -> (&'static str, u64) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        match &self.stage {
            Stage::Look(looking) => ("operations", count(looking.len())),
            Stage::List(_) | Stage::Wait => ("rows", 0),
            Stage::Mark | Stage::Rows(_) => ("needed", count(self.walks.iter().map(Walk::len).sum())),
            Stage::Scan(_) | Stage::Count => ("not needed", count(self.garbage.len())),
            Stage::Delete | Stage::Done => ("deleted", self.report.deleted.blocks),
        }
    }

    pub(super) fn into_report(self) -> Collected {
        let Work { mut report, garbage, kept, walks, .. } = self;
        report.kept_blocks = walks.iter().map(|walk| u64::try_from(walk.len()).unwrap_or(u64::MAX)).sum();
        report.garbage = garbage.by_reason;
        report.expired_operations = garbage.expired_operations;
        report.horizon = kept.oldest.filter(|_| !kept.expired.is_empty()).map(|(_, time)| time);
        report
    }

    /// Asks for two slices to be let pass once the horizon has moved.
    pub(super) const fn wait_for_leases(&mut self) {
        if matches!(self.stage, Stage::Look(_)) {
            self.waits = 2;
        }
    }

    /// Says whether the slice that was done is one that is let pass.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Wait)
    }

    /// Goes on by about so many blocks. Says whether that was the end.
    pub(super) fn step(&mut self, shared: &Shared, count: usize) -> Result<bool, RepoError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        self.stage = match stage {
            Stage::Look(looking) => self.look(shared, looking, count)?,
            Stage::List(rows) => self.list(shared, rows, count)?,
            Stage::Wait => self.wait(shared)?,
            Stage::Mark => self.mark(shared, count)?,
            Stage::Rows(rows) => self.rows(shared, rows, count)?,
            Stage::Scan(stream) => self.scan(stream, count)?,
            Stage::Count => match self.garbage.count(&*self.blocks(shared), count)? {
                true => Stage::Delete,
                false => Stage::Count,
            },
            Stage::Delete => self.delete(shared, count)?,
            Stage::Done => Stage::Done,
        };
        Ok(matches!(self.stage, Stage::Done))
    }

    fn blocks(&self, shared: &Shared) -> Arc<dyn BlockRead> {
        match &self.pretended {
            Some(snapshot) => Arc::clone(snapshot) as Arc<dyn BlockRead>,
            None => Arc::clone(&shared.store) as Arc<dyn BlockRead>,
        }
    }

    fn look(&mut self, shared: &Shared, mut looking: Box<Looking>, count: usize) -> Result<Stage, RepoError> {
        if !looking.step(count)? {
            return Ok(Stage::Look(looking));
        }
        self.kept = looking.decide(&self.retention, shared.options.clock.now());
        drop(looking); // with its lease, which is on names from before the horizon moves
        if self.pretended.is_none() && !self.kept.expired.is_empty() {
            publish(shared, &self.kept)?;
        }
        Ok(Stage::List(Rows::default()))
    }

    fn list(&mut self, shared: &Shared, mut rows: Rows, count: usize) -> Result<Stage, RepoError> {
        let some = rows.take(&*shared.store, count)?;
        if some.is_empty() {
            return Ok(Stage::Wait);
        }
        self.sources.add(&some);
        Ok(Stage::List(rows))
    }

    fn wait(&mut self, shared: &Shared) -> Result<Stage, RepoError> {
        if self.waits > 0 {
            self.waits -= 1;
            return Ok(Stage::Wait);
        }
        let roots = match &self.pretended {
            Some(snapshot) => {
                heads(shared, Some(&**snapshot))?.into_iter().flat_map(|(_, heads)| heads).collect()
            }
            None => {
                let cycle = shared.store.begin_cycle()?;
                let roots = cycle.roots().to_vec();
                self.cycle = Some(cycle);
                roots
            }
        };
        self.start(shared, &roots)?;
        Ok(Stage::Mark)
    }

    /// Says what is walked: each repository of the store by itself, since what is erased in one may be there in another.
    fn start(&mut self, shared: &Shared, roots: &[Cid]) -> Result<(), RepoError> {
        let heads = heads(shared, self.pretended.as_deref())?;
        let mut starts = Vec::new();
        for root in roots {
            let of = heads.iter().position(|(_, heads)| heads.contains(root));
            let mut names = Names::of(shared, &self.blocks(shared), root)?;
            let is_own = of.is_some_and(|of| heads[of].0 == shared.options.namespace);
            if self.pretended.is_some() && is_own {
                names.horizon.extend(&self.kept.horizon);
            }
            // A lease may be on what is no head any more. Of whichever repository, if there are several.
            let walk = of.unwrap_or(if heads.len() == 1 { 0 } else { heads.len() + starts.len() });
            starts.push((walk, of.is_some(), *root, names));
        }
        // What is leased goes first: it may need what lies past the horizon that newer names record.
        starts.sort_by_key(|(walk, is_head, ..)| (*walk, *is_head));
        for group in starts.chunk_by(|left, right| left.0 == right.0) {
            let erased = group.iter().flat_map(|(.., names)| names.erased.iter().copied()).collect();
            let erased = Arc::new(erased);
            for (.., root, names) in group {
                let horizon = Arc::new(names.horizon.clone());
                let bounds = Bounds {
                    erased: Arc::clone(&erased),
                    may_be_absent: Arc::clone(&horizon),
                    stop_at: horizon,
                    operations_alone: false,
                };
                self.pending.push_back((self.walks.len(), *root, bounds));
            }
            self.walks.push(Walk::new(self.blocks(shared), Bounds::default()));
        }
        Ok(())
    }

    fn mark(&mut self, shared: &Shared, count: usize) -> Result<Stage, RepoError> {
        for _ in 0..count {
            if !self.advance(shared, self.marking)? {
                let Some((walk, root, bounds)) = self.pending.pop_front() else {
                    return Ok(Stage::Rows(Rows::default()));
                };
                *self.walks[walk].bounds_mut() = bounds;
                self.walks[walk].add(root, Place::Object);
                self.marking = walk;
            }
        }
        Ok(Stage::Mark)
    }

    /// Goes on with a walk by a block.
    fn advance(&mut self, shared: &Shared, walk: usize) -> Result<bool, RepoError> {
        let Some(walk) = self.walks.get_mut(walk) else { return Ok(false) };
        match walk.advance() {
            Ok(reached) => Ok(reached.is_some()),
            Err(why) => {
                // What only a lease kept that has ended since may be gone, by a newer collection.
                self.check_current(shared)?;
                Err(why.into())
            }
        }
    }

    fn check_current(&self, shared: &Shared) -> Result<(), RepoError> {
        if let Some(cycle) = &self.cycle {
            shared.store.delete_if_untouched(cycle, &[])?;
        }
        Ok(())
    }

    fn is_marked(&self, cid: &Cid) -> bool {
        self.walks.iter().any(|walk| walk.has(cid))
    }

    /// Keeps the trees that rows name, and drops rows whose sources go.
    fn rows(&mut self, shared: &Shared, mut rows: Rows, count: usize) -> Result<Stage, RepoError> {
        for _ in 0..count {
            if !self.advance(shared, 0)? {
                break;
            }
        }
        let some = rows.take(&*shared.store, count)?;
        if some.is_empty() {
            while self.advance(shared, 0)? {}
            return Ok(Stage::Scan(self.blocks(shared).scan(None)?));
        }
        let mut dead = Vec::new();
        for row in some {
            if self.sources.is_dead(&row, |source| self.is_marked(source)) {
                dead.push(Row { value: None, ..row });
            } else if let (Some(tree), Some(walk)) = (rows::tree(&row), self.walks.first_mut()) {
                walk.add_if_there(tree, Place::Tree);
            }
        }
        self.report.rows += u64::try_from(dead.len()).unwrap_or(u64::MAX);
        if self.pretended.is_none() && !dead.is_empty() {
            shared.store.put_rows(&dead).map_err(history::side)?;
        }
        Ok(Stage::Rows(rows))
    }

    fn scan(&mut self, mut stream: CidStream, count: usize) -> Result<Stage, RepoError> {
        for _ in 0..count {
            let Some(cid) = stream.next() else { return Ok(Stage::Count) };
            let cid = cid?;
            if !self.is_marked(&cid) {
                self.garbage.add(cid);
            }
        }
        Ok(Stage::Scan(stream))
    }

    fn delete(&mut self, shared: &Shared, count: usize) -> Result<Stage, RepoError> {
        let blocks = self.blocks(shared);
        let is_erased = |cid: &Cid| self.walks.iter().any(|walk| walk.has_passed(cid));
        let why = Why { expired: &self.kept.expired, is_erased: &is_erased };
        let batch = self.garbage.next(&*blocks, count, &why)?;
        if batch.is_empty() {
            return Ok(Stage::Done);
        }
        if let Some(cycle) = &self.cycle {
            self.report.deleted += shared.store.delete_if_untouched(cycle, &batch)?;
        }
        Ok(Stage::Delete)
    }
}

/// Records where the log ends from now on.
fn publish(shared: &Shared, kept: &Kept) -> Result<(), RepoError> {
    for _ in 0..ATTEMPTS_MAX {
        let state = shared.state()?;
        let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
        let view = View { config: kept.write(&state, &staged)?, ..state.view.clone() };
        let (kind, system) = (OperationKind::Gc, Actor::system());
        if shared.publish(&state, &view, kind, &system, &staged, &[])?.0 == Swap::Done {
            return Ok(());
        }
    }
    Err(RepoError::Contended { attempts: ATTEMPTS_MAX })
}

/// Returns the heads of all repositories of the store.
fn heads(
    shared: &Shared,
    pretended: Option<&dyn StoreSnapshot>,
) -> Result<Vec<(Namespace, Vec<Cid>)>, RepoError> {
    let mut all = Vec::new();
    for namespace in shared.store.namespaces()? {
        let heads = match pretended {
            Some(snapshot) => snapshot.heads(&namespace)?,
            None => shared.store.heads(&namespace)?,
        };
        all.push((namespace, heads.iter().map(|head| *head.cid()).collect()));
    }
    Ok(all)
}

/// What the names that an operation left say of what may be absent.
#[derive(Default)]
struct Names {
    horizon: HashSet<Cid>,
    erased: HashSet<EntityId>,
}

impl Names {
    fn of(shared: &Shared, blocks: &Arc<dyn BlockRead>, root: &Cid) -> Result<Names, RepoError> {
        let Some(block) = blocks.get(root)? else { return Ok(Names::default()) };
        if !matches!(kind_of(&block), Ok(Some(kind)) if kind == Operation::KIND) {
            return Ok(Names::default());
        }
        let operation: Operation = decode(&block)?;
        let view: View = read(&**blocks, &operation.view)?;
        let trees = shared.tree_store().over(Arc::clone(blocks));
        let keys = trees.tree(view.erased).iter().map(|entry| Ok::<_, RepoError>(entry?.key));
        let erased = keys.map(|key| EntityId::from_key(&key?).ok_or_else(damaged_key));
        Ok(Names { horizon: horizon::read(&trees, view.config)?, erased: erased.collect::<Result<_, _>>()? })
    }
}
