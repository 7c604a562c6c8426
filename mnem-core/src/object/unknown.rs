//! Fields that this version does not know.

use std::sync::Arc;

use bytes::Bytes;

use crate::codec::{DEPTH_MAX, DecodeError, Malformed, Reader, key_order};

/// Fields that a newer version wrote, by name, each as its canonical encoding. They are kept and written again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    fields: Vec<(Arc<str>, Bytes)>,
}

impl Unknown {
    /// Returns the encoding of a field.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.find(name).ok().map(|at| &self.fields[at].1)
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.fields.binary_search_by(|(other, _)| key_order(other, name))
    }

    /// Sets a field to one item in canonical encoding.
    pub fn insert(&mut self, name: &str, item: Bytes) -> Result<(), DecodeError> {
        let mut reader = Reader::new(&item);
        if matches!(name, "" | "/") {
            return Err(reader.error(Malformed::KeyReserved));
        }
        // Two levels may be around it: the object, and the kind of an operation.
        reader.item(DEPTH_MAX - 2)?;
        reader.end()?;
        match self.find(name) {
            Ok(at) => self.fields[at].1 = item,
            Err(at) => self.fields.insert(at, (name.into(), item)),
        }
        Ok(())
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) -> Option<Bytes> {
        self.find(name).ok().map(|at| self.fields.remove(at).1)
    }

    /// Returns the fields in canonical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Bytes)> {
        self.fields.iter().map(|(name, item)| (&**name, item))
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Takes fields that were checked as part of a whole, in canonical order.
    pub(super) fn from_checked<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Unknown {
        let fields = fields.into_iter().map(|(name, item)| (name.into(), Bytes::copy_from_slice(item)));
        Unknown { fields: fields.collect() }
    }
}
