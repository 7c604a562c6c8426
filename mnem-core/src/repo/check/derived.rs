//! What is derived, against what the blocks say: indexes and the history of entities.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::commits::History;
use super::operations::{STEPS_A_WORD, Tell};
use super::source::Loss;
use super::work::{Spot, Work, legible};
use super::{Checked, Flaw, Part, Repair};
use crate::block::Block;
use crate::cid::Cid;
use crate::id::CommitId;
use crate::object::Commit;
use crate::port::{BlockRead, Row};
use crate::repo::error::RepoError;
use crate::repo::history::{HistoryCheck, RowState};
use crate::repo::index::{self, Index};
use crate::repo::schema::Schema;
use crate::staged::Staged;
use crate::tree::{Tree, TreeStore};

/// How far back an index is looked for that another can be extended from.
const BASE_STEPS_MAX: usize = 64;

/// Indexes that turned out to be wrong: nothing is extended from them.
type Wrong = BTreeSet<(Index, Cid)>;

/// An index as it follows from a map, and the blocks that it took.
struct Derived {
    root: Cid,
    blocks: Vec<Block>,
}

impl Work<'_> {
    /// Compares rows with what they are derived from, oldest commits first.
    pub(super) fn derived(
        &self,
        history: &History,
        checked: &mut Checked,
        tell: &mut Tell<'_>,
    ) -> Result<ControlFlow<()>, RepoError> {
        let mut wrong = Wrong::new();
        let (blocks, trees) = (Arc::clone(&self.source), self.trees.clone());
        let mut rows = HistoryCheck::new(&self.namespace, &**self.store, &*blocks, trees, self.empty);
        checked.rows += self.torn(&rows)?;
        let total = Some(history.order.len() as u64);
        for (done, id) in history.order.iter().enumerate() {
            if done.is_multiple_of(STEPS_A_WORD) && tell("derived", done as u64, total).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            self.indexes(*id, history, &mut wrong)?;
            self.history_row(*id, &mut rows)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Rows that nobody can read: whoever looks for them finds none.
    fn torn(&self, history: &HistoryCheck<'_>) -> Result<u64, RepoError> {
        let (mut of_indexes, mut of_history) = (Vec::new(), Vec::new());
        let rows = index::torn(&**self.store, &self.namespace, |row| of_indexes.push(row))?
            + history.torn(|row| of_history.push(row))?;
        for (part, torn) in [(Part::Index("?".to_owned()), of_indexes), (Part::History, of_history)] {
            for row in torn {
                let detail = format!("the row {:?} is torn", row.key);
                let repair = self.write_rows(&[row]);
                self.found_and(&Spot::of(part.clone()), Flaw::Torn, None, detail, repair);
            }
        }
        Ok(rows)
    }

    fn write_rows(&self, rows: &[Row]) -> Repair {
        if !self.repair {
            return Repair::No;
        }
        match self.store.put_rows(rows) {
            Ok(()) => Repair::Rebuilt,
            Err(why) => Repair::Failed(why.to_string()),
        }
    }

    fn history_row(&self, id: CommitId, rows: &mut HistoryCheck<'_>) -> Result<(), RepoError> {
        if let Some(RowState::Wrong(right)) = legible(rows.check(id))? {
            let repair = self.write_rows(&right);
            let detail = "what the commit touched is recorded otherwise";
            self.found_and(&Spot::in_commit(Part::History, id), Flaw::Stale, Some(id.cid()), detail, repair);
        }
        Ok(())
    }

    fn indexes(&self, id: CommitId, history: &History, wrong: &mut Wrong) -> Result<(), RepoError> {
        let Some(commit) = self.commit(&id)? else { return Ok(()) };
        let before = history.first_parent(&id).map(|parent| self.commit(&parent)).transpose()?.flatten();
        let schema = Schema::read(&self.trees, &*self.source, &commit.schema);
        let Some(schema) = legible(schema)? else { return Ok(()) };
        for index in Index::kept(&schema) {
            let source = index.source(&commit);
            let is_known = before
                .as_ref()
                .is_some_and(|before| before.schema == commit.schema && index.source(before) == source);
            if *source == self.empty || is_known {
                continue;
            }
            let Some(root) = self.named(&index, source)? else { continue };
            let Some(derived) = legible(self.derive(&index, id, source, history, wrong))? else {
                continue; // what it is made of cannot be read, which was said
            };
            if !self.compare(&index, id, source, &root, &derived)? {
                wrong.insert((index, *source));
            }
        }
        Ok(())
    }

    fn named(&self, index: &Index, source: &Cid) -> Result<Option<Cid>, RepoError> {
        index::named_in(&**self.store, &self.namespace, index, source)
    }

    /// Makes an index from the nearest one behind that is right, or from the whole map.
    fn derive(
        &self,
        index: &Index,
        id: CommitId,
        source: &Cid,
        history: &History,
        wrong: &Wrong,
    ) -> Result<Derived, RepoError> {
        let mut at = history.first_parent(&id);
        for _ in 0..BASE_STEPS_MAX {
            let Some(parent) = at else { break };
            let Some(commit) = self.commit(&parent)? else { break };
            let base = index.source(&commit);
            let is_wrong = wrong.contains(&(index.clone(), *base));
            let root = if *base == self.empty { Some(self.empty) } else { self.named(index, base)? };
            if let Some(root) = root.filter(|_| !is_wrong)
                && let Some(derived) = self.extended(index, &commit, &root, source)?
            {
                return Ok(derived);
            }
            at = history.first_parent(&parent);
        }
        let (staged, trees) = self.staged();
        made(&staged, &index::anew(&trees, index, source, &staged)?)
    }

    fn extended(
        &self,
        index: &Index,
        base: &Commit,
        root: &Cid,
        source: &Cid,
    ) -> Result<Option<Derived>, RepoError> {
        let (staged, trees) = self.staged();
        let tree = index::extended(&trees, index, (index.source(base), root), source, &staged);
        legible(tree)?.map(|tree| made(&staged, &tree)).transpose()
    }

    fn staged(&self) -> (Arc<Staged>, TreeStore) {
        let staged = Arc::new(Staged::new(Arc::clone(&self.source) as Arc<dyn BlockRead>));
        let trees = self.trees.over(Arc::clone(&staged) as Arc<dyn BlockRead>);
        (staged, trees)
    }

    /// Compares the tree that a row names with the derived one, and says whether it is the same, and whole.
    fn compare(
        &self,
        index: &Index,
        id: CommitId,
        source: &Cid,
        root: &Cid,
        derived: &Derived,
    ) -> Result<bool, RepoError> {
        let part = Part::Index(index.definition().into_owned());
        let spot = Spot::in_commit(part, id).under(root);
        if *root != derived.root {
            let repair = if self.repair { self.rebuild(index, source, derived) } else { Repair::No };
            let is_right = repair == Repair::Rebuilt;
            let detail = format!("the index is {root}, and what follows from the blocks is {}", derived.root);
            self.found_and(&spot, Flaw::Stale, Some(source), detail, repair);
            return Ok(is_right);
        }
        let mut is_whole = true;
        for block in &derived.blocks {
            let loss = match self.source.read(block.cid())? {
                Ok(_) => continue,
                Err(loss) => loss,
            };
            let repair = if self.repair { self.put_back(&loss, block) } else { Repair::No };
            is_whole = is_whole && repair == Repair::Rebuilt;
            self.lost(block.cid(), &spot, &loss, repair);
        }
        Ok(is_whole)
    }

    fn put_back(&self, loss: &Loss, block: &Block) -> Repair {
        match self.source.put_back(loss, block) {
            Ok(()) => Repair::Rebuilt,
            Err(why) => Repair::Failed(why),
        }
    }

    /// Blocks before the row that names them.
    fn rebuild(&self, index: &Index, source: &Cid, derived: &Derived) -> Repair {
        if let Err(why) = self.source.put(&derived.blocks) {
            return Repair::Failed(why.to_string());
        }
        self.write_rows(&[index::row(&self.namespace, index, source, &derived.root)])
    }
}

fn made(staged: &Arc<Staged>, tree: &Tree) -> Result<Derived, RepoError> {
    Ok(Derived { root: *tree.root(), blocks: staged.blocks() })
}
