//! A private broker with several ways to it, each of which can be cut without a word to anybody.
//!
//! The broker calls itself by the address of the way by which it is asked, so whoever takes one way never takes another.

use super::{PrivateBroker, free_port, private};
use crate::harness::airship::RUNTIME;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// One way to the broker.
pub(crate) struct Way {
    address: String,
    is_cut: watch::Sender<bool>,
}

/// A private broker, near at its usual address, and so many ways to it.
#[track_caller]
pub(crate) fn broker_with_ways(count: usize) -> (PrivateBroker, Vec<Way>) {
    let ports: Vec<(u16, u16)> = (0..count).map(|_| (free_port(), free_port())).collect();
    let list = |entry: &dyn Fn(usize, &(u16, u16)) -> String| {
        ports.iter().enumerate().map(|(number, ports)| entry(number, ports)).collect::<Vec<_>>().join(",")
    };
    let broker = private::start(&[
        ("listeners", &list(&|number, (near, _)| format!("WAY{number}://127.0.0.1:{near}"))),
        ("advertised.listeners", &list(&|number, (_, far)| format!("WAY{number}://127.0.0.1:{far}"))),
        ("listener.security.protocol.map", &list(&|number, _| format!("WAY{number}:PLAINTEXT"))),
    ]);
    let ways = ports.iter().map(|(near, far)| Way::open(*near, *far)).collect();
    (broker, ways)
}

impl Way {
    fn open(near: u16, far: u16) -> Self {
        let (is_cut, cut) = watch::channel(false);
        let listener = RUNTIME.block_on(TcpListener::bind(("127.0.0.1", far))).expect("the port is free");
        RUNTIME.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                RUNTIME.spawn(carry(client, near, cut.clone()));
            }
        });
        Self { address: format!("127.0.0.1:{far}"), is_cut }
    }

    /// Where the broker is, by this way.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Nothing is carried from now on; both ends think that all is well.
    pub(crate) fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// What was open is closed, and what is opened from now on works.
    pub(crate) fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn carry(mut client: TcpStream, near: u16, mut cut: watch::Receiver<bool>) {
    // The way lives as long as the test.
    if cut.wait_for(|is_cut| !is_cut).await.is_err() {
        return;
    }
    // A broker that is not there is one that closes.
    let Ok(mut broker) = TcpStream::connect(("127.0.0.1", near)).await else { return };
    let mut until = cut.clone();
    let cutting = async move { drop(until.wait_for(|is_cut| *is_cut).await) };
    let was_cut = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut broker) => false,
        () = cutting => true,
    };
    if was_cut {
        drop(cut.wait_for(|is_cut| !is_cut).await);
    }
}
