//! The connections of the admin server: it must not cost the connector its descriptors, whoever connects to it.
//!
//! Invariants: at most [`MOST`] are open; a newer one takes the place of the oldest, so that a probe is answered while somebody holds
//! as many as there may be; who says nothing is dropped.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::task;
use crate::web::accept::accept;

/// Far more than probes and scrapers need, far less than the usual limit of 1,024 descriptors.
const MOST: usize = 64;

/// Limit for a request to arrive, and for the next one on a connection that is kept alive.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest head of a request that is read.
const MAX_HEAD: usize = 16 << 10;

/// Answers whoever connects, for as long as this is polled.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let mut open = VecDeque::with_capacity(MOST);
    loop {
        let stream = accept(&listener, "admin").await;
        make_room(&mut open);
        let answering = answer(stream, router.clone());
        open.push_back(task::spawn(&Handle::current(), "admin connection", answering));
    }
}

/// Forgets those that ended, and ends the oldest if there are still too many.
fn make_room(open: &mut VecDeque<JoinHandle<()>>) {
    open.retain(|connection| !connection.is_finished());
    if open.len() >= MOST
        && let Some(oldest) = open.pop_front()
    {
        oldest.abort();
    }
}

async fn answer(stream: TcpStream, router: Router) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(MAX_HEAD);
    // How it ends is the client's affair.
    drop(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await);
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    const QUESTION: &[u8] = b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n";

    async fn serving() -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/live", get(|| async { "live\n" }));
        drop(task::spawn(&Handle::current(), "admin", serve(listener, router)));
        address
    }

    async fn ask(client: &mut TcpStream) -> String {
        client.write_all(QUESTION).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("live\n") {
            let mut bytes = [0; 1024];
            let count = client.read(&mut bytes).await.unwrap();
            assert!(count > 0, "closed after {answer:?}");
            answer.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_dropped() {
        let address = serving().await;
        let (begun, nothing) = (Instant::now(), &mut Vec::new());
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert_eq!(silent.read_to_end(nothing).await.unwrap(), 0);
        assert!(begun.elapsed() >= PATIENCE);
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(&QUESTION[..9]).await.unwrap();
        // It may be told so.
        slow.read_to_end(nothing).await.unwrap();
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut idle).await.starts_with("HTTP/1.1 200"));
        assert!(ask(&mut idle).await.starts_with("HTTP/1.1 200"), "it is kept alive");
        assert_eq!(idle.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn the_newest_take_the_places_of_the_oldest() {
        let address = serving().await;
        let mut silent = Vec::new();
        for _ in 0..MOST + 10 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut client = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut client).await.starts_with("HTTP/1.1 200"));
        // With it there are eleven too many.
        for gone in &mut silent[..11] {
            assert!(!matches!(gone.read(&mut [0; 1]).await, Ok(1..)), "it is closed");
        }
        assert_eq!(silent[11].try_read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
