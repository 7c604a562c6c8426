//! What must hold of an entity to be found.

use std::cmp::Ordering;
use std::ops::{Bound, Not, RangeBounds};
use std::sync::Arc;

use super::error::QueryError;
use super::order::OrderBy;
use super::subject::Subject;
use crate::id::NodeId;
use crate::tree::Order;
use crate::value::{Value, ValueError, compare_numbers};

/// How deep and, or and not may nest in one another.
pub const PREDICATE_DEPTH_MAX: usize = 32;

/// What must hold of a node or an edge: [`label`], [`edge_type`], [`from`], [`to`] and the tests of a [`prop`], joined by
/// [`and`](Self::and), [`or`](Self::or) and `!`.
///
/// Plain data: serde gives it one form, which `--json` uses and other languages send:
/// `{"and": [{"label": "Person"}, {"prop": "born", "at_least": 1800, "below": 1900}]}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate(pub(super) Form);

/// What a predicate says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Form {
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
    Label(Arc<str>),
    EdgeType(Arc<str>),
    From(NodeId),
    To(NodeId),
    Prop(Arc<str>, Test),
    /// What was given to compare with is no value: told when the query runs.
    Refused(ValueError),
}

/// What must hold of a property: of its value or, if that is a list, of one element at least.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Test {
    Present,
    Equals(Value),
    Range(Bound<Value>, Bound<Value>),
    /// Text or bytes.
    StartsWith(Value),
}

/// The node carries this label.
pub fn label(label: impl Into<Arc<str>>) -> Predicate {
    Predicate(Form::Label(label.into()))
}

/// The edge is of this type.
pub fn edge_type(edge_type: impl Into<Arc<str>>) -> Predicate {
    Predicate(Form::EdgeType(edge_type.into()))
}

/// The edge starts at this node.
pub fn from(node: NodeId) -> Predicate {
    Predicate(Form::From(node))
}

/// The edge ends at this node.
pub fn to(node: NodeId) -> Predicate {
    Predicate(Form::To(node))
}

/// Speaks of the property of this name.
pub fn prop(name: impl Into<Arc<str>>) -> Prop {
    Prop(name.into())
}

/// A property, to be tested or ordered by. If its value is a list, a test holds if it holds for one element; a range
/// holds if one element lies in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prop(Arc<str>);

impl Prop {
    /// It is there, whatever its value.
    pub fn present(self) -> Predicate {
        self.test(Ok(Test::Present))
    }

    /// It is not there.
    pub fn absent(self) -> Predicate {
        !self.present()
    }

    /// It is this value, or a list with this element. Numbers are compared by size: 1 is equal to 1.0.
    pub fn equals<V>(self, value: V) -> Predicate
    where
        V: TryInto<Value>,
        ValueError: From<V::Error>,
    {
        let value = value.try_into().map_err(ValueError::from);
        self.test(value.map(Test::Equals))
    }

    /// It is one of these values.
    pub fn one_of<V>(self, values: impl IntoIterator<Item = V>) -> Predicate
    where
        V: TryInto<Value>,
        ValueError: From<V::Error>,
    {
        Predicate(Form::Or(values.into_iter().map(|value| self.clone().equals(value)).collect()))
    }

    /// It lies in a range of values of one kind: `prop("born").between(1800..1900)`. Integers and floats are one kind.
    pub fn between<V>(self, range: impl RangeBounds<V>) -> Predicate
    where
        V: TryInto<Value> + Clone,
        ValueError: From<V::Error>,
    {
        let bounds = bound(range.start_bound()).and_then(|lower| Ok((lower, bound(range.end_bound())?)));
        self.test(bounds.map(|bounds| match bounds {
            (Bound::Unbounded, Bound::Unbounded) => Test::Present,
            (lower, upper) => Test::Range(lower, upper),
        }))
    }

    /// It is this or greater.
    pub fn at_least<V>(self, value: V) -> Predicate
    where
        V: TryInto<Value> + Clone,
        ValueError: From<V::Error>,
    {
        self.between((Bound::Included(value), Bound::Unbounded))
    }

    /// It is greater than this.
    pub fn above<V>(self, value: V) -> Predicate
    where
        V: TryInto<Value> + Clone,
        ValueError: From<V::Error>,
    {
        self.between((Bound::Excluded(value), Bound::Unbounded))
    }

    /// It is this or less.
    pub fn at_most<V>(self, value: V) -> Predicate
    where
        V: TryInto<Value> + Clone,
        ValueError: From<V::Error>,
    {
        self.between((Bound::Unbounded, Bound::Included(value)))
    }

    /// It is less than this.
    pub fn below<V>(self, value: V) -> Predicate
    where
        V: TryInto<Value> + Clone,
        ValueError: From<V::Error>,
    {
        self.between((Bound::Unbounded, Bound::Excluded(value)))
    }

    /// It is text that starts with this text, or bytes that start with these bytes.
    pub fn starts_with(self, prefix: impl Into<Value>) -> Predicate {
        match prefix.into() {
            prefix @ (Value::Text(_) | Value::Bytes(_)) => self.test(Ok(Test::StartsWith(prefix))),
            other => {
                let (property, found) = (self.0.to_string(), other.kind());
                self.test(Err(ValueError::WrongType { property, expected: "text or bytes", found }))
            }
        }
    }

    /// From the least value up. Lists, maps and what has no such property come last.
    pub fn ascending(self) -> OrderBy {
        OrderBy { property: self.0, order: Order::Ascending }
    }

    /// From the greatest value down. Lists, maps and what has no such property come last.
    pub fn descending(self) -> OrderBy {
        OrderBy { property: self.0, order: Order::Descending }
    }

    fn test(self, test: Result<Test, ValueError>) -> Predicate {
        Predicate(match test {
            Ok(test) => Form::Prop(self.0, test),
            Err(why) => Form::Refused(why),
        })
    }
}

fn bound<V>(bound: Bound<&V>) -> Result<Bound<Value>, ValueError>
where
    V: TryInto<Value> + Clone,
    ValueError: From<V::Error>,
{
    let value = |value: &V| value.clone().try_into().map_err(ValueError::from);
    Ok(match bound {
        Bound::Included(it) => Bound::Included(value(it)?),
        Bound::Excluded(it) => Bound::Excluded(value(it)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

impl Predicate {
    /// Holds of everything.
    pub const fn anything() -> Predicate {
        Predicate(Form::And(Vec::new()))
    }

    /// Holds of nothing.
    pub const fn nothing() -> Predicate {
        Predicate(Form::Or(Vec::new()))
    }

    /// Says whether it is [`anything`](Self::anything).
    pub(super) fn is_anything(&self) -> bool {
        matches!(&self.0, Form::And(all) if all.is_empty())
    }

    /// Both hold.
    pub fn and(self, other: Predicate) -> Predicate {
        if self.is_anything() {
            return other;
        }
        let mut both = match self.0 {
            Form::And(all) => all,
            form => vec![Predicate(form)],
        };
        match other.0 {
            Form::And(more) => both.extend(more),
            form => both.push(Predicate(form)),
        }
        Predicate(Form::And(both))
    }

    /// One holds at least.
    pub fn or(self, other: Predicate) -> Predicate {
        let mut either = match self.0 {
            Form::Or(any) => any,
            form => vec![Predicate(form)],
        };
        match other.0 {
            Form::Or(more) => either.extend(more),
            form => either.push(Predicate(form)),
        }
        Predicate(Form::Or(either))
    }

    /// Says whether it holds.
    pub(in crate::repo) fn holds<E: Subject>(&self, version: &E::Object) -> bool {
        match &self.0 {
            Form::And(all) => all.iter().all(|it| it.holds::<E>(version)),
            Form::Or(any) => any.iter().any(|it| it.holds::<E>(version)),
            Form::Not(it) => !it.holds::<E>(version),
            Form::Prop(name, test) => test.holds(E::props(version).value(name)),
            form => E::holds(version, form).unwrap_or(false),
        }
    }

    /// Refuses what cannot be asked of these entities.
    pub(in crate::repo) fn check<E: Subject>(&self) -> Result<(), QueryError> {
        self.check_within::<E>(PREDICATE_DEPTH_MAX)
    }

    fn check_within<E: Subject>(&self, levels: usize) -> Result<(), QueryError> {
        let below = || levels.checked_sub(1).ok_or(QueryError::TooDeep);
        match &self.0 {
            Form::And(of) | Form::Or(of) => {
                let levels = below()?;
                of.iter().try_for_each(|it| it.check_within::<E>(levels))
            }
            Form::Not(it) => it.check_within::<E>(below()?),
            Form::Prop(property, Test::Range(lower, upper)) => check_range(property, lower, upper),
            Form::Refused(why) => Err(why.clone().into()),
            form => match E::lacks(form) {
                Some((what, of)) => Err(QueryError::NotAskable { what, of, asked: E::WORD }),
                None => Ok(()),
            },
        }
    }
}

impl Not for Predicate {
    type Output = Predicate;

    fn not(self) -> Predicate {
        match self.0 {
            Form::Not(it) => *it,
            form => Predicate(Form::Not(Box::new(Predicate(form)))),
        }
    }
}

fn check_range(property: &str, lower: &Bound<Value>, upper: &Bound<Value>) -> Result<(), QueryError> {
    let no_order = |lower: &Value, upper: &Value| QueryError::NoOrder {
        property: property.to_owned(),
        lower: lower.kind(),
        upper: upper.kind(),
    };
    let [lower, upper] = [lower, upper].map(|bound| match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    });
    let (Some(lower), Some(upper)) = (lower.or(upper), upper.or(lower)) else { return Ok(()) };
    match compare(lower, upper) {
        None => Err(no_order(lower, upper)),
        Some(Ordering::Greater) => Err(QueryError::UpsideDown {
            property: property.to_owned(),
            lower: lower.to_string(),
            upper: upper.to_string(),
        }),
        Some(_) => Ok(()),
    }
}

/// Compares values of one kind, numbers by size. Lists and maps have no place in a range.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Link(a), Value::Link(b)) => Some(a.cmp(b)),
        _ => compare_numbers(a, b),
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else { return false };
        match value {
            Value::List(items) => self.holds_of(value) || items.iter().any(|item| self.holds_of(item)),
            value => self.holds_of(value),
        }
    }

    fn holds_of(&self, value: &Value) -> bool {
        match self {
            Test::Present => true,
            Test::Equals(other) => match compare_numbers(value, other) {
                Some(order) => order == Ordering::Equal,
                None => value == other,
            },
            Test::Range(lower, upper) => is_above(value, lower) && is_below(value, upper),
            Test::StartsWith(prefix) => match (value, prefix) {
                (Value::Text(text), Value::Text(prefix)) => text.starts_with(&**prefix),
                (Value::Bytes(bytes), Value::Bytes(prefix)) => bytes.starts_with(prefix),
                _ => false,
            },
        }
    }
}

fn is_above(value: &Value, lower: &Bound<Value>) -> bool {
    match lower {
        Bound::Included(bound) => compare(value, bound).is_some_and(Ordering::is_ge),
        Bound::Excluded(bound) => compare(value, bound).is_some_and(Ordering::is_gt),
        Bound::Unbounded => true,
    }
}

fn is_below(value: &Value, upper: &Bound<Value>) -> bool {
    match upper {
        Bound::Included(bound) => compare(value, bound).is_some_and(Ordering::is_le),
        Bound::Excluded(bound) => compare(value, bound).is_some_and(Ordering::is_lt),
        Bound::Unbounded => true,
    }
}
