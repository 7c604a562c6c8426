//! Nodes by the words of their text, the most telling first.
//!
//! Words are those of Unicode, in lower case. Bytes: FORMAT.md, "Index rows". Scores are BM25, computed when asked from
//! what the index of the commit holds: always the same operations on the same numbers, in the same order, so that equal
//! states give equal scores on every machine.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use unicode_segmentation::UnicodeSegmentation;

use super::Index;
use crate::cid::Cid;
use crate::codec::{DecodeError, Malformed, Reader, Writer};
use crate::id::NodeId;
use crate::object::Node;
use crate::repo::error::{RepoError, damaged_key};
use crate::repo::snapshot::Snapshot;
use crate::tree::{Damage, KeyRange, Order, TreeError};
use crate::value::Value;

/// Returns the definition of the index of a property's words. Which words there are depends on the versions of Unicode by
/// which texts are cut and lowered: programs with others have indexes of their own.
pub(super) fn definition(property: &str) -> String {
    let (cut, lowered) = (unicode_segmentation::UNICODE_VERSION, char::UNICODE_VERSION);
    format!("words/1 {}.{}.{} {}.{}.{} {property}", cut.0, cut.1, cut.2, lowered.0, lowered.1, lowered.2)
}

/// Longest word, in bytes: of a longer one its start counts.
pub(super) const WORD_BYTES_MAX: usize = 200;

/// Where the totals stand: the key of the empty word, which no text has.
pub(super) const TOTALS_KEY: &[u8] = &[0, 0];

/// How much more a word tells that is there again and again.
const K1: f64 = 1.2;

/// How much the length of a text counts.
const B: f64 = 0.75;

/// Returns the words of a text in their order, each in lower case and cut to its limit.
fn words_of(text: &str) -> impl Iterator<Item = String> {
    text.unicode_words().map(|word| {
        let mut word = word.to_lowercase();
        let cut = (0..=WORD_BYTES_MAX.min(word.len())).rev().find(|at| word.is_char_boundary(*at));
        word.truncate(cut.unwrap_or(0));
        word
    })
}

/// What a property of a node says: its text, or the texts in a list.
pub(super) struct Text {
    /// How often each word is there.
    pub(super) words: BTreeMap<String, u32>,
    /// How many words there are.
    length: u32,
}

impl Text {
    /// Reads all sides of a node as one: each word as often as the side has it that has it most, as long as the longest
    /// one. `None` if no side has a word.
    pub(super) fn of(sides: &[Node], property: &str) -> Option<Text> {
        let mut all = Text { words: BTreeMap::new(), length: 0 };
        for side in sides {
            let text = Text::read(side.props.value(property));
            all.length = all.length.max(text.length);
            for (word, times) in text.words {
                let most = all.words.entry(word).or_default();
                *most = times.max(*most);
            }
        }
        (all.length > 0).then_some(all)
    }

    fn read(value: Option<&Value>) -> Text {
        let values = match value {
            Some(Value::List(list)) => list,
            Some(value) => std::slice::from_ref(value),
            None => &[],
        };
        let mut text = Text { words: BTreeMap::new(), length: 0 };
        for value in values {
            let Value::Text(value) = value else { continue };
            for word in words_of(value) {
                // An object has at most a million bytes: no count comes near the limit.
                *text.words.entry(word).or_default() += 1;
                text.length += 1;
            }
        }
        text
    }

    /// Returns what is held under a word that is there so many times.
    pub(super) fn posting(&self, times: u32) -> Bytes {
        pair(times.into(), self.length.into())
    }
}

/// Returns the key of a word at a node. Words hold no zero, so they need no escape.
pub(super) fn key(word: &str, node: NodeId) -> Vec<u8> {
    [word.as_bytes(), &[0, 0], node.as_bytes()].concat()
}

/// How many texts there are, and how many words they have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    texts: u64,
    words: u64,
}

impl Totals {
    pub(super) fn add(&mut self, text: &Text) {
        self.texts += 1;
        self.words += u64::from(text.length);
    }

    /// Takes away what was before, and adds what is after.
    pub(super) const fn changed(self, before: Totals, after: Totals) -> Totals {
        // Within bounds in an index that belongs to its map; one that does not is no reason to panic.
        Totals {
            texts: self.texts.saturating_add(after.texts).saturating_sub(before.texts),
            words: self.words.saturating_add(after.words).saturating_sub(before.words),
        }
    }

    pub(super) fn encode(self) -> Option<Bytes> {
        (self.texts > 0).then(|| pair(self.texts, self.words))
    }

    pub(super) fn read(value: Option<&[u8]>, root: &Cid) -> Result<Totals, TreeError> {
        let Some(value) = value else { return Ok(Totals::default()) };
        let (texts, words) = read_pair(value).map_err(|_| damaged(root))?;
        Ok(Totals { texts, words })
    }
}

fn damaged(root: &Cid) -> TreeError {
    TreeError::Damaged { cid: *root, what: Damage::Shape }
}

fn pair(first: u64, second: u64) -> Bytes {
    let mut writer = Writer::new();
    writer.list(2);
    writer.uint(first);
    writer.uint(second);
    writer.into_bytes().into()
}

fn read_pair(value: &[u8]) -> Result<(u64, u64), DecodeError> {
    let mut reader = Reader::new(value);
    let why = reader.error(Malformed::Expected { expected: "two numbers" });
    let count = reader.list()?;
    let pair = (reader.uint()?, reader.uint()?);
    reader.end()?;
    (count == 2).then_some(pair).ok_or(why)
}

/// A node that has some of the words that were searched for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WordHit {
    /// The node.
    pub node: NodeId,
    /// How much its text tells of the words, above zero.
    pub score: f64,
}

impl Snapshot {
    /// Finds the nodes whose text tells most of the words of `query`, at most `limit`, the best first and of equally
    /// good ones the lesser id. All properties that the schema wants found by words are searched; one of the words is
    /// enough.
    pub fn search_words(&self, query: &str, limit: usize) -> Result<Vec<WordHit>, RepoError> {
        let words: BTreeSet<String> = words_of(query).collect();
        let schema = self.schema()?;
        let mut scores: BTreeMap<NodeId, f64> = BTreeMap::new();
        for property in schema.properties().filter(|property| property.words) {
            self.score(&Index::Words(property.name.clone()), &words, &mut scores)?;
        }
        let mut hits: Vec<WordHit> =
            scores.into_iter().map(|(node, score)| WordHit { node, score }).collect();
        // Stable, and nodes ascend.
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        hits.truncate(limit);
        Ok(hits)
    }

    /// Adds to the scores what the texts of one property tell.
    fn score(
        &self,
        index: &Index,
        words: &BTreeSet<String>,
        scores: &mut BTreeMap<NodeId, f64>,
    ) -> Result<(), RepoError> {
        let index = self.index(index.clone())?;
        let totals = index.get(TOTALS_KEY)?;
        let totals = Totals::read(totals.as_deref(), index.root())?;
        for word in words {
            let postings = KeyRange::prefix(&[word.as_bytes(), &[0, 0]].concat());
            let tells = rarity(index.count(&postings)?, totals.texts);
            for entry in index.range(postings, Order::Ascending) {
                let entry = entry?;
                let node = entry.key.last_chunk().copied().map(NodeId::from_bytes).ok_or_else(damaged_key)?;
                let (times, length) = read_pair(&entry.value).map_err(|_| damaged(index.root()))?;
                *scores.entry(node).or_default() += tells * weight(times, length, totals);
            }
        }
        Ok(())
    }
}

/// How much a word tells that `of` of all texts have.
fn rarity(of: u64, texts: u64) -> f64 {
    let (of, texts) = (of as f64, texts.max(of) as f64);
    ln(1.0 + (texts - of + 0.5) / (of + 0.5))
}

/// How much a word counts that a text of this length has so many times.
fn weight(times: u64, length: u64, totals: Totals) -> f64 {
    let (times, length) = (times as f64, length as f64);
    let usual = totals.words.max(1) as f64 / totals.texts.max(1) as f64;
    times * (K1 + 1.0) / (times + K1 * (1.0 - B + B * (length / usual)))
}

/// The natural logarithm of a number of at least 1. That of the system may differ from machine to machine in the last
/// bit; this one is made of operations whose results are laid down.
fn ln(x: f64) -> f64 {
    const LN_2: f64 = std::f64::consts::LN_2;
    // x = mantissa * 2^exponent, the mantissa in [1, 2).
    let bits = x.to_bits();
    let exponent = (bits >> 52).cast_signed() - 1023;
    let mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    // ln m = 2 (s + s^3 / 3 + s^5 / 5 + ...) with s = (m - 1) / (m + 1), at most a third.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let mut power = s;
    let mut sum = 0.0;
    for step in 0..20u32 {
        sum += power / f64::from(2 * step + 1);
        power *= s * s;
    }
    exponent as f64 * LN_2 + 2.0 * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_unicode_in_lower_case() {
        let words = |text| words_of(text).collect::<Vec<_>>();
        assert_eq!(
            words("The quick (\"brown\") fox can't jump 32.3 feet, right?"),
            ["the", "quick", "brown", "fox", "can't", "jump", "32.3", "feet", "right"]
        );
        assert_eq!(words("ÀÉÎ Straße ΟΔΥΣΣΕΎΣ"), ["àéî", "straße", "οδυσσεύς"]);
        assert_eq!(words(" \n-- "), Vec::<String>::new());
        let long = "é".repeat(200);
        assert_eq!(words(&long), ["é".repeat(100)]);
    }

    #[test]
    fn the_logarithm_is_that_of_the_system_but_for_the_last_bits() {
        for x in [1.0, 1.0 + f64::EPSILON, 1.1, 1.5, 1.999_999, 2.0, 3.0, 10.0, 1e6, 1e18] {
            let (own, system) = (ln(x), x.ln());
            assert!(
                (own - system).abs() <= 4.0 * f64::EPSILON * system.abs().max(1e-10),
                "{x}: {own} {system}"
            );
        }
    }

    #[test]
    fn rare_words_tell_more_and_long_texts_less() {
        assert!(rarity(1, 100) > rarity(10, 100) && rarity(100, 100) > 0.0);
        let totals = Totals { texts: 10, words: 100 };
        assert!(weight(2, 10, totals) > weight(1, 10, totals));
        assert!(weight(1, 5, totals) > weight(1, 50, totals));
    }
}
