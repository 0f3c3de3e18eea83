//! Spawning: the one place for tasks and threads, each with a name that shows in logs and in `top`.

use std::future::Future;
use std::io;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::Instrument;

/// Spawns a task under a name. A panic in it ends the task alone; what waits for it sees its channel close.
pub fn spawn<T: Send + 'static>(
    runtime: &Handle,
    name: &'static str,
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    runtime.spawn(future.instrument(tracing::debug_span!("task", name)))
}

/// Spawns a thread under a name, of which Linux shows the first 15 bytes.
pub fn spawn_thread(name: String, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name).spawn(run).map(drop)
}
