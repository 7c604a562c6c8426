//! `mnem repair`

use std::path::PathBuf;

use clap::Args;
use mnem::native::{self, Repaired};
use mnem::{Error, StoreUrl};
use serde_json::json;

use crate::commands::doctor::native_place;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text, counted};
use crate::place::Place;
use crate::progress::Meter;

pub(crate) const EXAMPLES: &str = "  mnem repair saved\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Repair {
    /// The folder of the new repository; made if it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Repair {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let damaged = native_place(context)?;
        if self.dry_run {
            let from = damaged.shown();
            let to = self.folder.display().to_string();
            context.output.data(&Plan { from, to })?;
            return Ok(Exit::Done);
        }
        let place = Place::make(&self.folder, "native")?;
        let url: StoreUrl = place.url.parse().map_err(Error::from)?;
        let mut meter = Meter::start("", context.output.wants_progress());
        let repaired =
            context.waiting(|| native::repair(damaged.path(), &url, &mut super::shown(&mut meter)))?;
        meter.end();
        let is_whole =
            repaired.lost.is_empty() && repaired.lost_heads.is_empty() && !repaired.index_was_damaged;
        let to = self.folder.display().to_string();
        context.output.data(&Saved { place, repaired })?;
        context
            .output
            .hint(&format!("look at it with `mnem -R {to} status`; the old store was only read"))?;
        Ok(if is_whole { Exit::Done } else { Exit::Damage })
    }
}

struct Plan {
    from: String,
    to: String,
}

impl Record for Plan {
    fn schema(&self) -> &'static str {
        "mnem.repair-plan/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("from".into(), json!(self.from));
        fields.insert("to".into(), json!(self.to));
    }

    fn text(&self, text: &mut Text) {
        text.plain(&format!("would save what is good of {} to {}", self.from, self.to)).end();
    }
}

struct Saved {
    place: Place,
    repaired: Repaired,
}

impl Record for Saved {
    fn schema(&self) -> &'static str {
        "mnem.repair/1"
    }

    fn fields(&self, fields: &mut Fields) {
        let it = &self.repaired;
        let lost: Vec<String> = it.lost.iter().map(ToString::to_string).collect();
        let lost_heads: Vec<String> = it.lost_heads.iter().map(|(_, head)| head.to_string()).collect();
        let values = [
            ("repository", json!(self.place.shown())),
            ("blocks", json!(it.blocks)),
            ("bytes", json!(it.bytes)),
            ("lost", json!(lost)),
            ("more_lost", json!(it.more_lost)),
            ("heads", json!(it.heads.len())),
            ("lost_heads", json!(lost_heads)),
            ("heads_are_guessed", json!(it.heads_are_guessed)),
            ("index_was_damaged", json!(it.index_was_damaged)),
        ];
        fields.extend(values.map(|(name, value)| (name.to_owned(), value)));
    }

    fn text(&self, text: &mut Text) {
        let it = &self.repaired;
        for cid in &it.lost {
            text.painted(Paint::Bad, "lost").plain(" ").painted(Paint::Id, &cid.to_string()).end();
        }
        let lost = it.lost.len() as u64 + it.more_lost;
        let (saved, heads) = (counted(it.blocks, "block"), counted(it.heads.len() as u64, "head"));
        text.plain(&format!("saved to {}: {saved}, {heads}; {lost} lost", self.place.shown())).end();
        if it.index_was_damaged {
            text.plain("the index was damaged: more may be lost than can be named").end();
        }
        if it.heads_are_guessed {
            text.plain("the heads could not be read: the newest operations that were found took their place")
                .end();
        }
    }
}
