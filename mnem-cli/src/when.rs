//! Times as people read them: today's by the clock, others by the date too.

use mnem_core::Time;

const MINUTE_US: i64 = 60_000_000;

/// Returns a time for people: `10:04` on the day of `now`, else `2026-10-01 10:04`, and `2026-10-01` at midnight.
pub(crate) fn for_people(time: Time, now: Time, zone_minutes: i16) -> String {
    let (date, clock) = civil(time, zone_minutes);
    match () {
        () if date == civil(now, zone_minutes).0 => clock,
        () if clock == "00:00" => date,
        () => format!("{date} {clock}"),
    }
}

/// Returns the date and the clock, in a zone.
fn civil(time: Time, zone_minutes: i16) -> (String, String) {
    let there = time.checked_add(i64::from(zone_minutes) * MINUTE_US).unwrap_or(time);
    // RFC 3339: what stands before and after the `T`.
    let text = there.to_string();
    let (date, clock) = text.split_once('T').unwrap_or((&text, "00:00"));
    (date.to_owned(), clock.chars().take(5).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn today_is_told_by_the_clock_and_other_days_by_the_date() {
        let at = |text: &str| crate::clock::time(text, 0).unwrap();
        let now = at("2026-11-21 12:00");
        for (time, zone, text) in [
            ("2026-11-21 10:04", 0, "10:04"),
            ("2026-11-20 10:04", 0, "2026-11-20 10:04"),
            ("2026-11-20", 0, "2026-11-20"),
            ("2026-11-20 23:30", 60, "00:30"),
        ] {
            assert_eq!(for_people(at(time), now, zone), text);
        }
    }
}
