//! How long a server wants to be left alone, within reason.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};

/// A server's `Retry-After` is not followed beyond this.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// `Retry-After` in seconds or as a date, within reason.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    // A date is the server's, so the server's clock tells how far away it is.
    let now = || text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    wish(text(header::RETRY_AFTER)?, || now().unwrap_or_else(SystemTime::now))
}

fn wish(text: &str, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let wish = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is more than is followed.
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(now()).unwrap_or(Duration::ZERO)
    };
    Some(wish.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after = |text| retry_after(&headers(&[(header::RETRY_AFTER, text)]));
        assert_eq!(after(" 12 "), Some(Duration::from_secs(12)));
        assert_eq!(after("18446744073709551615"), Some(MAX_RETRY_AFTER));
        assert_eq!(after("99999999999999999999999"), Some(MAX_RETRY_AFTER));
        for nothing in ["", "-1", "+1", "1.5", "soon", "Wed, 41 Oct 2026 07:28:00 GMT"] {
            assert_eq!(after(nothing), None, "{nothing:?}");
        }
        // By the server's own clock, whatever ours says; in each of the three forms that HTTP knows.
        let dates = [
            "Wed, 21 Oct 2026 07:28:40 GMT",
            "Wednesday, 21-Oct-26 07:28:40 GMT",
            "Wed Oct 21 07:28:40 2026",
        ];
        let until = |date, now| retry_after(&headers(&[(header::RETRY_AFTER, date), (header::DATE, now)]));
        for date in dates {
            assert_eq!(until(date, "Wed, 21 Oct 2026 07:28:00 GMT"), Some(Duration::from_secs(40)), "{date}");
            assert_eq!(until(date, "Wed, 21 Oct 2026 08:28:00 GMT"), Some(Duration::ZERO), "{date} is over");
            assert_eq!(until(date, "Tue, 20 Oct 2026 08:28:00 GMT"), Some(MAX_RETRY_AFTER), "{date} is far");
        }
    }

    #[test]
    fn without_the_servers_clock_ours_tells() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        assert_eq!(wish("Thu, 01 Jan 1970 00:16:47 GMT", || now), Some(Duration::from_secs(7)));
    }
}
