//! The wall clock, in the unit that everything is dated with.

use tokio::time::Instant;

/// When a moment of this process was, nanoseconds since the Unix epoch: for spans.
pub(crate) fn ns_at(at: Instant) -> u64 {
    let now = jiff::Timestamp::now().as_nanosecond();
    let ago = i128::try_from(at.elapsed().as_nanos()).unwrap_or(0);
    u64::try_from(now - ago).unwrap_or(0)
}

/// Milliseconds since the Unix epoch.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Milliseconds since the Unix epoch, by a clock that tests can put wrong.
#[cfg(feature = "failpoints")]
pub(crate) fn now_ms() -> i64 {
    /// By how much, milliseconds.
    const VARIABLE: &str = "TRIBUTARY_FAILPOINT_CLOCK_MS";
    static OFFSET_MS: std::sync::LazyLock<i64> = std::sync::LazyLock::new(|| {
        std::env::var(VARIABLE).ok().and_then(|offset| offset.parse().ok()).unwrap_or_default()
    });
    jiff::Timestamp::now().as_millisecond().saturating_add(*OFFSET_MS)
}
