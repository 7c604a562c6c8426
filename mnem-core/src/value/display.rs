//! Values as people read them. Not a format: nothing reads it back.

use std::fmt;

use super::Value;

/// Bytes beyond this many are only counted.
const BYTES_SHOWN_MAX: usize = 16;

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(it) => write!(f, "{it}"),
            Value::Int(it) => write!(f, "{it}"),
            // Keeps the point: 1 and 1.0 are different values.
            Value::Float(it) => write!(f, "{:?}", it.get()),
            Value::Text(it) => f.write_str(it),
            Value::Bytes(it) => {
                f.write_str("0x")?;
                it.iter().take(BYTES_SHOWN_MAX).try_for_each(|byte| write!(f, "{byte:02x}"))?;
                if it.len() > BYTES_SHOWN_MAX { write!(f, "… ({} bytes)", it.len()) } else { Ok(()) }
            }
            Value::Link(it) => write!(f, "{it}"),
            Value::List(it) => {
                f.write_str("[")?;
                for (index, item) in it.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Value::Map(it) => {
                f.write_str("{")?;
                for (index, (name, item)) in it.iter().enumerate() {
                    write!(f, "{}{name}: {item}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Float, List};

    #[test]
    fn values_read_as_people_write_them() {
        let list = List::new([Value::Int(1), Value::Float(Float::new(1.0).unwrap()), "a".into()]).unwrap();
        let long = Value::Bytes(vec![7; 17].into());
        for (value, text) in [
            (Value::List(list), "[1, 1.0, a]".to_owned()),
            (Value::Bool(true), "true".to_owned()),
            (long, format!("0x{}… (17 bytes)", "07".repeat(16))),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }
}
