//! A figure as it is shown: its name and its help stand beside the counter, in the module that counts.

use std::borrow::Cow;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

/// One figure of a shard at this moment.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Without the endings that its type and its unit give it.
    pub name: &'static str,
    /// What it says, on one line.
    pub help: &'static str,
    /// Of a figure that has one; it is part of the shown name.
    pub unit: Option<Unit>,
    /// What it is.
    pub value: Value,
}

/// The value of a figure.
#[derive(Clone, Debug)]
pub enum Value {
    /// It only grows.
    Counter(u64),
    /// The same by one label.
    Counters {
        /// The label's name.
        label: &'static str,
        /// Its values, and how many of each.
        counts: Vec<(Cow<'static, str>, u64)>,
    },
    /// It rises and falls.
    Gauge(i64),
    /// The same as a number of seconds; `None` while there is nothing to measure from.
    Seconds(Option<f64>),
    /// How its values are spread.
    Histogram(Histogram),
}

impl Figure {
    /// What only grows.
    pub fn counter(name: &'static str, help: &'static str, counter: &Counter) -> Self {
        Self { name, help, unit: None, value: Value::Counter(counter.get()) }
    }

    /// What only grows, by one label.
    pub fn counters<V: Into<Cow<'static, str>>>(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        counts: impl IntoIterator<Item = (V, u64)>,
    ) -> Self {
        let counts = counts.into_iter().map(|(value, count)| (value.into(), count)).collect();
        Self { name, help, unit: None, value: Value::Counters { label, counts } }
    }

    /// What rises and falls.
    pub fn gauge(name: &'static str, help: &'static str, value: i64) -> Self {
        Self { name, help, unit: None, value: Value::Gauge(value) }
    }

    /// Bytes that are held at this moment.
    pub fn bytes(name: &'static str, help: &'static str, gauge: &Gauge) -> Self {
        Self { unit: Some(Unit::Bytes), ..Self::gauge(name, help, gauge.get()) }
    }

    /// How long ago something was, seconds, by two times in milliseconds since the Unix epoch. It is absent while that never
    /// was, as `since_ms` = 0 says.
    pub fn age(name: &'static str, help: &'static str, since_ms: i64, now_ms: i64) -> Self {
        let age = (since_ms > 0).then(|| (now_ms - since_ms).max(0) as f64 / 1000.0);
        Self { name, help, unit: Some(Unit::Seconds), value: Value::Seconds(age) }
    }

    /// When something is, seconds since the Unix epoch; absent while nobody knows.
    pub fn timestamp(name: &'static str, help: &'static str, at: Option<i64>) -> Self {
        let value = Value::Seconds(at.map(|at| at as f64));
        Self { name, help, unit: Some(Unit::Seconds), value }
    }

    /// How values are spread.
    pub fn histogram(
        name: &'static str,
        help: &'static str,
        unit: Option<Unit>,
        histogram: &Histogram,
    ) -> Self {
        Self { name, help, unit, value: Value::Histogram(histogram.clone()) }
    }
}
