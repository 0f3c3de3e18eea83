//! Ports to listen on that nobody else takes meanwhile.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the kernel takes the ports of outgoing connections (32768 and up on Linux): a stopped
/// broker's port must stay free until it starts again, and a client that keeps trying a port of that range can even
/// end up connected to itself.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port of the loopback address that nobody listens on now. This process gets each one only once: a broker takes seconds from
/// here until it listens. Processes that run side by side begin at random places.
pub(crate) fn free_port() -> u16 {
    static DRAWN: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new(rand::random_range(0..RANGE.end - RANGE.start)));
    let next = |_| RANGE.start + DRAWN.fetch_add(1, Ordering::Relaxed) % (RANGE.end - RANGE.start);
    (0..1000)
        .map(next)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}
