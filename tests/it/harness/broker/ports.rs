//! Ports to listen on that nobody else takes meanwhile.

use std::net::{Ipv4Addr, TcpListener};

/// Below the range from which the kernel takes the ports of outgoing connections (32768 and up on Linux): a stopped
/// broker's port must stay free until it starts again, and a client that keeps trying a port of that range can even
/// end up connected to itself.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port of the loopback address that nobody listens on now. Drawn at random, so that tests and test processes that
/// run side by side do not draw the same.
pub(crate) fn free_port() -> u16 {
    (0..1000)
        .map(|_| rand::random_range(RANGE))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}
