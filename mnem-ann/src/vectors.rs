//! One model, at every commit.

use std::sync::Arc;

use mnem_core::Cid;
use mnem_core::object::Model;
use mnem_core::progress::{Listener, quiet};
use mnem_core::repo::{Repo, Snapshot};

use crate::cache::{Cache, IndexStats};
use crate::code_tree::{self, Kept};
use crate::error::SearchError;
use crate::progress::Watched;
use crate::question::Question;
use crate::view::View;

/// What is being done while codes are made.
pub(crate) const CODING: &str = "coding vectors";

/// The vectors of one model, to be searched at any commit. Cloning is cheap; clones share what is in memory.
#[derive(Clone, Debug)]
pub struct Vectors {
    model: Arc<str>,
    pub(crate) cache: Arc<Cache>,
}

impl Vectors {
    /// Opens a model that the present state of the branch knows.
    pub fn open(repo: &Repo, model: &str) -> Result<Vectors, SearchError> {
        let vectors = Vectors::of(model);
        vectors.model_at(&repo.head()?)?;
        Ok(vectors)
    }

    /// Names a model, which is looked for in each state that is searched.
    pub fn of(model: &str) -> Vectors {
        Vectors { model: model.into(), cache: Arc::default() }
    }

    /// Returns the name of the model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Returns what is agreed on the model in a state.
    pub(crate) fn model_at(&self, snapshot: &Snapshot) -> Result<Model, SearchError> {
        let schema = snapshot.schema()?;
        let no_model = || SearchError::NoSuchModel { model: self.model.to_string() };
        schema.model(&self.model).cloned().ok_or_else(no_model)
    }

    /// Returns the root of the model's map in a state, be it empty.
    pub(crate) fn state_root(&self, snapshot: &Snapshot) -> Result<Cid, SearchError> {
        match snapshot.vectors_root(&self.model)? {
            Some(root) => Ok(root),
            None => Ok(*snapshot.trees().build_empty(&mut Vec::new())?.root()),
        }
    }

    pub(crate) fn question(&self, snapshot: &Snapshot, vector: &[f32]) -> Result<Question, SearchError> {
        Question::new(&self.model_at(snapshot)?, vector)
    }

    /// Keeps the codes of a state in its store, so that no program has to make them again. After a commit this costs what
    /// the commit changed.
    pub fn keep(&self, snapshot: &Snapshot) -> Result<Option<Kept>, SearchError> {
        self.keep_with(snapshot, &mut quiet)
    }

    /// The same; `listener` hears how far it has come while all are made, and may stop it. `None` if there are no vectors.
    pub fn keep_with<'a>(
        &self,
        snapshot: &Snapshot,
        listener: &'a mut Listener<'a>,
    ) -> Result<Option<Kept>, SearchError> {
        let model = self.model_at(snapshot)?;
        let Some(source) = snapshot.vectors_root(&self.model)? else { return Ok(None) };
        let all = |watch: &mut Watched<'_>| self.cache.watched_view(snapshot, &model, &source, watch);
        code_tree::keep(snapshot, &model, &source, all, listener).map(Some)
    }

    /// Makes the codes of a state anew and says whether those that are kept are the same: `None` if none are.
    pub fn verify(&self, snapshot: &Snapshot) -> Result<Option<bool>, SearchError> {
        let model = self.model_at(snapshot)?;
        let Some(source) = snapshot.vectors_root(&self.model)? else { return Ok(None) };
        let Some(kept) = snapshot.derived(&code_tree::definition(model.dim), &source)? else {
            return Ok(None);
        };
        let table = code_tree::encode_all(snapshot, &model, &mut Watched::new(CODING, &mut quiet))?;
        let root = code_tree::build(snapshot, &View::whole(table), &mut Vec::new())?;
        Ok(Some(root == *kept.root()))
    }

    /// Returns what is in memory, and what became of what was kept.
    pub fn stats(&self) -> IndexStats {
        self.cache.stats()
    }
}
