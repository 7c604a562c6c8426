//! When something happened.

/// Microseconds since 1970, UTC, above -2^62 and below 2^62: two of them can be subtracted without overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The latest time.
    pub const MAX: Time = Time((1 << 62) - 1);
    /// The earliest time.
    pub const MIN: Time = Time(-Time::MAX.0);

    /// Takes microseconds since 1970, UTC; `None` if they are out of range.
    pub const fn from_micros(micros: i64) -> Option<Time> {
        if Time::MIN.0 <= micros && micros <= Time::MAX.0 { Some(Time(micros)) } else { None }
    }

    /// Returns microseconds since 1970, UTC.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Returns the time so much later, if there is one.
    pub const fn checked_add(self, micros: i64) -> Option<Time> {
        match self.0.checked_add(micros) {
            Some(micros) => Time::from_micros(micros),
            None => None,
        }
    }

    /// Returns how much later this is than `earlier`, in microseconds; negative if it is before it.
    pub const fn micros_since(self, earlier: Time) -> i64 {
        self.0 - earlier.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_end_below_two_to_the_62nd() {
        assert_eq!(Time::from_micros(1 << 62), None);
        assert_eq!(Time::from_micros(-(1 << 62)), None);
        assert_eq!(Time::from_micros((1 << 62) - 1), Some(Time::MAX));
        assert_eq!(Time::MAX.checked_add(1), None);
        assert_eq!(Time::MAX.checked_add(i64::MAX), None);
        assert_eq!(Time::MIN.checked_add(-1), None);
        assert_eq!(Time::MIN.checked_add(1).map(Time::micros), Some(Time::MIN.micros() + 1));
        assert_eq!(Time::MAX.micros_since(Time::MIN), i64::MAX - 1);
    }
}
