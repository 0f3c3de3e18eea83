//! The receiver as a whole: what it is made of, how it begins, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::Config;
use super::access::Gate;
use super::body::Budget;
use super::connections::{self, Limits};
use super::metrics::{Health, Metrics};
use super::receive::{Reception, Stream};
use super::tls::{Shown, TlsError};
use crate::event::extract::{self, Extractor};
use crate::sink::kafka;
use crate::sink::kafka::intake::writer::Writer;
use crate::task;

/// How often it is looked whether what is received can be stored.
const LOOK: Duration = Duration::from_millis(200);

/// How often secrets and certificate are read again.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// Connections that wait to be accepted, at most; the system may allow fewer. All senders may come at once, as after an outage.
const ACCEPT_QUEUE: u32 = 4_096;

/// Why the receiver cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiverError {
    /// The address cannot be had.
    #[error("cannot listen at webhook.listen {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no certificate.
    #[error("webhook.tls cannot be used")]
    Tls(#[from] TlsError),
    /// The fields of events cannot be looked for.
    #[error("the configured fields cannot be used")]
    Fields(#[from] extract::ConfigError),
}

/// A receiver that listens.
pub(crate) struct Receiver {
    reception: Arc<Reception>,
    listener: TcpListener,
    limits: Limits,
    shown: Option<Shown>,
}

impl Receiver {
    /// Listens. Nobody is answered before it is [`run`](Self::run).
    pub(crate) async fn bind(config: &Config, kafka: &kafka::config::Config) -> Result<Self, ReceiverError> {
        let metrics = Metrics::default();
        let shown = config.tls.clone().map(|tls| Shown::read(tls, metrics.clone())).transpose()?;
        let streams = config.streams.iter().map(|stream| {
            Ok(Stream {
                name: Arc::clone(&stream.name),
                path: stream.path.clone(),
                gate: Gate::new(&stream.name, stream.access.clone()),
                topic: stream.intake.topic.clone(),
                partitions: stream.intake.partitions,
                extractor: Mutex::new(Extractor::new(&stream.extract)?),
                max_event: stream.max_event,
            })
        });
        let streams = streams.collect::<Result<_, extract::ConfigError>>()?;
        let wanted = config.streams.iter().map(|stream| stream.intake.wanted(kafka)).collect();
        let listen = config.listen;
        let failed = |source| ReceiverError::Listen { listen, source };
        let listener = bind(listen).map_err(failed)?;
        metrics.set_health(Health::Away("this process has just begun".into()));
        Ok(Self {
            reception: Arc::new(Reception {
                streams,
                writer: Writer::new(kafka.clone(), wanted, Handle::current()),
                metrics,
                budget: Budget::new(config.max_buffered),
                places: Arc::new(Semaphore::new(config.max_requests.min(Semaphore::MAX_PERMITS))),
                max_body: config.max_body,
                request_timeout: config.request_timeout,
            }),
            listener,
            limits: Limits {
                most: config.max_connections,
                idle_timeout: config.idle_timeout,
                tls: shown.as_ref().map(Shown::acceptor),
            },
            shown,
        })
    }

    /// Where it listens, for port 0.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What it counts.
    pub(crate) fn metrics(&self) -> Metrics {
        self.reception.metrics.clone()
    }

    /// Answers until `drain`; then accepts nobody, and ends with the last request that has begun. Nothing is stored before
    /// `announced`: what the record says of the shards decides where events belong.
    pub(crate) async fn run(self, announced: CancellationToken, drain: CancellationToken) {
        let Self { reception, listener, limits, shown } = self;
        // The producer is needed until the last request is answered.
        let stop = CancellationToken::new();
        let stopped = stop.clone().drop_guard();
        let runtime = Handle::current();
        let writing = reception.writer.clone();
        drop(task::spawn(&runtime, "webhook writer", async move {
            let end = stop.clone();
            tokio::select! {
                () = end.cancelled() => return,
                () = announced.cancelled() => {}
            }
            let started = task::spawn_thread("intake-writer".into(), move || writing.run(&stop));
            if let Err(error) = started {
                error!(%error, "there is no thread that stores what is received");
            }
        }));
        let keeping = task::spawn(&runtime, "webhook", keep(Arc::clone(&reception), drain.clone()));
        let files = read_files_again(Arc::clone(&reception), shown);
        let reading = task::spawn(&runtime, "webhook files", files);
        connections::serve(listener, limits, Arc::clone(&reception), drain).await;
        drop(stopped);
        keeping.abort();
        reading.abort();
        info!("the webhook has answered everything");
    }
}

/// A listener with a long queue. That of [`TcpListener::bind`] has 128 places, and who finds none waits for seconds, or is lost.
fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So that a restart need not wait for connections of before.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    socket.listen(ACCEPT_QUEUE)
}

/// Keeps the health up to date, for ever.
async fn keep(reception: Arc<Reception>, drain: CancellationToken) {
    loop {
        reception.metrics.set_health(match reception.writer.trouble() {
            _ if drain.is_cancelled() => Health::Draining,
            Some(why) => Health::Away(why),
            None => Health::Ready,
        });
        reception.metrics.buffered.set(i64::try_from(reception.budget.used()).unwrap_or(i64::MAX));
        tokio::select! {
            () = drain.cancelled(), if !drain.is_cancelled() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Keeps the secrets and the certificate up to date, for ever. The disk may be slow, so no worker of the runtime waits for it.
async fn read_files_again(reception: Arc<Reception>, mut shown: Option<Shown>) {
    loop {
        tokio::time::sleep(READ_AGAIN).await;
        let reception = Arc::clone(&reception);
        let read = tokio::task::spawn_blocking(move || {
            reception.streams.iter().for_each(|stream| stream.gate.read_again(&stream.name));
            shown.iter_mut().for_each(Shown::read_again);
            shown
        });
        // A panic was logged.
        let Ok(read) = read.await else { return };
        shown = read;
    }
}
