//! What Kafka says of topic names.

/// Longest topic name that Kafka accepts, bytes.
pub(crate) const MAX_TOPIC_LENGTH: usize = 249;

/// Whether Kafka itself uses names like this one.
pub(crate) fn is_internal(topic: &str) -> bool {
    topic.starts_with("__")
}

/// Whether a name may hold this.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Whether Kafka takes two names for one: it does not tell `.` from `_`, since its metrics cannot.
pub(crate) fn collide(one: &str, other: &str) -> bool {
    one.len() == other.len() && fold(one) == fold(other)
}

/// What is the same for all names that Kafka takes for one.
pub(crate) fn fold(name: &str) -> Vec<u8> {
    name.bytes().map(|byte| if byte == b'.' { b'_' } else { byte }).collect()
}
