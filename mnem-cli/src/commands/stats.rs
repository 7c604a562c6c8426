//! `mnem stats`

use std::fs;
use std::path::Path;

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Record, Text};

pub(crate) const EXAMPLES: &str = "  mnem stats\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Stats {}

impl Stats {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let repo = context.open()?;
        let now = repo.head()?;
        let mut commits = 0;
        for commit in repo.log(&now) {
            commit?;
            commits += 1;
        }
        let place = context.place()?;
        let path = place.url.split_once(':').map_or("", |(_, path)| path);
        let bytes =
            size(Path::new(path)).map_err(|error| Failure::file("measure", Path::new(path), &error))?;
        let counted = Counted([
            ("nodes", now.node_count()?),
            ("edges", now.edge_count()?),
            ("commits", commits),
            ("branches", repo.branches()?.len() as u64),
            ("tags", repo.tags()?.len() as u64),
            ("conflicts", now.conflicts()?.len() as u64),
            ("bytes", bytes),
        ]);
        context.output.data(&counted)?;
        Ok(Exit::Done)
    }
}

/// Returns what a file, or all files of a folder, hold.
fn size(path: &Path) -> std::io::Result<u64> {
    if path.as_os_str().is_empty() {
        return Ok(0);
    }
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        bytes += size(&entry?.path())?;
    }
    Ok(bytes)
}

struct Counted([(&'static str, u64); 7]);

impl Record for Counted {
    fn schema(&self) -> &'static str {
        "mnem.stats/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.extend(self.0.iter().map(|(name, count)| ((*name).to_owned(), json!(count))));
    }

    fn text(&self, text: &mut Text) {
        for (name, count) in self.0 {
            text.plain(&format!("{name:<9}  {count}")).end();
        }
    }
}
