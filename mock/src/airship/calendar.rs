//! Milliseconds since 1970 to the ISO 8601 UTC text that events carry.
//!
//! Invariant: output is what `jiff` prints for the same instant, with a fixed number of fraction digits. It is
//! apart from the events only because it must be fast: two or three of these are in every line.

/// The last millisecond of the year 9999; later instants are printed as this one.
const LAST_MS: u64 = 253_402_300_799_999;

/// Appends `2026-03-02T07:40:29.950Z`, or `…29.95Z` when `short` and the last digit is zero.
pub(super) fn write_iso(ms: u64, short: bool, out: &mut Vec<u8>) {
    let ms = ms.min(LAST_MS);
    let (days, in_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (second, fraction) = (in_day / 1000, in_day % 1000);
    digits(year / 100, out);
    digits(year % 100, out);
    out.push(b'-');
    digits(month, out);
    out.push(b'-');
    digits(day, out);
    out.push(b'T');
    digits(second / 3600, out);
    out.push(b':');
    digits(second / 60 % 60, out);
    out.push(b':');
    digits(second % 60, out);
    out.push(b'.');
    digits(fraction / 10, out);
    if !(short && fraction % 10 == 0) {
        out.push(b'0' + (fraction % 10) as u8);
    }
    out.push(b'Z');
}

/// Days since 1970-01-01 to year, month, day: Howard Hinnant's `civil_from_days`, for non-negative days.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, in_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let day_of_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

fn digits(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_jiff(ms in 0..=LAST_MS) {
            let mut out = Vec::new();
            write_iso(ms, false, &mut out);
            let stamp = jiff::Timestamp::from_millisecond(ms as i64).unwrap();
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{stamp:.3}"));
        }
    }

    #[test]
    fn short_form_drops_one_zero() {
        let mut out = Vec::new();
        write_iso(1_772_437_229_950, true, &mut out);
        assert_eq!(out, b"2026-03-02T07:40:29.95Z");
    }
}
