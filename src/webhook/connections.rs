//! The connections of senders: how many there may be, how long they may say nothing, and how they end.
//!
//! Invariants: at most `most` are open; a newer one takes the place of the one that has waited longest for a request, and is
//! refused only where all are at work. A request that has begun is answered before its connection ends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::receive::Reception;
use super::tls::Acceptor;
use crate::task;

/// The longest head of a request that is read.
const MAX_HEAD: usize = 32 << 10;

/// Before the next attempt when no connection can be accepted, as when all descriptors are in use.
const PAUSE: Duration = Duration::from_millis(500);

/// At a drain, how long a request may still arrive that was on its way.
const GRACE: Duration = Duration::from_millis(500);

/// What connections are like.
#[derive(Clone)]
pub(super) struct Limits {
    pub(super) most: usize,
    pub(super) idle_timeout: Duration,
    pub(super) tls: Option<Acceptor>,
}

/// A connection, as the others see it.
struct Open {
    /// Whether a request is being answered on it.
    is_busy: Arc<AtomicBool>,
    /// Ends it, unless it is busy.
    evict: CancellationToken,
    task: JoinHandle<()>,
}

/// Answers whoever connects until `drain`; then accepts nobody, and ends with the last request that has begun.
pub(super) async fn serve(
    listener: TcpListener,
    limits: Limits,
    reception: Arc<Reception>,
    drain: CancellationToken,
) {
    let mut open: VecDeque<Open> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            () = drain.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                open.retain(|connection| !connection.task.is_finished());
                if has_room(&mut open, limits.most) {
                    open.push_back(begin(stream, &limits, &reception, &drain));
                }
                reception.metrics.connections.set(i64::try_from(open.len()).unwrap_or(i64::MAX));
            }
            Err(error) if concerns_one(&error) => {}
            Err(error) => {
                debug!(%error, "no connection to the webhook can be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    for connection in open {
        // A panic of its own was logged.
        drop(connection.task.await);
    }
    reception.metrics.connections.set(0);
}

/// Makes room for one more, if there is any to be made.
fn has_room(open: &mut VecDeque<Open>, most: usize) -> bool {
    if open.len() < most {
        return true;
    }
    let idle = open.iter().position(|connection| !connection.is_busy.load(Ordering::Acquire));
    let Some(idle) = idle.and_then(|idle| open.remove(idle)) else { return false };
    idle.evict.cancel();
    true
}

fn begin(stream: TcpStream, limits: &Limits, reception: &Arc<Reception>, drain: &CancellationToken) -> Open {
    let (is_busy, evict) = (Arc::new(AtomicBool::new(false)), CancellationToken::new());
    let connection = Connection {
        reception: Arc::clone(reception),
        idle_timeout: limits.idle_timeout,
        is_busy: Arc::clone(&is_busy),
        evict: evict.clone(),
        drain: drain.clone(),
    };
    let tls = limits.tls.clone();
    let task = task::spawn(&Handle::current(), "webhook connection", async move {
        // Answers are short, and the next request waits for them.
        drop(stream.set_nodelay(true));
        match tls {
            None => connection.serve(stream).await,
            Some(tls) => connection.shake_hands(tls, stream).await,
        }
    });
    Open { is_busy, evict, task }
}

/// One connection.
struct Connection {
    reception: Arc<Reception>,
    idle_timeout: Duration,
    is_busy: Arc<AtomicBool>,
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
        let (reception, is_busy) = (&self.reception, &self.is_busy);
        let answer = service_fn(|request: Request<Incoming>| {
            is_busy.store(true, Ordering::Release);
            async {
                let response = Arc::clone(reception).receive(request.map(Body::new)).await;
                is_busy.store(false, Ordering::Release);
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
        let evicted = tokio::select! {
            // How it ends is the sender's affair.
            _ = connection.as_mut() => return,
            () = self.evict.cancelled() => true,
            () = self.drain.cancelled() => false,
        };
        connection.as_mut().graceful_shutdown();
        while self.is_busy.load(Ordering::Acquire) || !evicted {
            let grace = if self.is_busy.load(Ordering::Acquire) { Duration::MAX } else { GRACE };
            if tokio::time::timeout(grace, connection.as_mut()).await.is_ok()
                || !self.is_busy.load(Ordering::Acquire)
            {
                return;
            }
        }
    }
}

/// Whether only the connection that was about to be accepted is gone.
fn concerns_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
