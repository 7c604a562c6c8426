//! The properties of a node or an edge.

use std::sync::Arc;

use super::{FromValue, Map, Value, ValueError};

/// Longest name of a property, in bytes: it is part of index keys.
pub const PROPERTY_NAME_BYTES_MAX: usize = 200;

/// The properties of a node or an edge: values under names of 1 to [`PROPERTY_NAME_BYTES_MAX`] bytes. Cloning them
/// copies nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Props(Map);

impl Props {
    /// No properties.
    pub fn new() -> Props {
        Props::default()
    }

    /// Takes properties in any order. Of several under one name the last stays.
    pub fn from_entries(entries: impl IntoIterator<Item = (Arc<str>, Value)>) -> Result<Props, ValueError> {
        let map = Map::new(entries)?;
        map.iter().try_for_each(|(name, _)| check_name(name))?;
        Ok(Props(map))
    }

    /// Returns a property as a `T`; as an `Option<T>` if it may be absent.
    pub fn get<'a, T: FromValue<'a>>(&'a self, name: &str) -> Result<T, ValueError> {
        let Some(value) = self.value(name) else {
            return T::absent().ok_or_else(|| ValueError::Missing { property: name.to_owned() });
        };
        T::from_value(value).ok_or_else(|| ValueError::WrongType {
            property: name.to_owned(),
            expected: T::EXPECTED,
            found: value.kind(),
        })
    }

    /// Returns a property, whatever its type.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Sets a property and returns what it was.
    pub fn set<V>(&mut self, name: &str, value: V) -> Result<Option<Value>, ValueError>
    where
        V: TryInto<Value>,
        ValueError: From<V::Error>,
    {
        check_name(name)?;
        self.0.insert(name, value.try_into()?)
    }

    /// Takes a property out.
    pub fn unset(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Returns the properties in canonical order: shorter names first, then by bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> + DoubleEndedIterator {
        self.0.iter()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns them as a value.
    pub const fn as_map(&self) -> &Map {
        &self.0
    }
}

impl TryFrom<Map> for Props {
    type Error = ValueError;

    fn try_from(map: Map) -> Result<Props, ValueError> {
        map.iter().try_for_each(|(name, _)| check_name(name))?;
        Ok(Props(map))
    }
}

fn check_name(name: &str) -> Result<(), ValueError> {
    if name.len() > PROPERTY_NAME_BYTES_MAX {
        return Err(ValueError::TooLong {
            what: "the name of a property",
            found_bytes: name.len(),
            max_bytes: PROPERTY_NAME_BYTES_MAX,
        });
    }
    if matches!(name, "" | "/") {
        return Err(ValueError::Name { what: "the name of a property", name: name.to_owned() });
    }
    Ok(())
}

/// What is taken where properties are wanted: [`Props`], or the outcome of [`props!`](crate::props), so that a bad
/// value is an error of the call that it was made for.
pub trait IntoProps {
    /// Returns the properties.
    fn into_props(self) -> Result<Props, ValueError>;
}

impl IntoProps for Props {
    fn into_props(self) -> Result<Props, ValueError> {
        Ok(self)
    }
}

impl IntoProps for &Props {
    fn into_props(self) -> Result<Props, ValueError> {
        Ok(self.clone())
    }
}

impl IntoProps for Result<Props, ValueError> {
    fn into_props(self) -> Result<Props, ValueError> {
        self
    }
}

/// Makes a `Result<`[`Props`]`, `[`ValueError`]`>`: `props! { name: "Ada", born: 1815, "full name": "Ada Lovelace" }`.
#[macro_export]
macro_rules! props {
    (@name $name:ident) => { ::core::stringify!($name) };
    (@name $name:literal) => { $name };
    ($($name:tt : $value:expr),* $(,)?) => {
        (|| -> ::core::result::Result<$crate::value::Props, $crate::value::ValueError> {
            #[allow(unused_mut)]
            let mut props = $crate::value::Props::new();
            $( props.set($crate::props!(@name $name), $value)?; )*
            ::core::result::Result::Ok(props)
        })()
    };
}
