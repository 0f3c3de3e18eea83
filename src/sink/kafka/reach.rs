//! Whether Kafka can be reached at all, asked by one client of the process every few seconds.
//!
//! A quiet stream writes nothing, so its shard would not notice that Kafka is away. Knows nothing of shards.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::StateTopics;
use super::client::{Clients, Context, Served, close_beside, explain};
use super::config::{Config, Property};
use crate::clock::now_ms;
use crate::model::file;
use crate::sink::SinkError;
use crate::web::certificate;

/// Between two questions.
const INTERVAL: Duration = Duration::from_secs(5);

/// Limit for an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Limit for an answer where a person waits for it.
pub const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// How often the client's events are served in between, and how soon the end is noticed.
const STEP: Duration = Duration::from_secs(1);

/// Events of the client that are served each time; it has fewer.
const EVENTS: usize = 10;

/// The property that names the client's certificate.
const CERTIFICATE: &str = "ssl.certificate.location";

/// Bytes of a file of certificates that are read.
const MOST_CERTIFICATES: u64 = 1 << 20;

/// Between two lines of the log that say the same.
const REPEAT: Duration = Duration::from_secs(60);

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// What.
    pub reason: String,
    /// Since when, for its age: the wall clock may be set.
    pub since: Instant,
    /// Since when, milliseconds since the Unix epoch.
    pub since_ms: i64,
}

impl Trouble {
    /// Something that is wrong from now on.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), since: Instant::now(), since_ms: now_ms() }
    }

    /// Notes what is wrong now, as the same trouble if there is one.
    pub fn note(trouble: &mut Option<Self>, reason: impl Into<String>) {
        match trouble {
            Some(known) => known.reason = reason.into(),
            None => *trouble = Some(Self::new(reason)),
        }
    }
}

/// What is known of the way to Kafka. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Reach(Arc<Mutex<Heard>>);

/// What was heard of Kafka.
#[derive(Debug, Default)]
struct Heard {
    /// Whether it has answered at all.
    answered: bool,
    /// Why it does not answer now.
    trouble: Option<Trouble>,
    /// When the client's certificate expires, seconds since the Unix epoch.
    certificate_expires: Option<i64>,
}

impl Reach {
    /// Why Kafka cannot be reached, and since when; `None` while it answers, and before it was first asked.
    pub fn trouble(&self) -> Option<Trouble> {
        self.lock().trouble.clone()
    }

    /// Whether Kafka answered when it was last asked.
    pub fn answers(&self) -> bool {
        let heard = self.lock();
        heard.answered && heard.trouble.is_none()
    }

    /// Kafka answers.
    pub fn works(&self) {
        let mut heard = self.lock();
        (heard.answered, heard.trouble) = (true, None);
    }

    /// Kafka does not answer.
    pub fn fails(&self, reason: String) {
        Trouble::note(&mut self.lock().trouble, reason);
    }

    /// When the client's certificate expires, seconds since the Unix epoch; `None` where no file in PEM form holds one.
    pub fn certificate_expires(&self) -> Option<i64> {
        self.lock().certificate_expires
    }

    /// Asks until `stop`, with a client of its own; blocks. `patience` is how long Kafka may be away before the log says so.
    pub fn watch(&self, config: &Config, runtime: Handle, patience: Duration, stop: &CancellationToken) {
        let clients = Clients::new(config.clone(), runtime);
        // A topic that each instance may describe. Consumers create none by asking.
        let topic = StateTopics::new(&config.prefix).checkpoints;
        let mut client = None;
        let mut said: Option<Instant> = None;
        while !stop.is_cancelled() {
            let expires = certificate_expires(config);
            self.lock().certificate_expires = expires;
            match ask(&clients, &mut client, &topic, REQUEST_TIMEOUT) {
                Ok(_) => {
                    self.works();
                    if said.take().is_some() {
                        info!("Kafka can be reached again");
                    }
                }
                Err(error) => {
                    self.fails(error.to_string());
                    if self.is_to_be_said(patience, said) {
                        said = Some(Instant::now());
                        error!(
                            reason = %error,
                            "Kafka cannot be reached; reading stops when the queue is full; check bootstrap_servers, network \
                             and credentials; what the services no longer hold when Kafka is back is lost"
                        );
                    }
                }
            }
            serve(client.as_ref(), stop);
        }
        if let Some(client) = client {
            close_beside(client);
        }
    }

    fn is_to_be_said(&self, patience: Duration, said: Option<Instant>) -> bool {
        let lasts = self.lock().trouble.as_ref().is_some_and(|trouble| trouble.since.elapsed() >= patience);
        lasts && said.is_none_or(|said| said.elapsed() >= REPEAT)
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks once, with a client of its own, whether Kafka is there; blocks for `limit` at most, and for the first token of an OAuth
/// login. Gives the number of brokers.
pub fn ask_once(config: &Config, runtime: Handle, limit: Duration) -> Result<usize, SinkError> {
    let topic = StateTopics::new(&config.prefix).checkpoints;
    let mut client = None;
    let asked = ask(&Clients::new(config.clone(), runtime), &mut client, &topic, limit);
    client.into_iter().for_each(close_beside);
    asked
}

/// One question, answered with the number of brokers. A client that failed is built anew, with the secrets and certificates as
/// they are now.
fn ask(
    clients: &Clients,
    client: &mut Option<BaseConsumer<Context>>,
    topic: &str,
    limit: Duration,
) -> Result<usize, SinkError> {
    let consumer = match client.take() {
        Some(consumer) => consumer,
        None => clients.consumer(true)?,
    };
    match consumer.fetch_metadata(Some(topic), limit) {
        Ok(metadata) => {
            *client = Some(consumer);
            Ok(metadata.brokers().len())
        }
        Err(error) => {
            let reason = explain(&consumer, &error);
            close_beside(consumer);
            let limit = limit.as_secs_f64();
            Err(SinkError::Unusable(format!("no answer within {limit} s: {reason}")))
        }
    }
}

/// When the client's certificate expires, by its file as it is now: whoever renews that need not tell us.
fn certificate_expires(config: &Config) -> Option<i64> {
    let Some(Property::Text(path)) = config.properties.get(CERTIFICATE) else { return None };
    let pem = file::read_regular(Path::new(path), MOST_CERTIFICATES).ok()?;
    certificate::expires(pem.as_bytes())
}

/// Waits for the next question.
fn serve(client: Option<&BaseConsumer<Context>>, stop: &CancellationToken) {
    let until = Instant::now() + INTERVAL;
    while !stop.is_cancelled() && Instant::now() < until {
        // A poll that waits would use up the core in its last millisecond.
        std::thread::sleep(STEP);
        if let Some(client) = client {
            (0..EVENTS).for_each(|_| client.serve(Duration::ZERO));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn trouble_is_dated_from_its_beginning_and_said_now_and_then() {
        let (reach, patience) = (Reach::default(), Duration::from_secs(30));
        assert_eq!((reach.trouble(), reach.answers()), (None, false), "nobody knows yet");
        reach.fails("timed out".into());
        assert!(!reach.answers());
        let since = Instant::now();
        assert!(!reach.is_to_be_said(patience, None), "it may pass");
        tokio::time::advance(patience).await;
        reach.fails("refused".into());
        let trouble = reach.trouble().unwrap();
        assert_eq!((trouble.reason.as_str(), trouble.since), ("refused", since));
        assert!(reach.is_to_be_said(patience, None));
        let said = Some(Instant::now());
        assert!(!reach.is_to_be_said(patience, said), "said a moment ago");
        tokio::time::advance(REPEAT).await;
        assert!(reach.is_to_be_said(patience, said));
        reach.works();
        assert_eq!((reach.trouble(), reach.answers()), (None, true));
        assert!(!reach.is_to_be_said(patience, None));
    }
}
