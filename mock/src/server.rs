//! Accepts connections and serves HTTP/1.1 on each.
//!
//! Invariant: every connection is a child of the accept loop and ends with it. Knows paths only as far as to tell the
//! control plane and the two halves apart.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::adobe::service as adobe;
use crate::airship::service as airship;
use crate::control;
use crate::engine::wire::Wire;
use crate::shared::Shared;
use crate::stats::Counters;

/// Starts the accept loop; `second` is the port that redirects lead to.
#[expect(
    clippy::disallowed_methods,
    reason = "the connector has a module for tasks, and the mock shares nothing with the connector"
)]
pub(crate) fn spawn(
    first: TcpListener,
    second: Option<TcpListener>,
    shared: Shared,
) -> JoinHandle<io::Result<()>> {
    tokio::spawn(accept(first, second, shared))
}

async fn accept(first: TcpListener, second: Option<TcpListener>, shared: Shared) -> io::Result<()> {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        let (stream, is_second) = tokio::select! {
            accepted = first.accept() => (accepted?.0, false),
            accepted = accept_at(second.as_ref()) => (accepted?, true),
        };
        number += 1;
        connections.spawn(serve(stream, number, is_second, shared.clone()));
        // Reaps those that ended, so that the set does not grow with the connections of a long run.
        while connections.try_join_next().is_some() {}
    }
}

async fn accept_at(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

async fn serve(stream: TcpStream, number: u64, second: bool, shared: Shared) {
    // Small flushes must leave at once; a socket that refuses is about to fail anyway.
    drop(stream.set_nodelay(true));
    let _open = OpenConnection::new(Arc::clone(&shared.counters));
    let (wire, end) = Wire::new(stream);
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let (shared, end) = (shared.clone(), end.clone());
        async move {
            let path = request.uri().path();
            let response = if path.starts_with(control::PREFIX) {
                control::handle(&shared, request).await
            } else if adobe::is_for(path) {
                let origin = adobe::Origin { connection: number, second, wire: end };
                adobe::handle(shared.adobe, origin, request).await
            } else {
                airship::handle(shared.airship, number, end, request).await
            };
            Ok::<_, Infallible>(response)
        }
    });
    // How a connection ends is the client's affair, or a fault's, which is counted where it fires.
    drop(http1::Builder::new().serve_connection(TokioIo::new(wire), service).await);
}

/// Counts a connection for as long as it lives.
struct OpenConnection(Arc<Counters>);

impl OpenConnection {
    fn new(counters: Arc<Counters>) -> Self {
        counters.update(|stats| {
            stats.connections += 1;
            stats.open_connections += 1;
        });
        Self(counters)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.update(|stats| stats.open_connections -= 1);
    }
}
