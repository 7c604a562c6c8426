//! `mnem resolve`

use clap::Args;
use mnem::EntityId;
use mnem_core::key::ConflictKey;
use mnem_core::repo::Resolve as Answer;

use crate::args::Record;
use crate::context::Context;
use crate::edit::{EditOf, about};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::values;

pub(crate) const EXAMPLES: &str = "  mnem resolve Person/Ada born=1815        settle one property
  mnem resolve Person/Ada --theirs         all of it, as on the side that was merged\n";

/// Arguments.
#[derive(Args)]
#[group(id = "answer", required = true, multiple = true)]
pub(crate) struct Resolve {
    /// A node or an edge in conflict: LABEL/NAME, or its id
    #[arg(value_name = "ENTITY")]
    entity: String,
    /// What properties in conflict are to be
    #[arg(value_name = "NAME=VALUE", group = "answer")]
    values: Vec<String>,
    /// Properties in conflict that are not to be there; may be repeated
    #[arg(long, value_name = "NAME", group = "answer")]
    unset: Vec<String>,
    /// As on the side that merged
    #[arg(long, group = "answer", conflicts_with_all = ["theirs", "keep", "remove"])]
    ours: bool,
    /// As on the side that was merged
    #[arg(long, group = "answer", conflicts_with_all = ["keep", "remove"])]
    theirs: bool,
    /// As it is shown
    #[arg(long, group = "answer", conflicts_with = "remove")]
    keep: bool,
    /// It is to go
    #[arg(long, group = "answer")]
    remove: bool,
    #[command(flatten)]
    record: Record,
}

impl Resolve {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let mut answers = Vec::new();
        for text in &self.values {
            let (name, value) = values::pair(text)?;
            answers.push(Answer::value(name, value));
        }
        answers.extend(self.unset.iter().map(|name| Answer::absent(name)));
        let whole = [
            (self.ours, Answer::ours()),
            (self.theirs, Answer::theirs()),
            (self.keep, Answer::keep()),
            (self.remove, Answer::remove()),
        ];
        answers.extend(whole.into_iter().filter_map(|(is_asked, answer)| is_asked.then_some(answer)));
        let mut edit = EditOf::begin(context, &self.record)?;
        let id = find::entity(&edit.base(), &self.entity)?;
        let key = match id {
            EntityId::Node(id) => ConflictKey::Node(id),
            EntityId::Edge(id) => ConflictKey::Edge(id),
        };
        for answer in answers {
            edit.tx.resolve(&key, answer)?;
        }
        edit.touch(id);
        edit.commit(context, |changes| about("resolve", changes))
    }
}
