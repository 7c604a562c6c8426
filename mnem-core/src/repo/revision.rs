//! Which state is meant: one spelling, the same in programs and on the command line.
//!
//! A name, then any chain of steps:
//!
//! | written | means |
//! |---|---|
//! | `main`, `v1`, `origin/main` | branch, tag, remote branch |
//! | `bafyr4i…`, `cu7ydn5s` | a commit, whole or by a unique prefix |
//! | `op:ID` | the heads as an operation left them |
//! | nothing | the branch in use |
//! | `~3`, `~` | three commits back, one back, along first parents |
//! | `^2`, `^` | the second parent, the first |
//! | `*2026-11-01` | the last commit made by then, along first parents |
//! | `@{2026-11-01 09:00}` | where the name pointed in this store then |

use std::fmt;
use std::str::FromStr;

use super::moment::Moment;

/// A parsed revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    /// Where to start.
    pub base: Base,
    /// Where to go from there, in this order.
    pub steps: Vec<Step>,
}

/// Where a revision starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    /// The branch in use.
    Here,
    /// A branch, tag, remote branch, or commit.
    Named(String),
    /// An operation, whole or by a unique prefix.
    Operation(String),
}

/// One step of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// So many commits back along first parents.
    Back(u32),
    /// This parent, counted from one.
    Parent(u32),
    /// The last commit along first parents that was made by then.
    MadeBy(Moment),
    /// Where the name pointed then.
    PointedAt(Moment),
}

/// Longest text that is read.
pub const REVISION_BYTES_MAX: usize = 1024;

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Revision, RevisionError> {
        if text.len() > REVISION_BYTES_MAX {
            return Err(RevisionError { at: REVISION_BYTES_MAX, expected: "a shorter text" });
        }
        let mut parser = Parser { text, at: 0 };
        let base = parser.base()?;
        let mut steps = Vec::new();
        while let Some(step) = parser.step()? {
            // Where a name pointed can only be asked of a name, before any step was taken.
            let of_a_name = steps.is_empty() && !matches!(base, Base::Operation(_));
            if matches!(step, Step::PointedAt(_)) && !of_a_name {
                return Err(RevisionError { at: parser.at, expected: "a name before `@{…}`" });
            }
            steps.push(step);
        }
        Ok(Revision { base, steps })
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    /// Takes what precedes the next step.
    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let marks = ["~", "^", "*", "@{"];
        let end = marks.iter().filter_map(|mark| rest.find(mark)).min().unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn base(&mut self) -> Result<Base, RevisionError> {
        let word = self.word();
        let refused = |expected| Err(RevisionError { at: 0, expected });
        if word.bytes().any(|c| c.is_ascii_control() || c == b' ') {
            return refused("a name without spaces");
        }
        match word.strip_prefix("op:") {
            Some("") => refused("the id of an operation after `op:`"),
            Some(id) => Ok(Base::Operation(id.to_owned())),
            None if word.is_empty() => Ok(Base::Here),
            None => Ok(Base::Named(word.to_owned())),
        }
    }

    fn step(&mut self) -> Result<Option<Step>, RevisionError> {
        let rest = &self.text[self.at..];
        let mut take = |bytes: usize| self.at += bytes;
        match rest.bytes().next() {
            None => Ok(None),
            Some(b'~') => {
                take(1);
                Ok(Some(Step::Back(self.count()?)))
            }
            Some(b'^') => {
                take(1);
                match self.count()? {
                    0 => Err(RevisionError { at: self.at, expected: "a parent's number, from 1" }),
                    number => Ok(Some(Step::Parent(number))),
                }
            }
            Some(b'*') => {
                take(1);
                let (at, word) = (self.at, self.word());
                moment(word, at).map(|when| Some(Step::MadeBy(when)))
            }
            Some(_) => {
                take(2);
                let at = self.at;
                let rest = &self.text[at..];
                let Some(end) = rest.find('}') else {
                    return Err(RevisionError { at: self.text.len(), expected: "`}`" });
                };
                self.at += end + 1;
                let when = moment(&rest[..end], at)?;
                match self.text.as_bytes().get(self.at) {
                    None | Some(b'~' | b'^' | b'*' | b'@') => Ok(Some(Step::PointedAt(when))),
                    Some(_) => Err(RevisionError { at: self.at, expected: "`~`, `^` or `*`" }),
                }
            }
        }
    }

    /// Reads the number after `~` or `^`; none means one.
    fn count(&mut self) -> Result<u32, RevisionError> {
        let (at, word) = (self.at, self.word());
        let digits = word.bytes().all(|c| c.is_ascii_digit());
        match word.parse() {
            Ok(count) if digits => Ok(count),
            _ if word.is_empty() => Ok(1),
            _ => Err(RevisionError { at, expected: "a number" }),
        }
    }
}

fn moment(text: &str, at: usize) -> Result<Moment, RevisionError> {
    Moment::parse(text).ok_or(RevisionError { at, expected: Moment::EXPECTED })
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.base {
            Base::Here => {}
            Base::Named(name) => f.write_str(name)?,
            Base::Operation(id) => write!(f, "op:{id}")?,
        }
        for step in &self.steps {
            match step {
                Step::Back(count) => write!(f, "~{count}")?,
                Step::Parent(number) => write!(f, "^{number}")?,
                Step::MadeBy(when) => write!(f, "*{when}")?,
                Step::PointedAt(when) => write!(f, "@{{{when}}}")?,
            }
        }
        Ok(())
    }
}

/// A text is no revision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a revision: {expected} expected at byte {at}")]
pub struct RevisionError {
    /// Where reading stopped.
    pub at: usize,
    /// What would have been right there.
    pub expected: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn when(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    #[track_caller]
    fn reads(text: &str, base: Base, steps: &[Step]) {
        let revision: Revision = text.parse().unwrap();
        assert_eq!(revision, Revision { base, steps: steps.to_vec() });
        assert_eq!(revision.to_string().parse(), Ok(revision));
    }

    #[test]
    fn names_and_steps_are_read() {
        let named = |name: &str| Base::Named(name.to_owned());
        reads("main", named("main"), &[]);
        reads("", Base::Here, &[]);
        reads("origin/main~3", named("origin/main"), &[Step::Back(3)]);
        reads("v1^2~", named("v1"), &[Step::Parent(2), Step::Back(1)]);
        reads("~0^", Base::Here, &[Step::Back(0), Step::Parent(1)]);
        reads("*2026-11-01", Base::Here, &[Step::MadeBy(when("2026-11-01"))]);
        reads(
            "main*2026-11-01 09:00~2",
            named("main"),
            &[Step::MadeBy(when("2026-11-01 09:00")), Step::Back(2)],
        );
        reads("main@{2026-11-01 09:00}", named("main"), &[Step::PointedAt(when("2026-11-01 09:00"))]);
        reads("@{2026-11-01}~2", Base::Here, &[Step::PointedAt(when("2026-11-01")), Step::Back(2)]);
        reads("op:bafyr4i~1", Base::Operation("bafyr4i".to_owned()), &[Step::Back(1)]);
        reads("me@home", named("me@home"), &[]);
    }

    #[test]
    fn what_is_no_revision_is_refused_with_the_place() {
        for (text, at) in [
            ("main~x", 5),
            ("main~-1", 5),
            ("main~99999999999", 5),
            ("main^0", 6),
            ("main*yesterday", 5),
            ("main@{2026-11-01", 16),
            ("main@{soon}", 6),
            ("main@{2026-11-01}x", 17),
            ("main~1@{2026-11-01}", 19),
            ("op:", 0),
            ("two words", 0),
        ] {
            assert_eq!(text.parse::<Revision>().unwrap_err().at, at, "{text}");
        }
        assert_eq!("a".repeat(1025).parse::<Revision>().unwrap_err().at, REVISION_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_prints_back(text in "[a-z~^*@{}0-9 :é-]{0,40}") {
            if let Ok(revision) = text.parse::<Revision>() {
                prop_assert_eq!(revision.to_string().parse(), Ok(revision));
            }
        }
    }
}
