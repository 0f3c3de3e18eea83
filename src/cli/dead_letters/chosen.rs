//! Which dead letters are meant: their stream, reason and time.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::model::types::DeadLetterReason;
use crate::sink::kafka::readback::Letter;

/// Which dead letters.
#[derive(Debug, Args)]
pub(super) struct Chosen {
    /// Those of this stream
    #[arg(long)]
    pub(super) stream: Option<String>,
    /// Those with this reason: `not_an_object`, `no_id`, `line_too_long`, `too_large_for_topic`, `unroutable`, `too_many_topics` or
    /// `refused_by_topic`
    #[arg(long, value_parser = reason)]
    pub(super) reason: Option<DeadLetterReason>,
    /// Those written since then: a time as in 2026-11-26T08:00:00Z, or how long ago, as in 2h. Without it the whole topic is read
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<When>,
    /// Those written before then, in the same forms
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<When>,
}

impl Chosen {
    /// Whether a dead letter is one of them; the times are those of `since` and `until`, milliseconds since the Unix epoch.
    pub(super) fn takes(&self, letter: &Letter<'_>, since: Option<i64>, until: Option<i64>) -> bool {
        self.stream.as_ref().is_none_or(|stream| letter.header("tributary-stream") == **stream)
            && self.reason.is_none_or(|reason| letter.header("tributary-reason") == reason.name())
            && since.is_none_or(|since| letter.timestamp_ms >= since)
            && until.is_none_or(|until| letter.timestamp_ms < until)
    }
}

/// A time, or how long ago.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    At(i64),
    Ago(Duration),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::At(time.as_millisecond()));
        }
        humantime::parse_duration(text).map(Self::Ago).map_err(|_| {
            format!(
                "expected a time as in 2026-11-26T08:00:00Z, or how long ago as in 90m or 2d, not {text:?}"
            )
        })
    }
}

impl When {
    /// As milliseconds since the Unix epoch.
    pub(super) fn millis(self, now_ms: i64) -> i64 {
        match self {
            Self::At(ms) => ms,
            Self::Ago(ago) => now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

/// A reason by its name.
pub(super) fn reason(name: &str) -> Result<DeadLetterReason, String> {
    let found = DeadLetterReason::ALL.into_iter().find(|reason| reason.name() == name);
    found.ok_or_else(|| {
        let known = DeadLetterReason::ALL.map(DeadLetterReason::name);
        format!("there is no reason {name:?}; there are: {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_or_so_long_ago() {
        let millis = |text: &str| text.parse::<When>().map(|when| when.millis(10_000_000));
        assert_eq!(millis("1970-01-01T00:00:05Z"), Ok(5_000));
        assert_eq!(millis("2h"), Ok(10_000_000 - 7_200_000));
        assert!(millis("yesterday").unwrap_err().contains("how long ago"));
    }
}
