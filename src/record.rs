//! Line to record: id, key, type, times and offset in one pass over the raw bytes.

/// Which JSON fields to take. Paths are dotted member names, such as `device.channel`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The id's field.
    pub id: String,
    /// Candidates for the key, first present and non-empty wins.
    pub key: Vec<String>,
    /// The event type's field.
    pub event_type: String,
    /// When it happened.
    pub occurred: String,
    /// When the service processed it.
    pub processed: String,
    /// The position's field.
    pub offset: String,
}
