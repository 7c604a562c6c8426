//! Numbers of both kinds, compared exactly.

use std::cmp::Ordering;

use super::{Float, Value};

/// 2^63, the least float above every integer; its negative is the least integer.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// Compares two numbers by size, never by a cast that rounds: as predicates do, where 1 and 1.0 are equal.
/// `None` if one of them is no number.
pub fn compare_numbers(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => Some(compare_int_float(*a, *b)),
        (Value::Float(a), Value::Int(b)) => Some(compare_int_float(*b, *a).reverse()),
        _ => None,
    }
}

pub(crate) fn compare_int_float(int: i64, float: Float) -> Ordering {
    let float = float.get();
    match whole(float.floor()) {
        Some(floor) => {
            int.cmp(&floor).then(if float > float.floor() { Ordering::Less } else { Ordering::Equal })
        }
        None if float > 0.0 => Ordering::Less,
        None => Ordering::Greater,
    }
}

/// Returns a float without fraction as the integer that it is; `None` if that does not fit.
pub(crate) fn whole(float: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range and without fraction")]
    ((-TWO_TO_63..TWO_TO_63).contains(&float) && float.fract() == 0.0).then_some(float as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(int: i64, float: f64, expected: Ordering) {
        let (int, float) = (Value::Int(int), Value::try_from(float).unwrap());
        assert_eq!(compare_numbers(&int, &float), Some(expected), "{int:?} {float:?}");
        assert_eq!(compare_numbers(&float, &int), Some(expected.reverse()), "{float:?} {int:?}");
    }

    #[test]
    fn integers_and_floats_compare_without_rounding() {
        check(1, 1.0, Ordering::Equal);
        check(1, 1.5, Ordering::Less);
        check(-1, -1.5, Ordering::Greater);
        check(0, -5e-324, Ordering::Greater);
        check((1 << 53) + 1, 9_007_199_254_740_992.0, Ordering::Greater);
        check(i64::MAX, TWO_TO_63, Ordering::Less);
        check(i64::MIN, -TWO_TO_63, Ordering::Equal);
        check(i64::MIN, -1e300, Ordering::Greater);
        check(i64::MAX, 1e300, Ordering::Less);
    }

    #[test]
    fn only_numbers_compare_as_numbers() {
        assert_eq!(compare_numbers(&Value::from(true), &Value::from(1)), None);
    }
}
