//! Values under names, in canonical order.

use std::sync::Arc;

use super::{Value, ValueError, depth_around};
use crate::codec::key_order;

/// Values under names, ordered as they are encoded: shorter names first, then by bytes. Cloning one copies nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Map {
    entries: Arc<Vec<(Name, Value)>>,
    depth: u8,
}

/// A name with the order of encoded keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name(Arc<str>);

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> std::cmp::Ordering {
        key_order(&self.0, &other.0)
    }
}

impl Map {
    /// Takes entries in any order. Of several under one name the last stays.
    pub fn new(entries: impl IntoIterator<Item = (Arc<str>, Value)>) -> Result<Map, ValueError> {
        let mut entries: Vec<_> = entries.into_iter().map(|(name, value)| (Name(name), value)).collect();
        for (name, _) in &entries {
            check_name(&name.0)?;
        }
        // Stable, so that of equal names the later one stands behind: reversed, it is the one that `dedup` keeps.
        entries.reverse();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries.dedup_by(|later, kept| later.0 == kept.0);
        let depth = depth_around(entries.iter().map(|(_, value)| value))?;
        Ok(Map { entries: Arc::new(entries), depth })
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(other, _)| key_order(&other.0, name))
    }

    /// Returns the value under `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.find(name).ok().map(|at| &self.entries[at].1)
    }

    /// Puts `value` under `name` and returns what was there.
    pub fn insert(&mut self, name: impl Into<Arc<str>>, value: Value) -> Result<Option<Value>, ValueError> {
        let name = name.into();
        check_name(&name)?;
        let depth = depth_around([&value])?;
        let found = self.find(&name);
        let entries = Arc::make_mut(&mut self.entries);
        match found {
            Ok(at) => {
                let old = std::mem::replace(&mut entries[at].1, value);
                self.measure();
                Ok(Some(old))
            }
            Err(at) => {
                entries.insert(at, (Name(name), value));
                self.depth = self.depth.max(depth);
                Ok(None)
            }
        }
    }

    /// Takes out what is under `name`.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.find(name).ok()?;
        let (_, value) = Arc::make_mut(&mut self.entries).remove(at);
        self.measure();
        Some(value)
    }

    /// Depth is part of equality by being a function of the entries: it must never be stale.
    fn measure(&mut self) {
        self.depth = depth_around(self.entries.iter().map(|(_, value)| value))
            .expect("every entry was checked on its way in");
    }

    /// Returns the entries in canonical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> + DoubleEndedIterator {
        self.entries.iter().map(|(name, value)| (&*name.0, value))
    }

    /// Returns how many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Says whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns how many levels there are, this one included.
    pub fn depth(&self) -> usize {
        self.depth.into()
    }
}

impl Default for Map {
    /// The empty map.
    fn default() -> Map {
        Map { entries: Arc::default(), depth: 1 }
    }
}

fn check_name(name: &str) -> Result<(), ValueError> {
    if matches!(name, "" | "/") {
        return Err(ValueError::Name { what: "the name of an entry", name: name.to_owned() });
    }
    Ok(())
}
