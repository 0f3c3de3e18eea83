//! Lines to body bytes: compressed or as they are.
//!
//! Invariant: what was written so far can be read by the client as soon as it has the bytes.

use std::io;

use bytes::Bytes;

use crate::engine::gzip::{GzipWriter, Segment};

#[derive(Debug)]
pub(super) enum Encoder {
    Identity,
    Gzip(Box<GzipWriter>),
}

impl Encoder {
    pub(super) fn new(compress: bool) -> Self {
        if compress { Self::Gzip(Box::new(GzipWriter::new())) } else { Self::Identity }
    }

    pub(super) fn takes_segments(&self) -> bool {
        matches!(self, Self::Gzip(_))
    }

    pub(super) fn write(&mut self, plain: Vec<u8>) -> io::Result<Bytes> {
        match self {
            Self::Identity => Ok(Bytes::from(plain)),
            Self::Gzip(gzip) => {
                let mut out = Vec::with_capacity(plain.len() / 2 + 64);
                gzip.write(&plain, &mut out)?;
                Ok(Bytes::from(out))
            }
        }
    }

    /// What must go ahead of the segment's own bytes; often nothing.
    pub(super) fn before_segment(&mut self, segment: &Segment) -> Bytes {
        let mut out = Vec::new();
        if let Self::Gzip(gzip) = self {
            gzip.append(segment, &mut out);
        }
        Bytes::from(out)
    }

    /// Ends the member in order.
    pub(super) fn finish(&mut self) -> io::Result<Bytes> {
        let mut out = Vec::new();
        if let Self::Gzip(gzip) = self {
            gzip.finish(&mut out)?;
        }
        Ok(Bytes::from(out))
    }
}
