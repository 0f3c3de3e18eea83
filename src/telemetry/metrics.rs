//! The metrics' registry. What the stages count brings its name and its help along; what is of the whole process has its own here.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::reloads::Reloads;
use crate::clock::now_ms;
use crate::model::figure::{Figure, Value};
use crate::output;
use crate::shard::readiness::{Readiness, View};
use crate::sink::kafka::reach::Reach;
use crate::supervisor::{AllFigures, ShardFigures};
use crate::{trace, webhook};

/// A registry with everything that the shards and the receiver count.
pub fn registry(
    figures: &AllFigures,
    reach: &Reach,
    webhook: Option<&webhook::Metrics>,
    process: &OfProcess,
) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Shards { figures: figures.clone(), reach: reach.clone() }));
    registry.register_collector(Box::new(Process { started_ms: now_ms() }));
    if let Some(webhook) = webhook {
        registry.register_collector(Box::new(Counted::Webhook(webhook.clone())));
    }
    registry.register_collector(Box::new(Counted::Process(process.clone())));
    registry
}

/// What the process counts beside its shards.
#[derive(Clone, Debug, Default)]
pub struct OfProcess {
    /// Of spans.
    pub traces: trace::Figures,
    /// Of reloads of the configuration.
    pub reloads: Reloads,
}

impl OfProcess {
    fn figures(&self) -> Vec<Figure> {
        self.traces.figures().into_iter().chain(self.reloads.figures()).collect()
    }
}

/// What is counted without a shard.
#[derive(Debug)]
enum Counted {
    Webhook(webhook::Metrics),
    Process(OfProcess),
}

impl Collector for Counted {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let figures = match self {
            Self::Webhook(metrics) => metrics.figures(),
            Self::Process(process) => process.figures(),
        };
        for Figure { name, help, unit, value } in figures {
            let mut rows = encoder.encode_descriptor(name, help, unit.as_ref(), type_of(&value))?;
            match value {
                Value::Counter(count) => ConstCounter::new(count).encode(rows)?,
                Value::Gauge(value) => ConstGauge::new(value).encode(rows)?,
                Value::Counters { label, counts } => {
                    for (value, count) in counts {
                        ConstCounter::new(count).encode(rows.encode_family(&[(label, value.as_ref())])?)?;
                    }
                }
                Value::Seconds(Some(seconds)) => ConstGauge::new(seconds).encode(rows)?,
                Value::Seconds(None) | Value::Histogram(_) => {}
            }
        }
        Ok(())
    }
}

/// Writes the shards' figures at each scrape, so that ages and lags are those of that moment.
#[derive(Debug)]
struct Shards {
    figures: AllFigures,
    reach: Reach,
}

type Labels = [(&'static str, String); 2];
type LabelsAnd = [(&'static str, String); 3];

impl Shards {
    /// What the stages count: a family at a time, as the format has it, with a row for each shard.
    fn counted(&self, all: &[ShardFigures], encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let now_ms = now_ms();
        let of = |figures: &ShardFigures| {
            let counted = figures.shard.figures(now_ms).into_iter();
            let mut counted: Vec<Figure> =
                counted.chain(figures.source.figures(now_ms)).chain(figures.kafka.figures()).collect();
            if !figures.shard.health.get().is_owned() {
                // How old things are where another instance has the shard is not known here.
                counted.iter_mut().for_each(forget_age);
            }
            (labels(figures), counted)
        };
        // Each shard has the same figures in the same order.
        let shards: Vec<(Labels, Vec<Figure>)> = all.iter().map(of).collect();
        let Some((_, families)) = shards.first() else { return Ok(()) };
        for (number, family) in families.iter().enumerate() {
            let Figure { name, help, unit, value } = family;
            let mut rows = encoder.encode_descriptor(name, help, unit.as_ref(), type_of(value))?;
            for (labels, figures) in &shards {
                if let Some(figure) = figures.get(number) {
                    encode(&mut rows, labels, &figure.value)?;
                }
            }
        }
        Ok(())
    }

    /// When each class of error was last seen.
    fn last_errors(all: &[ShardFigures], encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let help = "When an error of the class was last seen, seconds since 1970";
        let name = "tributary_last_error_timestamp";
        let mut rows = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for figures in all {
            let times = figures.source.errors.times().into_iter().chain(figures.shard.errors.times());
            for (class, at_ms) in times {
                let [stream, shard] = labels(figures);
                let labels: LabelsAnd = [stream, shard, ("class", class.to_owned())];
                ConstGauge::new(at_ms as f64 / 1000.0).encode(rows.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    /// Whether data can move, as `/ready` says it.
    fn readiness(&self, all: &[ShardFigures], encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let judge = |figures: &ShardFigures| View::of(&figures.shard, &figures.source, &self.reach).judge();
        let judged: Vec<(Labels, Readiness)> =
            all.iter().map(|figures| (labels(figures), judge(figures))).collect();
        let help = "1 while data can move through the shard, and the service has not been away for minutes";
        let mut ready = encoder.encode_descriptor("tributary_ready", help, None, MetricType::Gauge)?;
        for (labels, readiness) in &judged {
            ConstGauge::new(i64::from(readiness.ready)).encode(ready.encode_family(labels)?)?;
        }
        let help = "1 while the shard is this instance's to run";
        let mut owned = encoder.encode_descriptor("tributary_shard_owned", help, None, MetricType::Gauge)?;
        for figures in all {
            let is_owned = figures.shard.health.get().is_owned();
            ConstGauge::new(i64::from(is_owned)).encode(owned.encode_family(&labels(figures))?)?;
        }
        let help = "Age of the oldest line that is not committed";
        let name = "tributary_oldest_uncommitted";
        let mut age = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for (labels, readiness) in &judged {
            ConstGauge::new(readiness.uncommitted.as_secs_f64()).encode(age.encode_family(labels)?)?;
        }
        let help = "1 while Kafka answers what it is asked every few seconds";
        let answers = encoder.encode_descriptor("tributary_kafka_answers", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(self.reach.answers())).encode(answers)?;
        let help = "When the client certificate for Kafka expires, seconds since 1970";
        let name = "tributary_kafka_certificate_expiry_timestamp";
        let expiry = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        match self.reach.certificate_expires() {
            Some(at) => ConstGauge::new(at as f64).encode(expiry),
            None => Ok(()),
        }
    }
}

fn forget_age(figure: &mut Figure) {
    if let Value::Seconds(age) = &mut figure.value {
        *age = None;
    }
}

fn type_of(value: &Value) -> MetricType {
    match value {
        Value::Counter(_) | Value::Counters { .. } => MetricType::Counter,
        Value::Gauge(_) | Value::Seconds(_) => MetricType::Gauge,
        Value::Histogram(_) => MetricType::Histogram,
    }
}

fn encode(rows: &mut MetricEncoder<'_>, labels: &Labels, value: &Value) -> std::fmt::Result {
    match value {
        Value::Counter(count) => ConstCounter::new(*count).encode(rows.encode_family(labels)?),
        Value::Counters { label, counts } => {
            for (value, count) in counts {
                let [stream, shard] = labels.clone();
                let labels: LabelsAnd = [stream, shard, (label, value.to_string())];
                ConstCounter::new(*count).encode(rows.encode_family(&labels)?)?;
            }
            Ok(())
        }
        Value::Gauge(value) => ConstGauge::new(*value).encode(rows.encode_family(labels)?),
        Value::Seconds(Some(seconds)) => ConstGauge::new(*seconds).encode(rows.encode_family(labels)?),
        Value::Seconds(None) => Ok(()),
        Value::Histogram(histogram) => histogram.encode(rows.encode_family(labels)?),
    }
}

impl Collector for Shards {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let all = self.figures.get();
        self.counted(&all, &mut encoder)?;
        Self::last_errors(&all, &mut encoder)?;
        self.readiness(&all, &mut encoder)
    }
}

/// What is of the whole process.
#[derive(Debug)]
struct Process {
    /// When its metrics began, milliseconds since the Unix epoch.
    started_ms: i64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let help = "Lines that standard error did not take";
        let dropped =
            encoder.encode_descriptor("tributary_log_lines_dropped", help, None, MetricType::Counter)?;
        ConstCounter::new(output::dropped_lines()).encode(dropped)?;
        let (name, help) = ("tributary_process_start_time", "When the process began, seconds since 1970");
        let started = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        ConstGauge::new(self.started_ms as f64 / 1000.0).encode(started)
    }
}

fn labels(figures: &ShardFigures) -> Labels {
    [("stream", figures.id.stream.to_string()), ("shard", figures.id.index.to_string())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::types::ShardId;
    use crate::sink::SinkError;
    use crate::source::failure::Class;

    #[test]
    fn the_exposition_names_each_family_once_with_its_unit() {
        let figures = |index| ShardFigures {
            id: ShardId { stream: "mobile".into(), index },
            source: Default::default(),
            shard: crate::shard::metrics::Metrics::new(&["bot".into()]),
            kafka: Default::default(),
        };
        let both = [figures(0), figures(1)];
        both[1].shard.delivered.inc_by(7);
        both[1].source.count_reconnect(Class::Network);
        let (reason, code) = ("no key".into(), "invalid_record".into());
        both[1].shard.failed(&SinkError::Undelivered { reason, code, reopen: false });
        both[1].source.failed(Class::Unauthorized, "401".into(), 1_764_073_921_500);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(
            &mut text,
            &registry(&AllFigures::new(&both), &Reach::default(), None, &OfProcess::default()),
        )
        .unwrap();
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
            "tributary_kafka_answers 0",
            "tributary_last_error_timestamp_seconds{stream=\"mobile\",shard=\"1\",class=\"unauthorized\"} 1764073921.5",
            "tributary_last_error_timestamp_seconds{stream=\"mobile\",shard=\"1\",class=\"undelivered\"} ",
            "tributary_transaction_partitions_count{stream=\"mobile\",shard=\"1\"} 0",
            "# TYPE tributary_commit_duration_seconds histogram",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        let started =
            text.lines().find_map(|line| line.strip_prefix("tributary_process_start_time_seconds "));
        let age = now_ms() as f64 / 1000.0 - started.unwrap().parse::<f64>().unwrap();
        assert!((0.0..600.0).contains(&age), "began {age} s ago");
        assert!(!text.contains("tributary_stream_lag_seconds{"), "no lag before the first event");
        let mut families: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let count = families.len();
        families.dedup();
        assert_eq!(families.len(), count);
    }
}
