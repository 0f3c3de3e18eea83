//! The mock service: what the connector is tested, shown and measured against.
//!
//! Invariant: it shares no code with the connector, so that one bug cannot sit on both ends, and what it delivers can
//! be recomputed: `Handle::log`, or `Log::new` with the options of `GET /_mock/config` in another process.
//! `airship` is the RTDS half, `adobe` the Livestream half.

pub mod adobe;
pub mod airship;
mod control;
mod engine;
mod server;
mod shared;
mod stats;

#[cfg(test)]
mod tests;

pub use engine::fault;
pub use engine::fault::Fired;
pub use stats::{Seen, Stats};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use adobe::Adobe;
use airship::{Airship, Log};
use fault::{Armed, Fault};
use shared::Shared;
use stats::Counters;

/// Settings of the mock service. `tributary mock` flattens this; tests fill in what they need.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Address to listen at; port 0 for any free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// The Airship half.
    #[command(flatten)]
    pub airship: airship::Config,
    /// The Adobe half.
    #[command(flatten)]
    pub adobe: adobe::Config,
}

/// A running mock service, which stops when this is dropped.
#[derive(Debug)]
pub struct Handle {
    addr: SocketAddr,
    second: Option<SocketAddr>,
    shared: Shared,
    task: JoinHandle<io::Result<()>>,
}

/// Binds the address and starts to serve. With `prepare`, compresses the log before it returns.
pub async fn start(config: Config) -> io::Result<Handle> {
    let listener = TcpListener::bind(&config.listen).await?;
    let addr = listener.local_addr()?;
    let second_listener = match &config.adobe.second_listen {
        Some(listen) => Some(TcpListener::bind(listen).await?),
        None => None,
    };
    let second = second_listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let counters = Arc::new(Counters::default());
    let airship = Arc::new(Airship::new(config.airship, Arc::clone(&counters)));
    let adobe = Arc::new(Adobe::new(config.adobe, Arc::clone(&counters)));
    if let Some(second) = second {
        adobe.second_at(&format!("http://{second}"));
    }
    let preparing = (Arc::clone(&airship), Arc::clone(&adobe));
    let prepare = move || preparing.0.prepare().and_then(|()| preparing.1.prepare());
    tokio::task::spawn_blocking(prepare).await.map_err(io::Error::other)??;
    let shared = Shared { airship, adobe, counters };
    let task = server::spawn(listener, second_listener, shared.clone());
    Ok(Handle { addr, second, shared, task })
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            airship: airship::Config::default(),
            adobe: adobe::Config::default(),
        }
    }
}

impl Config {
    /// For tests: any free port of this machine.
    pub fn local(airship: airship::Config) -> Self {
        Self { listen: "127.0.0.1:0".to_owned(), airship, ..Self::default() }
    }

    /// The same for the Adobe half.
    pub fn local_adobe(adobe: adobe::Config) -> Self {
        Self { listen: "127.0.0.1:0".to_owned(), adobe, ..Self::default() }
    }
}

impl Handle {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its base address, without a path and a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The base address of the second port, if there is one.
    pub fn second_url(&self) -> Option<String> {
        self.second.map(|second| format!("http://{second}"))
    }

    /// The Adobe half; all else here is of the Airship half, but addresses, statistics and connections.
    pub fn adobe(&self) -> adobe::Handle {
        adobe::Handle::new(Arc::clone(&self.shared.adobe))
    }

    /// The log that it serves, for verifiers.
    pub fn log(&self) -> &Log {
        self.shared.airship.log()
    }

    /// What it did so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.snapshot()
    }

    /// Waits until the statistics are as `holds` wants them, for two minutes. `holds` must not call this
    /// handle, since the statistics are locked meanwhile.
    ///
    /// # Panics
    ///
    /// If they do not become so: it is made for tests.
    pub async fn wait_for(&self, holds: impl Fn(&Stats) -> bool) -> Stats {
        self.shared.counters.wait_for(holds).await
    }

    /// TCP connections that are open.
    pub fn open_connections(&self) -> u64 {
        self.stats().open_connections
    }

    /// Streams that are open.
    pub fn open_streams(&self) -> u64 {
        self.stats().open_streams
    }

    /// Arms a fault.
    pub fn arm(&self, armed: Armed) {
        self.shared.airship.arm(armed);
    }

    /// Disarms all faults.
    pub fn disarm(&self) {
        self.shared.airship.disarm();
    }

    /// Lets positions below `up_to` be read, with `hold_at`.
    pub fn release(&self, up_to: u64) {
        self.shared.airship.release(up_to);
    }

    /// Lets positions below `oldest` be read no more.
    pub fn expire(&self, oldest: u64) {
        self.shared.airship.expire(oldest);
    }

    /// From now on only `token` is right; streams that are open go on.
    pub fn rotate_token(&self, token: &str) {
        self.shared.airship.rotate_token(token.to_owned());
    }

    /// Makes the cookies of redirects worthless.
    pub fn expire_cookies(&self) {
        self.shared.airship.expire_cookies();
    }

    /// Ends all streams that are open with `fault`.
    pub fn disconnect(&self, fault: Fault) {
        self.shared.airship.end_streams(fault);
    }

    /// Closes all connections and waits until they are gone.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // `failed` may have taken the result, which can be had only once.
        if !self.task.is_finished() {
            // Cancelled or failed: stopped either way.
            drop((&mut self.task).await);
        }
    }

    /// Waits until it fails, which is when the listening socket does.
    pub async fn failed(&mut self) -> io::Error {
        match (&mut self.task).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => io::Error::other("the accept loop ended"),
            Err(error) => io::Error::other(error),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}
