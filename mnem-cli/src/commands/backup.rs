//! `mnem backup`

use std::path::PathBuf;

use clap::Args;
use mnem::backup::{Added, Backups, CHAIN_MAX, Info, Verified, stream};
use mnem::{Error, Time};
use serde_json::json;

use crate::clock;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text, counted};
use crate::progress::Meter;

pub(crate) const EXAMPLES: &str =
    "  mnem backup kept                    everything, then what changed since the last one
  mnem backup kept --list
  mnem backup kept --verify
  mnem backup - > all.mnem-backup     everything, as one stream\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Backup {
    /// The folder of backups, made if it is not there; or - for a stream
    #[arg(value_name = "FOLDER")]
    to: PathBuf,
    /// Everything, also where there are backups already
    #[arg(long)]
    full: bool,
    /// List the backups that are there
    #[arg(long, conflicts_with_all = ["full", "verify", "dry_run"])]
    list: bool,
    /// Read every byte of the backups that are there, and prove it
    #[arg(long, conflicts_with_all = ["full", "dry_run"])]
    verify: bool,
    /// Say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// When it is to have been made; else now
    #[arg(long, value_name = "MOMENT")]
    time: Option<String>,
}

impl Backup {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let backups = Backups::at(&self.to);
        if self.list {
            for info in backups.list().map_err(Error::from)? {
                context.output.data(&Kept { info: &info, is_new: false, took: None })?;
            }
            return Ok(Exit::Done);
        }
        let mut meter = Meter::start("", context.output.wants_progress());
        let mut listener = super::shown(&mut meter);
        if self.verify {
            let verified = backups.verify(None, &mut listener).map_err(Error::from)?;
            drop(listener);
            let took = meter.end();
            context.output.report(&Proven { verified, took })?;
            return Ok(Exit::Done);
        }
        if self.dry_run {
            return self.plan(&backups, context);
        }
        let url = context.place()?.url.clone();
        let store = context.waiting(|| mnem::store::open(&url))?;
        let time = self.time(context)?;
        if self.to.as_os_str() == "-" {
            stream(store.as_ref(), time, &mut std::io::stdout().lock(), &mut listener)
                .map_err(Error::from)?;
            return Ok(Exit::Done);
        }
        let added = backups.add(store.as_ref(), self.full, time, &mut listener).map_err(Error::from)?;
        drop(listener);
        let took = meter.end();
        let (info, is_new) = match &added {
            Added::Made(info) => (info, true),
            Added::Unchanged(info) => (info, false),
        };
        context.output.report(&Kept { info, is_new, took: Some(took) })?;
        if is_new && info.number == 1 {
            let to = self.to.display();
            context.output.hint(&format!("make a repository of it with `mnem restore {to} FOLDER`"))?;
        }
        Ok(Exit::Done)
    }

    fn time(&self, context: &Context<'_>) -> Result<Time, Failure> {
        let time = self.time.as_deref().map(|time| clock::time(time, context.zone_minutes)).transpose()?;
        Ok(clock::options(time).clock.now())
    }

    /// Says what a backup would be.
    fn plan(&self, backups: &Backups, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let newest = backups.list().map_err(Error::from)?.pop();
        let chain = match &newest {
            Some(newest) => backups.chain(newest).map_err(Error::from)?.len(),
            None => 0,
        };
        let is_full = self.full || chain == 0 || chain >= CHAIN_MAX;
        let number = newest.as_ref().map_or(1, |newest| newest.number + 1);
        context
            .output
            .data(&Plan { number, builds_on: newest.filter(|_| !is_full).map(|newest| newest.number) })?;
        Ok(Exit::Done)
    }
}

/// A backup.
struct Kept<'a> {
    info: &'a Info,
    is_new: bool,
    /// Absent: it was only listed.
    took: Option<String>,
}

impl Record for Kept<'_> {
    fn schema(&self) -> &'static str {
        "mnem.backup/1"
    }

    fn fields(&self, fields: &mut Fields) {
        let info = self.info;
        let heads: Vec<_> = info
            .heads
            .iter()
            .flat_map(|(namespace, heads)| heads.iter().map(move |head| (namespace, head)))
            .map(|(namespace, head)| json!({"namespace": namespace.as_str(), "operation": head.to_string()}))
            .collect();
        let values = [
            ("number", json!(info.number)),
            ("id", json!(info.id.to_string())),
            ("parent", json!(info.parent.map(|parent| parent.to_string()))),
            ("time", json!(info.time.to_string())),
            ("store", json!(info.kind)),
            ("blocks", json!(info.blocks)),
            ("new_blocks", json!(info.put)),
            ("new_bytes", json!(info.put_bytes)),
            ("gone_blocks", json!(info.gone)),
            ("heads", json!(heads)),
            ("file", json!(info.path.display().to_string())),
            ("file_bytes", json!(info.file_bytes)),
            ("made", json!(self.is_new)),
        ];
        fields.extend(values.map(|(name, value)| (name.to_owned(), value)));
    }

    fn text(&self, text: &mut Text) {
        let info = self.info;
        if self.took.is_some() && !self.is_new {
            text.plain(&format!("nothing changed since backup {}", info.number)).end();
            return;
        }
        text.plain(&format!("backup {}  ", info.number)).painted(Paint::Id, &info.id.short());
        let of = if info.parent.is_some() { "changes, " } else { "everything, " };
        text.plain("  ")
            .plain(of)
            .plain(&counted(info.put, "block"))
            .plain(" of ")
            .plain(&info.blocks.to_string());
        match &self.took {
            Some(took) => text.plain(", ").plain(took).end(),
            None => text.plain("  ").painted(Paint::Dim, &info.time.to_string()).end(),
        };
    }
}

/// Backups that were read.
struct Proven {
    verified: Verified,
    took: String,
}

impl Record for Proven {
    fn schema(&self) -> &'static str {
        "mnem.verified/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("backups".into(), json!(self.verified.backups));
        fields.insert("blocks".into(), json!(self.verified.blocks));
        fields.insert("bytes".into(), json!(self.verified.bytes));
    }

    fn text(&self, text: &mut Text) {
        let Verified { backups, blocks, .. } = self.verified;
        let (backups, blocks) = (counted(backups, "backup"), counted(blocks, "block"));
        text.plain(&format!("{backups} with {blocks} are whole, {}", self.took)).end();
    }
}

/// A backup that is not made.
struct Plan {
    number: u32,
    builds_on: Option<u32>,
}

impl Record for Plan {
    fn schema(&self) -> &'static str {
        "mnem.backup-plan/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("number".into(), json!(self.number));
        fields.insert("builds_on".into(), json!(self.builds_on));
    }

    fn text(&self, text: &mut Text) {
        text.plain(&format!("would make backup {}: ", self.number));
        match self.builds_on {
            Some(number) => text.plain(&format!("what changed since backup {number}")).end(),
            None => text.plain("everything").end(),
        };
    }
}
