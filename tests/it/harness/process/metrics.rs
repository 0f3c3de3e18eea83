//! A page of metrics in the text format of Prometheus or OpenMetrics, taken apart as far as tests need it.

use std::collections::BTreeMap;

/// Each sample under its name with labels, as on the page: `name{label="value"}`.
#[derive(Debug)]
pub(crate) struct Metrics {
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    /// Panics on a line that is none of the format.
    #[track_caller]
    pub(super) fn parse(page: &str) -> Self {
        let lines = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}"))).collect();
        Self { samples }
    }

    /// The sample of exactly that name and labels.
    pub(crate) fn get(&self, name_and_labels: &str) -> Option<f64> {
        self.samples.get(name_and_labels).copied()
    }

    /// The sum over all samples of that name whose labels contain each of `labels` (`stream="mobile"`); zero if none.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let matches = |key: &str| {
            let (own, rest) = key.split_once('{').unwrap_or((key, ""));
            own == name && labels.iter().all(|label| rest.contains(label))
        };
        self.samples.iter().filter(|(key, _)| matches(key)).map(|(_, value)| value).sum()
    }
}

fn sample(line: &str) -> Option<(String, f64)> {
    // An exemplar may follow, with braces of its own.
    let line = line.split(" # ").next()?;
    let end = line.rfind('}').map_or_else(|| line.find(' '), |brace| Some(brace + 1))?;
    let (key, rest) = line.split_at(end);
    // A timestamp may follow the value.
    Some((key.to_owned(), rest.split_whitespace().next()?.parse().ok()?))
}
