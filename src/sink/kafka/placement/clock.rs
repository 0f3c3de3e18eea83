//! How this machine's clock differs from the brokers', as far as an announcement shows it.

use tracing::{error, info, warn};

/// A difference up to here is nobody's trouble.
pub(in crate::sink::kafka) const TOLERATED_MS: i64 = 60_000;

/// How far ahead a record's time may be until a broker refuses it (`message.timestamp.after.max.ms` of Kafka).
const REFUSED_MS: i64 = 3_600_000;

/// How far our clock is ahead of the broker's, milliseconds, if a record was appended `at_ms` by the broker's clock and between
/// `began_ms` and `written_ms` by ours; negative if it is behind.
pub(super) fn ahead_ms(began_ms: i64, written_ms: i64, at_ms: i64) -> i64 {
    if at_ms < began_ms { began_ms.saturating_sub(at_ms) } else { written_ms.saturating_sub(at_ms).min(0) }
}

/// Says so where it matters: what has no time of its own is dated by our clock, and nothing is dated later than that.
pub(super) fn report(ahead_ms: i64) {
    if ahead_ms.abs() <= TOLERATED_MS {
        return;
    }
    let ahead_s = ahead_ms / 1000;
    if ahead_ms > REFUSED_MS {
        error!(
            ahead_s,
            "this machine's clock is ahead of Kafka's by more than brokers accept: they refuse what is dated by it (dead \
             letters, events without a time); set the clock of this machine or of the brokers"
        );
    } else {
        warn!(
            ahead_s,
            "this machine's clock differs from Kafka's (negative: it is behind): records that are dated by it have a wrong \
             time; set the clock of this machine or of the brokers"
        );
    }
}

/// Says that the clocks could not be compared, and what would let them be: the topic was made beforehand without it.
pub(super) fn report_unknown(topic: &str) {
    info!(
        topic,
        "this machine's clock cannot be compared with Kafka's, since the topic keeps the writers' times; kafka-configs.sh \
         --alter --topic {topic} --add-config message.timestamp.type=LogAppendTime changes that"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_writing_cannot_explain_is_a_difference() {
        for (at_ms, ahead) in [(1_000, 0), (1_500, 0), (2_000, 0), (700, 300), (2_600, -600)] {
            assert_eq!(ahead_ms(1_000, 2_000, at_ms), ahead, "{at_ms}");
        }
        assert_eq!(ahead_ms(i64::MAX, i64::MAX, i64::MIN), i64::MAX);
    }
}
