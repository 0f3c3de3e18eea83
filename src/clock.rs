//! The wall clock, in the unit that everything is dated with.

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
