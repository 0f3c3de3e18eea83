//! A TCP connection that can be made to end badly.
//!
//! Invariant: a bad end comes after everything handed over before it was given to the kernel, since it happens in
//! `poll_flush`, which the HTTP library calls with its own buffers empty. Knows no HTTP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// The connection, for the HTTP library.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    end: WireEnd,
    /// Runs while the client takes no bytes.
    stuck: Option<Pin<Box<Sleep>>>,
}

/// Decides from elsewhere how the connection ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct WireEnd(Arc<State>);

#[derive(Debug, Default)]
struct State {
    end: AtomicU8,
    /// For how many milliseconds the client may take no bytes; 0 for ever.
    patience_ms: AtomicU64,
}

const OPEN: u8 = 0;
const CLOSE: u8 = 1;
const RESET: u8 = 2;
const SLOW: u8 = 3;

impl WireEnd {
    /// Close it with FIN at the next flush.
    pub(crate) fn close(&self) {
        self.0.end.store(CLOSE, Ordering::Release);
    }

    /// Close it with RST at the next flush.
    pub(crate) fn reset(&self) {
        self.0.end.store(RESET, Ordering::Release);
    }

    /// Close it when the client takes no bytes for this long.
    pub(crate) fn set_patience(&self, patience: Duration) {
        self.0.patience_ms.store((patience.as_millis() as u64).max(1), Ordering::Release);
    }

    /// Whether it was closed for that reason.
    pub(crate) fn was_too_slow(&self) -> bool {
        self.0.end.load(Ordering::Acquire) == SLOW
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> (Self, WireEnd) {
        let end = WireEnd::default();
        (Self { stream, end: end.clone(), stuck: None }, end)
    }

    fn check(&self) -> io::Result<()> {
        match self.end.0.end.load(Ordering::Acquire) {
            OPEN => return Ok(()),
            // A close with data unsent and lingering switched off is a reset.
            RESET => socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?,
            _ => {}
        }
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "ended by a fault"))
    }

    /// Passes on what a write came to, unless that is nothing for too long.
    fn watch(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let patience_ms = self.end.0.patience_ms.load(Ordering::Acquire);
        if written.is_ready() || patience_ms == 0 {
            self.stuck = None;
            return written;
        }
        let patience = Duration::from_millis(patience_ms);
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        std::task::ready!(stuck.as_mut().poll(cx));
        self.end.0.end.store(SLOW, Ordering::Release);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes")))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
