//! What the sender did and what it was told, for people and for scripts.
//!
//! Invariant: each attempt is counted once, when its answer is there or will not come.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::latencies::Latencies;
use super::plan::Request;
use super::post::Answer;
use crate::airship::LogOptions;

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Requests that were begun, bad ones aside; number 0 to this, exclusive.
    pub begun: u64,
    /// Those of them that were acknowledged.
    pub acknowledged: u64,
    /// Events of these.
    pub events: u64,
    /// Requests that were refused for good, or tried for too long.
    pub given_up: u64,
    /// Answers by status, those to retries and repeats included.
    pub answers: BTreeMap<u16, u64>,
    /// Attempts without an answer.
    pub unanswered: u64,
    /// Attempts that followed an unanswered or refused one.
    pub retries: u64,
    /// Requests that were sent once more although they were acknowledged.
    pub repeats: u64,
    /// Requests whose body came slowly.
    pub slow: u64,
    /// The bad ones.
    pub bad: BadOnes,
    /// Half of the requests were answered with 2xx within so many milliseconds, slow ones aside.
    pub p50_ms: Option<f64>,
    /// The same of 99 %.
    pub p99_ms: Option<f64>,
    /// Since the start.
    pub seconds: f64,
    /// Of the events' log: `processed` of the first one, in milliseconds since 1970.
    pub epoch_ms: u64,
    /// Of the events' log: time between events, in microseconds.
    pub step_us: u64,
    /// Why the last attempt that failed did so.
    pub trouble: Option<String>,
}

/// Bad requests, each sent once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BadOnes {
    /// How many were sent.
    pub sent: u64,
    /// Answers by status.
    pub answers: BTreeMap<u16, u64>,
    /// Those that broke off, or that nobody answered.
    pub unanswered: u64,
}

/// Counts.
#[derive(Debug)]
pub(super) struct Tally {
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    report: Report,
    latencies: Latencies,
}

impl Tally {
    pub(super) fn new(log: &LogOptions) -> Self {
        let report = Report { epoch_ms: log.epoch_ms, step_us: log.step_us, ..Report::default() };
        Self { started: Instant::now(), state: Mutex::new(State { report, ..State::default() }) }
    }

    pub(super) fn begun(&self, request: &Request) {
        let mut state = self.state();
        state.report.begun += 1;
        state.report.slow += u64::from(request.is_slow);
    }

    /// A request was acknowledged; `took` where its time counts.
    pub(super) fn acknowledged(&self, request: &Request, answer: &Answer, took: Option<Duration>) {
        let mut state = self.state();
        state.report.answered(answer);
        state.report.acknowledged += 1;
        state.report.events += request.positions.end - request.positions.start;
        if let Some(took) = took {
            state.latencies.add(took);
        }
    }

    /// An attempt failed, and another one follows.
    pub(super) fn to_retry(&self, answer: &Answer) {
        let mut state = self.state();
        state.report.failed(answer);
        state.report.retries += 1;
    }

    /// An attempt failed, and no other one follows.
    pub(super) fn given_up(&self, answer: &Answer) {
        let mut state = self.state();
        state.report.failed(answer);
        state.report.given_up += 1;
    }

    pub(super) fn repeated(&self, answer: &Answer) {
        let mut state = self.state();
        state.report.answered(answer);
        state.report.repeats += 1;
    }

    pub(super) fn bad_one(&self, answer: &Answer) {
        let bad = &mut self.state().report.bad;
        bad.sent += 1;
        count(&mut bad.answers, &mut bad.unanswered, answer);
    }

    pub(super) fn report(&self) -> Report {
        let state = self.state();
        Report {
            p50_ms: state.latencies.at(0.5),
            p99_ms: state.latencies.at(0.99),
            seconds: self.started.elapsed().as_secs_f64(),
            ..state.report.clone()
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(answers: &mut BTreeMap<u16, u64>, unanswered: &mut u64, answer: &Answer) {
    match answer.status() {
        Some(status) => *answers.entry(status).or_default() += 1,
        None => *unanswered += 1,
    }
}

impl Report {
    /// Whether every request that was begun was acknowledged.
    pub fn is_complete(&self) -> bool {
        self.acknowledged == self.begun
    }

    /// The same as JSON, on one line.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// A line for who waits.
    pub fn progress(&self) -> String {
        let Self { begun, acknowledged, events, retries, .. } = self;
        let waiting = begun - acknowledged;
        let mut line = format!("{events} events in {acknowledged} requests acknowledged, {retries} retries");
        if let (1.., Some(trouble)) = (waiting, &self.trouble) {
            line += &format!("; {waiting} under way; the last failure: {trouble}");
        }
        line
    }

    fn answered(&mut self, answer: &Answer) {
        count(&mut self.answers, &mut self.unanswered, answer);
    }

    fn failed(&mut self, answer: &Answer) {
        self.answered(answer);
        self.trouble = Some(match answer {
            Answer::Status(status, to) => format!("{to} answered {status}"),
            Answer::None(why) => why.clone(),
        });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { begun, acknowledged, events, given_up, retries, repeats, slow, bad, .. } = self;
        let rate = |count: u64| if self.seconds > 0.0 { count as f64 / self.seconds } else { 0.0 };
        writeln!(f, "requests       {begun:>10}   {:.0} a second; {slow} of them slow", rate(*begun))?;
        writeln!(f, "acknowledged   {acknowledged:>10}   {events} events, {:.0} a second", rate(*events))?;
        writeln!(f, "given up       {given_up:>10}")?;
        writeln!(f, "retries        {retries:>10}")?;
        writeln!(f, "repeats        {repeats:>10}   sent once more although they were acknowledged")?;
        answers(f, "answers", &self.answers, self.unanswered)?;
        if bad.sent > 0 {
            writeln!(f, "bad ones       {:>10}", bad.sent)?;
            answers(f, "their answers", &bad.answers, bad.unanswered)?;
        }
        let ms = |time: Option<f64>| time.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        write!(f, "answer time    p50 {}, p99 {}", ms(self.p50_ms), ms(self.p99_ms))?;
        match &self.trouble {
            Some(trouble) if !self.is_complete() => write!(f, "\nthe last failure: {trouble}"),
            _ => Ok(()),
        }
    }
}

fn answers(f: &mut fmt::Formatter<'_>, name: &str, found: &BTreeMap<u16, u64>, none: u64) -> fmt::Result {
    let mut parts: Vec<String> = found.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    if none > 0 {
        parts.push(format!("none: {none}"));
    }
    writeln!(f, "{name:<15}{}", parts.join(", "))
}
