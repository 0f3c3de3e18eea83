//! What a refusal says, made fit to be shown: bounded, inflated where it is compressed, on one line, without secrets.

use std::borrow::Cow;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, header};
use reqwest::Response;

use super::auth::Authorization;
use super::body::{Body, Coding};

/// Bytes of an error body that are read: more than is shown, so that a JSON text is whole and can be unescaped.
const MAX_READ: usize = 4 << 10;

/// Limit for an error body: it may be endless or hang, and a bounded look at it is enough.
const PATIENCE: Duration = Duration::from_secs(5);

/// The beginning of an error body on one line, without anything secret. `words` finds the service's own words in it.
pub async fn text(
    response: Response,
    authorization: &Authorization,
    words: impl Fn(&str) -> Cow<'_, str>,
) -> String {
    let coding = coding(response.headers()).unwrap_or(Coding::Identity);
    let mut body = Body::new(response.bytes_stream(), coding, PATIENCE, |_| {});
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
    authorization.hider().quote(&words(&String::from_utf8_lossy(&bytes)), whole)
}

/// How a response's body is coded; `None` for codings that were not asked for.
pub fn coding(headers: &HeaderMap) -> Option<Coding> {
    Coding::from_header(headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()))
}

/// What may be shown of the beginning of a text, or of a `whole` one.
pub fn quote(bytes: &[u8], whole: bool, authorization: &Authorization) -> String {
    authorization.hider().quote(&String::from_utf8_lossy(bytes), whole)
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
    use crate::model::hide::MAX_QUOTED;
    use crate::model::secret::{Secret, SecretSource};
    use crate::source::auth::Credential;

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

    #[test]
    fn retry_after_is_seconds() {
        assert_eq!(seconds(&HeaderValue::from_static(" 12 ")), Some(Duration::from_secs(12)));
        assert_eq!(seconds(&HeaderValue::from_static("18446744073709551615")), Some(MAX_RETRY_AFTER));
        assert_eq!(seconds(&HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT")), None);
    }
}
