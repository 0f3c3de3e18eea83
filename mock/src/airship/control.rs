//! The control plane of the Airship half: `/_mock/…`.
//!
//! Invariant: does nothing that the `Handle` cannot do.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::Airship;
use crate::engine::control::{self, Answer, parse, parse_fault};
use crate::engine::fault::Fault;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    token: String,
    /// Whether to end the streams that were opened with the old one.
    #[serde(default)]
    end_streams: bool,
}

pub(crate) fn answer(airship: &Airship, method: &Method, path: &str, body: &[u8]) -> Answer {
    match (method.as_str(), path) {
        ("GET", "config") => {
            return Ok(Some(json!({ "log": airship.log().options(), "readable": airship.window() })));
        }
        ("GET", "faults") => return Ok(Some(serde_json::to_value(airship.armed())?)),
        ("DELETE", "faults") => airship.disarm(),
        ("POST", "credentials") => {
            let Credentials { token, end_streams } = parse(body)?;
            airship.rotate_token(token);
            if end_streams {
                airship.end_streams(Fault::Eof {});
            }
        }
        ("POST", "disconnect") => airship.end_streams(parse_fault(body)?),
        ("POST", "expire-cookies") => airship.expire_cookies(),
        _ => return control::answer(&airship.feed, &airship.board, method, path, body),
    }
    Ok(Some(json!({})))
}
