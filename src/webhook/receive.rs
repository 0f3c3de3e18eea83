//! One request: who sends it, what is in it, and what it is told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response};
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::debug;

use super::access::Gate;
use super::answer::Answer;
use super::body::{self, Budget, Encoding, Received, Share};
use super::cut;
use super::metrics::{Counted, Metrics};
use crate::event::extract::Extractor;
use crate::sink::kafka::intake::writer::{NotStored, Piece, Writer};
use crate::task;

/// What all requests share.
pub(super) struct Reception {
    pub(super) streams: Vec<Stream>,
    pub(super) writer: Writer,
    pub(super) metrics: Metrics,
    pub(super) budget: Budget,
    pub(super) places: Arc<Semaphore>,
    pub(super) max_body: usize,
    pub(super) request_timeout: Duration,
}

/// A stream as its requests see it.
pub(super) struct Stream {
    pub(super) name: Arc<str>,
    pub(super) path: String,
    pub(super) gate: Gate,
    pub(super) topic: String,
    pub(super) partitions: u32,
    /// It has a scratch of its own, so one request after the other looks for ids.
    pub(super) extractor: Mutex<Extractor>,
    pub(super) max_event: usize,
}

impl Stream {
    /// Each event with the partition that it belongs to.
    fn pieces<'b>(&self, events: Vec<&'b [u8]>) -> Vec<Piece<'b>> {
        let extractor = self.extractor.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = |bytes| Piece { partition: cut::partition(bytes, &extractor, self.partitions), bytes };
        events.into_iter().map(piece).collect()
    }
}

impl Reception {
    /// Answers a request.
    pub(super) async fn receive(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let answer = Arc::clone(&self).judge(request).await.unwrap_or_else(|answer| answer);
        self.metrics.answered(answer);
        answer.response()
    }

    async fn judge(self: Arc<Self>, request: Request<Body>) -> Result<Answer, Answer> {
        let (head, body) = request.into_parts();
        let number = self.streams.iter().position(|stream| stream.path == head.uri.path());
        let number = number.ok_or(Answer::NoStream)?;
        let stream = &self.streams[number];
        if !stream.gate.admits(&head.headers) {
            return Err(Answer::NotAdmitted);
        }
        if head.method != Method::POST {
            return Err(Answer::NotPosted);
        }
        let encoding = Encoding::of(&head.headers)?;
        if body::is_too_long(&head.headers, self.max_body) {
            return Err(Answer::TooLarge);
        }
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Answer::TooMany)?;
        let counted = Counted::by(&self.metrics.in_flight);
        if self.writer.trouble().is_some() {
            return Err(Answer::Away);
        }
        let reading = body::read(body, encoding, self.max_body, self.budget.share());
        let received = tokio::time::timeout(self.request_timeout, reading).await;
        let received = received.map_err(|_| Answer::TooSlow)??;
        // Nobody hears this.
        let received = received.ok_or(Answer::TooSlow)?;
        // Once it is here it is stored, whether or not the sender is still there.
        let reception = Arc::clone(&self);
        let storing = task::spawn(&Handle::current(), "webhook request", async move {
            let answer = reception.store(number, received).await;
            drop((place, counted));
            answer
        });
        storing.await.map_err(|_| Answer::Away)
    }

    async fn store(&self, number: usize, received: Received) -> Answer {
        let is_whole = received.is_whole;
        let (bytes, share) = received.into_parts();
        self.metrics.bytes.inc_by(bytes.len() as u64);
        let answer = self.store_bytes(&self.streams[number], &bytes, is_whole).await;
        finish(bytes, share);
        answer
    }

    async fn store_bytes(&self, stream: &Stream, bytes: &[u8], is_whole: bool) -> Answer {
        let unread = |why| (vec![bytes], Answer::NotRead(why));
        let (events, answer) = if is_whole {
            match cut::events(bytes) {
                Ok(events) => (events, Answer::Stored),
                // There is nothing to keep.
                Err(why @ cut::NoEvents::Empty) => return Answer::NotRead(why.text()),
                Err(why @ cut::NoEvents::TooMany) => return Answer::TooManyEvents(why.text()),
                // It becomes a dead letter where events are made of what was received.
                Err(why) => unread(why.text()),
            }
        } else {
            unread("the body is not gzip, or torn\n")
        };
        let count = events.len() as u64;
        let pieces = stream.pieces(events);
        let stored = match self.writer.store(&stream.topic, stream.max_event, pieces) {
            Ok(receipt) => receipt.settled().await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(()) => {
                self.metrics.events.inc_by(count);
                answer
            }
            Err(reason @ (NotStored::Busy | NotStored::Away(_))) => {
                debug!(stream = %stream.name, %reason, "a request was not stored");
                Answer::Away
            }
        }
    }
}

/// The share goes with the bytes.
fn finish(bytes: Bytes, share: Share) {
    drop(bytes);
    drop(share);
}
