//! Cloning: everything that a repository is, in a store that holds none yet.

use std::sync::Arc;

use super::carry::{Carried, Carrier, Under, erased, horizon};
use super::error::SyncError;
use super::{Synced, boundary, tracking};
use crate::object::{OperationKind, View};
use crate::port::{BlockRead, HeadsUpdate, Row, Store, Swap, WriteBatch};
use crate::progress::Listener;
use crate::repo::error::RepoError;
use crate::repo::handle::Repo;
use crate::repo::options::{Actor, Options};
use crate::repo::reach::{Bounds, Place};
use crate::repo::refs::RefKind;
use crate::repo::state::State;
use crate::staged::Staged;

/// What a clone remembers of where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// What the other repository is called here.
    pub name: String,
    /// Where it is.
    pub url: Option<String>,
}

impl Origin {
    /// The name that is meant where none is given.
    pub const NAME: &'static str = "origin";

    /// Remembers where that is.
    pub fn at(url: impl Into<String>) -> Origin {
        Origin { url: Some(url.into()), ..Origin::default() }
    }

    /// Calls it so.
    pub fn named(self, name: impl Into<String>) -> Origin {
        Origin { name: name.into(), ..self }
    }
}

impl Default for Origin {
    fn default() -> Origin {
        Origin { name: Origin::NAME.to_owned(), url: None }
    }
}

impl Repo {
    /// Copies this repository into a store that holds none in that namespace: every commit, operation, branch, tag and
    /// conflict. The copy remembers the branches as those of its origin. A call that was interrupted is made again: what
    /// arrived is not moved twice.
    pub fn clone_to(
        &self,
        store: Arc<dyn Store>,
        options: Options,
        actor: &Actor,
        origin: &Origin,
        listener: &mut Listener<'_>,
    ) -> Result<(Repo, Synced), SyncError> {
        tracking::check_remote(&origin.name)?;
        let theirs = self.state()?;
        let exists = || RepoError::Exists { namespace: options.namespace.to_string() };
        if !store.heads(&options.namespace)?.is_empty() {
            return Err(exists().into());
        }
        let (left_out, horizon) = (self.boundary()?, horizon(&theirs)?);
        let bounds = Bounds {
            erased: Arc::new(erased(&theirs)?),
            may_be_absent: Arc::new(left_out.union(&horizon).copied().collect()),
            ..Bounds::default()
        };
        let under = Under::Nothing(store.lease(&[])?);
        let there = Some(Arc::clone(&theirs.blocks));
        let carried = Carried::new(there, Arc::clone(&store), under);
        let mut carrier = Carrier::new(carried, &theirs.trees, bounds, listener)?;
        carrier.take(*theirs.operation.cid(), Place::Object, horizon)?;
        let (carried, mut synced) = carrier.finish()?;

        let staged = Arc::new(Staged::new(Arc::clone(&theirs.blocks)));
        let view = self.remembered(&theirs, origin, &options, &staged, &mut synced)?;
        let rows: Vec<Row> =
            left_out.iter().map(|cid| boundary::row(&options.namespace, cid, true)).collect();
        let operation = self.shared.stage_operation(
            &theirs,
            &view,
            OperationKind::Import,
            actor,
            options.clock.now(),
            &staged,
        )?;
        let heads = HeadsUpdate {
            namespace: options.namespace.clone(),
            expected: Some(Vec::new()),
            add: vec![operation],
            remove: Vec::new(),
        };
        let batch = WriteBatch { blocks: &staged.blocks(), heads: &heads, rows: &rows };
        match store.commit(carried.under.lease(), &batch)? {
            Swap::Done => Ok((Repo::open(store, options)?, synced)),
            Swap::Moved => Err(exists().into()),
        }
    }

    /// The names of a clone: those of the origin, and what they are called as its.
    fn remembered(
        &self,
        theirs: &State,
        origin: &Origin,
        options: &Options,
        staged: &Arc<Staged>,
        synced: &mut Synced,
    ) -> Result<View, SyncError> {
        let trees = theirs.trees.over(Arc::clone(staged) as Arc<dyn BlockRead>);
        let branches = tracking::branches(theirs)?;
        let edits = tracking::edits(theirs, &origin.name, &branches)?;
        synced.names = tracking::changes(|_| RefKind::Remote, theirs.view.remotes, theirs, &edits)?;
        let remotes =
            trees.tree(theirs.view.remotes).mutate(tracking::encoded(&edits), &mut Arc::clone(staged))?;
        let mut view = View { remotes: *remotes.root(), ..theirs.view.clone() };
        if let Some(url) = &origin.url {
            let time = options.clock.now().max(theirs.time);
            let edit = tracking::url_edit(&origin.name, Some(url), time);
            view.config = *trees.tree(view.config).mutate([edit], &mut Arc::clone(staged))?.root();
        }
        Ok(view)
    }
}
