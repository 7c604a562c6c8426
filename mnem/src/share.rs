//! Other repositories by URL: clone, fetch, push, pull.
//!
//! What moves, and what is promised of it, is in the core: [`Repo::clone_to`], [`Repo::fetch_from`], [`Repo::push_to`]. Here
//! the other repository is found, by its URL or by the name that is remembered for it.

use mnem_core::progress::Listener;
use mnem_core::repo::{Actor, Fetch, MergeReport, Origin, Push, Repo, RepoError, Synced};

use crate::error::Error;
use crate::{repo, store};

/// Copies the repository at `from` to where none is yet, and remembers it as `origin`. A call that was interrupted is made
/// again: what arrived is not moved twice.
pub fn clone(from: &str, to: &str, listener: &mut Listener<'_>) -> Result<Repo, Error> {
    let source = repo::open(from)?;
    let store = store::open_or_init(to)?;
    let actor = Actor::named("clone");
    let (copy, _) = source.clone_to(store, repo::system_options(), &actor, &Origin::at(from), listener)?;
    Ok(copy)
}

/// Opens the other repository that is known here by this name.
pub fn remote(repo: &Repo, name: &str) -> Result<Repo, Error> {
    repo::open(&remote_url(repo, name)?)
}

/// Returns where the other repository is that is known here by this name.
pub fn remote_url(repo: &Repo, name: &str) -> Result<String, Error> {
    let urls = repo.remote_urls()?;
    if let Some((_, url)) = urls.iter().find(|(known, _)| known == name) {
        return Ok(url.clone());
    }
    let similar = urls.into_iter().map(|(known, _)| known).collect();
    Err(RepoError::Unknown { spec: name.to_owned(), similar }.into())
}

/// Takes over what the other repository has and this one has not. Its branches are then known here as `origin/main` and so
/// on.
pub fn fetch(repo: &Repo, actor: &Actor, name: &str, listener: &mut Listener<'_>) -> Result<Synced, Error> {
    Ok(repo.fetch_from(actor, &remote(repo, name)?, &Fetch::from(name), listener)?)
}

/// Gives the other repository what this one has and that has not, and moves its branches.
pub fn push(
    repo: &Repo,
    actor: &Actor,
    name: &str,
    what: &Push,
    listener: &mut Listener<'_>,
) -> Result<Synced, Error> {
    Ok(repo.push_to(actor, &remote(repo, name)?, Some(name), what, listener)?)
}

/// Fetches, and merges the other repository's branch of the same name into this one.
pub fn pull(
    repo: &Repo,
    actor: &Actor,
    name: &str,
    listener: &mut Listener<'_>,
) -> Result<(Synced, MergeReport), Error> {
    let synced = fetch(repo, actor, name, listener)?;
    let theirs = format!("{name}/{}", repo.branch());
    let mut tx = repo.begin(actor)?;
    let report = tx.merge(theirs.as_str())?;
    tx.commit(&format!("merge {theirs}"))?;
    Ok((synced, report))
}
