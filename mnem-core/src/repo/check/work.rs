//! One repository under check: where it is read, and where findings go.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::source::{Loss, Source};
use super::{Affected, CheckLevel, CheckOptions, Checked, Finding, Flaw, Part, Place, Repair};
use crate::block::Block;
use crate::cid::Cid;
use crate::codec::DecodeError;
use crate::id::{CommitId, EntityId, OperationId};
use crate::object::{Object, Operation, Params, View};
use crate::port::{BlockRead, Namespace, Store};
use crate::progress::{Listener, Progress};
use crate::repo::collect::horizon;
use crate::repo::error::RepoError;
use crate::tree::{Change, Executor, Met, NodeCache, Stretch, Tree, TreeError, TreeStore};

/// Everything that was found so far.
pub(super) struct Findings {
    max: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    findings: Vec<(Finding, Option<Trace>)>,
    left_out: u64,
    /// What was said already: the same block is met from many commits.
    known: HashSet<(Flaw, Option<Cid>, Part, String)>,
}

/// How to tell which commits a finding touches: those whose map leads to the block.
#[derive(Clone)]
pub(super) struct Trace {
    pub(super) map: Part,
    pub(super) key: Bytes,
    /// In the map that lies under the key, of vectors.
    pub(super) inner: Option<Bytes>,
    pub(super) target: Cid,
}

impl Findings {
    pub(super) fn new(max: usize) -> Findings {
        Findings { max, kept: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked, what is in it is whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, finding: Finding, trace: Option<Trace>) {
        let mut kept = self.lock();
        let detail = if finding.cid.is_some() { String::new() } else { finding.detail.clone() };
        if !kept.known.insert((finding.flaw, finding.cid, finding.place.part.clone(), detail)) {
            return;
        }
        if kept.findings.len() < self.max {
            kept.findings.push((finding, trace));
        } else {
            kept.left_out += 1;
        }
    }

    /// Hands out each finding of which it can be told which commits it touches.
    pub(super) fn each_traced(&self, mut each: impl FnMut(&mut Finding, &Trace)) {
        for (finding, trace) in &mut self.lock().findings {
            if let Some(trace) = trace {
                each(finding, trace);
            }
        }
    }

    pub(super) fn into_parts(self) -> (Vec<Finding>, u64) {
        let kept = self.kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        (kept.findings.into_iter().map(|(finding, _)| finding).collect(), kept.left_out)
    }
}

/// What is known of something that is about to be read or was found wrong.
#[derive(Clone)]
pub(super) struct Spot {
    pub(super) part: Part,
    pub(super) root: Option<Cid>,
    pub(super) stretch: Option<(Option<Bytes>, Option<Bytes>)>,
    pub(super) commit: Option<CommitId>,
    pub(super) affected: Affected,
    pub(super) trace: Option<Trace>,
}

impl Spot {
    pub(super) const fn of(part: Part) -> Spot {
        let affected = Affected::Nothing;
        Spot { part, root: None, stretch: None, commit: None, affected, trace: None }
    }

    pub(super) fn in_commit(part: Part, commit: CommitId) -> Spot {
        Spot { commit: Some(commit), ..Spot::of(part) }
    }

    pub(super) fn under(mut self, root: &Cid) -> Spot {
        self.root = Some(*root);
        self
    }

    pub(super) fn at_key(mut self, key: &Bytes) -> Spot {
        self.stretch = Some((None, Some(key.clone())));
        self
    }

    pub(super) fn entity(mut self, id: impl Into<EntityId>) -> Spot {
        self.affected = Affected::One(id.into());
        self
    }

    pub(super) fn traced(mut self, map: Part, key: &Bytes, target: &Cid) -> Spot {
        self.trace = Some(Trace { map, key: key.clone(), inner: None, target: *target });
        self
    }
}

/// One repository under check.
pub(super) struct Work<'a> {
    pub(super) namespace: Namespace,
    pub(super) source: Arc<Source>,
    pub(super) store: &'a Arc<dyn Store>,
    findings: &'a Findings,
    pub(super) level: CheckLevel,
    pub(super) repair: bool,
    pub(super) params: Cid,
    pub(super) trees: TreeStore,
    pub(super) empty: Cid,
    /// The sets of erased entities of all heads: what they name is not followed.
    erased: Vec<Tree>,
    may_be_absent: Arc<HashSet<Cid>>,
    /// Operations that the log of some head ends before: they are not looked at, be they there or not.
    horizon: HashSet<Cid>,
    /// Content that was looked at of late: the versions of a node mostly have the same.
    contents: Mutex<HashSet<Cid>>,
}

/// How many roots of content are remembered.
const CONTENTS_MAX: usize = 1 << 16;

impl<'a> Work<'a> {
    /// Reads as much as must be known before anything can be looked at. `None`: not even that is there.
    pub(super) fn open(
        source: &Arc<Source>,
        store: &'a Arc<dyn Store>,
        findings: &'a Findings,
        options: &CheckOptions<'a>,
        namespace: Namespace,
        heads: &[OperationId],
    ) -> Result<Option<Work<'a>>, RepoError> {
        let mut views = Vec::new();
        for head in heads {
            let operation = peek::<Operation>(source, head.cid())?;
            let view =
                operation.map(|operation| peek::<View>(source, &operation.view)).transpose()?.flatten();
            views.extend(view);
        }
        let mut known = None;
        for view in &views {
            let params = peek::<Params>(source, &view.params)?;
            known = known.or(params.map(|params| (view.params, params)));
        }
        let blocks = Arc::clone(source) as Arc<dyn BlockRead>;
        let tree_params = known.as_ref().map_or(crate::tree::TreeParams::V1, |(_, params)| params.tree);
        let unsound = |_| RepoError::Newer { needs: "other tree parameters".to_owned() };
        let cache = NodeCache::new(&tree_params, options.node_cache_bytes).map_err(unsound)?;
        let trees = TreeStore::with_cache(blocks, Arc::new(cache));
        let empty = *trees.build_empty(&mut Vec::new())?.root();
        let mut horizon = HashSet::new();
        for view in &views {
            horizon.extend(legible(horizon::read(&trees, view.config))?.unwrap_or_default());
        }
        let work = Work {
            erased: views
                .iter()
                .map(|view| view.erased)
                .filter(|root| *root != empty)
                .map(|root| trees.tree(root))
                .collect(),
            may_be_absent: Arc::clone(&options.may_be_absent),
            horizon,
            contents: Mutex::default(),
            namespace,
            source: Arc::clone(source),
            store,
            findings,
            level: options.level,
            repair: options.repair,
            params: known.as_ref().map_or(empty, |(cid, _)| *cid),
            trees,
            empty,
        };
        if known.is_some() {
            return Ok(Some(work));
        }
        work.look_at_heads(heads)?;
        Ok(None)
    }

    /// Takes one step after the other. Breaks off where the listener asks for it.
    pub(super) fn run(
        &self,
        heads: &[OperationId],
        executor: &dyn Executor,
        checked: &mut Checked,
        listener: &mut Listener<'_>,
    ) -> Result<ControlFlow<()>, RepoError> {
        let mut tell = |step, done, total| listener(&Progress::new(step, done, total));
        let Some(commits) = self.operations(heads, checked, &mut tell)? else {
            return Ok(ControlFlow::Break(()));
        };
        let Some(history) = self.history(commits, checked, &mut tell)? else {
            return Ok(ControlFlow::Break(()));
        };
        if self.states(&history, executor, &mut tell)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if self.level == CheckLevel::Full && self.derived(&history, checked, &mut tell)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        self.impact(&history);
        Ok(ControlFlow::Continue(()))
    }

    /// Puts a finding down.
    pub(super) fn found(&self, spot: &Spot, flaw: Flaw, cid: Option<&Cid>, detail: impl Into<String>) {
        self.found_and(spot, flaw, cid, detail, Repair::No);
    }

    pub(super) fn found_and(
        &self,
        spot: &Spot,
        flaw: Flaw,
        cid: Option<&Cid>,
        detail: impl Into<String>,
        repair: Repair,
    ) {
        let (after, last) = spot.stretch.clone().unwrap_or_default();
        let place = Place {
            namespace: self.namespace.clone(),
            part: spot.part.clone(),
            root: spot.root,
            after,
            last,
        };
        let finding = Finding {
            flaw,
            detail: detail.into(),
            cid: cid.copied(),
            place,
            commits: spot.commit.into_iter().collect(),
            commits_total: u64::from(spot.commit.is_some()),
            affected: spot.affected.clone(),
            repair,
        };
        self.findings.add(finding, spot.trace.clone());
    }

    pub(super) fn findings(&self) -> &Findings {
        self.findings
    }

    /// Reads a block that must be there; says so if it is not, or was not.
    pub(super) fn block(&self, cid: &Cid, spot: &Spot) -> Result<Option<Block>, RepoError> {
        match self.source.read(cid)? {
            Ok(block) => {
                self.note_healed(cid, spot);
                Ok(Some(block))
            }
            Err(loss) => {
                self.lost(cid, spot, &loss, Repair::No);
                Ok(None)
            }
        }
    }

    /// Says whether a block is there, and that it is not.
    pub(super) fn presence(&self, cid: &Cid, spot: &Spot) -> Result<(), RepoError> {
        if self.source.is_there(cid)? {
            self.note_healed(cid, spot);
        } else {
            self.lost(cid, spot, &Loss::Missing, Repair::No);
        }
        Ok(())
    }

    fn note_healed(&self, cid: &Cid, spot: &Spot) {
        if let Some((loss, put)) = self.source.take_healed(cid) {
            let repair = match put {
                Ok(()) => Repair::Fetched,
                Err(why) => Repair::Failed(why),
            };
            self.lost(cid, spot, &loss, repair);
        }
    }

    pub(super) fn lost(&self, cid: &Cid, spot: &Spot, loss: &Loss, repair: Repair) {
        match loss {
            Loss::Missing => self.found_and(spot, Flaw::Missing, Some(cid), "a block is missing", repair),
            Loss::Unreadable(why) => self.found_and(spot, Flaw::Unreadable, Some(cid), why, repair),
        }
    }

    /// Reads an object that must be there.
    pub(super) fn object<T: Object>(&self, cid: &Cid, spot: &Spot) -> Result<Option<T>, RepoError> {
        let Some(block) = self.block(cid, spot)? else { return Ok(None) };
        Ok(self.decoded(cid, T::from_block(&block), spot))
    }

    pub(super) fn decoded<T>(&self, cid: &Cid, object: Result<T, DecodeError>, spot: &Spot) -> Option<T> {
        match object {
            Ok(object) => Some(object),
            Err(why) => {
                self.found(spot, Flaw::Object, Some(cid), why.to_string());
                None
            }
        }
    }

    /// Walks what a tree has that the one before has not. Says whether all of that could be read.
    pub(super) fn walk(
        &self,
        spot: &Spot,
        before: Option<&Cid>,
        root: &Cid,
        mut each: impl FnMut(Change) -> Result<(), RepoError>,
    ) -> Result<bool, RepoError> {
        let mut verify = self.trees.verify(before, root);
        for met in verify.by_ref() {
            match met {
                Met::Node(stretch) => self.note_healed(&stretch.cid, &of_node(spot, root, &stretch)),
                Met::Change(change) => each(change)?,
                Met::Bad(stretch, why) => self.bad_node(&of_node(spot, root, &stretch), &stretch.cid, why)?,
            }
        }
        Ok(verify.is_whole())
    }

    fn bad_node(&self, spot: &Spot, cid: &Cid, why: TreeError) -> Result<(), RepoError> {
        match why {
            TreeError::Missing { .. } => self.lost(cid, spot, &Loss::Missing, Repair::No),
            TreeError::Damaged { what, .. } => self.found(spot, Flaw::Tree, Some(cid), what.to_string()),
            TreeError::Store(why) => match Loss::of(&why) {
                Some(loss) => self.lost(cid, spot, &loss, Repair::No),
                None => return Err(why.into()),
            },
            why => return Err(why.into()),
        }
        Ok(())
    }

    /// Looks a key up. `None`: the tree cannot be read there, which is said elsewhere.
    pub(super) fn look(&self, root: &Cid, key: &[u8]) -> Result<Option<Option<Bytes>>, RepoError> {
        if *root == self.empty {
            return Ok(Some(None));
        }
        readable(self.trees.tree(*root).get(key))
    }

    /// Says whether an entity was erased: then what it was is no business of a check.
    pub(super) fn is_erased(&self, entity: EntityId) -> Result<bool, RepoError> {
        for erased in &self.erased {
            if readable(erased.get(&entity.to_key()))?.flatten().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Work<'_> {
    /// Says whether the log ends before an operation.
    pub(super) fn is_past(&self, operation: &OperationId) -> bool {
        self.horizon.contains(operation.cid())
    }

    /// Reads an object that must be there, or was left out with leave.
    pub(super) fn object_or_gap<T: Object>(&self, cid: &Cid, spot: &Spot) -> Result<Option<T>, RepoError> {
        if self.may_be_absent.contains(cid) && !self.source.is_there(cid)? {
            return Ok(None);
        }
        self.object(cid, spot)
    }

    /// Says whether content is to be looked at, and remembers that it was.
    pub(super) fn is_new_content(&self, root: &Cid) -> bool {
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        if contents.len() >= CONTENTS_MAX {
            contents.clear();
        }
        contents.insert(*root)
    }
}

/// Tells a tree that is damaged, which is a finding of its own, from a store that fails.
pub(super) fn readable<T>(of: Result<T, TreeError>) -> Result<Option<T>, RepoError> {
    match of {
        Ok(value) => Ok(Some(value)),
        Err(TreeError::Missing { .. } | TreeError::Damaged { .. } | TreeError::Overflow) => Ok(None),
        Err(TreeError::Store(why)) if Loss::of(&why).is_some() => Ok(None),
        Err(why) => Err(why.into()),
    }
}

/// The same for what is read through trees.
pub(super) fn legible<T>(of: Result<T, RepoError>) -> Result<Option<T>, RepoError> {
    match of {
        Ok(value) => Ok(Some(value)),
        Err(RepoError::Tree(why)) => readable(Err(why)),
        Err(RepoError::Damaged { .. }) => Ok(None),
        Err(RepoError::Store(why)) if Loss::of(&why).is_some() => Ok(None),
        Err(why) => Err(why),
    }
}

fn of_node(spot: &Spot, root: &Cid, stretch: &Stretch) -> Spot {
    let mut spot = spot.clone().under(root);
    let kind = match spot.part {
        Part::Nodes => Some("node"),
        Part::Edges => Some("edge"),
        _ => None,
    };
    if let Some(kind) = kind {
        spot.affected = Affected::Range { kind, count: stretch.count };
    }
    // Of a root it is not known what its keys are: any key leads to it.
    let key = stretch.last.clone().unwrap_or_else(|| Bytes::from_static(&[0]));
    match &mut spot.trace {
        // It is met on the way to the node that has it.
        Some(_) if spot.part == Part::Content => {}
        Some(trace) => (trace.inner, trace.target) = (Some(key), stretch.cid),
        None => spot = spot.clone().traced(spot.part.clone(), &key, &stretch.cid),
    }
    spot.stretch = Some((stretch.after.clone(), stretch.last.clone()));
    spot
}

/// Reads what may be damaged, without saying so.
fn peek<T: Object>(source: &Source, cid: &Cid) -> Result<Option<T>, RepoError> {
    Ok(source.read(cid)?.ok().and_then(|block| T::from_block(&block).ok()))
}
