//! `mnem schema`

use clap::{Args, Subcommand};
use mnem::object::{MergeType, Property, SchemaKey, ValueType};
use serde_json::json;

use crate::args::{At, Record as Recorded};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};

pub(crate) const EXAMPLES: &str =
    "  mnem schema declare born int --indexed     found by value; another type is refused
  mnem schema list\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Schema {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show what is agreed on
    List {
        #[command(flatten)]
        at: At,
    },
    /// Agree on a property, or agree anew
    Declare {
        /// Which
        #[arg(value_name = "PROPERTY")]
        name: String,
        /// any, bool, int, float, text, bytes, link, list or map
        #[arg(value_name = "TYPE", default_value = "any", hide_default_value = true)]
        value_type: String,
        /// It is looked up by value
        #[arg(long)]
        indexed: bool,
        /// No two nodes have the same value
        #[arg(long)]
        unique: bool,
        /// Nodes are found by the words of its text
        #[arg(long)]
        words: bool,
        /// How changes of two sides become one: atomic, max, min, set, lww, text, counter, append-log
        #[arg(long, value_name = "HOW", default_value = "atomic", hide_default_value = true)]
        merge: String,
        #[command(flatten)]
        record: Recorded,
    },
    /// Agree on nothing any more
    Undeclare {
        /// Which
        #[arg(value_name = "PROPERTY")]
        name: String,
        #[command(flatten)]
        record: Recorded,
    },
}

impl Schema {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        match &self.what {
            What::List { at } => {
                for property in at.state(&context.open()?)?.schema()?.properties() {
                    context.output.data(&Agreed {
                        property: Some(property.clone()),
                        name: property.name.to_string(),
                    })?;
                }
                Ok(Exit::Done)
            }
            What::Declare { name, value_type, indexed, unique, words, merge, record } => {
                let value_type = word("a type", value_type, ValueType::KNOWN, ValueType::as_str)?;
                let merge_type = word("a way to merge", merge, MergeType::KNOWN, MergeType::as_str)?;
                let mut property = Property::new(name, value_type).merged(merge_type);
                (property.indexed, property.unique, property.words) = (*indexed, *unique, *words);
                let (repo, actor) = context.open_to_write(&record.write)?;
                let mut tx = repo.begin(&actor)?;
                tx.declare(property.clone())?;
                tx.commit(record.message.as_deref().unwrap_or(&format!("declare {name}")))?;
                context.output.report(&Agreed { property: Some(property), name: name.clone() })?;
                Ok(Exit::Done)
            }
            What::Undeclare { name, record } => {
                let (repo, actor) = context.open_to_write(&record.write)?;
                let mut tx = repo.begin(&actor)?;
                if !tx.undeclare(&SchemaKey::Property(name.as_str().into()))? {
                    let message = format!("nothing is agreed on `{name}`");
                    return Err(Failure::new("unknown", Exit::NotFound, message)
                        .hint("`mnem schema list` shows what is"));
                }
                tx.commit(record.message.as_deref().unwrap_or(&format!("undeclare {name}")))?;
                context.output.report(&Agreed { property: None, name: name.clone() })?;
                Ok(Exit::Done)
            }
        }
    }
}

fn word<T: Clone>(what: &str, text: &str, known: &[T], spelled: fn(&T) -> &str) -> Result<T, Failure> {
    known.iter().find(|word| spelled(word) == text).cloned().ok_or_else(|| {
        let known: Vec<&str> = known.iter().map(spelled).collect();
        Failure::bad_word(format!("`{text}` is not {what}"))
            .hint(format!("write one of: {}", known.join(", ")))
    })
}

struct Agreed {
    name: String,
    property: Option<Property>,
}

impl Record for Agreed {
    fn schema(&self) -> &'static str {
        "mnem.property/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("property".into(), json!(self.name));
        fields.insert("declared".into(), json!(self.property.is_some()));
        if let Some(property) = &self.property {
            fields.insert("type".into(), json!(property.value_type.as_str()));
            fields.insert("merge".into(), json!(property.merge_type.as_str()));
            fields.insert("indexed".into(), json!(property.indexed));
            fields.insert("unique".into(), json!(property.unique));
            fields.insert("words".into(), json!(property.words));
        }
    }

    fn text(&self, text: &mut Text) {
        text.painted(Paint::Name, &self.name);
        let Some(property) = &self.property else {
            text.plain("  is agreed on no more").end();
            return;
        };
        text.plain("  ").plain(property.value_type.as_str());
        for (is_so, word) in
            [(property.indexed, "indexed"), (property.unique, "unique"), (property.words, "words")]
        {
            if is_so {
                text.plain(", ").plain(word);
            }
        }
        if property.merge_type != MergeType::Atomic {
            text.plain(", merged as ").plain(property.merge_type.as_str());
        }
        text.end();
    }
}
