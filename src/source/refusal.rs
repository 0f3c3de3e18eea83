//! What a refusal says, made fit to be shown: bounded, inflated where it is compressed, on one line, without secrets.

use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, header};
use reqwest::Response;

use super::auth::Authorization;
use super::body::{Body, Coding};

/// Bytes of an error body that are kept for the message.
pub const MAX_ERROR_TEXT: usize = 512;

/// Limit for an error body: it may be endless or hang, and a bounded look at it is enough.
const PATIENCE: Duration = Duration::from_secs(5);

/// The beginning of an error body on one line, without anything secret.
pub async fn text(response: Response, authorization: &Authorization) -> String {
    let coding = coding(response.headers()).unwrap_or(Coding::Identity);
    let mut body = Body::new(response.bytes_stream(), coding, PATIENCE, |_| {});
    let enough = MAX_ERROR_TEXT + authorization.longest();
    let (mut bytes, mut whole) = (BytesMut::with_capacity(enough), false);
    let read = async {
        while bytes.len() < enough {
            match body.read(&mut bytes).await {
                Ok(0) => return whole = true,
                Ok(_) => bytes.reserve(1),
                Err(_) => return,
            }
        }
    };
    let finished = tokio::time::timeout(PATIENCE, read).await;
    drop(finished);
    quote(&bytes, whole, authorization)
}

/// How a response's body is coded; `None` for codings that were not asked for.
pub fn coding(headers: &HeaderMap) -> Option<Coding> {
    Coding::from_header(headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()))
}

/// What may be shown of the beginning of a text, or of a `whole` one. Secrets are taken out first of all: cut or
/// tidied up they would not be known.
pub fn quote(bytes: &[u8], whole: bool, authorization: &Authorization) -> String {
    let mut text = authorization.hide(&String::from_utf8_lossy(bytes));
    // The end may be the beginning of a secret.
    let certain = if whole { text.len() } else { text.len().saturating_sub(authorization.longest()) };
    text.truncate(text.floor_char_boundary(certain.min(MAX_ERROR_TEXT)));
    authorization.hide(&printable(&text))
}

/// One line of printable characters; markup is left as it is.
pub fn printable(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(|c: char| c.is_control(), "")
}

/// A server's `Retry-After` is not followed beyond this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// `Retry-After` in seconds, within reason; the date form is not used by these services.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER).and_then(seconds)
}

fn seconds(value: &HeaderValue) -> Option<Duration> {
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::{Secret, SecretSource};
    use crate::source::auth::Credential;

    #[test]
    fn a_text_is_made_one_line() {
        assert_eq!(printable("<h1>busy\n\t</h1>\u{1b}[31m"), "<h1>busy </h1>[31m");
    }

    #[test]
    fn no_part_of_a_secret_is_quoted() {
        let secret = |text| SecretSource::Value(Secret::new(text));
        let bearer = Authorization::of(&Credential::Bearer(secret("hunter2-hunter2"))).unwrap();
        assert_eq!(quote(b"no: Bearer hunter2-hunter2!", true, &bearer), "no: Bearer <hidden>!");
        assert_eq!(quote(b"cut hunter2-hunter2 hunter2-hun", false, &bearer), "cut <hidd");
        for filler in 480..520 {
            let text = format!("{}hunter2-hunter2{}", "x".repeat(filler), "y".repeat(20));
            let quoted = quote(text.as_bytes(), false, &bearer);
            assert!(!quoted.contains("hunter") && quoted.len() <= MAX_ERROR_TEXT, "{quoted}");
        }
        let basic = Credential::Basic { user: "u".into(), password: secret("hunter2") };
        let basic = Authorization::of(&basic).unwrap();
        assert_eq!(quote(b"Basic dTpodW50ZXIy is u:hunter2", true, &basic), "Basic <hidden> is u:<hidden>");
    }

    #[test]
    fn retry_after_is_seconds() {
        assert_eq!(seconds(&HeaderValue::from_static(" 12 ")), Some(Duration::from_secs(12)));
        assert_eq!(seconds(&HeaderValue::from_static("18446744073709551615")), Some(MAX_RETRY_AFTER));
        assert_eq!(seconds(&HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT")), None);
    }
}
