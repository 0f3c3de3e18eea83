//! Files that librdkafka reads for itself when a client is built: certificates, keys, tickets.

use std::path::Path;

use crate::model::file;
use crate::sink::SinkError;

/// How the names of properties end that name such a file.
const ENDINGS: [&str; 3] = [".location", ".keytab", ".file"];

/// Refuses a file that has no end: librdkafka would read it for ever, or wait for whoever writes to a pipe.
pub(super) fn only_ends(name: &str, value: &str) -> Result<(), SinkError> {
    if !ENDINGS.iter().any(|ending| name.ends_with(ending)) {
        return Ok(());
    }
    file::only_ends(Path::new(value))
        .map_err(|error| SinkError::Unusable(format!("kafka.properties.{name}: {value}: {error}")))
}
