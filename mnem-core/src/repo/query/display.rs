//! Predicates as people read them. Not a format: nothing reads it back.

use std::fmt;
use std::ops::Bound;

use super::order::OrderBy;
use super::predicate::{Form, Predicate, Test};
use crate::tree::Order;
use crate::value::Value;

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::And(all) if all.is_empty() => f.write_str("anything"),
            Form::Or(any) if any.is_empty() => f.write_str("nothing"),
            Form::And(all) => joined(f, all, " and "),
            Form::Or(any) => joined(f, any, " or "),
            Form::Not(it) => match &it.0 {
                Form::Prop(name, Test::Present) => write!(f, "{name} is absent"),
                _ => write!(f, "not ({it})"),
            },
            Form::Label(label) => write!(f, "label {label:?}"),
            Form::EdgeType(edge_type) => write!(f, "type {edge_type:?}"),
            Form::From(node) => write!(f, "from {node}"),
            Form::To(node) => write!(f, "to {node}"),
            Form::Prop(name, test) => write!(f, "{name} {test}"),
            Form::Refused(why) => write!(f, "({why})"),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, of: &[Predicate], by: &str) -> fmt::Result {
    for (at, predicate) in of.iter().enumerate() {
        f.write_str(if at > 0 { by } else { "" })?;
        match &predicate.0 {
            Form::And(of) | Form::Or(of) if of.len() > 1 => write!(f, "({predicate})")?,
            _ => write!(f, "{predicate}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Present => f.write_str("is present"),
            Test::Equals(value) => write!(f, "= {}", Shown(value)),
            Test::StartsWith(value) => write!(f, "starts with {}", Shown(value)),
            Test::Range(lower, upper) => {
                let lower = bound(lower, ">=", ">");
                let upper = bound(upper, "<=", "<");
                let both: Vec<String> = lower.into_iter().chain(upper).collect();
                f.write_str(&both.join(" and "))
            }
        }
    }
}

fn bound(bound: &Bound<Value>, included: &str, excluded: &str) -> Option<String> {
    match bound {
        Bound::Included(value) => Some(format!("{included} {}", Shown(value))),
        Bound::Excluded(value) => Some(format!("{excluded} {}", Shown(value))),
        Bound::Unbounded => None,
    }
}

/// A value to compare with: text in quotes.
struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Text(text) => write!(f, "{text:?}"),
            value => write!(f, "{value}"),
        }
    }
}

impl fmt::Display for OrderBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.order == Order::Descending { "descending" } else { "ascending" };
        write!(f, "{} {direction}", self.property)
    }
}
