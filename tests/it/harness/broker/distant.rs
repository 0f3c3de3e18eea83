//! A private broker at a distance: between it and its clients each direction takes its time.
//!
//! The broker calls itself by the address of the way between, so everything that a client asks goes there.

use super::{PrivateBroker, free_port, private};
use crate::harness::airship::RUNTIME;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// What is read at once.
const PIECE: usize = 64 << 10;

/// A private broker that is near at its usual address; at the returned one, every round trip takes `round_trip` longer.
#[track_caller]
pub(crate) fn distant_broker(round_trip: Duration) -> (PrivateBroker, String) {
    let (near, far) = (free_port(), free_port());
    let (listener, advertised) = (format!("FAR://127.0.0.1:{near}"), format!("FAR://127.0.0.1:{far}"));
    let broker = private::start(&[
        ("listeners", &listener),
        ("advertised.listeners", &advertised),
        ("listener.security.protocol.map", "FAR:PLAINTEXT"),
    ]);
    let way = RUNTIME.block_on(TcpListener::bind(("127.0.0.1", far))).expect("the port is free");
    RUNTIME.spawn(async move {
        while let Ok((client, _)) = way.accept().await {
            RUNTIME.spawn(connect(client, near, round_trip / 2));
        }
    });
    (broker, format!("127.0.0.1:{far}"))
}

async fn connect(client: TcpStream, near: u16, delay: Duration) {
    // A broker that is not there is one that closes.
    let Ok(broker) = TcpStream::connect(("127.0.0.1", near)).await else { return };
    let ((from_client, to_client), (from_broker, to_broker)) = (client.into_split(), broker.into_split());
    tokio::join!(carry(from_client, to_broker, delay), carry(from_broker, to_client, delay));
}

/// Carries bytes on, each `delay` after it came, until either end closes.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut pieces) = mpsc::unbounded_channel();
    let read = async move {
        let mut piece = vec![0; PIECE];
        while let Ok(count @ 1..) = from.read(&mut piece).await {
            if sender.send((Instant::now() + delay, piece[..count].to_vec())).is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = pieces.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
        // Passed on to the other end as the end that it is.
        to.shutdown().await.ok();
    };
    tokio::join!(read, write);
}
