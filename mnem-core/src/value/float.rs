//! A float that has an encoding.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::ValueError;

/// A finite `f64` without minus zero: it has one encoding, equals itself and has a place in the order.
#[derive(Clone, Copy, Debug)]
pub struct Float(f64);

impl Float {
    /// Takes a finite number. Minus zero becomes zero.
    pub fn new(number: f64) -> Result<Float, ValueError> {
        if !number.is_finite() {
            return Err(ValueError::NotFinite { found: number.to_string() });
        }
        Ok(Float(if number == 0.0 { 0.0 } else { number }))
    }

    /// Returns the number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Float) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Float {}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Float) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Float {
    fn cmp(&self, other: &Float) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Float {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}
