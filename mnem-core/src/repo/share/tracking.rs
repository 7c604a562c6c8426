//! What other repositories are called here, where they are, and where their branches stood.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::error::SyncError;
use crate::cid::Cid;
use crate::id::CommitId;
use crate::object::Time;
use crate::repo::error::RepoError;
use crate::repo::handle::Repo;
use crate::repo::operations::NameChange;
use crate::repo::options::Actor;
use crate::repo::refs::{NameKind, RefKind, Target, check_name};
use crate::repo::settings;
use crate::repo::state::State;
use crate::tree::Edit;
use crate::value::Value;

/// Settings whose names begin so say where other repositories are.
const URLS: &str = "remote/";

/// Where names are to point, by their keys in the map.
pub(super) type Targets = BTreeMap<Vec<u8>, Target>;

impl Repo {
    /// Returns the other repositories that are known by name, and where they are.
    pub fn remote_urls(&self) -> Result<Vec<(String, String)>, RepoError> {
        let urls = self.settings()?.into_iter().filter_map(|(name, value)| match value {
            Value::Text(url) => Some((name.strip_prefix(URLS)?.to_owned(), url.to_string())),
            _ => None,
        });
        Ok(urls.collect())
    }

    /// Remembers where another repository is; with `None` forgets it, and where its branches stood.
    pub fn set_remote_url(&self, actor: &Actor, remote: &str, url: Option<&str>) -> Result<(), RepoError> {
        check_remote(remote)?;
        self.set_setting(actor, &format!("{URLS}{remote}"), url.map(Value::from))?;
        if url.is_some() {
            return Ok(());
        }
        let prefix = format!("{remote}/");
        let names = self.remotes()?.into_iter();
        let branches: Vec<String> =
            names.filter_map(|(name, _)| Some(name.strip_prefix(&prefix)?.to_owned())).collect();
        let gone: Vec<(&str, Option<CommitId>)> = branches.iter().map(|name| (name.as_str(), None)).collect();
        self.set_remotes(actor, remote, &gone)
    }
}

/// Refuses names that the names of branches could not follow.
pub(in crate::repo) fn check_remote(remote: &str) -> Result<(), RepoError> {
    check_name(remote)?;
    if remote.contains('/') {
        let why = "a `/` ends the name of the other repository";
        return Err(RepoError::BadName { name: remote.to_owned(), why });
    }
    Ok(())
}

/// The change of settings that remembers where another repository is.
pub(super) fn url_edit(remote: &str, url: Option<&str>, time: Time) -> Edit {
    settings::edit(&format!("{URLS}{remote}"), time, url.map(Value::from).as_ref())
}

/// The branches of a state, as they are to be remembered of it.
pub(super) fn branches(of: &State) -> Result<Vec<(String, Target)>, RepoError> {
    of.names(NameKind::Branch)
}

/// What has to change for the branches of a remote to be these, and no others.
pub(super) fn edits(ours: &State, remote: &str, branches: &[(String, Target)]) -> Result<Targets, SyncError> {
    let mut edits = Targets::new();
    let prefix = format!("{remote}/");
    for (name, _) in ours.remotes()?.into_iter().filter(|(name, _)| name.starts_with(&prefix)) {
        edits.insert(NameKind::Branch.key(&name), Target::absent());
    }
    for (branch, target) in branches {
        let name = format!("{prefix}{branch}");
        check_name(&name)?;
        edits.insert(NameKind::Branch.key(&name), target.clone());
    }
    Ok(edits)
}

/// The same for the map.
pub(super) fn encoded(targets: &Targets) -> Vec<Edit> {
    let edit = |(key, target): (&Vec<u8>, &Target)| Edit {
        key: Bytes::copy_from_slice(key),
        value: target.encode(),
    };
    targets.iter().map(edit).collect()
}

/// Says which names move by that, and from where.
pub(super) fn changes(
    kind: impl Fn(NameKind) -> RefKind,
    map: Cid,
    state: &State,
    targets: &Targets,
) -> Result<Vec<NameChange>, SyncError> {
    let mut changes = Vec::new();
    for (key, target) in targets {
        let value = state.trees.tree(map).get(key)?;
        let damaged = |why| RepoError::Damaged { what: "name", cid: map, why };
        let old = Target::decode(value.as_deref()).map_err(damaged)?;
        if let Some((of, name)) = NameKind::from_key(key)
            && old != *target
        {
            let commits = |target: &Target| target.adds.iter().flatten().copied().collect();
            changes.push(NameChange {
                kind: kind(of),
                name: name.to_owned(),
                old: commits(&old),
                new: commits(target),
            });
        }
    }
    Ok(changes)
}

/// All commits that a state's names lead to.
pub(super) fn commits(of: &State) -> Result<Vec<CommitId>, RepoError> {
    let names = [of.names(NameKind::Branch)?, of.names(NameKind::Tag)?, of.remotes()?].concat();
    let mut commits: Vec<CommitId> = names
        .iter()
        .flat_map(|(_, target)| target.adds.iter().chain(&target.removes))
        .flatten()
        .copied()
        .collect();
    commits.sort_unstable();
    commits.dedup();
    Ok(commits)
}
