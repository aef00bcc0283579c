//! Times as a person reads them. Local time is that of the machine, which in a container is nobody's: all is UTC, with its age.

use jiff::Timestamp;

/// Units of an age in seconds, the largest first.
const UNITS: [(&str, &str, u64); 4] = [
    ("day", "d", 86_400),
    ("hour", "h", 3600),
    ("minute", "m", 60),
    ("second", "s", 1),
];

/// `3 minutes ago`.
pub(super) fn ago(time: Timestamp, now: Timestamp) -> String {
    let Ok(seconds) = u64::try_from(now.as_second() - time.as_second()) else {
        return "in the future: a clock is wrong".to_owned();
    };
    match unit(seconds) {
        (_, _, 0) => "just now".to_owned(),
        (name, _, 1) => format!("1 {name} ago"),
        (name, _, count) => format!("{count} {name}s ago"),
    }
}

/// `3m`, for a table.
pub(super) fn age(time: Timestamp, now: Timestamp) -> String {
    let seconds = u64::try_from(now.as_second() - time.as_second()).unwrap_or(0);
    let (_, letter, count) = unit(seconds);
    format!("{count}{letter}")
}

/// The time to the millisecond, and its age.
pub(super) fn with_age(time: Timestamp, now: Timestamp) -> String {
    let millis = time.as_millisecond().rem_euclid(1000);
    let seconds = time.strftime("%Y-%m-%d %H:%M:%S");
    format!("{seconds}.{millis:03} UTC, {}", ago(time, now))
}

/// The time for a table on a terminal: the day and the time, without its year where that is this one.
pub(super) fn short(time: Timestamp, now: Timestamp) -> String {
    let same_year = time.strftime("%Y").to_string() == now.strftime("%Y").to_string();
    let format = if same_year {
        "%m-%d %H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M"
    };
    time.strftime(format).to_string()
}

/// The largest unit that an age holds, and how often.
fn unit(seconds: u64) -> (&'static str, &'static str, u64) {
    let fits = UNITS.iter().find(|(_, _, length)| seconds >= *length);
    fits.map_or(("second", "s", 0), |(name, letter, length)| {
        (*name, *letter, seconds / length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_in_their_largest_unit() {
        let now: Timestamp = "2024-03-01T00:00:00Z".parse().unwrap();
        for (time, says, short) in [
            ("2024-03-01T00:00:00Z", "just now", "0s"),
            ("2024-02-29T23:59:59Z", "1 second ago", "1s"),
            ("2024-02-29T23:57:01Z", "2 minutes ago", "2m"),
            ("2024-02-29T23:00:00Z", "1 hour ago", "1h"),
            ("2024-01-01T00:00:00Z", "60 days ago", "60d"),
            (
                "2024-03-01T00:00:09Z",
                "in the future: a clock is wrong",
                "0s",
            ),
        ] {
            let time = time.parse().unwrap();
            assert_eq!(ago(time, now), says);
            assert_eq!(age(time, now), short);
        }
    }

    #[test]
    fn times_are_utc() {
        let time: Timestamp = "2024-02-03T04:05:06.07891Z".parse().unwrap();
        let later: Timestamp = "2024-02-03T05:05:06Z".parse().unwrap();
        assert_eq!(
            with_age(time, later),
            "2024-02-03 04:05:06.078 UTC, 1 hour ago"
        );
        assert_eq!(short(time, later), "02-03 04:05:06");
        let next_year = "2025-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(short(time, next_year), "2024-02-03 04:05");
    }
}
