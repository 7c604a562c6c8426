//! Values on the command line: JSON where it parses, text where not. Bytes and links are written as in DAG-JSON.

use mnem::value::Value;
use serde::Serialize;
use serde_json::Value as Json;

use crate::failure::Failure;

/// Returns a value, or what holds values, as JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Json {
    serde_json::to_value(value).expect("a value has a JSON form: names are text, floats are finite")
}

/// Reads a value as people write it.
pub(crate) fn read(text: &str) -> Result<Value, Failure> {
    if serde_json::from_str::<Json>(text).is_err() {
        return Ok(Value::from(text));
    }
    serde_json::from_str(text).map_err(|error| {
        let failure = Failure::bad_word(format!("`{text}` is no value: {error}"));
        if text.trim() == "null" {
            failure.hint("take a property away with `mnem unset`")
        } else {
            failure.hint(format!("in quotes it is text: '\"{text}\"'"))
        }
    })
}

/// Reads `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(&str, Value), Failure> {
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err(Failure::bad_word(format!("`{text}` is no property")).hint("write NAME=VALUE"));
    };
    Ok((name, read(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mnem::value::{Float, List};

    #[track_caller]
    fn reads(text: &str, value: &Value) {
        assert_eq!(&read(text).unwrap(), value);
        assert_eq!(&read(&to_json(value).to_string()).unwrap(), value, "{text} there and back");
    }

    #[test]
    fn what_parses_as_json_is_that_and_the_rest_is_text() {
        reads("1815", &Value::Int(1815));
        reads("1815.0", &Value::Float(Float::new(1815.0).unwrap()));
        reads("1e2", &Value::Float(Float::new(100.0).unwrap()));
        reads("true", &Value::Bool(true));
        reads("\"01234\"", &Value::from("01234"));
        reads("[1, \"a\"]", &Value::List(List::new([Value::Int(1), "a".into()]).unwrap()));
        reads(r#"{"/": {"bytes": "aGk"}}"#, &Value::Bytes(b"hi".to_vec().into()));
        for text in ["Ada", "01234", "", "a=b", "null and void", "[null", "{", "-"] {
            assert_eq!(read(text).unwrap(), Value::from(text));
        }
    }

    #[test]
    fn what_has_no_value_is_refused() {
        for text in ["null", "[null]", "18446744073709551615", r#"{"/": 1}"#, r#"{"": 1}"#] {
            assert!(read(text).is_err(), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(125), "]".repeat(125));
        assert!(read(&deep).is_err());
    }

    #[test]
    fn pairs_are_cut_at_the_first_equals_sign() {
        assert_eq!(pair("a=b=c").unwrap(), ("a", "b=c".into()));
        assert_eq!(pair("a=").unwrap(), ("a", "".into()));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
