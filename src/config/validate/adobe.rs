//! Streams of kind `adobe`: checked like the others, then refused, since this version has no such source yet.

use super::{place, positive, required, secret};
use crate::config::errors::{Errors, Path};
use crate::config::raw::adobe::{Adobe, AdobeAuth};

/// The service takes 1 to 8 connections a stream.
const MOST_CONNECTIONS: u32 = 8;

/// Judges every value of a stream, and the kind itself.
pub(super) fn validate(stream: &Adobe, state: &[String], path: &Path, errors: &mut Errors) {
    errors.add(&path.key("kind"), "`adobe` is not supported by this version yet");
    if let Some(url) = required(stream.url.as_deref(), &path.key("url"), errors) {
        place::url(url, stream.allow_plain_http, &path.key("url"), errors);
    }
    if let Some(auth) = required(stream.auth.as_ref(), &path.key("auth"), errors) {
        ims(auth, stream.allow_plain_http, &path.key("auth").key("ims"), errors);
    }
    let in_range = (1..=MOST_CONNECTIONS).contains(&stream.max_connections);
    let message = format!("must be from 1 to {MOST_CONNECTIONS}");
    errors.add_if(!in_range, &path.key("max_connections"), message);
    positive(stream.replay_interval, &path.key("replay_interval"), errors);
    positive(stream.reconnect_pause, &path.key("reconnect_pause"), errors);
    place::hosts(&stream.redirect_hosts, &path.key("redirect_hosts"), errors);
    place::limits(stream.silence, stream.connect_timeout, stream.max_line, path, errors);
    place::topic(&stream.topic, false, state, &path.key("topic"), errors);
    let dead_letters = stream.dead_letter_topic.as_deref().unwrap_or_default();
    place::topic(dead_letters, false, state, &path.key("dead_letter_topic"), errors);
    place::topic_spec(stream.partitions, stream.replication_factor, stream.retention, path, errors);
}

fn ims(auth: &AdobeAuth, allow_plain_http: bool, path: &Path, errors: &mut Errors) {
    let Some(ims) = required(auth.ims.as_ref(), path, errors) else { return };
    if let Some(id) = required(ims.client_id.as_deref(), &path.key("client_id"), errors) {
        errors.add_if(id.is_empty(), &path.key("client_id"), "must not be empty");
    }
    if let Some(keys) = required(ims.client_secret.as_ref(), &path.key("client_secret"), errors) {
        secret(keys, &path.key("client_secret"), errors);
    }
    if let Some(scopes) = required(ims.scopes.as_deref(), &path.key("scopes"), errors) {
        errors.add_if(scopes.is_empty(), &path.key("scopes"), "must not be empty");
        for (n, scope) in scopes.iter().enumerate() {
            let wrong = scope.is_empty() || scope.contains([',', ' ']);
            errors.add_if(
                wrong,
                &path.key("scopes").index(n),
                "expected one scope, without commas or spaces",
            );
        }
    }
    place::url(&ims.token_url, allow_plain_http, &path.key("token_url"), errors);
}
