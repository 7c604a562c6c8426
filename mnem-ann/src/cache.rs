//! Codes in memory, of the states that were searched last.
//!
//! The codes of a state come, in this order, from memory; from those of a state in memory that differs little; from the
//! tree that was kept of it, or of a commit before it, by what differs; from its vectors.
//!
//! Invariants
//!  M1  What the codes of a state are does not depend on where they came from.
//!
//! Used by: `vectors`. Threads: any number; the lock is held to look and to put, not while codes are made.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mnem_core::Cid;
use mnem_core::object::Model;
use mnem_core::repo::Snapshot;

use crate::code_tree::{
    Changed, IndexDamage, definition, dim, encode_all, encode_changed, read_table, sources_before,
};
use crate::error::SearchError;
use crate::progress::Watched;
use crate::table::Table;
use crate::vectors::CODING;
use crate::view::View;

/// How many states are remembered. Those that share a table cost little.
const VIEWS_MAX: usize = 16;

/// How many tables are remembered.
const TABLES_MAX: usize = 2;

/// How many states in memory are compared with one that is asked for.
const NEIGHBORS_MAX: usize = 3;

/// What is in memory of an index, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexStats {
    /// How many codes the state that was searched last has.
    pub entries: u64,
    /// How many states are in memory.
    pub states: usize,
    /// How many bytes all of them take.
    pub memory_bytes: usize,
    /// How many codes were made of vectors since the model was opened.
    pub encoded: u64,
    /// How many kept trees were found damaged, and dropped.
    pub dropped: u64,
    /// What was wrong with the last of them.
    pub last_damage: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The state that was searched last comes first.
    views: Vec<(Cid, View)>,
    encoded: u64,
    dropped: u64,
    last_damage: Option<String>,
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is complete by itself, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> IndexStats {
        let state = self.lock();
        let mut tables: Vec<*const Table> = Vec::new();
        let mut memory_bytes = 0;
        for (_, view) in &state.views {
            let table = Arc::as_ptr(&view.base);
            memory_bytes += view.bytes() - if tables.contains(&table) { view.base.bytes() } else { 0 };
            tables.push(table);
        }
        IndexStats {
            entries: state.views.first().map_or(0, |(_, view)| view.len() as u64),
            states: state.views.len(),
            memory_bytes,
            encoded: state.encoded,
            dropped: state.dropped,
            last_damage: state.last_damage.clone(),
        }
    }

    /// Returns the codes of the map `root`, which is that of the model in this state.
    pub(crate) fn view(&self, snapshot: &Snapshot, model: &Model, root: &Cid) -> Result<View, SearchError> {
        self.watched_view(snapshot, model, root, &mut Watched::new(CODING, &mut mnem_core::progress::quiet))
    }

    pub(crate) fn watched_view(
        &self,
        snapshot: &Snapshot,
        model: &Model,
        root: &Cid,
        watch: &mut Watched<'_>,
    ) -> Result<View, SearchError> {
        let dim = dim(model);
        let known = self.known(dim);
        if let Some((_, view)) = known.iter().find(|(source, _)| source == root) {
            self.put(root, view.clone());
            return Ok(view.clone());
        }
        let view = match self.brought_up_to_date(snapshot, model, root, known)? {
            Some(view) => view,
            None => match self.read_kept(snapshot, model, root)? {
                Some(view) => view,
                None => {
                    let table = encode_all(snapshot, model, watch)?;
                    self.lock().encoded += table.len() as u64;
                    View::whole(table)
                }
            },
        };
        self.put(root, view.clone());
        Ok(view)
    }

    fn known(&self, dim: usize) -> Vec<(Cid, View)> {
        self.lock().views.iter().filter(|(_, view)| view.base.dim == dim).cloned().collect()
    }

    fn put(&self, root: &Cid, view: View) {
        let mut state = self.lock();
        state.views.retain(|(source, other)| source != root || other.base.dim != view.base.dim);
        state.views.insert(0, (*root, view));
        state.views.truncate(VIEWS_MAX);
        let mut tables: Vec<Arc<Table>> = Vec::new();
        state.views.retain(|(_, view)| {
            let is_known = tables.iter().any(|table| Arc::ptr_eq(table, &view.base));
            if !is_known {
                tables.push(Arc::clone(&view.base));
            }
            is_known || tables.len() <= TABLES_MAX
        });
    }

    /// Brings the codes of a state in memory up to date, if it differs little.
    fn brought_up_to_date(
        &self,
        snapshot: &Snapshot,
        model: &Model,
        root: &Cid,
        known: Vec<(Cid, View)>,
    ) -> Result<Option<View>, SearchError> {
        for (source, view) in known.into_iter().take(NEIGHBORS_MAX) {
            let most = view.len() / 8 + 64;
            if let Some(changed) = encode_changed(snapshot, model, (&source, root), most)? {
                return Ok(Some(self.patched(&view, &changed)));
            }
        }
        Ok(None)
    }

    fn patched(&self, view: &View, changed: &Changed) -> View {
        self.lock().encoded += changed.table.len() as u64;
        let patched = view.with(changed);
        // Once much is elsewhere, one table is shorter to walk.
        if patched.patches() > patched.len() / 4 { View::whole(patched.merged()) } else { patched }
    }

    /// Reads the tree that was kept of this state or of a commit before it.
    fn read_kept(&self, snapshot: &Snapshot, model: &Model, root: &Cid) -> Result<Option<View>, SearchError> {
        if let Some(table) = self.kept(snapshot, model, root)? {
            return Ok(Some(View::whole(table)));
        }
        let most = usize::try_from(snapshot.vector_count(&model.name)?).unwrap_or(usize::MAX) / 4 + 64;
        for source in sources_before(snapshot, &model.name, root)? {
            if snapshot.derived(&definition(model.dim), &source)?.is_none() {
                continue;
            }
            let Some(changed) = encode_changed(snapshot, model, (&source, root), most)? else { continue };
            if let Some(table) = self.kept(snapshot, model, &source)? {
                return Ok(Some(self.patched(&View::whole(table), &changed)));
            }
        }
        Ok(None)
    }

    fn kept(&self, snapshot: &Snapshot, model: &Model, source: &Cid) -> Result<Option<Table>, SearchError> {
        let definition = definition(model.dim);
        let Some(tree) = snapshot.derived(&definition, source)? else { return Ok(None) };
        let expected = snapshot.trees().tree(*source).len()?;
        match read_table(&tree, dim(model), expected) {
            Ok(table) => Ok(Some(table)),
            Err(IndexDamage::Tree(why)) if !is_damage(&why) => Err(why.into()),
            Err(why) => {
                snapshot.drop_derived(&definition, source, tree.root());
                let mut state = self.lock();
                state.dropped += 1;
                state.last_damage = Some(why.to_string());
                Ok(None)
            }
        }
    }
}

/// Says whether the tree is at fault, and not the store.
fn is_damage(why: &mnem_core::tree::TreeError) -> bool {
    use mnem_core::port::{Fault, StoreError};
    use mnem_core::tree::TreeError;
    match why {
        TreeError::Store(StoreError::Fault(Fault::Corrupt { .. })) => true,
        TreeError::Store(_) => false,
        _ => true,
    }
}
