//! Nodes by the value of a property: looked up, counted, grouped.
//!
//! Values stand in the order of their kinds: false and true, numbers by size whatever their type, text, bytes, links. Of
//! one value the nodes ascend; where numbers of both types are equal in size, so do they together. Text and bytes over
//! 256 bytes that agree in the first 256 stand in the order of their hashes. Of a list each distinct element counts, and
//! a node in conflict has the values of every side: so a node may be found more than once.

use std::cmp::Ordering;
use std::ops::Bound;

use super::{Index, IndexCursor, IndexTree};
use crate::id::NodeId;
use crate::key::{KeyValue, PropertyKey, PropertyRanges};
use crate::repo::error::{RepoError, damaged_key};
use crate::repo::snapshot::Snapshot;
use crate::tree::{KeyRange, Order};
use crate::value::{Value, compare_numbers, whole};

/// Which values of a property are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueRange {
    /// All that are looked up.
    All,
    /// This one; of a number, all that are equal in size.
    Equal(Value),
    /// Those of one kind between two bounds, numbers being one kind. Of bounds of two kinds, none.
    Between(Bound<Value>, Bound<Value>),
    /// Text or bytes that begin so.
    StartsWith(Value),
}

impl ValueRange {
    /// Says whether `value` is asked for. Lists and maps never are: what lies in a list is.
    pub fn contains(&self, value: &Value) -> bool {
        let Some(kind) = Kind::of(value) else { return false };
        let is_kind = |bound: &Bound<Value>| match bound {
            Bound::Included(bound) | Bound::Excluded(bound) => Kind::of(bound) == Some(kind),
            Bound::Unbounded => true,
        };
        match self {
            ValueRange::All => true,
            ValueRange::Equal(other) => Kind::of(other) == Some(kind) && compare(value, other).is_eq(),
            ValueRange::Between(lower, upper) => {
                let is_above = match lower {
                    Bound::Included(bound) => compare(value, bound).is_ge(),
                    Bound::Excluded(bound) => compare(value, bound).is_gt(),
                    Bound::Unbounded => true,
                };
                let is_below = match upper {
                    Bound::Included(bound) => compare(value, bound).is_le(),
                    Bound::Excluded(bound) => compare(value, bound).is_lt(),
                    Bound::Unbounded => true,
                };
                is_kind(lower) && is_kind(upper) && is_above && is_below
            }
            ValueRange::StartsWith(Value::Text(prefix)) => {
                matches!(value, Value::Text(text) if text.starts_with(&**prefix))
            }
            ValueRange::StartsWith(Value::Bytes(prefix)) => {
                matches!(value, Value::Bytes(bytes) if bytes.starts_with(prefix))
            }
            ValueRange::StartsWith(_) => false,
        }
    }

    /// Returns where the keys stand, kind by kind. There may be more keys there, of values that are cut.
    fn runs(&self, ranges: &PropertyRanges) -> Vec<Run> {
        let one = |kind, range| vec![Run { kind, ranges: vec![range] }];
        let numbers =
            |lower, upper| vec![Run { kind: Kind::Number, ranges: ranges.numbers(lower, upper).to_vec() }];
        match self {
            ValueRange::All => Kind::ALL.iter().map(|kind| kind.run(ranges)).collect(),
            ValueRange::Equal(value) => match Kind::of(value) {
                Some(Kind::Number) => numbers(Bound::Included(value), Bound::Included(value)),
                Some(kind) => one(kind, ranges.equal(value)),
                None => Vec::new(),
            },
            ValueRange::Between(Bound::Unbounded, Bound::Unbounded) => ValueRange::All.runs(ranges),
            ValueRange::Between(lower, upper) => {
                let of = |bound: &Bound<Value>| match bound {
                    Bound::Included(value) | Bound::Excluded(value) => Kind::of(value),
                    Bound::Unbounded => None,
                };
                match of(lower).or(of(upper)) {
                    Some(Kind::Number) => numbers(lower.as_ref(), upper.as_ref()),
                    Some(kind) => one(kind, ranges.between(lower.as_ref(), upper.as_ref())),
                    None => Vec::new(),
                }
            }
            ValueRange::StartsWith(Value::Text(prefix)) => one(Kind::Text, ranges.text_prefix(prefix)),
            ValueRange::StartsWith(Value::Bytes(prefix)) => one(Kind::Bytes, ranges.bytes_prefix(prefix)),
            ValueRange::StartsWith(_) => Vec::new(),
        }
    }
}

/// Kinds of value that are looked up, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Bool,
    Number,
    Text,
    Bytes,
    Link,
}

impl Kind {
    const ALL: [Kind; 5] = [Kind::Bool, Kind::Number, Kind::Text, Kind::Bytes, Kind::Link];

    const fn of(value: &Value) -> Option<Kind> {
        match value {
            Value::Bool(_) => Some(Kind::Bool),
            Value::Int(_) | Value::Float(_) => Some(Kind::Number),
            Value::Text(_) => Some(Kind::Text),
            Value::Bytes(_) => Some(Kind::Bytes),
            Value::Link(_) => Some(Kind::Link),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Returns where all values of the kind stand.
    fn run(self, ranges: &PropertyRanges) -> Run {
        let open = || Bound::Unbounded;
        let keys = match self {
            Kind::Bool => vec![ranges.between(Bound::Included(&Value::Bool(false)), open())],
            Kind::Number => ranges.numbers(open(), open()).to_vec(),
            Kind::Text => vec![ranges.text_prefix("")],
            Kind::Bytes => vec![ranges.bytes_prefix(b"")],
            Kind::Link => vec![ranges.links()],
        };
        Run { kind: self, ranges: keys }
    }
}

/// Compares two values of one kind, numbers by size.
fn compare(a: &Value, b: &Value) -> Ordering {
    compare_numbers(a, b).unwrap_or_else(|| a.cmp(b))
}

/// Values of one kind: one range of keys, or two of numbers, to be merged.
struct Run {
    kind: Kind,
    ranges: Vec<KeyRange>,
}

/// A node, and a value that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The value, or an element of the list that is the value.
    pub value: Value,
    /// The node.
    pub node: NodeId,
}

impl Hit {
    /// The order in which one walk finds two of the same kind.
    fn compare(&self, other: &Hit) -> Ordering {
        let by_type = || self.value.cmp(&other.value);
        compare(&self.value, &other.value).then(self.node.cmp(&other.node)).then_with(by_type)
    }
}

impl Snapshot {
    /// Says whether an index of the property's values is kept in this state: if it is declared `indexed` or `unique`.
    pub fn is_indexed(&self, property: &str) -> Result<bool, RepoError> {
        Ok(self.schema()?.property(property).is_some_and(crate::object::Property::is_looked_up))
    }

    /// Walks the nodes whose property is one of `values`, in the order of the values; `None` if no index is kept. A
    /// node with several such values is found with each.
    pub fn lookup(
        &self,
        property: &str,
        values: &ValueRange,
        order: Order,
    ) -> Result<Option<Hits>, RepoError> {
        let Some(property) = Lookup::new(self, property)? else { return Ok(None) };
        let mut runs = values.runs(&property.ranges);
        if order == Order::Ascending {
            runs.reverse(); // the last is taken first
        }
        Ok(Some(Hits { property, values: values.clone(), order, runs, sides: Vec::new() }))
    }

    /// Counts what [`lookup`](Self::lookup) finds, without walking it. Where text or bytes are over 256 bytes, it may
    /// count more.
    pub fn lookup_count(&self, property: &str, values: &ValueRange) -> Result<Option<u64>, RepoError> {
        let Some(property) = Lookup::new(self, property)? else { return Ok(None) };
        let ranges = values.runs(&property.ranges).into_iter().flat_map(|run| run.ranges);
        ranges.map(|range| property.tree.count(&range)).sum::<Result<u64, _>>().map(Some)
    }

    /// Walks the distinct values of a property in their order, each with the number of nodes that have it; `None` if no
    /// index is kept. 1 and 1.0 are two. Costs the number of values, not of nodes.
    pub fn distinct(&self, property: &str, order: Order) -> Result<Option<DistinctValues>, RepoError> {
        let Some(property) = Lookup::new(self, property)? else { return Ok(None) };
        let mut runs = ValueRange::All.runs(&property.ranges);
        if order == Order::Ascending {
            runs.reverse();
        }
        Ok(Some(DistinctValues { property, order, runs, sides: Vec::new() }))
    }
}

/// Returns those values that are looked up where a property has this one.
pub(super) fn elements(value: &Value) -> Vec<Value> {
    let all = match value {
        Value::List(list) => list,
        value => std::slice::from_ref(value),
    };
    all.iter().filter(|value| Kind::of(value).is_some()).cloned().collect()
}

/// The index of one property.
struct Lookup {
    snapshot: Snapshot,
    name: String,
    tree: IndexTree,
    ranges: PropertyRanges,
}

impl Lookup {
    fn new(snapshot: &Snapshot, name: &str) -> Result<Option<Lookup>, RepoError> {
        if !snapshot.is_indexed(name)? {
            return Ok(None);
        }
        let tree = snapshot.index(Index::Property(name.into()))?;
        let ranges = PropertyRanges::new(name);
        Ok(Some(Lookup { snapshot: snapshot.clone(), name: name.to_owned(), tree, ranges }))
    }

    /// Reads a key. What is cut in it is read from the node.
    fn hit(&self, key: &[u8]) -> Result<Hit, RepoError> {
        let read = PropertyKey::from_key(key).ok_or_else(damaged_key)?;
        let node = NodeId::from_bytes(read.id);
        if let KeyValue::Whole(value) = read.value {
            return Ok(Hit { value, node });
        }
        for version in self.snapshot.sides(node)? {
            let values = version.props.value(&self.name).map(elements).unwrap_or_default();
            let is_it = |value: &&Value| PropertyKey::keys_of(&self.name, value, &read.id) == [key];
            if let Some(value) = values.iter().find(is_it) {
                return Ok(Hit { value: value.clone(), node });
            }
        }
        Err(damaged_key())
    }

    /// Returns the key of a hit; `None` if such values have none.
    fn key(&self, hit: &Hit) -> Option<Vec<u8>> {
        PropertyKey::keys_of(&self.name, &hit.value, hit.node.as_bytes()).pop()
    }
}

/// What stands next in a range of keys.
struct Side<T> {
    cursor: IndexCursor,
    next: Option<T>,
}

/// Takes the least of what stands next, or the greatest.
fn take_next<T>(sides: &mut [Side<T>], order: Order, compare: impl Fn(&T, &T) -> Ordering) -> Option<T> {
    let in_order = |a: &T, b: &T| match order {
        Order::Ascending => compare(a, b),
        Order::Descending => compare(b, a),
    };
    let heads = sides.iter().enumerate().filter_map(|(at, side)| Some((at, side.next.as_ref()?)));
    let (at, _) = heads.min_by(|(_, a), (_, b)| in_order(a, b))?;
    sides[at].next.take()
}

/// Nodes by value. Ends after its first error.
pub struct Hits {
    property: Lookup,
    values: ValueRange,
    order: Order,
    /// What is left after the run that is walked, the next one last.
    runs: Vec<Run>,
    sides: Vec<Side<Hit>>,
}

impl Hits {
    /// Goes on behind what a walk like this one found last.
    #[must_use]
    pub fn beyond(mut self, last: &Hit) -> Hits {
        let Some(kind) = Kind::of(&last.value) else { return self };
        let is_left = |run: &Run| match self.order {
            Order::Ascending => run.kind >= kind,
            Order::Descending => run.kind <= kind,
        };
        self.runs.retain(is_left);
        for run in self.runs.iter_mut().filter(|run| run.kind == kind) {
            for (at, range) in run.ranges.iter_mut().enumerate() {
                *range = self.property.rest(range, at, last, self.order);
            }
        }
        self
    }

    fn advance(&mut self) -> Result<Option<Hit>, RepoError> {
        loop {
            for side in self.sides.iter_mut().filter(|side| side.next.is_none()) {
                for entry in side.cursor.by_ref() {
                    let hit = self.property.hit(&entry?.key)?;
                    // Beyond the cut, keys are only near what is asked for.
                    if self.values.contains(&hit.value) {
                        side.next = Some(hit);
                        break;
                    }
                }
            }
            if let Some(hit) = take_next(&mut self.sides, self.order, Hit::compare) {
                return Ok(Some(hit));
            }
            let Some(run) = self.runs.pop() else { return Ok(None) };
            let side = |range| Side { cursor: self.property.tree.range(range, self.order), next: None };
            self.sides = run.ranges.into_iter().map(side).collect();
        }
    }
}

impl Iterator for Hits {
    type Item = Result<Hit, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, Some(Err(_))) {
            self.runs.clear();
            self.sides.clear();
        }
        next
    }
}

/// Values and how many nodes have each. Ends after its first error.
pub struct DistinctValues {
    property: Lookup,
    order: Order,
    runs: Vec<Run>,
    sides: Vec<Side<(Value, u64)>>,
}

impl DistinctValues {
    fn advance(&mut self) -> Result<Option<(Value, u64)>, RepoError> {
        loop {
            for side in self.sides.iter_mut().filter(|side| side.next.is_none()) {
                let Some(entry) = side.cursor.next().transpose()? else { continue };
                let (value, _) = entry.key.split_at(entry.key.len().saturating_sub(16));
                let same = KeyRange::prefix(value);
                side.next = Some((self.property.hit(&entry.key)?.value, self.property.tree.count(&same)?));
                side.cursor.pass_over(value);
            }
            let compare = |(a, _): &(Value, u64), (b, _): &(Value, u64)| compare(a, b).then_with(|| a.cmp(b));
            if let Some(value) = take_next(&mut self.sides, self.order, compare) {
                return Ok(Some(value));
            }
            let Some(run) = self.runs.pop() else { return Ok(None) };
            let side = |range| Side { cursor: self.property.tree.range(range, self.order), next: None };
            self.sides = run.ranges.into_iter().map(side).collect();
        }
    }
}

impl Iterator for DistinctValues {
    type Item = Result<(Value, u64), RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, Some(Err(_))) {
            self.runs.clear();
            self.sides.clear();
        }
        next
    }
}

impl Lookup {
    /// Returns what is left of the range at a place in a run behind `last`, which has the same kind.
    fn rest(&self, range: &KeyRange, at: usize, last: &Hit, order: Order) -> KeyRange {
        let Some(key) = self.key(last) else { return range.clone() };
        let (is_int, is_float) = (matches!(last.value, Value::Int(_)), matches!(last.value, Value::Float(_)));
        // Of numbers, the first range has the integers and the second one the floats.
        let is_other = is_int && at == 1 || is_float && at == 0;
        if !is_other {
            return range.beyond(&key, order);
        }
        let bound = || Bound::Excluded(&last.value);
        let further = match order {
            Order::Ascending => self.ranges.numbers(bound(), Bound::Unbounded),
            Order::Descending => self.ranges.numbers(Bound::Unbounded, bound()),
        };
        let Some(twin) = twin(&last.value) else { return range.intersection(&further[at]) };
        let twin = Hit { value: twin, node: last.node };
        let Some(key) = self.key(&twin) else { return range.clone() };
        // Of the same size and node: was it before `last`, or is it next?
        let is_next = match order {
            Order::Ascending => twin.compare(last).is_gt(),
            Order::Descending => twin.compare(last).is_lt(),
        };
        let key = if is_next { Bound::Included(key) } else { Bound::Excluded(key) };
        range.intersection(&match order {
            Order::Ascending => KeyRange::new((key, Bound::Unbounded)),
            Order::Descending => KeyRange::new((Bound::Unbounded, key)),
        })
    }
}

/// Returns the number of the other type that is equal in size, if there is one.
fn twin(value: &Value) -> Option<Value> {
    let twin = match value {
        Value::Int(int) => Value::try_from(*int as f64).ok()?,
        Value::Float(float) => Value::Int(whole(float.get())?),
        _ => return None,
    };
    compare_numbers(value, &twin).filter(|order| order.is_eq()).map(|_| twin)
}
