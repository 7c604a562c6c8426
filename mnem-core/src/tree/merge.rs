//! Three-way merge: what one side changed, made to the other.

use std::cmp::Ordering;
use std::iter::Peekable;

use bytes::Bytes;

use super::{BlockSink, Change, Diff, Edit, KeyRange, Order, Tree, TreeError};

/// A key that both sides changed, and not alike. `None` stands for absence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dispute {
    /// The key.
    pub key: Bytes,
    /// Its value in the base.
    pub base: Option<Bytes>,
    /// Its value on the left.
    pub left: Option<Bytes>,
    /// Its value on the right.
    pub right: Option<Bytes>,
}

impl Tree {
    /// Returns this tree with what changed from `base` to `right` made to it. Where both sides changed a key and not
    /// alike, `resolve` says what its value becomes. Costs what changed on the two sides; neither is held in memory.
    /// The nodes that the result has and this tree has not go to `sink`.
    pub fn merge<E: From<TreeError>>(
        &self,
        base: &Tree,
        right: &Tree,
        resolve: impl FnMut(Dispute) -> Result<Option<Bytes>, E>,
        sink: &mut dyn BlockSink,
    ) -> Result<Tree, E> {
        if self.root == right.root || base.root == right.root {
            return Ok(self.clone());
        }
        if self.root == base.root {
            return Ok(Tree { root: right.root, ..self.clone() });
        }
        let changes = |side: &Tree| base.diff(side, KeyRange::ALL, Order::Ascending);
        self.try_mutate(Edits { left: changes(self).peekable(), right: changes(right), resolve }, sink)
    }
}

/// What the left side must take over.
struct Edits<F> {
    left: Peekable<Diff>,
    right: Diff,
    resolve: F,
}

impl<E, F> Iterator for Edits<F>
where
    E: From<TreeError>,
    F: FnMut(Dispute) -> Result<Option<Bytes>, E>,
{
    type Item = Result<Edit, E>;

    fn next(&mut self) -> Option<Result<Edit, E>> {
        self.advance().transpose()
    }
}

impl<E, F> Edits<F>
where
    E: From<TreeError>,
    F: FnMut(Dispute) -> Result<Option<Bytes>, E>,
{
    fn advance(&mut self) -> Result<Option<Edit>, E> {
        while let Some(change) = self.right.next().transpose()? {
            let Change { key, before: base, after: right } = change;
            let Some(left) = self.left_change(&key)? else { return Ok(Some(Edit { key, value: right })) };
            if left.after == right {
                continue;
            }
            let dispute = Dispute { key: key.clone(), base, left: left.after.clone(), right };
            let value = (self.resolve)(dispute)?;
            if value != left.after {
                return Ok(Some(Edit { key, value }));
            }
        }
        Ok(None)
    }

    /// Returns what the left side did with `key`. Keys ascend.
    fn left_change(&mut self, key: &[u8]) -> Result<Option<Change>, TreeError> {
        loop {
            let order = match self.left.peek() {
                Some(Ok(change)) => (*change.key).cmp(key),
                Some(Err(_)) => Ordering::Less,
                None => return Ok(None),
            };
            match order {
                Ordering::Less => self.left.next().transpose()?,
                Ordering::Equal => return self.left.next().transpose(),
                Ordering::Greater => return Ok(None),
            };
        }
    }
}
