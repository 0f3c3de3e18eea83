//! An open stream as blocks of whole lines: body, framer and vetting together.
//!
//! Invariant: a response that is not the stream gives no block, and no block follows a line that is a refusal.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Response;
use tokio::time::Instant;

use super::failure::{Class, Failure};
use super::frame::Framer;
use super::http::body::{Body, BodyError, Coding};
use super::http::refusal;
use super::metrics::Metrics;
use super::pace;
use super::vet::{Marks, Vetting};
use crate::clock::now_ms;
use crate::model::block::Block;

/// What has been open for so long counts as the stream if nothing but blank lines came: a page comes at once.
const SETTLED: Duration = Duration::from_secs(5);

/// The lines of one connection.
pub(crate) struct Lines {
    body: Body,
    framer: Framer,
    vetting: Vetting,
    /// What was found to be of the stream.
    ready: VecDeque<Block>,
    /// Why there is nothing more.
    refused: Option<Failure>,
    marks: Marks,
    metrics: Metrics,
    is_open: bool,
    /// When it counts as open if nothing but blank lines came.
    settles_at: Instant,
}

impl Lines {
    /// Begins to read a stream that is known by `marks`. Bytes are counted as they arrive; after `silence` without any it is given up.
    pub(crate) fn new(
        response: Response,
        marks: Marks,
        silence: Duration,
        max_line: usize,
        metrics: Metrics,
    ) -> Self {
        let counted = metrics.clone();
        let on_chunk = move |bytes| {
            counted.received(bytes, now_ms());
            pace::note(bytes);
        };
        let vetting = Vetting::new(response.headers(), marks);
        let label = refusal::coding(response.headers()).unwrap_or(Coding::Identity);
        let body = Body::new(response.bytes_stream(), label, silence, on_chunk);
        Self {
            body,
            framer: Framer::new(max_line),
            vetting,
            ready: VecDeque::new(),
            refused: None,
            marks,
            metrics,
            is_open: false,
            settles_at: Instant::now() + SETTLED,
        }
    }

    /// Whether this is the stream, as far as can be told.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether a line of the stream has come.
    pub(crate) fn is_proven(&self) -> bool {
        self.vetting.is_proven()
    }

    /// Waits for bytes, and tells when the connection is over. Either way [`Self::next_block`] then gives what
    /// arrived; giving up the wait loses nothing.
    pub(crate) async fn read(&mut self) -> Option<Failure> {
        let may_settle = !self.is_open && self.is_blank();
        let read = tokio::select! {
            biased;
            read = self.body.read(self.framer.buffer()) => read,
            () = tokio::time::sleep_until(self.settles_at), if may_settle => {
                self.settle();
                return None;
            }
        };
        let ended = match read {
            Ok(0) => Some(Failure::new(Class::Ended, "the service closed the stream")),
            Ok(_) => None,
            Err(error) => Some(failure_of(error)),
        };
        self.framer.cut();
        self.vet(ended.is_some());
        match self.refused.take() {
            Some(refused) => Some(refused),
            None => ended,
        }
    }

    /// The next block, oldest first.
    pub(crate) fn next_block(&mut self) -> Option<Block> {
        self.ready.pop_front()
    }

    /// Whether something has arrived that is in no block: the beginning of a line whose end is missing, or what may yet
    /// turn out to be of a stream.
    pub(crate) fn has_rest(&self) -> bool {
        self.framer.partial().is_some() || self.vetting.holds()
    }

    /// Whether the body is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.body.is_compressed()
    }

    /// Whether nothing but blank lines has come.
    fn is_blank(&self) -> bool {
        self.vetting.is_blank() && self.framer.partial().is_none_or(|partial| partial.trim_ascii().is_empty())
    }

    fn vet(&mut self, has_ended: bool) {
        self.vetting.note_compression(self.body.is_compressed());
        while let Some(mut block) = self.framer.next_block() {
            if let Block::Lines(bytes) = &mut block
                && let Some(at) = (self.marks.refusal_line)(bytes)
            {
                bytes.truncate(at);
                self.refused = Some(not_authorized());
            }
            match self.vetting.take(block) {
                Ok(blocks) => self.ready.extend(blocks.filter(|block| !block.is_empty())),
                Err(failure) => drop(self.refused.get_or_insert(failure)),
            }
            if self.refused.is_some() {
                return;
            }
        }
        let partial = self.framer.partial();
        if has_ended && partial.is_some_and(|text| (self.marks.refusal_line)(text).is_some()) {
            // The text may come without a line end.
            self.refused = Some(not_authorized());
            return;
        }
        self.refused = self.vetting.look_at_partial(partial, has_ended).err();
        if self.vetting.is_proven() && !self.is_open {
            self.settle();
        }
    }

    /// The stream counts as open from now on.
    fn settle(&mut self) {
        self.is_open = true;
        self.metrics.proven();
    }
}

fn not_authorized() -> Failure {
    Failure::new(Class::Unauthorized, "the service says `not authorized` in place of events")
}

fn failure_of(error: BodyError) -> Failure {
    let (class, message) = match &error {
        BodyError::Silent(_) => (Class::Silence, "the stream fell silent"),
        BodyError::Damaged(_) => (Class::BadBody, "the stream cannot be inflated"),
        BodyError::Broken(_) | BodyError::Truncated => (Class::Network, "the stream broke off"),
    };
    Failure::caused(class, message, error)
}

#[cfg(test)]
mod tests;
