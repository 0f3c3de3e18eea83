//! An open stream as blocks of whole lines: body and framer together. Knows no service.

use super::Config;
use super::body::{Body, BodyError};
use super::connect::Opened;
use super::failure::{Class, Failure};
use super::frame::Framer;
use super::metrics::Metrics;
use crate::clock::now_ms;
use crate::model::block::Block;

/// The lines of one connection.
pub struct Lines {
    body: Body,
    framer: Framer,
}

impl Lines {
    /// Begins to read. Bytes are counted as they arrive.
    pub fn new(opened: Opened, config: &Config, metrics: Metrics) -> Self {
        let on_chunk = move |bytes| metrics.received(bytes, now_ms());
        let body = Body::new(opened.response.bytes_stream(), opened.coding, config.silence, on_chunk);
        Self { body, framer: Framer::new(config.max_line) }
    }

    /// Waits for bytes, and tells when the connection is over. Either way [`Self::next_block`] then gives what
    /// arrived; giving up the wait loses nothing.
    pub async fn read(&mut self) -> Option<Failure> {
        let ended = match self.body.read(self.framer.buffer()).await {
            Ok(0) => Some(Failure::new(Class::Ended, "the service closed the stream")),
            Ok(_) => None,
            Err(error) => Some(failure_of(error)),
        };
        self.framer.cut();
        ended
    }

    /// The next block, oldest first.
    pub fn next_block(&mut self) -> Option<Block> {
        self.framer.next_block()
    }

    /// The beginning of a line whose end has not arrived.
    pub fn partial(&self) -> Option<&[u8]> {
        self.framer.partial()
    }
}

fn failure_of(error: BodyError) -> Failure {
    let (class, message) = match &error {
        BodyError::Silent(_) => (Class::Silence, "the stream fell silent"),
        BodyError::Damaged(_) => (Class::BadBody, "the stream cannot be inflated"),
        BodyError::Broken(_) | BodyError::Truncated => (Class::Network, "the stream broke off"),
    };
    Failure::caused(class, message, error)
}
