//! What a log of hits consists of: everything about a hit follows from this and its number.

/// 2026-06-15, the day of the documents' examples.
pub const DEFAULT_EPOCH_MS: u64 = 1_781_512_800_000;

/// What a log consists of.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LogOptions {
    /// Different seeds give different ids.
    pub seed: u64,
    /// Hits in the log.
    pub events: u64,
    /// Visitors that make them; at least 1.
    pub visitors: u64,
    /// Groups of visitors, which never come over two connections at a time; at least 1.
    pub partitions: u64,
    /// When hit 0 was received, in milliseconds since 1970.
    pub epoch_ms: u64,
    /// Time between hits, in microseconds.
    pub step_us: u64,
    /// No ids as strings or negative numbers.
    pub plain_ids: bool,
    /// Visitor ids of 1 to 2^63 - 1 in both halves, and no hit without one.
    #[serde(default)]
    pub long_ids: bool,
    /// No records as of 2017, cut characters, missing ids or nulls; and every value of its documented type.
    pub plain_shapes: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            events: 1_000_000,
            visitors: 10_000,
            partitions: 16,
            epoch_ms: DEFAULT_EPOCH_MS,
            step_us: 1_000,
            plain_ids: false,
            long_ids: false,
            plain_shapes: false,
        }
    }
}
