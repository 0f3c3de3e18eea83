//! What is printed.

use crate::arrival::Latencies;
use crate::running::median;
use crate::sender::{Job, Summary};

/// One round.
pub(crate) struct Row {
    pub(crate) job: Job,
    pub(crate) redacts: bool,
    pub(crate) summary: Summary,
    pub(crate) arrival: Option<Latencies>,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_mib: f64,
    pub(crate) threads: Vec<(String, f64)>,
}

/// The columns.
pub(crate) fn head() {
    println!(
        "batch  redaction  requests/s  events/s  retries  answer ms: p50     p99  arrival ms: p50     p99  CPU s/M  peak MiB"
    );
}

impl Row {
    /// Its line, and its threads.
    pub(crate) fn print(&self) {
        let Summary { begun, events, retries, p50_ms, p99_ms, seconds, .. } = &self.summary;
        let arrival = self.arrival.as_ref();
        let arrival = arrival.map_or(format!("{:>16}  {:>6}", "-", "-"), |Latencies { p50, p99 }| {
            format!("{p50:>16.1}  {p99:>6.1}")
        });
        println!(
            "{:>5}  {:<9}  {:>10.0}  {:>8.0}  {retries:>7}  {p50_ms:>14.1}  {p99_ms:>6.1}  {arrival}  {:>7.2}  {:>8.1}",
            self.job.batch,
            if self.redacts { "3 fields" } else { "none" },
            *begun as f64 / seconds,
            *events as f64 / seconds,
            self.cpu_per_million(),
            self.peak_mib,
        );
        let threads: Vec<_> =
            self.threads.iter().map(|(name, seconds)| format!("{name} {seconds:.2}")).collect();
        println!("           threads, CPU s: {}", threads.join(", "));
    }

    fn cpu_per_million(&self) -> f64 {
        self.cpu_seconds / self.summary.events as f64 * 1e6
    }
}

/// What redaction costs, from the rows without and with it.
pub(crate) fn redaction(batch: u64, [without, with]: &[Vec<Row>; 2]) {
    let cpu = |rows: &[Row]| median(rows.iter().map(Row::cpu_per_million));
    let (without, with) = (cpu(without), cpu(with));
    println!(
        "median: batch {batch}: {without:.2} CPU s/M, with redaction {with:.2}, {:+.1} %",
        (with / without - 1.0) * 100.0
    );
}
