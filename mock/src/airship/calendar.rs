//! Milliseconds since 1970 to the ISO 8601 UTC text that events carry.
//!
//! Invariant: the number of fraction digits is fixed by the caller and the time, never by the locale or the machine.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// With all three digits of the milliseconds, and with two.
const MILLISECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
const HUNDREDTHS: DateTimePrinter = DateTimePrinter::new().precision(Some(2));

/// Appends `2026-03-02T07:40:29.950Z`, or `…29.95Z` when `short` and the last digit is zero.
pub(super) fn write_iso(ms: u64, short: bool, out: &mut Vec<u8>) {
    let printer = if short && ms.is_multiple_of(10) { HUNDREDTHS } else { MILLISECONDS };
    // What is too late for a calendar is printed as the last time that it has.
    let last = Timestamp::MAX;
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(last);
    // Writing to memory does not fail.
    drop(printer.print_timestamp(&time, out));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(ms: u64, short: bool) -> String {
        let mut out = Vec::new();
        write_iso(ms, short, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn there_are_three_digits_and_the_short_form_drops_one_zero() {
        assert_eq!(iso(0, false), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(1_772_437_229_900, false), "2026-03-02T07:40:29.900Z");
        assert_eq!(iso(1_772_437_229_900, true), "2026-03-02T07:40:29.90Z");
        assert_eq!(iso(1_772_437_229_951, true), "2026-03-02T07:40:29.951Z");
        assert!(iso(u64::MAX, true).starts_with("9999-12-"));
    }
}
