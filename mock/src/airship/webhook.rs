//! Airship's other integration: a sender that pushes events to an address, and does what senders may do.
//!
//! Invariants:
//! - Requests are begun in the order of their numbers, each when it is due, and at most `parallel` of them are under way.
//! - A request counts as acknowledged by an answer of 2xx to its whole body, and by nothing else.
//! - What is sent follows from the settings and the number of the request (`Plan`); what is answered does not change it.

mod config;
mod latencies;
mod plan;
mod post;
mod tally;

pub use config::{Config, Secret};
pub use tally::{BadOnes, Report};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Log;
use plan::{Bad, Plan, Request};
use post::{Pace, Post, Postman};
use tally::Tally;

/// Why nothing can be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A setting is wrong. No secret stands in the text.
    Setting(String),
    /// There is no client that could send.
    Client(reqwest::Error),
}

/// A sender. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Sender {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    plan: Plan,
    postman: Postman,
    tally: Tally,
    parallel: u64,
    started: Instant,
    /// The number of the request that is begun next.
    next: Mutex<u64>,
    is_stopped: AtomicBool,
    stopped: Notify,
}

/// What follows from an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// Everything is stored.
    Stored,
    /// It may be otherwise next time.
    Again,
    /// It will not be otherwise next time.
    Refused,
}

impl Sender {
    /// A sender that is yet to [`run`](Self::run). Its events, and when they are due, count from now.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let plan = Plan::new(config);
        let postman = Postman::new(config)?;
        let tally = Tally::new(plan.log().options());
        let shared = Shared {
            plan,
            postman,
            tally,
            parallel: config.parallel,
            started: Instant::now(),
            next: Mutex::new(0),
            is_stopped: AtomicBool::new(false),
            stopped: Notify::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The events that it sends, for verifiers.
    pub fn log(&self) -> &Log {
        self.shared.plan.log()
    }

    /// What happened so far.
    pub fn report(&self) -> Report {
        self.shared.tally.report()
    }

    /// Begins no more requests. Those that have begun are tried until they are acknowledged or given up.
    pub fn stop(&self) {
        self.shared.is_stopped.store(true, Ordering::Release);
        self.shared.stopped.notify_waiters();
    }

    /// Whether it was told to begin no more requests.
    pub fn is_stopped(&self) -> bool {
        self.shared.is_stopped.load(Ordering::Acquire)
    }

    /// Sends everything, or what is begun before [`stop`](Self::stop).
    pub async fn run(&self) -> Report {
        let mut workers = JoinSet::new();
        for _ in 0..self.shared.parallel {
            workers.spawn(work(Arc::clone(&self.shared)));
        }
        while workers.join_next().await.is_some() {}
        self.report()
    }
}

/// Sends one request after the other.
async fn work(shared: Arc<Shared>) {
    while let Some(request) = shared.take().await {
        if let Some(bad) = request.bad {
            let body = shared.plan.bad_body(&request, bad).into();
            let pace = if bad == Bad::BreaksOff { Pace::BreaksOff } else { Pace::Whole };
            let answer = shared.postman.post(request.number, Post { body: &body, pace }).await;
            shared.tally.bad_one(&answer);
        }
        shared.deliver(&request).await;
    }
}

impl Shared {
    /// The next request, once it is due; none after the last one, or once it is stopped.
    async fn take(&self) -> Option<Request> {
        // Whoever has the lock waits for all others, too, whose requests are due later.
        let mut next = self.next.lock().await;
        let request = self.plan.request(*next)?;
        let stopped = self.stopped.notified();
        let due = self.plan.due(&request).and_then(|due| self.started.checked_add(due));
        if let Some(due) = due.filter(|_| !self.is_stopped.load(Ordering::Acquire)) {
            tokio::select! {
                () = stopped => {}
                () = tokio::time::sleep_until(due) => {}
            }
        }
        if self.is_stopped.load(Ordering::Acquire) {
            return None;
        }
        *next += 1;
        self.tally.begun(&request);
        Some(request)
    }

    /// Sends a request until it is acknowledged, refused for good, or out of time.
    async fn deliver(&self, request: &Request) {
        let body: Bytes = self.plan.body(request).into();
        let began = Instant::now();
        let mut attempt = 0;
        loop {
            // The first attempt alone is slow: a receiver that does not wait for it must get it in the end.
            let is_slow = request.is_slow && attempt == 0;
            let pace = if is_slow { Pace::Slow } else { Pace::Whole };
            let sent = Instant::now();
            let answer = self.postman.post(request.number + attempt, Post { body: &body, pace }).await;
            let took = (!is_slow).then(|| sent.elapsed());
            match verdict(answer.status()) {
                Verdict::Stored => {
                    self.tally.acknowledged(request, &answer, took);
                    break;
                }
                Verdict::Again if began.elapsed() < self.plan.give_up() => {
                    self.tally.to_retry(&answer);
                    tokio::time::sleep(self.plan.pause(request, attempt)).await;
                    attempt += 1;
                }
                _ => {
                    self.tally.given_up(&answer);
                    return;
                }
            }
        }
        if request.is_repeated {
            let post = Post { body: &body, pace: Pace::Whole };
            let answer = self.postman.post(request.number + attempt + 1, post).await;
            self.tally.repeated(&answer);
        }
    }
}

/// What an answer with this status means; `None` is no answer.
fn verdict(status: Option<u16>) -> Verdict {
    match status {
        Some(200..300) => Verdict::Stored,
        None | Some(408 | 429 | 500..) => Verdict::Again,
        Some(_) => Verdict::Refused,
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Setting(text) => f.write_str(text),
            Self::Client(_) => f.write_str("there is no client that could send"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Setting(_) => None,
            Self::Client(error) => Some(error),
        }
    }
}
