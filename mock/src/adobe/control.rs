//! The control plane of the Adobe half: `/_mock/adobe/…`.
//!
//! Invariant: does nothing that the `Handle` cannot do.

use std::sync::Arc;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Adobe, Handle};
use crate::engine::control::{self, Answer, parse, parse_fault};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    bearer: Option<String>,
    secrets: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Times {
    times: u64,
    #[serde(default)]
    retry_after: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    name: String,
    #[serde(default)]
    disabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redirect {
    base: Option<String>,
}

pub(crate) fn answer(shared: &Arc<Adobe>, method: &Method, path: &str, body: &[u8]) -> Answer {
    let adobe = Handle::new(Arc::clone(shared));
    Ok(Some(match (method.as_str(), path) {
        ("GET", "stats") => serde_json::to_value(adobe.stats())?,
        ("GET", "config") => {
            let logs: Vec<Value> = adobe
                .names()
                .iter()
                .filter_map(|name| Some(json!({ "name": name, "log": adobe.log_of(name)?.options() })))
                .collect();
            json!({ "streams": logs, "readable": adobe.readable() })
        }
        ("GET", "streams") => json!({
            "connections": adobe.connections(),
            "ghosts": adobe.ghosts(),
            "positions": adobe.positions(),
        }),
        ("GET", "sent") => serde_json::to_value(adobe.sent())?,
        ("GET", "faults") => serde_json::to_value(adobe.armed())?,
        ("POST", "token-faults") => control::arm(&shared.token_board, body)?,
        ("DELETE", "faults") => {
            adobe.disarm();
            json!({})
        }
        ("POST", "credentials") => {
            let Credentials { bearer, secrets } = parse(body)?;
            if let Some(bearer) = bearer {
                adobe.rotate_token(&bearer);
            }
            if let Some(secrets) = secrets {
                adobe.rotate_secrets(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
            }
            json!({})
        }
        ("POST", "expire-tokens") => {
            adobe.expire_tokens();
            json!({})
        }
        ("POST", "throttle") => {
            let Times { times, retry_after } = parse(body)?;
            adobe.throttle(times, retry_after);
            json!({})
        }
        ("POST", "refuse-tokens") => {
            adobe.refuse_tokens(parse::<Times>(body)?.times);
            json!({})
        }
        ("POST", "disconnect") => {
            adobe.disconnect(parse_fault(body)?);
            json!({})
        }
        ("POST", path) if path.starts_with("disconnect/") => {
            let Some(n) = path.trim_start_matches("disconnect/").parse().ok() else { return Ok(None) };
            json!({ "number": adobe.disconnect_one(n, parse_fault(body)?) })
        }
        ("DELETE", "ghosts") => {
            adobe.forget_ghosts();
            json!({})
        }
        ("POST", "stream") => {
            let Switch { name, disabled } = parse(body)?;
            json!({ "found": adobe.disable(&name, disabled) })
        }
        ("DELETE", "enabled") => {
            adobe.forget_enabled();
            json!({})
        }
        ("POST", "redirect") => {
            adobe.redirect_to(parse::<Redirect>(body)?.base.as_deref());
            json!({})
        }
        _ => return control::answer(&shared.feed, &shared.board, method, path, body),
    }))
}
