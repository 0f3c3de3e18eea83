//! What is printed.

use std::time::Duration;

use crate::running::median;

/// One round.
pub(crate) struct Row {
    pub(crate) events: u64,
    pub(crate) seconds: f64,
    /// Of `seconds`: those of the first commit came before it.
    pub(crate) events_in_seconds: u64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_mib: f64,
    pub(crate) first_commit: Option<Duration>,
    pub(crate) commits: Commits,
    pub(crate) threads: Vec<(String, f64)>,
}

/// The connector's histogram of commits.
#[derive(Default)]
pub(crate) struct Commits {
    count: f64,
    sum: f64,
    /// Upper bounds, seconds, with how many were at most that.
    buckets: Vec<(f64, f64)>,
}

impl Commits {
    /// From a page of metrics.
    pub(crate) fn parse(page: &str) -> Self {
        const NAME: &str = "tributary_commit_duration_seconds";
        let buckets = page.lines().filter(|line| line.starts_with(&format!("{NAME}_bucket")));
        let bucket = |line: &str| {
            let bound = line.split_once("le=\"")?.1.split_once('"')?.0;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            Some((bound, line.rsplit_once(' ')?.1.parse().ok()?))
        };
        Self {
            count: sample(page, &format!("{NAME}_count")).unwrap_or_default(),
            sum: sample(page, &format!("{NAME}_sum")).unwrap_or_default(),
            buckets: buckets.filter_map(bucket).collect(),
        }
    }

    /// The bound of the bucket in which a share of all commits ends, milliseconds.
    fn at_most_ms(&self, share: f64) -> f64 {
        let bucket = self.buckets.iter().find(|(_, count)| *count >= share * self.count);
        bucket.map_or(f64::NAN, |(bound, _)| bound * 1000.0)
    }
}

/// The columns.
pub(crate) fn head() {
    println!("            events/s  CPU s/M  peak MiB  first commit  commits  mean ms  p50 ms  p99 ms");
}

impl Row {
    /// Its line, and its threads.
    pub(crate) fn print(&self, name: &str) {
        let commits = match self.commits.count {
            0.0 => String::from("      -        -       -       -"),
            count => format!(
                "{count:>7}  {:>7.1}   <={:>3}   <={:>3}",
                self.commits.sum / count * 1000.0,
                self.commits.at_most_ms(0.5),
                self.commits.at_most_ms(0.99)
            ),
        };
        println!(
            "{name:<12} {:>7.0}  {:>7.2}  {:>8.1}  {:>9} ms  {commits}",
            self.events_a_second(),
            self.cpu_per_million(),
            self.peak_mib,
            self.first_commit.map_or(0, |time| time.as_millis()),
        );
        let threads: Vec<_> =
            self.threads.iter().map(|(name, seconds)| format!("{name} {seconds:.2}")).collect();
        println!("           threads, CPU s: {}", threads.join(", "));
    }

    fn events_a_second(&self) -> f64 {
        self.events_in_seconds as f64 / self.seconds
    }

    fn cpu_per_million(&self) -> f64 {
        self.cpu_seconds / self.events as f64 * 1e6
    }
}

/// The medians of one program.
pub(crate) fn median_of(name: &str, rows: &[Row]) {
    let cpu = median(rows.iter().map(Row::cpu_per_million));
    println!(
        "median: {name} {cpu:.2} CPU s/M, {:.0} events/s",
        median(rows.iter().map(Row::events_a_second))
    );
}

/// Medians, and the ratio of the two programs.
pub(crate) fn summary(name: &str, ours: &[Row], floors: &[Row]) {
    let cpu = |rows: &[Row]| median(rows.iter().map(Row::cpu_per_million));
    let rate = |rows: &[Row]| median(rows.iter().map(Row::events_a_second));
    median_of(name, ours);
    if !floors.is_empty() {
        let ratio = cpu(ours) / cpu(floors);
        println!(
            "median: floor {:.2} CPU s/M, {:.0} events/s; CPU ratio {ratio:.2}",
            cpu(floors),
            rate(floors)
        );
    }
}

/// The value of the first sample of that name.
pub(crate) fn sample(page: &str, name: &str) -> Option<f64> {
    let line = page.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')))?;
    line.rsplit_once(' ')?.1.parse().ok()
}
