//! A list of values.

use std::ops::Deref;
use std::sync::Arc;

use super::{Value, ValueError, depth_around};

/// Values in an order. Cloning one copies nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct List {
    items: Arc<[Value]>,
    depth: u8,
}

impl List {
    /// Takes the values in their order.
    pub fn new(items: impl Into<Arc<[Value]>>) -> Result<List, ValueError> {
        let items = items.into();
        Ok(List { depth: depth_around(&*items)?, items })
    }

    /// Returns how many levels there are, this one included.
    pub fn depth(&self) -> usize {
        self.depth.into()
    }
}

impl Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.items
    }
}
