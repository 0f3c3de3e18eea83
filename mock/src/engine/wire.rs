//! A TCP connection that can be made to end badly.
//!
//! Invariant: a bad end comes after everything handed over before it was given to the kernel, since it happens in
//! `poll_flush`, which the HTTP library calls with its own buffers empty. Knows no HTTP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The connection, for the HTTP library.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    end: WireEnd,
}

/// Decides from elsewhere how the connection ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct WireEnd(Arc<AtomicU8>);

const OPEN: u8 = 0;
const CLOSE: u8 = 1;
const RESET: u8 = 2;

impl WireEnd {
    /// Close it with FIN at the next flush.
    pub(crate) fn close(&self) {
        self.0.store(CLOSE, Ordering::Release);
    }

    /// Close it with RST at the next flush.
    pub(crate) fn reset(&self) {
        self.0.store(RESET, Ordering::Release);
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> (Self, WireEnd) {
        let end = WireEnd::default();
        (Self { stream, end: end.clone() }, end)
    }

    fn check(&self) -> io::Result<()> {
        match self.end.0.load(Ordering::Acquire) {
            OPEN => return Ok(()),
            // A close with data unsent and lingering switched off is a reset.
            RESET => socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?,
            _ => {}
        }
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "ended by a fault"))
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
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
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
