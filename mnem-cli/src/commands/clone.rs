//! `mnem clone`

use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::Path;

use clap::{Args, ValueEnum};
use mnem::{Actor, Origin, Repo, Synced};
use serde_json::json;

use crate::args::Write;
use crate::clock;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};
use crate::place::{FOLDER, Place};
use crate::progress::Meter;
use crate::sharing;

pub(crate) const EXAMPLES: &str = "  mnem clone . copy                   all of it, in a folder of its own
  mnem clone . copy --store redb      in another kind of store
  mnem clone . simple:plain           a store by itself, without a folder\n";

/// Kinds of stores for a folder.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Pages and a log of mnem's own.
    Native,
    /// Plain files.
    Simple,
    /// One redb file.
    Redb,
}

/// Arguments.
#[derive(Args)]
pub(crate) struct Clone {
    /// What to copy: the folder of a repository, KIND:PATH, or an archive that `export --car` wrote
    #[arg(value_name = "FROM")]
    from: String,
    /// Where to: a folder, made if it is not there, or KIND:PATH
    #[arg(value_name = "TO")]
    to: String,
    /// native, simple or redb
    #[arg(
        long,
        value_name = "KIND",
        default_value = "native",
        hide_default_value = true,
        hide_possible_values = true
    )]
    store: Kind,
    /// What the other repository is called here
    #[arg(long, value_name = "NAME", default_value = Origin::NAME, hide_default_value = true)]
    origin: String,
    #[command(flatten)]
    write: Write,
}

struct Cloned {
    place: Place,
    synced: Synced,
    took: String,
}

impl Record for Cloned {
    fn schema(&self) -> &'static str {
        "mnem.clone/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("repository".into(), json!(self.place.shown()));
        fields.insert("store".into(), json!(self.place.url));
        sharing::counts(&self.synced, fields);
    }

    fn text(&self, text: &mut Text) {
        text.plain("cloned to ").painted(Paint::Name, &self.place.shown()).plain(": ");
        text.plain(self.place.kind()).plain(" store; ").plain(&sharing::summary(&self.synced));
        text.plain(", ").plain(&self.took).end();
    }
}

impl Clone {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let time =
            self.write.time.as_deref().map(|time| clock::time(time, context.zone_minutes)).transpose()?;
        let options = mnem::Options { zone_minutes: context.zone_minutes, ..clock::options(time) };
        let archive = is_archive(Path::new(&self.from));
        let source = if archive { None } else { Some(sharing::url_of(&self.from)?) };
        let other = source.as_deref().map(|url| sharing::open(context, url)).transpose()?;
        let place = self.place()?;
        let store = context.waiting(|| mnem::store::open_or_init(&place.url))?;
        let mut meter = Meter::start("cloned", context.output.wants_progress());
        let (_, synced) = match (other, source) {
            (Some(other), Some(url)) => {
                let origin = Origin::at(url).named(&self.origin);
                let name = self.write.actor.clone().unwrap_or_else(|| context.config.actor());
                let actor = Actor::named(&name);
                other.clone_to(store, options, &actor, &origin, &mut sharing::listener(&mut meter))
            }
            _ => {
                let path = Path::new(&self.from);
                let file = File::open(path).map_err(|error| Failure::file("read", path, &error))?;
                let file = BufReader::new(file);
                Repo::from_archive(store, options, file, &mut sharing::listener(&mut meter))
            }
        }
        .map_err(mnem::Error::from)?;
        let took = meter.end();
        context.output.report(&Cloned { place, synced, took })?;
        Ok(Exit::Done)
    }

    fn place(&self) -> Result<Place, Failure> {
        if self.to.contains(':') {
            return Ok(Place { url: self.to.clone(), folder: None });
        }
        let folder = Path::new(&self.to).join(FOLDER);
        fs::create_dir_all(&folder).map_err(|error| Failure::file("make", &folder, &error))?;
        // What an interrupted clone left is taken up again, whatever its kind.
        if let Ok(found) = Place::find(Some(&self.to)) {
            return Ok(found);
        }
        let kind = match self.store {
            Kind::Native => "native",
            Kind::Simple => "simple",
            Kind::Redb => "redb",
        };
        Ok(Place::new_in(&folder, kind))
    }
}

/// Says whether a file begins as an archive does.
pub(crate) fn is_archive(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut start));
    path.is_file() && read.is_ok() && begins_as_archive(&start)
}

/// The length of the header, then a map whose first field is `roots`.
pub(crate) fn begins_as_archive(start: &[u8]) -> bool {
    let length = start.iter().position(|byte| byte & 0x80 == 0).map_or(0, |last| last + 1);
    start.get(length..).is_some_and(|header| header.starts_with(b"\xa2\x65roots"))
}
