//! The ranges of the flags. What is beyond them is refused where it is given, so that nothing behind has to reckon with it.

use std::time::Duration;

/// The largest number of events, or of anything that is counted in events: more than a service sends in years.
pub(crate) const MOST: u64 = 1_000_000_000_000;

/// The largest number of what takes memory for each: groups of visitors, streams at once.
pub(crate) const MOST_HELD: u64 = 10_000;

/// The largest number of MiB that are kept.
pub(crate) const MOST_MIB: u64 = 1 << 20;

/// The longest time: a year.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// The most bytes of one piece.
const MOST_BYTES: usize = 1 << 30;

/// The most events a second.
const FASTEST: f64 = 1e9;

/// A time such as `30s`, up to a year.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time <= LONGEST => Ok(time),
        Ok(_) => Err("expected 0s to 366d".to_owned()),
        Err(error) => Err(format!("expected 0s to 366d: {error}")),
    }
}

/// Events a second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.0..=FASTEST).contains(rate));
    rate.ok_or_else(|| format!("expected a number from 0 to {FASTEST}"))
}

/// A part of all, from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

/// A number of bytes.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let bytes = text.parse().ok().filter(|bytes| *bytes <= MOST_BYTES);
    bytes.ok_or_else(|| format!("expected a whole number from 0 to {MOST_BYTES}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_refused() {
        assert_eq!((span("366d"), span("0s")), (Ok(LONGEST), Ok(Duration::ZERO)));
        for text in ["99999999999d", "366d 1ns", "18446744073709551616s", "-1s", ""] {
            assert!(span(text).unwrap_err().starts_with("expected 0s to 366d"), "{text}");
        }
        assert_eq!((rate("0"), rate("1e9")), (Ok(0.0), Ok(FASTEST)));
        for text in ["-1", "inf", "NaN", "1e10", "", "x"] {
            assert_eq!(rate(text).unwrap_err(), "expected a number from 0 to 1000000000", "{text}");
        }
        assert_eq!((share("0"), share("1"), share("0.25")), (Ok(0.0), Ok(1.0), Ok(0.25)));
        for text in ["-0.1", "1.01", "NaN", "", "x"] {
            assert_eq!(share(text).unwrap_err(), "expected a number from 0 to 1", "{text}");
        }
        assert_eq!((bytes("0"), bytes("1073741824")), (Ok(0), Ok(MOST_BYTES)));
        for text in ["-1", "1073741825", "99999999999999999999", "1.5"] {
            assert!(bytes(text).unwrap_err().starts_with("expected a whole number from 0 to"), "{text}");
        }
    }
}
