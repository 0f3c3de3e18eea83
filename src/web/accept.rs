//! Accepting connections.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

/// Before the next attempt when no connection can be accepted, as when all descriptors are in use.
const PAUSE: Duration = Duration::from_millis(500);

/// The next connection. It may be dropped while it waits; no connection is lost by that.
pub(crate) async fn accept(listener: &TcpListener, server: &'static str) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if concerns_one(&error) => {}
            Err(error) => {
                debug!(%error, server, "no connection can be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether only the connection that was about to be accepted is gone.
fn concerns_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
