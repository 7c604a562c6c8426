//! Values that were agreed to be unique and are not: two writers who did not see each other may have made them.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

use super::count::is_disputed;
use super::order::{compare_size, elements};
use crate::id::NodeId;
use crate::repo::error::RepoError;
use crate::repo::index::{Hit, Hits, ValueRange};
use crate::repo::snapshot::Snapshot;
use crate::tree::{Order, Tree};
use crate::value::Value;

/// One value of a unique property that several nodes have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The property.
    pub property: Arc<str>,
    /// The value, or an element of a list that is the value. 1 and 1.0 are two.
    pub value: Value,
    /// Who has it, ascending: two at least.
    pub nodes: Vec<NodeId>,
}

impl Snapshot {
    /// Walks the values that several nodes have of properties that are declared unique, as the nodes are shown. A merge
    /// can bring them about; nothing is wrong with the store. Costs a walk of each such property's index.
    pub fn violations(&self) -> Result<Violations, RepoError> {
        let schema = self.schema()?;
        let unique = schema.properties().filter(|property| property.unique);
        let properties: Vec<Arc<str>> = unique.map(|property| Arc::clone(&property.name)).collect();
        Ok(Violations {
            snapshot: self.clone(),
            disputed: self.conflicts_of::<NodeId>()?,
            properties: properties.into_iter(),
            walk: None,
            ready: VecDeque::new(),
        })
    }
}

/// Values that should be unique and are not. Ends after its first error.
pub struct Violations {
    snapshot: Snapshot,
    disputed: Option<Tree>,
    properties: IntoIter<Arc<str>>,
    walk: Option<(Arc<str>, Peekable<Hits>)>,
    ready: VecDeque<Violation>,
}

impl Violations {
    fn fill(&mut self) -> Result<(), RepoError> {
        while self.ready.is_empty() {
            let Some((property, hits)) = &mut self.walk else {
                let Some(property) = self.properties.next() else { return Ok(()) };
                let hits = self.snapshot.lookup(&property, &ValueRange::All, Order::Ascending)?;
                self.walk = hits.map(|hits| (property, hits.peekable()));
                continue;
            };
            let Some(first) = hits.next().transpose()? else {
                self.walk = None;
                continue;
            };
            let is_same = |hit: &Hit| compare_size(&hit.value, &first.value).is_eq();
            let mut same = vec![first.clone()];
            while let Some(hit) = hits.next_if(|hit| hit.as_ref().map_or(true, is_same)) {
                same.push(hit?);
            }
            let property = Arc::clone(property);
            self.judge(&property, same)?;
        }
        Ok(())
    }

    /// Tells apart what is equal in size only, and who only seems to have it.
    fn judge(&mut self, property: &Arc<str>, mut same: Vec<Hit>) -> Result<(), RepoError> {
        if same.len() < 2 {
            return Ok(());
        }
        same.sort_by(|a, b| a.value.cmp(&b.value).then(a.node.cmp(&b.node)));
        for members in same.chunk_by(|a, b| a.value == b.value) {
            let mut nodes = Vec::new();
            for Hit { node, value } in members {
                if self.is_shown(property, *node, value)? {
                    nodes.push(*node);
                }
            }
            if nodes.len() > 1 {
                let value = members[0].value.clone();
                self.ready.push_back(Violation { property: Arc::clone(property), value, nodes });
            }
        }
        Ok(())
    }

    /// Of a node in conflict the index has the values of every side.
    fn is_shown(&self, property: &str, node: NodeId, value: &Value) -> Result<bool, RepoError> {
        if !is_disputed(self.disputed.as_ref(), node)? {
            return Ok(true);
        }
        let shown = self.snapshot.require(node)?;
        Ok(shown.props.value(property).is_some_and(|found| elements(found).contains(value)))
    }
}

impl Iterator for Violations {
    type Item = Result<Violation, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(why) = self.fill() {
            self.walk = None;
            self.properties = Vec::new().into_iter();
            return Some(Err(why));
        }
        self.ready.pop_front().map(Ok)
    }
}
