//! A proxy that loses what it carries, without a word to anybody: what a load balancer does whose other side is gone.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Listens for as long as the test process lives.
pub(crate) struct Hole {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    /// Connections with a lower number swallow what the service sends.
    swallowing_below: Arc<AtomicUsize>,
}

impl Hole {
    /// In front of the service at this address.
    pub(crate) fn before(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback address");
        let address = listener.local_addr().expect("an address");
        let (accepted, swallowing_below) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, below) = (Arc::clone(&accepted), Arc::clone(&swallowing_below));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (number, below) = (count.fetch_add(1, Ordering::SeqCst), Arc::clone(&below));
                thread::spawn(move || carry(client, service, number, &below));
            }
        });
        Self { address, accepted, swallowing_below }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the connections that are open lose all that comes; both ends think that all is well.
    pub(crate) fn swallow(&self) {
        self.swallowing_below.store(self.accepted.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

fn carry(client: TcpStream, service: SocketAddr, number: usize, below: &AtomicUsize) {
    let Ok(service) = TcpStream::connect(service) else { return };
    let (Ok(mut from_client), Ok(mut to_service)) = (client.try_clone(), service.try_clone()) else { return };
    thread::spawn(move || {
        // Ends with either side, and ends the other.
        std::io::copy(&mut from_client, &mut to_service).ok();
        to_service.shutdown(Shutdown::Both).ok();
    });
    let (mut from_service, mut to_client) = (service, client);
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from_service.read(&mut buffer) {
        let swallows = number < below.load(Ordering::SeqCst);
        if !swallows && to_client.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    to_client.shutdown(Shutdown::Both).ok();
}
