//! The connections of senders: how many there may be, how long they may say nothing, and how they end.
//!
//! Invariants: at most `most` are open; a newer one takes the place of the one that has waited longest for a request, and is
//! refused only where all are at work. A request that has begun is answered before its connection ends.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::metrics::Counted;
use super::receive::Reception;
use super::tls::Acceptor;
use crate::task;
use crate::web::accept::accept;

/// The longest head of a request that is read.
const MAX_HEAD: usize = 32 << 10;

/// At a drain, how long a request may still arrive that was on its way.
const GRACE: Duration = Duration::from_millis(500);

/// What connections are like.
#[derive(Clone)]
pub(super) struct Limits {
    pub(super) most: usize,
    pub(super) idle_timeout: Duration,
    pub(super) tls: Option<Acceptor>,
}

/// Since when a connection has waited for a request; `None` while one is being answered.
#[derive(Clone)]
struct Waiting(Arc<Mutex<Option<Instant>>>);

impl Waiting {
    /// It waits from now on.
    fn begin() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now()))))
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, as the others see it.
struct Open {
    waiting: Waiting,
    /// Ends it, unless it is busy.
    evict: CancellationToken,
    task: JoinHandle<()>,
}

/// The connections that there are.
#[derive(Default)]
struct Connections {
    open: Vec<Open>,
    /// Those that had to make room; a request may have reached one of them just before.
    evicted: Vec<JoinHandle<()>>,
}

/// Answers whoever connects until `drain`; then accepts nobody, and ends with the last request that has begun.
pub(super) async fn serve(
    listener: TcpListener,
    limits: Limits,
    reception: Arc<Reception>,
    drain: CancellationToken,
) {
    let mut connections = Connections::default();
    loop {
        let stream = tokio::select! {
            () = drain.cancelled() => break,
            stream = accept(&listener, "webhook") => stream,
        };
        if connections.make_room(limits.most) {
            connections.open.push(begin(stream, &limits, &reception, &drain));
        }
    }
    drop(listener);
    let Connections { open, evicted } = connections;
    for task in open.into_iter().map(|open| open.task).chain(evicted) {
        // A panic of its own was logged.
        drop(task.await);
    }
}

impl Connections {
    /// Makes room for one more, if there is any to be made.
    fn make_room(&mut self, most: usize) -> bool {
        self.open.retain(|connection| !connection.task.is_finished());
        self.evicted.retain(|task| !task.is_finished());
        if self.open.len() < most {
            return true;
        }
        let waiting = self.open.iter().enumerate().filter_map(|(at, open)| Some((open.waiting.since()?, at)));
        let Some((_, longest)) = waiting.min() else { return false };
        let Open { evict, task, .. } = self.open.swap_remove(longest);
        evict.cancel();
        self.evicted.push(task);
        true
    }
}

fn begin(stream: TcpStream, limits: &Limits, reception: &Arc<Reception>, drain: &CancellationToken) -> Open {
    let (waiting, evict) = (Waiting::begin(), CancellationToken::new());
    let connection = Connection {
        reception: Arc::clone(reception),
        idle_timeout: limits.idle_timeout,
        waiting: waiting.clone(),
        evict: evict.clone(),
        drain: drain.clone(),
    };
    let tls = limits.tls.clone();
    let counted = Counted::by(&reception.metrics.connections);
    let task = task::spawn(&Handle::current(), "webhook connection", async move {
        let _counted = counted;
        // Answers are short, and the next request waits for them.
        drop(stream.set_nodelay(true));
        match tls {
            None => connection.serve(stream).await,
            Some(tls) => connection.shake_hands(tls, stream).await,
        }
    });
    Open { waiting, evict, task }
}

/// One connection.
struct Connection {
    reception: Arc<Reception>,
    idle_timeout: Duration,
    waiting: Waiting,
    evict: CancellationToken,
    drain: CancellationToken,
}

impl Connection {
    async fn shake_hands(self, tls: Acceptor, stream: TcpStream) {
        let accepting = tokio::time::timeout(self.idle_timeout, tls.get().accept(stream));
        let accepted = tokio::select! {
            () = self.evict.cancelled() => return,
            () = self.drain.cancelled() => return,
            accepted = accepting => accepted,
        };
        if let Ok(Ok(stream)) = accepted {
            self.serve(stream).await;
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let (reception, waiting) = (&self.reception, &self.waiting);
        let answer = service_fn(|request: Request<Incoming>| {
            waiting.set(None);
            async {
                let response = Arc::clone(reception).receive(request.map(Body::new)).await;
                waiting.set(Some(Instant::now()));
                Ok::<_, Infallible>(response)
            }
        });
        let mut server = http1::Builder::new();
        // Who has sent a whole request and closes its side may still be answered, and is stored in any case.
        server
            .half_close(true)
            .timer(TokioTimer::new())
            .header_read_timeout(self.idle_timeout)
            .max_buf_size(MAX_HEAD);
        let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), answer));
        let grace = tokio::select! {
            // How it ends is the sender's affair.
            _ = connection.as_mut() => return,
            () = self.evict.cancelled() => Duration::ZERO,
            () = self.drain.cancelled() => GRACE,
        };
        connection.as_mut().graceful_shutdown();
        let ended = tokio::time::timeout(grace, connection.as_mut()).await;
        if ended.is_err() && waiting.since().is_none() {
            drop(connection.await);
        }
    }
}
