//! A response body as plain bytes: any number of gzip members or none, a limit on silence. Does not know lines.
//!
//! The first byte tells whether the body is compressed, whatever its `Content-Encoding`: proxies inflate and leave the
//! header, or take the header away and leave the gzip.
//!
//! Invariant: every byte that can be inflated from what arrived comes out before the end is reported, however the
//! connection ended. The network's error therefore waits in a slot while the decoder sees a plain end of input.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_compression::tokio::bufread::GzipDecoder;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use tokio::io::{AsyncBufReadExt, AsyncReadExt};
use tokio_util::io::StreamReader;

/// The first byte of gzip, which no text begins with.
const GZIP_MAGIC: u8 = 0x1f;

/// How the body is said to be coded, by its `Content-Encoding`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// As it is.
    Identity,
    /// One or many gzip members.
    Gzip,
}

/// How a body ended, other than as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The connection broke: reset, or cut inside the transfer coding.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing arrived for too long.
    #[error("no byte for {} s", .0.as_secs())]
    Silent(Duration),
    /// The transfer ended well, but inside a gzip member or before its trailer. Seen as a normal disconnect.
    #[error("the gzip stream ended without its trailer")]
    Truncated,
    /// What arrived is no gzip.
    #[error("the gzip stream is damaged")]
    Damaged(#[source] io::Error),
}

/// A body being read.
pub struct Body {
    /// How it is said to be coded.
    label: Coding,
    reader: Decoder,
    network_error: Slot,
}

/// What turns the chunks into plain bytes.
enum Decoder {
    /// Nothing has arrived.
    Undecided(Raw),
    Identity(Raw),
    Gzip(Box<GzipDecoder<Raw>>),
    /// Between two of the above.
    Nothing,
}

type Raw = StreamReader<Chunks, Bytes>;

/// Where the network's error waits until the decoder has given everything out.
type Slot = Arc<Mutex<Option<BodyError>>>;

type Chunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

impl Coding {
    /// Reads a `Content-Encoding`; `None` for codings that were not asked for.
    pub fn from_header(value: Option<&str>) -> Option<Self> {
        match value.map(str::trim) {
            None | Some("" | "identity") => Some(Self::Identity),
            Some(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                Some(Self::Gzip)
            }
            Some(_) => None,
        }
    }
}

impl Body {
    /// Wraps the chunks of a response with this label. `on_chunk` is told the size of each as it arrives.
    pub fn new<E>(
        chunks: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
        label: Coding,
        silence: Duration,
        on_chunk: impl Fn(usize) + Send + 'static,
    ) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let network_error = Slot::default();
        let slot = Arc::clone(&network_error);
        let chunks: Chunks = Box::pin(
            stream::unfold(Box::pin(chunks), move |mut chunks| {
                let slot = Arc::clone(&slot);
                async move {
                    let error = match tokio::time::timeout(silence, chunks.next()).await {
                        Ok(Some(Ok(chunk))) => return Some((chunk, chunks)),
                        Ok(None) => return None,
                        Ok(Some(Err(error))) => BodyError::Broken(Box::new(error)),
                        Err(_) => BodyError::Silent(silence),
                    };
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    None
                }
            })
            .map(move |chunk| {
                on_chunk(chunk.len());
                Ok(chunk)
            }),
        );
        Self { label, reader: Decoder::Undecided(StreamReader::new(chunks)), network_error }
    }

    /// Whether what arrived is compressed.
    pub fn is_compressed(&self) -> bool {
        matches!(self.reader, Decoder::Gzip(_))
    }

    /// Appends what is there to `buffer`, which must have room. `Ok(0)` is a clean end.
    pub async fn read(&mut self, buffer: &mut BytesMut) -> Result<usize, BodyError> {
        let result = self.reader.read(buffer).await;
        if let Ok(count @ 1..) = result {
            return Ok(count);
        }
        if let Some(error) = self.network_error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        match result {
            // Nothing at all is no gzip either: what was compressed and not flushed is lost.
            Ok(_) if self.label == Coding::Gzip && matches!(self.reader, Decoder::Undecided(_)) => {
                Err(BodyError::Truncated)
            }
            Ok(_) => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(BodyError::Truncated),
            Err(error) => Err(BodyError::Damaged(error)),
        }
    }
}

impl Decoder {
    async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        if let Self::Undecided(raw) = self {
            let Some(first) = raw.fill_buf().await?.first().copied() else { return Ok(0) };
            if let Self::Undecided(raw) = std::mem::replace(self, Self::Nothing) {
                *self = Self::of(raw, first);
            }
        }
        match self {
            Self::Identity(raw) => raw.read_buf(buffer).await,
            Self::Gzip(gzip) => gzip.read_buf(buffer).await,
            Self::Undecided(_) | Self::Nothing => Ok(0),
        }
    }

    fn of(raw: Raw, first: u8) -> Self {
        if first != GZIP_MAGIC {
            return Self::Identity(raw);
        }
        let mut decoder = GzipDecoder::new(raw);
        decoder.multiple_members(true);
        Self::Gzip(Box::new(decoder))
    }
}

#[cfg(test)]
mod tests;
