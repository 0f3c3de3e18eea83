//! Whole numbers as services write them: as JSON integers, as text, and, where digits may be lost, as floats. One rule for
//! all who read them, so that what is a time for one of them is a time for the others.

/// The member that holds when Adobe received a hit, in seconds since the Unix epoch.
pub(crate) const RECEIVED: &str = "receivedTimeGMT";

/// Up to here each whole number is a float of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Text that begins as a number does; `parse` alone would also take a plus sign, `inf` and `nan`.
pub(crate) fn numeral(text: &[u8]) -> Option<&str> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.first().is_some_and(u8::is_ascii_digit) { std::str::from_utf8(text).ok() } else { None }
}

/// A float that is a whole number, such as `1372782179.0`, up to 2^53 either way.
pub(crate) fn whole_float(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// Text that spells a whole number, also as a float.
pub(crate) fn whole_text(text: &[u8]) -> Option<i64> {
    let text = numeral(text)?;
    text.parse().ok().or_else(|| whole_float(text.parse().ok()?))
}

/// A time in seconds since the Unix epoch, after it and before the year 10000. Services write 0 for what they do not know.
pub(crate) fn time(seconds: i64) -> Option<jiff::Timestamp> {
    if seconds > 0 { jiff::Timestamp::from_second(seconds).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_in_each_of_their_forms() {
        for (text, number) in [
            ("1372782179", Some(1_372_782_179)),
            ("-7", Some(-7)),
            ("1372782179.0", Some(1_372_782_179)),
            ("1.372782179e9", Some(1_372_782_179)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("1.5", None),
            ("1e300", None),
            ("+1", None),
            (" 1", None),
            ("inf", None),
            ("nan", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(whole_text(text.as_bytes()), number, "{text}");
        }
        assert_eq!(time(0), None);
        assert_eq!(time(-1), None);
        assert_eq!(time(i64::MAX), None);
        assert_eq!(time(5).map(jiff::Timestamp::as_millisecond), Some(5_000));
    }
}
