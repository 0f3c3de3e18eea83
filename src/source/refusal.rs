//! What a refusal says, made fit to be shown: bounded, inflated where it is compressed, on one line, without secrets.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, header};
use reqwest::Response;

use super::auth::Authorization;
use super::body::{Body, Coding};

/// Bytes of an error body that are read: more than is shown, so that a JSON text is whole and can be unescaped.
const MAX_READ: usize = 4 << 10;

/// Bytes of a coding's name that are shown: real ones have a few letters.
const MAX_CODING_NAME: usize = 40;

/// Limit for an error body: it may be endless or hang, and a bounded look at it is enough.
const PATIENCE: Duration = Duration::from_secs(5);

/// The beginning of an error body, and whether it is all of it.
pub struct Said {
    bytes: BytesMut,
    whole: bool,
}

impl Said {
    /// As it came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// On one line, without anything secret. `words` finds the service's own words in it.
    pub fn text(&self, authorization: &Authorization, words: impl Fn(&str) -> Cow<'_, str>) -> String {
        authorization.hider().quote(&words(&String::from_utf8_lossy(&self.bytes)), self.whole)
    }
}

/// Reads the beginning of an error body.
pub async fn read(response: Response) -> Said {
    let mut body = Body::new(response.bytes_stream(), PATIENCE, |_| {});
    let (mut bytes, mut whole) = (BytesMut::with_capacity(MAX_READ), false);
    let read = async {
        while bytes.len() < MAX_READ {
            match body.read(&mut bytes).await {
                Ok(0) => return whole = true,
                Ok(_) => bytes.reserve(1),
                Err(_) => return,
            }
        }
    };
    let finished = tokio::time::timeout(PATIENCE, read).await;
    drop(finished);
    Said { bytes, whole }
}

/// How a response's body is coded; `None` for codings that were not asked for.
pub fn coding(headers: &HeaderMap) -> Option<Coding> {
    Coding::from_header(headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()))
}

/// The name of a response's coding, as it may be shown.
pub fn coding_name(headers: &HeaderMap, authorization: &Authorization) -> String {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let names: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    let mut name = authorization.hider().quote(&names.join(", "), true);
    name.truncate(name.floor_char_boundary(MAX_CODING_NAME));
    format!("\"{name}\"")
}

/// A server's `Retry-After` is not followed beyond this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// `Retry-After` in seconds or as a date, within reason.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
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
    use crate::model::hide::MAX_QUOTED;
    use crate::model::secret::{Secret, SecretSource};
    use crate::source::auth::Credential;

    fn quote(bytes: &[u8], whole: bool, authorization: &Authorization) -> String {
        Said { bytes: bytes.into(), whole }.text(authorization, |text| text.into())
    }

    #[test]
    fn the_coding_is_named_printable_and_bounded() {
        let secret = SecretSource::Value(Secret::new("hunter2-hunter2"));
        let bearer = Authorization::of(&Credential::Bearer(secret)).unwrap();
        let name = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_bytes(value).unwrap());
            }
            coding_name(&headers, &bearer)
        };
        assert_eq!(name(&[b"br"]), "\"br\"");
        assert_eq!(name(&[b"gzip", b"br"]), "\"gzip, br\"");
        assert_eq!(name(&[b"z\xff\tstd"]), "\"z\u{fffd} std\"");
        assert_eq!(name(&[&[b'x'; 5000]]).len(), MAX_CODING_NAME + 2);
        assert!(!name(&[b"hunter2-hunter2"]).contains("hunter2"));
    }

    #[test]
    fn no_part_of_a_secret_is_quoted() {
        let secret = |text| SecretSource::Value(Secret::new(text));
        let bearer = Authorization::of(&Credential::Bearer(secret("hunter2-hunter2"))).unwrap();
        assert_eq!(quote(b"no: Bearer hunter2-hunter2!", true, &bearer), "no: Bearer <hidden>!");
        assert_eq!(quote(b"cut hunter2-hunter2 hunter2-hun", false, &bearer), "cut <hidden> <hidden>");
        for filler in 480..520 {
            let text = format!("{}hunter2-hunter2{}", "x".repeat(filler), "y".repeat(20));
            let quoted = quote(text.as_bytes(), false, &bearer);
            assert!(!quoted.contains("hunter") && quoted.len() <= MAX_QUOTED, "{quoted}");
        }
        let basic = Credential::Basic { user: "u".into(), password: secret("hunter2") };
        let basic = Authorization::of(&basic).unwrap();
        assert_eq!(quote(b"Basic dTpodW50ZXIy is u:hunter2", true, &basic), "Basic <hidden> is u:<hidden>");
    }

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
