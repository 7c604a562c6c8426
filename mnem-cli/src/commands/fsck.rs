//! `mnem fsck`

use std::ops::ControlFlow;
use std::sync::Arc;

use clap::Args;
use mnem::port::BlockRead;
use mnem::{
    Affected, CheckLevel, CheckOptions, CheckReport, EntityId, Finding, Part, Repair, Threads, check,
};
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text, counted};
use crate::place::Place;
use crate::progress::Meter;
use crate::report::short;

pub(crate) const EXAMPLES: &str = "  mnem fsck
  mnem fsck --full
  mnem fsck --repair\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Fsck {
    /// Everything: also what nodes and edges hold, and what is derived from them
    #[arg(long)]
    full: bool,
    /// Make again what is derived and wrong; looks at everything
    #[arg(long)]
    repair: bool,
    /// Take blocks that are lost from this repository; repairs
    #[arg(long, value_name = "URL")]
    from: Option<String>,
}

impl Fsck {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let repair = self.repair || self.from.is_some();
        let level = if self.full || repair { CheckLevel::Full } else { CheckLevel::Fast };
        let url = context.place()?.url.clone();
        let from = self.from.as_deref().map(|from| open_other(context, from)).transpose()?;
        // The repository need not open: damage may keep it from that.
        let store = context.waiting(|| mnem::store::open(&url))?;
        let threads = Threads::new();
        let options = CheckOptions { level, repair, from, executor: &threads, ..CheckOptions::new() };
        let mut meter = Meter::start("", context.output.wants_progress());
        let report = check(&store, &options, &mut |step| {
            meter.show(step.step, step.done, step.total);
            ControlFlow::Continue(())
        })?;
        let took = meter.end();
        if report.checked.namespaces == 0 {
            return Err(Failure::new(
                "no-repository",
                Exit::NoRepository,
                format!("{url} holds no repository"),
            )
            .hint("make one with `mnem init`, or name one with -R"));
        }
        for finding in &report.findings {
            context.output.data(&Found(finding))?;
        }
        let exit = if report.is_clean() { Exit::Done } else { Exit::Damage };
        let can_rebuild = !repair && report.findings.iter().any(Finding::is_derived);
        let has_lost = report.findings.iter().any(|it| !it.is_derived() && !it.is_repaired());
        context.output.report(&Summary { report, level, took })?;
        if can_rebuild {
            context.output.hint("what is derived is made again by `mnem fsck --repair`")?;
        }
        if has_lost {
            context
                .output
                .hint("another copy may have it: `mnem fsck --from URL`; keep a copy of this one first")?;
        }
        Ok(exit)
    }
}

fn open_other(context: &Context<'_>, from: &str) -> Result<Arc<dyn BlockRead>, Failure> {
    let url = Place::find(Some(from))?.url;
    Ok(context.waiting(|| mnem::store::open(&url))?)
}

struct Found<'a>(&'a Finding);

impl Record for Found<'_> {
    fn schema(&self) -> &'static str {
        "mnem.finding/1"
    }

    fn fields(&self, fields: &mut Fields) {
        let Finding { flaw, detail, cid, place, commits, commits_total, affected, repair, .. } = self.0;
        fields.insert("flaw".into(), json!(flaw.word()));
        fields.insert("detail".into(), json!(detail));
        fields.insert("part".into(), json!(place.part.word()));
        if let Part::Index(definition) = &place.part {
            fields.insert("index".into(), json!(definition));
        }
        fields.insert("derived".into(), json!(self.0.is_derived()));
        fields.insert("namespace".into(), json!(place.namespace.as_str()));
        if let Some(cid) = cid {
            fields.insert("block".into(), json!(cid.to_string()));
        }
        if let Some(root) = &place.root {
            fields.insert("root".into(), json!(root.to_string()));
        }
        match affected {
            Affected::Nothing => {}
            Affected::One(EntityId::Node(id)) => drop(fields.insert("node".into(), json!(id.to_string()))),
            Affected::One(EntityId::Edge(id)) => drop(fields.insert("edge".into(), json!(id.to_string()))),
            Affected::Range { kind, count } => {
                drop(fields.insert("entities".into(), json!({"kind": kind, "count": count})));
            }
        }
        let commits: Vec<String> = commits.iter().map(ToString::to_string).collect();
        fields.insert("commits".into(), json!(commits));
        fields.insert("commits_total".into(), json!(commits_total));
        let (word, why) = match repair {
            Repair::No => ("none", None),
            Repair::Rebuilt => ("rebuilt", None),
            Repair::Fetched => ("fetched", None),
            Repair::Failed(why) => ("failed", Some(why)),
        };
        fields.insert("repair".into(), json!(word));
        if let Some(why) = why {
            fields.insert("repair_failed".into(), json!(why));
        }
        fields.insert("advice".into(), json!(self.0.advice()));
    }

    fn text(&self, text: &mut Text) {
        let finding = self.0;
        let (paint, sign) = if finding.is_repaired() { (Paint::Added, "=") } else { (Paint::Bad, "!") };
        text.painted(paint, sign).plain(" ").plain(&finding.to_string()).end();
        if let Some(touched) = touched(finding) {
            text.plain("    touches ").plain(&touched).end();
        }
        if let Repair::Failed(why) = &finding.repair {
            text.plain("    could not be mended: ").plain(why).end();
        }
        text.plain("    ").plain(finding.advice()).end();
    }
}

/// Says what a finding touches, in short.
fn touched(finding: &Finding) -> Option<String> {
    let entities = match &finding.affected {
        Affected::Nothing => None,
        Affected::One(EntityId::Node(id)) => Some(format!("node {id}")),
        Affected::One(EntityId::Edge(id)) => Some(format!("edge {id}")),
        Affected::Range { kind, count: Some(count) } => Some(counted(*count, kind)),
        Affected::Range { kind, count: None } => Some(format!("all {kind}s")),
    };
    let first = finding.commits.first()?;
    let commits = match finding.commits_total {
        0 | 1 => format!("commit {}", short(first)),
        total => format!("{total} commits from {} on", short(first)),
    };
    Some(match entities {
        Some(entities) => format!("{entities}, in {commits}"),
        None => commits,
    })
}

struct Summary {
    report: CheckReport,
    level: CheckLevel,
    took: String,
}

impl Summary {
    fn repaired(&self) -> usize {
        self.report.findings.iter().filter(|finding| finding.is_repaired()).count()
    }

    fn found(&self) -> u64 {
        self.report.findings.len() as u64 + self.report.left_out
    }
}

impl Record for Summary {
    fn schema(&self) -> &'static str {
        "mnem.fsck/1"
    }

    fn fields(&self, fields: &mut Fields) {
        let level = match self.level {
            CheckLevel::Fast => "fast",
            CheckLevel::Full => "full",
        };
        fields.insert("clean".into(), json!(self.report.is_clean()));
        fields.insert("level".into(), json!(level));
        fields.insert("findings".into(), json!(self.found()));
        fields.insert("repaired".into(), json!(self.repaired()));
        let checked = &self.report.checked;
        for (name, count) in [
            ("operations", checked.operations),
            ("commits", checked.commits),
            ("blocks", checked.blocks),
            ("bytes", checked.bytes),
            ("rows", checked.rows),
        ] {
            fields.insert(name.into(), json!(count));
        }
    }

    fn text(&self, text: &mut Text) {
        let checked = &self.report.checked;
        let looked = format!(
            "{}, {}, {}",
            counted(checked.operations, "operation"),
            counted(checked.commits, "commit"),
            counted(checked.blocks, "block")
        );
        match (self.report.is_clean(), self.found()) {
            (true, 0) => text.painted(Paint::Added, "clean"),
            (true, found) => text.painted(Paint::Added, "clean now").plain(&format!(", {found} mended")),
            (false, found) => text.painted(Paint::Bad, &counted(found, "finding")),
        };
        let how = if self.level == CheckLevel::Fast { "; --full looks at everything" } else { "" };
        text.plain(": ").plain(&looked).plain(" ").plain(&self.took).plain(how).end();
    }
}
