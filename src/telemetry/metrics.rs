//! The metrics' registry. Knows the stages' metrics, nothing else of them.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::clock::now_ms;
use crate::model::types::{DeadLetterReason, FilterReason};
use crate::output;
use crate::shard::metrics::{Gap, REPLAY_OUTCOMES};
use crate::shard::readiness::{Readiness, View};
use crate::sink::kafka::reach::Reach;
use crate::source::failure::Class;
use crate::source::metrics::ConnectionState;
use crate::supervisor::ShardFigures;

/// A registry with everything that the shards count.
pub fn registry(figures: &[ShardFigures], reach: &Reach) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Shards { figures: figures.to_vec(), reach: reach.clone() }));
    registry
}

/// Writes the shards' figures at each scrape, so that ages and lags are those of that moment.
#[derive(Debug)]
struct Shards {
    figures: Vec<ShardFigures>,
    reach: Reach,
}

type Labels = [(&'static str, String); 2];
type LabelsAnd = [(&'static str, String); 3];

impl Shards {
    fn each<'m, M: EncodeMetric + 'm>(
        &'m self,
        mut encoder: MetricEncoder<'_>,
        of: impl Fn(&'m ShardFigures) -> Option<M>,
    ) -> std::fmt::Result {
        for figures in &self.figures {
            if let Some(metric) = of(figures) {
                metric.encode(encoder.encode_family(&labels(figures))?)?;
            }
        }
        Ok(())
    }

    fn counters(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        type Of = fn(&ShardFigures) -> &Counter;
        let counters: [(&str, &str, Of); 11] = [
            ("tributary_events_received", "Lines committed, of whatever kind", |f| &f.shard.received),
            ("tributary_events_delivered", "Events committed to their topics", |f| &f.shard.delivered),
            ("tributary_duplicates_dropped", "Events dropped since their id was known", |f| {
                &f.shard.duplicates
            }),
            ("tributary_commits", "Batches committed", |f| &f.shard.commits),
            ("tributary_write_failures", "Writes that failed and were tried again", |f| {
                &f.shard.write_failures
            }),
            ("tributary_shard_restarts", "Times that a shard ended unasked and was opened again", |f| {
                &f.shard.restarts
            }),
            ("tributary_events_without_position", "Lines without an offset that can be sent back", |f| {
                &f.shard.unplaced
            }),
            (
                "tributary_id_journal_gaps",
                "Openings at which ids were missing from the journal that repeats are known by",
                |f| &f.shard.journal_gaps,
            ),
            ("tributary_replays", "Times that everything held was read again", |f| &f.shard.replays),
            (
                "tributary_positions_abandoned",
                "Positions that the service refused and that were given up",
                |f| &f.source.positions_abandoned,
            ),
            ("tributary_received_bytes", "Bytes received from the service, compressed", |f| &f.source.bytes),
        ];
        for (name, help, of) in counters {
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            self.each(encoder, |figures| Some(ConstCounter::new(of(figures).get())))?;
        }
        self.classified(
            encoder,
            "tributary_dead_letters",
            "Lines written to the dead-letter topic",
            |figures| {
                DeadLetterReason::ALL
                    .iter()
                    .zip(&figures.shard.dead_letters)
                    .map(|(reason, counter)| ("reason", reason.name(), counter.get()))
                    .collect()
            },
        )?;
        self.classified(encoder, "tributary_replay_events", "Events that replays brought", |figures| {
            REPLAY_OUTCOMES
                .iter()
                .zip(&figures.shard.replayed)
                .map(|(outcome, counter)| ("outcome", *outcome, counter.get()))
                .collect()
        })?;
        self.classified(encoder, "tributary_possible_gaps", "Times that events may be missing", |figures| {
            let counts = Gap::ALL.iter().zip(&figures.shard.possible_gaps);
            counts.map(|(gap, counter)| ("reason", gap.name(), counter.get())).collect()
        })?;
        self.classified(encoder, "tributary_events_filtered", "Events left out by `drop`", |figures| {
            let counts = FilterReason::ALL.iter().zip(&figures.shard.filtered);
            counts.map(|(drop, counter)| ("reason", drop.name(), counter.get())).collect()
        })?;
        self.classified(encoder, "tributary_reconnects", "Connections that ended or failed", |figures| {
            Class::ALL
                .iter()
                .zip(&figures.source.reconnects)
                .map(|(class, counter)| ("class", class.name(), counter.get()))
                .collect()
        })
    }

    fn failure_codes(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let help = "Writes that failed, by what Kafka or its client called it";
        let name = "tributary_write_failure_codes";
        let mut encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for figures in &self.figures {
            for (code, count) in figures.shard.failure_codes.all() {
                let [stream, shard] = labels(figures);
                let labels: LabelsAnd = [stream, shard, ("code", code)];
                ConstCounter::new(count).encode(encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn classified(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        of: impl Fn(&ShardFigures) -> Vec<(&'static str, &'static str, u64)>,
    ) -> std::fmt::Result {
        let mut encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for figures in &self.figures {
            for (label, value, count) in of(figures) {
                let [stream, shard] = labels(figures);
                let labels: LabelsAnd = [stream, shard, (label, value.to_owned())];
                ConstCounter::new(count).encode(encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn gauges(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let now_ms = now_ms();
        // Absent until there is something to measure from.
        let age = |since_ms: i64| {
            (since_ms > 0).then(|| ConstGauge::new((now_ms - since_ms).max(0) as f64 / 1000.0))
        };
        let lag = "Now minus the processing time of the last committed event";
        let lag = encoder.encode_descriptor(
            "tributary_stream_lag",
            lag,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        self.each(lag, |figures| age(figures.shard.last_processed_ms()))?;
        let silence = "Since the last byte from the service";
        let silence = encoder.encode_descriptor(
            "tributary_last_byte_age",
            silence,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        self.each(silence, |figures| age(figures.source.last_byte_ms()))?;
        let checkpoint = "Since the last checkpoint was committed";
        let checkpoint = encoder.encode_descriptor(
            "tributary_checkpoint_age",
            checkpoint,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        self.each(checkpoint, |figures| age(figures.shard.last_commit_ms()))?;
        let queue = "Lines that wait for the shard";
        let queue =
            encoder.encode_descriptor("tributary_queue", queue, Some(&Unit::Bytes), MetricType::Gauge)?;
        self.each(queue, |figures| Some(ConstGauge::new(figures.shard.queue_bytes.get())))?;
        let open = "Connections that are open";
        let open = encoder.encode_descriptor("tributary_connections_open", open, None, MetricType::Gauge)?;
        self.each(open, |figures| Some(ConstGauge::new(figures.source.connections.get())))?;
        let connected = "1 while the stream is open";
        let connected =
            encoder.encode_descriptor("tributary_connected", connected, None, MetricType::Gauge)?;
        self.each(connected, |figures| {
            Some(ConstGauge::new(i64::from(figures.source.state() == ConnectionState::Connected)))
        })
    }

    /// Whether data can move, as `/ready` says it.
    fn readiness(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let judge = |figures: &ShardFigures| View::of(&figures.shard, &figures.source, &self.reach).judge();
        let judged: Vec<(Labels, Readiness)> =
            self.figures.iter().map(|figures| (labels(figures), judge(figures))).collect();
        let help = "1 while data can move through the shard, and the service has not been away for minutes";
        let mut ready = encoder.encode_descriptor("tributary_ready", help, None, MetricType::Gauge)?;
        for (labels, readiness) in &judged {
            ConstGauge::new(i64::from(readiness.ready)).encode(ready.encode_family(labels)?)?;
        }
        let help = "Age of the oldest line that is not committed";
        let name = "tributary_oldest_uncommitted";
        let mut age = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for (labels, readiness) in &judged {
            ConstGauge::new(readiness.uncommitted.as_secs_f64()).encode(age.encode_family(labels)?)?;
        }
        let help = "1 while Kafka answers what it is asked every few seconds";
        let answers = encoder.encode_descriptor("tributary_kafka_answers", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(self.reach.trouble().is_none())).encode(answers)
    }

    fn histograms(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let help = "From the closing of a batch to its known commit";
        let commit = encoder.encode_descriptor(
            "tributary_commit_duration",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        self.each(commit, |figures| Some(figures.shard.commit_seconds.clone()))?;
        let events = encoder.encode_descriptor(
            "tributary_batch_events",
            "Records of a batch",
            None,
            MetricType::Histogram,
        )?;
        self.each(events, |figures| Some(figures.shard.batch_events.clone()))?;
        let bytes = encoder.encode_descriptor(
            "tributary_batch",
            "Lines of a batch",
            Some(&Unit::Bytes),
            MetricType::Histogram,
        )?;
        self.each(bytes, |figures| Some(figures.shard.batch_bytes.clone()))
    }
}

impl Collector for Shards {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        self.counters(&mut encoder)?;
        log_lines(&mut encoder)?;
        self.failure_codes(&mut encoder)?;
        self.gauges(&mut encoder)?;
        self.readiness(&mut encoder)?;
        self.histograms(&mut encoder)
    }
}

/// Those of the whole process.
fn log_lines(encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
    let help = "Lines that standard error did not take";
    let dropped =
        encoder.encode_descriptor("tributary_log_lines_dropped", help, None, MetricType::Counter)?;
    ConstCounter::new(output::dropped_lines()).encode(dropped)
}

fn labels(figures: &ShardFigures) -> Labels {
    [("stream", figures.id.stream.to_string()), ("shard", figures.id.index.to_string())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::types::ShardId;

    #[test]
    fn the_exposition_names_each_family_once_with_its_unit() {
        let figures = |index| ShardFigures {
            id: ShardId { stream: "mobile".into(), index },
            source: Default::default(),
            shard: Default::default(),
        };
        let both = [figures(0), figures(1)];
        both[1].shard.delivered.inc_by(7);
        both[1].source.count_reconnect(Class::Network);
        both[1].shard.failed("invalid_record", "no key");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry(&both, &Reach::default())).unwrap();
        for line in [
            "tributary_events_delivered_total{stream=\"mobile\",shard=\"1\"} 7",
            "tributary_reconnects_total{stream=\"mobile\",shard=\"1\",class=\"network\"} 1",
            "tributary_dead_letters_total{stream=\"mobile\",shard=\"0\",reason=\"no_id\"} 0",
            "tributary_events_filtered_total{stream=\"mobile\",shard=\"0\",reason=\"bot\"} 0",
            "tributary_log_lines_dropped_total 0",
            "tributary_possible_gaps_total{stream=\"mobile\",shard=\"0\",reason=\"silence\"} 0",
            "tributary_write_failures_total{stream=\"mobile\",shard=\"1\"} 1",
            "tributary_write_failure_codes_total{stream=\"mobile\",shard=\"1\",code=\"invalid_record\"} 1",
            "tributary_queue_bytes{stream=\"mobile\",shard=\"0\"} 0",
            "tributary_ready{stream=\"mobile\",shard=\"1\"} 0",
            "tributary_oldest_uncommitted_seconds{stream=\"mobile\",shard=\"1\"} 0.0",
            "tributary_kafka_answers 1",
            "# TYPE tributary_commit_duration_seconds histogram",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("tributary_stream_lag_seconds{"), "no lag before the first event");
        let mut families: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let count = families.len();
        families.dedup();
        assert_eq!(families.len(), count);
    }
}
