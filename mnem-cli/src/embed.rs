//! Vectors of what nodes say, made by the embedder of the settings.

use mnem::ann::{CommandEmbedder, EmbedError, Embedder, HashNgram};
use mnem::object::{Metric, Model, Node};
use mnem::value::Value;
use mnem::{NodeId, Snapshot, Transaction, Vectors};

use crate::exit::Exit;
use crate::failure::Failure;

/// How many texts are handed to an embedder at once.
const BATCH: usize = 1024;

/// Returns what makes vectors by a setting: the one that is built in, or `NAME=COMMAND`.
pub(crate) fn embedder(setting: &str) -> Result<Box<dyn Embedder>, Failure> {
    if setting == HashNgram::NAME {
        return Ok(Box::new(HashNgram));
    }
    match setting.split_once('=') {
        Some((name, command)) if !name.is_empty() && !command.trim().is_empty() => {
            Ok(Box::new(CommandEmbedder::new(name, command)))
        }
        _ => Err(Failure::bad_word(format!("`{setting}` is no embedder"))
            .hint("write hash-ngram/1, or NAME=COMMAND of a program that reads lines of JSON")),
    }
}

/// Returns what a node says: its texts, by the names of the properties.
pub(crate) fn text_of(node: &Node) -> String {
    texts_of(node).map(|(_, text)| text).collect::<Vec<_>>().join("\n")
}

/// Returns the names of the properties that are text, and the texts.
pub(crate) fn texts_of(node: &Node) -> impl Iterator<Item = (&str, &str)> {
    node.props.iter().filter_map(|(name, value)| match value {
        Value::Text(text) => Some((name, &**text)),
        _ => None,
    })
}

/// Makes the vectors of nodes as a transaction leaves them. Returns how many differ from those that were there. What says
/// nothing has none.
pub(crate) fn stage(tx: &mut Transaction, embedder: &dyn Embedder, nodes: &[NodeId]) -> Result<u64, Failure> {
    let mut changed = 0;
    for batch in nodes.chunks(BATCH) {
        let mut texts = Vec::new();
        for node in batch {
            let Some(version) = tx.get(*node)? else { continue };
            let text = text_of(&version);
            if text.chars().any(char::is_alphanumeric) {
                texts.push((*node, text));
            } else if tx.schema()?.model(embedder.name()).is_some() {
                changed += u64::from(tx.unset_vector(*node, embedder.name())?);
            }
        }
        let words: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
        let vectors = embedder.embed(&words)?;
        for ((node, _), vector) in texts.iter().zip(vectors) {
            declare(tx, embedder.name(), vector.len())?;
            if tx.vector(*node, embedder.name())?.as_ref() != Some(&vector) {
                tx.set_vector(*node, embedder.name(), &vector)?;
                changed += 1;
            }
        }
    }
    Ok(changed)
}

fn declare(tx: &mut Transaction, name: &str, numbers: usize) -> Result<(), Failure> {
    if tx.schema()?.model(name).is_none() {
        let dim = u32::try_from(numbers).map_err(|_| {
            Failure::new("embedder", Exit::Failure, format!("`{name}` makes vectors without end"))
        })?;
        tx.declare(Model::new(name, dim, Metric::Cosine))?;
    }
    Ok(())
}

/// Keeps what is derived from vectors, so that the next search need not make it.
pub(crate) fn keep(now: &Snapshot, name: &str) -> Result<(), Failure> {
    if now.schema()?.model(name).is_some() {
        Vectors::of(name).keep(now)?;
    }
    Ok(())
}

impl From<EmbedError> for Failure {
    fn from(error: EmbedError) -> Failure {
        let mut failure = Failure::new("embedder", Exit::Failure, error.to_string());
        failure.causes.extend(std::error::Error::source(&error).map(ToString::to_string));
        failure.hint("`mnem config get embedder` says which program makes vectors")
    }
}

impl From<mnem::SearchError> for Failure {
    fn from(error: mnem::SearchError) -> Failure {
        let is_unknown = matches!(error, mnem::SearchError::NoSuchModel { .. });
        let failure = Failure::from(mnem::Error::from(error));
        if is_unknown {
            return failure.hint(
                "nothing was embedded by then: mnem config set embedder hash-ngram/1, then mnem embed",
            );
        }
        failure
    }
}
