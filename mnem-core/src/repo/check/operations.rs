//! Operations, their views, and the maps of names in those.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use super::work::{Spot, Work};
use super::{Checked, Flaw, Part};
use crate::cid::Cid;
use crate::codec::{self, Rules};
use crate::id::{CommitId, EntityId, OperationId};
use crate::object::{Operation, Params, SET_VALUE, Time, View};
use crate::repo::error::RepoError;
use crate::repo::refs::{NameKind, Target};
use crate::repo::{actors, settings};
use crate::tree::Change;

/// What is kept of an operation.
struct Seen {
    generation: u64,
    time: Time,
    parents: Vec<OperationId>,
    view: Cid,
}

/// Tells where the check stands.
pub(super) type Tell<'a> = dyn FnMut(&'static str, u64, Option<u64>) -> ControlFlow<()> + 'a;

/// How many steps are taken between two words about it.
pub(super) const STEPS_A_WORD: usize = 64;

impl Work<'_> {
    /// Looks at heads of which not even the parameters can be read.
    pub(super) fn look_at_heads(&self, heads: &[OperationId]) -> Result<(), RepoError> {
        for head in heads {
            let Some(operation) = self.object::<Operation>(head.cid(), &Spot::of(Part::Operation))? else {
                continue;
            };
            let Some(view) = self.object::<View>(&operation.view, &Spot::of(Part::View))? else { continue };
            self.object::<Params>(&view.params, &Spot::of(Part::Params))?;
        }
        Ok(())
    }

    /// Looks at all operations and names. Returns the commits that they lead to; `None` if that was ended.
    pub(super) fn operations(
        &self,
        heads: &[OperationId],
        checked: &mut Checked,
        tell: &mut Tell<'_>,
    ) -> Result<Option<BTreeSet<CommitId>>, RepoError> {
        let Some((seen, order)) = self.all_operations(heads, tell)? else { return Ok(None) };
        checked.operations += seen.len() as u64;
        let mut commits = BTreeSet::new();
        for (done, id) in order.iter().enumerate() {
            if done.is_multiple_of(STEPS_A_WORD)
                && tell("names", done as u64, Some(order.len() as u64)).is_break()
            {
                return Ok(None);
            }
            let Some(operation) = seen.get(id) else { continue };
            self.place_of_operation(id, operation, &seen);
            let before = operation.parents.first().and_then(|parent| seen.get(parent));
            self.view(&operation.view, before.map(|before| &before.view), &mut commits)?;
        }
        Ok(Some(commits))
    }

    /// Reads all operations. The order is from the oldest on.
    #[expect(clippy::type_complexity, reason = "a map and the order of its keys")]
    fn all_operations(
        &self,
        heads: &[OperationId],
        tell: &mut Tell<'_>,
    ) -> Result<Option<(HashMap<OperationId, Seen>, Vec<OperationId>)>, RepoError> {
        let (mut seen, mut order) = (HashMap::new(), Vec::new());
        let mut met: std::collections::HashSet<OperationId> = heads.iter().copied().collect();
        let mut open: Vec<OperationId> = heads.to_vec();
        while let Some(id) = open.pop() {
            if seen.len().is_multiple_of(STEPS_A_WORD)
                && tell("operations", seen.len() as u64, None).is_break()
            {
                return Ok(None);
            }
            let Some(operation) = self.object_or_gap::<Operation>(id.cid(), &Spot::of(Part::Operation))?
            else {
                continue;
            };
            let parents = operation.parents.iter().filter(|parent| !self.is_past(parent));
            open.extend(parents.filter(|parent| met.insert(**parent)));
            order.push((operation.generation, id));
            let Operation { generation, time, parents, view, .. } = operation;
            seen.insert(id, Seen { generation, time, parents, view });
        }
        // Where generations are wrong the order is too: then more is read than needed, and nothing is left out.
        order.sort_unstable();
        Ok(Some((seen, order.into_iter().map(|(_, id)| id).collect())))
    }

    fn place_of_operation(&self, id: &OperationId, operation: &Seen, seen: &HashMap<OperationId, Seen>) {
        let parents: Option<Vec<&Seen>> = operation.parents.iter().map(|parent| seen.get(parent)).collect();
        let Some(parents) = parents else { return };
        let spot = Spot::of(Part::Operation);
        let expected = parents.iter().map(|parent| parent.generation).max().unwrap_or(0).saturating_add(1);
        if operation.generation != expected {
            let detail = format!("its generation is {}, not {expected}", operation.generation);
            self.found(&spot, Flaw::Ancestry, Some(id.cid()), detail);
        } else if parents.iter().any(|parent| parent.time > operation.time) {
            self.found(&spot, Flaw::Ancestry, Some(id.cid()), "it is older than what it follows");
        }
    }

    fn view(
        &self,
        cid: &Cid,
        before: Option<&Cid>,
        commits: &mut BTreeSet<CommitId>,
    ) -> Result<(), RepoError> {
        if before == Some(cid) {
            return Ok(());
        }
        let Some(view) = self.object::<View>(cid, &Spot::of(Part::View))? else { return Ok(()) };
        let before = match before {
            // What is wrong with it was said when it was looked at itself.
            Some(before) => self
                .source
                .read(before)?
                .ok()
                .and_then(|block| crate::object::Object::from_block(&block).ok()),
            None => None,
        };
        let before: Option<&View> = before.as_ref();
        self.params_of(&view.params)?;
        for (part, root, before) in [
            (Part::Refs, view.refs, before.map(|view| &view.refs)),
            (Part::Remotes, view.remotes, before.map(|view| &view.remotes)),
        ] {
            let spot = Spot::of(part.clone());
            self.walk(&spot, before, &root, |change| {
                commits.extend(self.name(&spot.clone().under(&root), &change));
                Ok(())
            })?;
        }
        self.walk(&Spot::of(Part::Config), before.map(|view| &view.config), &view.config, |change| {
            self.setting(&Spot::of(Part::Config).under(&view.config).at_key(&change.key), &change);
            Ok(())
        })?;
        self.grows(&Spot::of(Part::Erased), before.map(|view| &view.erased), &view.erased)?;
        self.walk(&Spot::of(Part::Sigs), before.map(|view| &view.sigs), &view.sigs, |_| Ok(()))?;
        Ok(())
    }

    /// Parameters are the same in everything that belongs together.
    pub(super) fn params_of(&self, cid: &Cid) -> Result<(), RepoError> {
        let spot = Spot::of(Part::Params);
        if *cid == self.params {
            return self.presence(cid, &spot);
        }
        if let Some(params) = self.object::<Params>(cid, &spot)?
            && params.tree != *self.trees.params()
        {
            self.found(&spot, Flaw::Object, Some(cid), "other trees than the repository has");
        }
        Ok(())
    }

    /// A name, and the commits that it leads to.
    fn name(&self, spot: &Spot, change: &Change) -> Vec<CommitId> {
        let Some(value) = &change.after else { return Vec::new() };
        let spot = spot.clone().at_key(&change.key);
        let is_name = match NameKind::from_key(&change.key) {
            Some((NameKind::Branch, name)) => spot.part != Part::Remotes || name.contains('/'),
            Some((NameKind::Tag, _)) => spot.part != Part::Remotes,
            None => false,
        };
        if !is_name {
            self.found(&spot, Flaw::Entry, None, format!("a key that is no name: {:?}", change.key));
        }
        match Target::decode(Some(value)) {
            // What was removed must be known too: a name that is in conflict is settled from there.
            Ok(target) => target.adds.into_iter().chain(target.removes).flatten().collect(),
            Err(why) => {
                self.found(
                    &spot,
                    Flaw::Entry,
                    None,
                    format!("where {:?} points is damaged: {why}", change.key),
                );
                Vec::new()
            }
        }
    }

    fn setting(&self, spot: &Spot, change: &Change) {
        let Some(value) = &change.after else { return };
        let is_sound = if actors::is_key(&change.key) {
            actors::is_sound(&change.key, value)
        } else {
            // Of what newer versions keep there, only that it can be read.
            settings::is_sound(&change.key, value)
                .unwrap_or_else(|| codec::check(value, Rules::House).is_ok())
        };
        if !is_sound {
            self.found(spot, Flaw::Entry, None, format!("the setting {:?} is damaged", change.key));
        }
    }

    /// A set of entities that only grows.
    pub(super) fn grows(&self, spot: &Spot, before: Option<&Cid>, root: &Cid) -> Result<(), RepoError> {
        self.walk(spot, before, root, |change| {
            let spot = spot.clone().under(root).at_key(&change.key);
            let is_entity = EntityId::from_key(&change.key).is_some();
            match &change.after {
                None => self.found(
                    &spot,
                    Flaw::Shrunk,
                    None,
                    format!("{:?} is not in the set any more", change.key),
                ),
                Some(value) if !is_entity || &value[..] != SET_VALUE => {
                    self.found(
                        &spot,
                        Flaw::Entry,
                        None,
                        format!("{:?} is no entry of a set of entities", change.key),
                    );
                }
                Some(_) => {}
            }
            Ok(())
        })?;
        Ok(())
    }
}
