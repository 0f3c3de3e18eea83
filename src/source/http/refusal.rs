//! What a refusal says, made fit to be shown: bounded, inflated where it is compressed, on one line, without secrets.

use std::borrow::Cow;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, header};
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
pub(crate) struct Said {
    bytes: BytesMut,
    whole: bool,
}

impl Said {
    /// As it came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// On one line, without anything secret. `words` finds the service's own words in it.
    pub(crate) fn text(&self, authorization: &Authorization, words: impl Fn(&str) -> Cow<'_, str>) -> String {
        authorization.hider().quote(&words(&String::from_utf8_lossy(&self.bytes)), self.whole)
    }
}

/// Reads the beginning of an error body.
pub(crate) async fn read(response: Response) -> Said {
    let mut body = Body::new(response.bytes_stream(), Coding::Identity, PATIENCE, |_| {});
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
pub(crate) fn coding(headers: &HeaderMap) -> Option<Coding> {
    Coding::from_header(headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()))
}

/// The name of a response's coding, as it may be shown.
pub(crate) fn coding_name(headers: &HeaderMap, authorization: &Authorization) -> String {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let names: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    let mut name = authorization.hider().quote(&names.join(", "), true);
    name.truncate(name.floor_char_boundary(MAX_CODING_NAME));
    format!("\"{name}\"")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::model::hide::MAX_QUOTED;
    use crate::model::secret::{Secret, SecretSource};
    use crate::source::http::auth::Credential;

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
}
