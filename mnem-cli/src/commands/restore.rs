//! `mnem restore`

use std::path::PathBuf;

use clap::Args;
use mnem::backup::{Backups, Restored, Source, restore};
use mnem::{Error, StoreUrl};
use serde_json::json;

use crate::commands::init::Kind;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Record, Text, counted};
use crate::place::Place;
use crate::progress::Meter;

pub(crate) const EXAMPLES: &str = "  mnem backup kept
  mnem restore kept again                  the newest, to a new folder
  mnem restore kept older --backup 1
  mnem restore kept elsewhere --dry-run     only read and prove it\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Restore {
    /// The folder of backups, or - for a stream
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// The folder of the new repository; made if it is not there
    #[arg(value_name = "FOLDER", default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// Which one: its number, or the first digits of its name; else the newest
    #[arg(long, value_name = "WHICH")]
    backup: Option<String>,
    /// native, simple or redb
    #[arg(
        long,
        value_name = "KIND",
        default_value = "native",
        hide_default_value = true,
        hide_possible_values = true
    )]
    store: Kind,
    /// Only read it, and prove it
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Restore {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let mut meter = Meter::start("", context.output.wants_progress());
        let mut listener = super::shown(&mut meter);
        let is_stream = self.from.as_os_str() == "-";
        if is_stream && (self.dry_run || self.backup.is_some()) {
            return Err(Failure::bad_word("a stream is one backup, and can be read only once")
                .hint("leave --dry-run and --backup out"));
        }
        let backups = Backups::at(&self.from);
        let info =
            if is_stream { None } else { Some(backups.find(self.backup.as_deref()).map_err(Error::from)?) };
        let number = info.as_ref().map(|info| info.number);
        if let Some(info) = info.as_ref().filter(|_| self.dry_run) {
            let verified = backups.verify(Some(info), &mut listener).map_err(Error::from)?;
            drop(listener);
            meter.end();
            let (blocks, bytes) = (verified.blocks, verified.bytes);
            context.output.data(&Done { place: None, number, blocks, bytes })?;
            return Ok(Exit::Done);
        }
        let place = match context.repo_flag() {
            Some(url) => Place { url: url.to_owned(), folder: None },
            None => Place::make(&self.folder, self.store.word())?,
        };
        let url: StoreUrl = place.url.parse().map_err(Error::from)?;
        let mut stdin = std::io::stdin().lock();
        let source = match &info {
            Some(info) => Source::Folder(&backups, info),
            None => Source::Stream(&mut stdin),
        };
        let Restored { blocks, bytes, .. } = restore(source, &url, &mut listener)?;
        drop(listener);
        meter.end();
        context.output.report(&Done { place: Some(place), number, blocks, bytes })?;
        Ok(Exit::Done)
    }
}

struct Done {
    /// Absent: it was only read.
    place: Option<Place>,
    number: Option<u32>,
    blocks: u64,
    bytes: u64,
}

impl Record for Done {
    fn schema(&self) -> &'static str {
        "mnem.restore/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("repository".into(), json!(self.place.as_ref().map(Place::shown)));
        fields.insert("backup".into(), json!(self.number));
        fields.insert("blocks".into(), json!(self.blocks));
        fields.insert("bytes".into(), json!(self.bytes));
    }

    fn text(&self, text: &mut Text) {
        let of = self.number.map_or_else(|| "the stream".to_owned(), |number| format!("backup {number}"));
        let blocks = counted(self.blocks, "block");
        match &self.place {
            Some(place) => text.plain(&format!("made {} of {of}: {blocks}", place.shown())).end(),
            None => text.plain(&format!("{of} is whole and can be restored: {blocks}")).end(),
        };
    }
}
