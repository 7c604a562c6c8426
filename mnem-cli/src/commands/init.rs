//! `mnem init`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mnem::{Options, Repo};
use serde_json::json;

use crate::args::Write;
use crate::clock;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};
use crate::place::Place;

pub(crate) const EXAMPLES: &str = "  mnem init                        in this folder
  mnem init notes --store redb     in another, as one file
  mnem -R redb:notes.redb init     a store by itself, without a folder\n";

/// Kinds of stores for a folder.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// Pages and a log of mnem's own.
    Native,
    /// Plain files.
    Simple,
    /// One redb file.
    Redb,
}

impl Kind {
    /// Returns the word that begins its URLs.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Kind::Native => "native",
            Kind::Simple => "simple",
            Kind::Redb => "redb",
        }
    }
}

/// Arguments.
#[derive(Args)]
pub(crate) struct Init {
    /// The folder; made if it is not there
    #[arg(value_name = "FOLDER", default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// native, simple or redb
    #[arg(
        long,
        value_name = "KIND",
        default_value = "native",
        hide_default_value = true,
        hide_possible_values = true
    )]
    store: Kind,
    #[command(flatten)]
    write: Write,
}

struct Made {
    place: Place,
    branch: String,
}

impl Record for Made {
    fn schema(&self) -> &'static str {
        "mnem.init/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("repository".into(), json!(self.place.shown()));
        fields.insert("store".into(), json!(self.place.url));
        fields.insert("branch".into(), json!(self.branch));
    }

    fn text(&self, text: &mut Text) {
        text.plain("made ").plain(&self.place.shown()).plain(": ").plain(self.place.kind());
        text.plain(" store, branch ").painted(Paint::Name, &self.branch).end();
    }
}

impl Init {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let place = match context.repo_flag() {
            Some(url) => Place { url: url.to_owned(), folder: None },
            None => Place::make(&self.folder, self.store.word())?,
        };
        let time =
            self.write.time.as_deref().map(|time| clock::time(time, context.zone_minutes)).transpose()?;
        let options = Options { zone_minutes: context.zone_minutes, ..clock::options(time) };
        let branch = options.branch.clone();
        context.waiting(|| Ok(Repo::init(mnem::store::init(&place.url)?, options.clone())?))?;
        context.output.report(&Made { place, branch })?;
        Ok(Exit::Done)
    }
}
