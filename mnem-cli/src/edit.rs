//! Commands that change facts: find what is meant, stage, commit, tell.

use std::collections::BTreeSet;

use mnem::{EdgeId, EntityId, NodeId, RepoError, Snapshot, Transaction};

use crate::args::Record;
use crate::context::Context;
use crate::embed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::{Change, Committed, Unchanged};

/// One change of facts, from opening the repository to telling what was done.
pub(crate) struct EditOf<'a> {
    pub(crate) tx: Transaction,
    record: &'a Record,
    touched: BTreeSet<EntityId>,
}

impl<'a> EditOf<'a> {
    /// Opens the repository and starts a transaction.
    pub(crate) fn begin(context: &Context<'_>, record: &'a Record) -> Result<EditOf<'a>, Failure> {
        let (repo, actor) = context.open_to_write(&record.write)?;
        Ok(EditOf { tx: repo.begin(&actor)?, record, touched: BTreeSet::new() })
    }

    /// Returns the state that is changed.
    pub(crate) fn base(&self) -> Snapshot {
        self.tx.base().clone()
    }

    /// Says that an entity is changed: it will be told.
    pub(crate) fn touch(&mut self, id: impl Into<EntityId>) {
        self.touched.insert(id.into());
    }

    /// Returns what is changed.
    pub(crate) fn changes(&self) -> Result<Vec<Change>, RepoError> {
        let base = self.tx.base();
        let mut changes = Vec::new();
        for id in &self.touched {
            let change = match id {
                EntityId::Node(id) => {
                    let versions = (base.get::<NodeId>(*id)?, self.tx.get(*id)?);
                    Change::of_versions(base, versions, mnem::Change::Node)?
                }
                EntityId::Edge(id) => {
                    let versions = (base.get::<EdgeId>(*id)?, self.tx.get(*id)?);
                    Change::of_versions(base, versions, mnem::Change::Edge)?
                }
            };
            changes.extend(change);
        }
        Ok(changes)
    }

    /// Says what would be done, and does nothing.
    pub(crate) fn pretend(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let changes = self.changes()?;
        let branch = self.tx.base().branch().to_owned();
        context.output.data(&Unchanged { branch, changes })?;
        Ok(Exit::Done)
    }

    /// Commits, and tells what was done. `about` is the message if the person gave none.
    pub(crate) fn commit(
        mut self,
        context: &mut Context<'_>,
        about: impl FnOnce(&[Change]) -> String,
    ) -> Result<Exit, Failure> {
        if self.tx.is_empty() {
            let branch = self.tx.base().branch().to_owned();
            context.output.report(&Unchanged { branch, changes: Vec::new() })?;
            return Ok(Exit::Done);
        }
        let changes = self.changes()?;
        let embedder = context.config.value("embedder").map(embed::embedder).transpose()?;
        if let Some(embedder) = &embedder {
            let nodes: Vec<NodeId> = self
                .touched
                .iter()
                .filter_map(|id| if let EntityId::Node(node) = id { Some(*node) } else { None })
                .collect();
            embed::stage(&mut self.tx, &**embedder, &nodes)?;
        }
        let message = self.record.message.clone().unwrap_or_else(|| about(&changes));
        let now = self.tx.commit(&message)?;
        if let Some(embedder) = &embedder {
            embed::keep(&now, embedder.name())?;
        }
        context.output.report(&Committed { now, changes })?;
        Ok(Exit::Done)
    }
}

/// Returns a message: what was done, and to what.
pub(crate) fn about(verb: &str, changes: &[Change]) -> String {
    match changes {
        [] => verb.to_owned(),
        [one] => format!("{verb} {}", one.title()),
        [first, others @ ..] => format!("{verb} {} and {} more", first.title(), others.len()),
    }
}
