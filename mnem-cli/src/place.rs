//! Where the repository is.
//!
//! A repository of a folder lies in `.mnem`: the store in `store` (a folder that says itself what kind it is) or
//! `store.redb`, the settings in `config.toml`, the branch that is worked on in `session`. A store elsewhere is named
//! with `-R` and has neither settings nor session of its own.

use std::fs;
use std::path::{Path, PathBuf};

use mnem::port::Marker;

use crate::exit::Exit;
use crate::failure::Failure;

/// The folder of a repository.
pub(crate) const FOLDER: &str = ".mnem";
const STORE: &str = "store";
const STORE_FILE: &str = "store.redb";
const SESSION: &str = "session";
const SESSION_BYTES_MAX: u64 = 4096;
const KINDS: [&str; 4] = ["memory", "simple", "redb", "native"];

/// Where a repository is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Of the store.
    pub(crate) url: String,
    /// The `.mnem` folder, if there is one.
    pub(crate) folder: Option<PathBuf>,
}

impl Place {
    /// Finds the repository that is named, or else the one of the current folder or of one above it.
    pub(crate) fn find(named: Option<&str>) -> Result<Place, Failure> {
        match named {
            Some(named) => Place::named(named),
            None => Place::from_here(),
        }
    }

    fn named(named: &str) -> Result<Place, Failure> {
        let has_kind = named.split_once(':').is_some_and(|(kind, _)| KINDS.contains(&kind));
        let path = Path::new(named);
        if has_kind || (named.contains(':') && !path.exists()) {
            return Ok(Place { url: named.to_owned(), folder: None });
        }
        if path.is_file() {
            return Ok(Place { url: format!("redb:{named}"), folder: None });
        }
        if let Some(kind) = kind_of_folder(path) {
            return Ok(Place { url: format!("{kind}:{named}"), folder: None });
        }
        let folder = if path.ends_with(FOLDER) { path.to_owned() } else { path.join(FOLDER) };
        Place::of_folder(folder).ok_or_else(|| {
            Failure::new("no-repository", Exit::NoRepository, format!("there is no repository at {named}"))
                .hint("name the folder that holds .mnem, or a store: native:PATH, redb:PATH, simple:PATH")
        })
    }

    fn from_here() -> Result<Place, Failure> {
        let here = std::env::current_dir().map_err(|error| Failure::file("find", Path::new("."), &error))?;
        let found = here.ancestors().enumerate().find_map(|(up, _)| {
            // As short as it can be said: paths are shown to people.
            let up: PathBuf = if up == 0 { ".".into() } else { vec![".."; up].join("/").into() };
            Place::of_folder(up.join(FOLDER))
        });
        found.ok_or_else(|| {
            Failure::new(
                "no-repository",
                Exit::NoRepository,
                "there is no repository here or in any folder above",
            )
            .hint("make one with `mnem init`, or name one with -R")
        })
    }

    fn of_folder(folder: PathBuf) -> Option<Place> {
        let store = folder.join(STORE);
        let file = folder.join(STORE_FILE);
        let url = match kind_of_folder(&store) {
            Some(kind) => format!("{kind}:{}", store.display()),
            None if file.is_file() => format!("redb:{}", file.display()),
            // Damaged or half made: opening it says what is wrong.
            None if store.is_dir() => format!("native:{}", store.display()),
            None => return None,
        };
        Some(Place { url, folder: Some(folder) })
    }

    /// Makes the folders for a new repository, which may be there.
    pub(crate) fn make(folder: &Path, kind: &str) -> Result<Place, Failure> {
        let inner = folder.join(FOLDER);
        if let Ok(found) = Place::find(Some(&folder.display().to_string())) {
            let message = format!("there is a repository at {} already", found.shown());
            return Err(
                Failure::new("exists", Exit::Failure, message).hint("it can be used as it is: `mnem status`")
            );
        }
        fs::create_dir_all(&inner).map_err(|error| Failure::file("make", &inner, &error))?;
        Ok(Place::new_in(&inner, kind))
    }

    /// Returns the folder or file of the store.
    pub(crate) fn path(&self) -> &Path {
        Path::new(self.url.split_once(':').map_or("", |(_, path)| path))
    }

    /// Returns where the store of a new repository in `folder` goes.
    pub(crate) fn new_in(folder: &Path, kind: &str) -> Place {
        let store = folder.join(if kind == "redb" { STORE_FILE } else { STORE });
        Place { url: format!("{kind}:{}", store.display()), folder: Some(folder.to_owned()) }
    }

    /// Returns what to call it.
    pub(crate) fn shown(&self) -> String {
        match &self.folder {
            Some(folder) => folder.display().to_string(),
            None => self.url.clone(),
        }
    }

    /// Returns what kind of store it is.
    pub(crate) fn kind(&self) -> &str {
        self.url.split(':').next().unwrap_or_default()
    }

    /// Returns the branch that is worked on, if one was ever chosen.
    pub(crate) fn branch(&self) -> Result<Option<String>, Failure> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let path = folder.join(SESSION);
        match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::file("read", &path, &error)),
            Ok(metadata) if metadata.len() > SESSION_BYTES_MAX => return Err(unreadable(&path)),
            Ok(_) => {}
        }
        let text = fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))?;
        let branch = text.strip_prefix("branch ").and_then(|rest| rest.strip_suffix('\n'));
        branch.map(|branch| Some(branch.to_owned())).ok_or_else(|| unreadable(&path))
    }

    /// Chooses the branch to work on.
    pub(crate) fn set_branch(&self, branch: &str) -> Result<(), Failure> {
        let Some(folder) = &self.folder else {
            return Err(Failure::new(
                "no-session",
                Exit::Failure,
                format!("{} remembers no branch: it is a store without a folder", self.url),
            )
            .hint(format!("set it for each command: MNEM_BRANCH={branch}")));
        };
        replace(&folder.join(SESSION), &format!("branch {branch}\n"))
    }
}

fn unreadable(path: &Path) -> Failure {
    Failure::new("bad-session", Exit::Failure, format!("{} says no branch", path.display()))
        .hint("choose one anew: `mnem switch BRANCH`")
}

/// Writes a file whole or not at all.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
    written.map_err(|error| {
        // What could not be put in place is of no use.
        let _ = fs::remove_file(&new);
        Failure::file("write", path, &error)
    })
}

/// Returns what the marker in a folder says, if it is that of a store.
fn kind_of_folder(path: &Path) -> Option<String> {
    let marker = path.join(Marker::FILE);
    let size = fs::metadata(&marker).ok()?.len();
    // What is longer was not written by mnem.
    if size > Marker::BYTES_MAX as u64 {
        return None;
    }
    Some(Marker::parse(&fs::read(&marker).ok()?)?.kind)
}
