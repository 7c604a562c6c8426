//! Moments as people write them: a date, a date and a time, with or without a zone.

use std::fmt;

use super::error::RepoError;
use super::revision::RevisionError;
use crate::object::Time;

/// A moment in text form, such as `2026-11-01`, `2026-11-01 09:00` or `2026-11-01T09:00:30.5+02:00`.
///
/// A date alone means its first instant. Without a zone the caller's applies: [`at_offset`](Self::at_offset).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Moment {
    /// Microseconds since 1970, as if the text were UTC.
    civil_us: i64,
    /// Minutes east of UTC, where the text says so.
    offset_minutes: Option<i16>,
}

const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 24 * 60 * MINUTE_US;

impl Moment {
    /// What a text should have been that is no moment.
    pub(super) const EXPECTED: &'static str = "a date such as 2026-11-01, or 2026-11-01 09:00";

    /// Reads one of the forms above. Years have four digits.
    pub fn parse(text: &str) -> Option<Moment> {
        let (date, rest) = text.split_at_checked(10)?;
        let [year, month, day] = numbers(date, b'-', [4, 2, 2])?;
        let date_us = days_from_civil(year, month, day)? * DAY_US;
        let Some(rest) = rest.strip_prefix(['T', ' ']) else {
            return rest.is_empty().then_some(Moment { civil_us: date_us, offset_minutes: None });
        };
        let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
        let (clock, zone) = rest.split_at(zone_at);
        Some(Moment { civil_us: date_us + clock_us(clock)?, offset_minutes: offset(zone)? })
    }

    /// Returns the moment in microseconds since 1970, UTC. `zone_minutes`, minutes east of UTC, applies where the
    /// text named no zone.
    pub fn at_offset(&self, zone_minutes: i16) -> i64 {
        self.civil_us - i64::from(self.offset_minutes.unwrap_or(zone_minutes)) * MINUTE_US
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.civil_us.div_euclid(DAY_US));
        write!(f, "{year:04}-{month:02}-{day:02}")?;
        let us = self.civil_us.rem_euclid(DAY_US);
        if us == 0 && self.offset_minutes.is_none() {
            return Ok(());
        }
        let (minutes, us) = (us / MINUTE_US, us % MINUTE_US);
        write!(f, "T{:02}:{:02}:{:02}", minutes / 60, minutes % 60, us / 1_000_000)?;
        if us % 1_000_000 != 0 {
            let fraction = format!("{:06}", us % 1_000_000);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        match self.offset_minutes {
            None => Ok(()),
            Some(0) => f.write_str("Z"),
            Some(east) => {
                let sign = if east < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", east.unsigned_abs() / 60, east.unsigned_abs() % 60)
            }
        }
    }
}

impl From<Time> for Moment {
    fn from(time: Time) -> Moment {
        Moment { civil_us: time.micros(), offset_minutes: Some(0) }
    }
}

/// As RFC 3339 writes it, in UTC.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Moment::from(*self).fmt(f)
    }
}

/// What is taken where a moment is wanted: a [`Moment`], a [`Time`], or text.
pub trait IntoMoment {
    /// Returns the moment.
    fn into_moment(self) -> Result<Moment, RepoError>;
}

impl IntoMoment for Moment {
    fn into_moment(self) -> Result<Moment, RepoError> {
        Ok(self)
    }
}

impl IntoMoment for Time {
    fn into_moment(self) -> Result<Moment, RepoError> {
        Ok(self.into())
    }
}

impl IntoMoment for &str {
    fn into_moment(self) -> Result<Moment, RepoError> {
        let why = RevisionError { at: 0, expected: Moment::EXPECTED };
        Moment::parse(self).ok_or_else(|| RepoError::Revision { spec: self.to_owned(), why })
    }
}

/// Reads numbers of fixed width with a separator between them, and nothing else.
fn numbers<const N: usize>(text: &str, separator: u8, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(char::from(separator));
    let mut values = [0; N];
    for (value, width) in values.iter_mut().zip(widths) {
        let part = parts.next()?;
        let digits = part.len() == width && part.bytes().all(|c| c.is_ascii_digit());
        *value = part.parse().ok().filter(|_| digits)?;
    }
    parts.next().is_none().then_some(values)
}

/// Reads `09:00`, `09:00:30` or `09:00:30.5`.
fn clock_us(text: &str) -> Option<i64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, fraction_us(fraction)?),
        None => (text, 0),
    };
    let [hour, minute, second] = match whole.len() {
        5 if fraction == 0 && !text.contains('.') => {
            let [hour, minute] = numbers(whole, b':', [2, 2])?;
            [hour, minute, 0]
        }
        _ => numbers(whole, b':', [2, 2, 2])?,
    };
    (hour < 24 && minute < 60 && second < 60)
        .then(|| (hour * 60 + minute) * MINUTE_US + second * 1_000_000 + fraction)
}

fn fraction_us(digits: &str) -> Option<i64> {
    let known = (1..=6).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
    format!("{digits:0<6}").parse().ok().filter(|_| known)
}

/// Reads nothing, `Z`, or `+02:00`. The outer `None` refuses, the inner says that no zone is named.
fn offset(text: &str) -> Option<Option<i16>> {
    let sign = match text.bytes().next() {
        None => return Some(None),
        Some(b'Z') => return (text == "Z").then_some(Some(0)),
        Some(b'-') => -1,
        Some(_) => 1,
    };
    let [hours, minutes] = numbers(&text[1..], b':', [2, 2])?;
    let east = i16::try_from(hours * 60 + minutes).ok()?;
    (hours < 24 && minutes < 60).then_some(Some(sign * east))
}

/// Days since 1970-01-01 in the Gregorian calendar, extended backwards. Counts years from March, so that the leap day
/// is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, utc_us: i64) {
        let moment = Moment::parse(text).unwrap_or_else(|| panic!("{text} is refused"));
        assert_eq!(moment.at_offset(0), utc_us, "{text}");
        assert_eq!(Moment::parse(&moment.to_string()), Some(moment), "{text} as {moment}");
    }

    #[test]
    fn a_date_means_its_first_instant() {
        reads("1970-01-01", 0);
        reads("1969-12-31", -DAY_US);
        reads("2000-02-29", 951_782_400_000_000);
        reads("2026-11-21", 1_795_219_200_000_000);
    }

    #[test]
    fn a_clock_and_a_zone_are_read() {
        reads("2026-11-21 09:00", 1_795_251_600_000_000);
        reads("2026-11-21T09:00:30.5", 1_795_251_630_500_000);
        reads("2026-11-21T09:00:30.000001Z", 1_795_251_630_000_001);
        reads("2026-11-21T09:00+02:00", 1_795_244_400_000_000);
        reads("2026-11-21T09:00-00:30", 1_795_253_400_000_000);
    }

    #[test]
    fn the_zone_of_the_caller_applies_only_where_none_is_named() {
        let plain = Moment::parse("2026-11-21 09:00").unwrap();
        let zoned = Moment::parse("2026-11-21 09:00Z").unwrap();
        assert_eq!(plain.at_offset(60), zoned.at_offset(60) - 60 * MINUTE_US);
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-00-01",
            "2026-02-29",
            "1900-02-29",
            "2026-4-01",
            "2026-04-31",
            "2026-04-01x",
            "2026-04-01T",
            "2026-04-01 24:00",
            "2026-04-01 09:60",
            "2026-04-01 9:00",
            "2026-04-01 09:00.5",
            "2026-04-01 09:00:00.",
            "2026-04-01 09:00:00.1234567",
            "2026-04-01 09:00+2",
            "2026-04-01 09:00Zulu",
            "2026-04-01 09:00+24:00",
            "+026-04-01",
            "２０２６-04-01",
            "2026-04-é1",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_eight_centuries_round_trips() {
        for days in -135_140..157_054 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), Some(days), "{year}-{month}-{day}");
        }
    }
}
