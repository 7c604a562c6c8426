//! `mnem doctor`

use clap::{Args, ValueEnum};
use mnem::native::{self, Doctor as Physician, Examination, Finding, Level, Lsn, PageId, Severity, Shown};
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text, counted};
use crate::place::Place;
use crate::progress::Meter;

pub(crate) const EXAMPLES: &str =
    "  mnem doctor                    marker, superblocks, log, every page of the index
  mnem doctor --level blocks     also every block, against its hash
  mnem doctor --superblocks
  mnem doctor --page 2\n";

/// How thorough.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Depth {
    /// Marker, superblocks, maps and the log.
    Outline,
    /// Every page of the index too.
    Pages,
    /// Every block too, against its hash.
    Blocks,
}

/// Arguments.
#[derive(Args)]
pub(crate) struct Doctor {
    /// outline, pages or blocks
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "pages",
        hide_default_value = true,
        hide_possible_values = true
    )]
    level: Depth,
    /// Show the two superblocks
    #[arg(long, conflicts_with_all = ["page", "record"])]
    superblocks: bool,
    /// Show a page of the data file
    #[arg(long, value_name = "NUMBER", conflicts_with = "record")]
    page: Option<u64>,
    /// Show the record at a position of the log
    #[arg(long, value_name = "POSITION")]
    record: Option<u64>,
}

/// Returns where the native store is.
pub(super) fn native_place(context: &Context<'_>) -> Result<Place, Failure> {
    let place = context.place()?.clone();
    if place.kind() != "native" {
        let message = format!("{} is no native store", place.shown());
        return Err(Failure::new("unsupported", Exit::Failure, message)
            .hint("what a store of any kind holds is checked by `mnem fsck`"));
    }
    Ok(place)
}

impl Doctor {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let place = native_place(context)?;
        let doctor = Physician::new(place.path());
        let shown = if self.superblocks {
            context.waiting(|| Ok(Vec::from(doctor.superblocks()?)))?
        } else if let Some(page) = self.page {
            vec![context.waiting(|| Ok(doctor.page(PageId(page))?))?]
        } else if let Some(record) = self.record {
            vec![context.waiting(|| Ok(doctor.record(Lsn(record))?))?]
        } else {
            return self.examine(&place, context);
        };
        for shown in shown {
            context.output.data(&Thing(shown))?;
        }
        Ok(Exit::Done)
    }

    fn examine(&self, place: &Place, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let level = match self.level {
            Depth::Outline => Level::Outline,
            Depth::Pages => Level::Pages,
            Depth::Blocks => Level::Blocks,
        };
        let mut meter = Meter::start("", context.output.wants_progress());
        let examined =
            context.waiting(|| native::examine(place.path(), level, &mut super::shown(&mut meter)));
        let report = examined?;
        meter.end();
        for finding in &report.findings {
            context.output.data(&Found(finding))?;
        }
        let (is_damaged, is_clean) = (report.has_errors(), report.is_clean());
        context.output.data(&Report(report))?;
        if is_damaged {
            context.output.hint(
                "`mnem repair FOLDER` saves what is good to a new place; a backup may have all of it",
            )?;
        } else if is_clean && level < Level::Blocks {
            context.output.hint("`mnem doctor --level blocks` also reads every block")?;
        }
        Ok(if is_damaged { Exit::Damage } else { Exit::Done })
    }
}

struct Found<'a>(&'a Finding);

impl Record for Found<'_> {
    fn schema(&self) -> &'static str {
        "mnem.ailment/1"
    }

    fn fields(&self, fields: &mut Fields) {
        let Finding { ailment, at } = self.0;
        let severity = if ailment.severity() == Severity::Error { "error" } else { "warning" };
        fields.insert("severity".into(), json!(severity));
        fields.insert("code".into(), json!(ailment.code()));
        fields.insert("says".into(), json!(ailment.says()));
        fields.insert("at".into(), json!(at));
    }

    fn text(&self, text: &mut Text) {
        let Finding { ailment, at } = self.0;
        match ailment.severity() {
            Severity::Error => text.painted(Paint::Bad, "damaged"),
            Severity::Warning => text.painted(Paint::Changed, "warning"),
        };
        text.plain(&format!(" {}: {} ({at})", ailment.code(), ailment.says())).end();
    }
}

struct Report(Examination);

impl Record for Report {
    fn schema(&self) -> &'static str {
        "mnem.doctor/1"
    }

    fn fields(&self, fields: &mut Fields) {
        let report = &self.0;
        fields.insert("store".into(), json!(report.at));
        fields.insert("level".into(), json!(report.level.name()));
        fields.insert("format".into(), json!(report.format));
        fields.insert("upgradable".into(), json!(report.is_upgradable));
        fields.extend(report.numbers().map(|(name, number)| (name.to_owned(), json!(number))));
        fields.insert("findings".into(), json!(report.findings.len() as u64 + report.more_findings));
    }

    fn text(&self, text: &mut Text) {
        let report = &self.0;
        let pages = &report.pages;
        let found = report.findings.len() as u64 + report.more_findings;
        let says = if found == 0 { "nothing is wrong".to_owned() } else { counted(found, "finding") };
        text.plain(&format!("{says}, looked at: {}", report.level.name())).end();
        if report.level >= Level::Pages {
            let (blocks, heads) = (counted(report.blocks, "block"), counted(report.heads, "head"));
            text.plain(&format!("{blocks}, {heads}, {}", counted(report.rows, "row"))).end();
            let index = pages.inner + pages.leaf;
            text.plain(&format!(
                "{} of values, {index} of the index, {} free",
                counted(pages.values, "page"),
                pages.free
            ))
            .end();
        }
        let segments = counted(report.log_segments, "log segment");
        let records = counted(report.log_records, "record");
        text.plain(&format!("checkpoint {}, {segments} with {records} to replay", report.generation)).end();
    }
}

struct Thing(Shown);

impl Record for Thing {
    fn schema(&self) -> &'static str {
        "mnem.doctor-shown/1"
    }

    fn fields(&self, fields: &mut Fields) {
        let shown: Vec<_> = self.0.fields.iter().map(|(name, value)| json!([name, value])).collect();
        fields.insert("fields".into(), json!(shown));
    }

    fn text(&self, text: &mut Text) {
        for (name, value) in &self.0.fields {
            text.plain(&format!("{name:<12}  {value}")).end();
        }
    }
}
