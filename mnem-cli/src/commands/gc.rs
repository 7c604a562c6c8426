//! `mnem gc`

use std::io::Write as _;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use clap::Args;
use mnem::port::{CollectorError, Compact, Fault};
use mnem::{Collected, KEPT_DAYS, KEPT_OPERATIONS, Progress, Repo, Retention};
use serde_json::{Value as Json, json};

use crate::args::Write;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Record, Text, counted};

pub(crate) const EXAMPLES: &str = "  mnem gc --dry-run                        what would go, and why
  mnem gc
  mnem gc --keep-ops 100 --keep-days 7     and forget what cannot be undone any more\n";

/// How often somebody who looks hears how far it is.
const EVERY: Duration = Duration::from_millis(100);

/// Arguments.
#[derive(Args)]
pub(crate) struct Gc {
    /// Say what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// How many of the newest operations stay in any case
    #[arg(long, value_name = "COUNT", default_value_t = KEPT_OPERATIONS)]
    keep_ops: u64,
    /// For how many days operations stay in any case
    #[arg(long, value_name = "DAYS", default_value_t = KEPT_DAYS)]
    keep_days: u32,
    /// Leave the room for what is recorded next, in place of giving it back to the file system
    #[arg(long)]
    no_compact: bool,
    #[command(flatten)]
    write: Write,
}

impl Gc {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let (repo, _) = context.open_to_write(&self.write)?;
        let retention = Retention { operations: self.keep_ops, days: self.keep_days };
        let mut meter = Meter::new(context.output.wants_progress());
        let mut listener = |progress: &Progress| meter.show(progress);
        let collected = match self.dry_run {
            true => repo.collectable(retention, &mut listener)?,
            false => repo.collect(retention, &mut listener)?,
        };
        meter.end();
        let is_whole = self.dry_run || self.no_compact || give_back(&repo)?;
        context.output.report(&Done { collected, is_dry: self.dry_run })?;
        if !is_whole {
            context.output.hint("the room is free, but the file did not shrink: somebody is reading")?;
        }
        Ok(Exit::Done)
    }
}

/// Gives room back. `false` if somebody reads what is there.
fn give_back(repo: &Repo) -> Result<bool, Failure> {
    match repo.store().compact(Compact::Room) {
        Ok(()) => Ok(true),
        Err(CollectorError::Fault(Fault::Locked { .. })) => Ok(false),
        Err(why) => Err(mnem::Error::from(why).into()),
    }
}

/// Tells how far it is, if somebody looks.
struct Meter {
    is_shown: bool,
    next: Instant,
}

impl Meter {
    fn new(is_shown: bool) -> Meter {
        Meter { is_shown, next: Instant::now() + EVERY * 3 }
    }

    fn show(&mut self, progress: &Progress) -> ControlFlow<()> {
        let now = Instant::now();
        if self.is_shown && now >= self.next {
            self.next = now + EVERY;
            eprint!("\r\x1b[K{progress} ");
            // If this fails nobody looks.
            let _ = std::io::stderr().flush();
        }
        ControlFlow::Continue(())
    }

    fn end(&self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}

struct Done {
    collected: Collected,
    is_dry: bool,
}

impl Record for Done {
    fn schema(&self) -> &'static str {
        "mnem.gc/1"
    }

    fn fields(&self, fields: &mut Fields) {
        let Collected { garbage, deleted, kept_blocks, expired_operations, rows, .. } = &self.collected;
        let of = |reason: &mnem::Reason| {
            garbage
                .get(reason)
                .map(|it| json!({ "reason": reason.name(), "blocks": it.blocks, "bytes": it.bytes }))
        };
        fields.insert("dry_run".into(), json!(self.is_dry));
        fields.insert("kept_blocks".into(), json!(kept_blocks));
        fields.insert("garbage".into(), garbage.keys().filter_map(of).collect());
        fields.insert("deleted_blocks".into(), json!(deleted.blocks));
        fields.insert("deleted_bytes".into(), json!(deleted.bytes));
        fields.insert("expired_operations".into(), json!(expired_operations));
        fields.insert("rows".into(), json!(rows));
        let horizon = self.collected.horizon.map_or(Json::Null, |time| json!(time.to_string()));
        fields.insert("horizon".into(), horizon);
    }

    fn text(&self, text: &mut Text) {
        let garbage = self.collected.garbage();
        if garbage.blocks == 0 {
            text.plain("nothing to collect; ")
                .plain(&counted(self.collected.kept_blocks, "block"))
                .plain(" stay")
                .end();
            return;
        }
        let (word, what) = match self.is_dry {
            true => ("would delete ", garbage),
            false => ("deleted ", self.collected.deleted),
        };
        text.plain(word)
            .plain(&counted(what.blocks, "block"))
            .plain(", ")
            .plain(&counted(what.bytes, "byte"));
        text.plain("; ").plain(&counted(self.collected.kept_blocks, "block")).plain(" stay").end();
        for (reason, of) in &self.collected.garbage {
            let line = format!("  {:<24}  {:>8}  {:>10}", reason.name(), of.blocks, of.bytes);
            text.plain(&line).end();
        }
        if let Some(horizon) = self.collected.horizon {
            let word = if self.is_dry { "would begin" } else { "begins" };
            text.plain(&format!("the log of operations {word} at {horizon}")).end();
        }
    }
}
