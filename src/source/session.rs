//! The reconnect loop of one shard: from a position, blocks into the queue, until told to stop. Knows neither Kafka
//! nor dedupe.
//!
//! Invariant: a reconnect resumes after the last block that was queued, never from the last commit: what was queued
//! is not asked for again.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::airship::{self, Begin, OnExpired, Start};
use super::backoff::Backoff;
use super::body::{Body, BodyError};
use super::connect::{Connector, Opened};
use super::failure::{Class, Failure};
use super::frame::Framer;
use super::metrics::{ConnectionState, Metrics};
use super::queue::{Closed, Input, Item};
use super::retry::{Plan, Retry};
use super::{Config, Service};
use crate::model::block::Block;
use crate::model::errors::chain;
use crate::model::types::Position;

/// Keeps one shard's stream open.
pub struct Session {
    config: Arc<Config>,
    connector: Connector,
    shard: u32,
    position: Option<Position>,
    /// Where to begin without a position.
    start: Start,
    retry: Retry,
    input: Input,
    metrics: Metrics,
    stop: CancellationToken,
}

/// Why a connection is over.
enum End {
    Failed(Failure),
    Stopped,
}

impl Session {
    /// Prepares a session that begins after `position`, or at the configured start.
    pub fn new(
        config: Arc<Config>,
        shard: u32,
        position: Option<Position>,
        input: Input,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Result<Self, Failure> {
        let connector = Connector::new(Arc::clone(&config))?;
        let Service::Airship(airship) = &config.service;
        let (min, max) = airship.backoff;
        let (start, retry) = (airship.start, Retry::new(Backoff { min, max }, airship.on_expired));
        Ok(Self { config, connector, shard, position, start, retry, input, metrics, stop })
    }

    /// Runs until it is told to stop or the shard takes no more lines.
    pub async fn run(mut self) {
        loop {
            let end = self.connection().await;
            let failure = match end {
                End::Stopped => break,
                End::Failed(failure) => failure,
            };
            self.metrics.count_reconnect(failure.class);
            let plan = self.retry.plan(&failure, rand::random());
            self.report(&failure, &plan);
            if plan.abandon_position {
                self.abandon_position();
            }
            let waiting = if plan.needs_operator {
                ConnectionState::NeedsOperator
            } else {
                ConnectionState::BackingOff
            };
            self.metrics.set_state(waiting);
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(plan.pause) => {}
            }
        }
        self.metrics.set_state(ConnectionState::Idle);
        debug!(stream = %self.config.stream, shard = self.shard, "session stopped");
    }

    /// One connection, from connect to its end.
    async fn connection(&mut self) -> End {
        self.metrics.set_state(ConnectionState::Connecting);
        let begin = self.position.as_ref().map_or(Begin::At(self.start), Begin::After);
        let opened = tokio::select! {
            () = self.stop.cancelled() => return End::Stopped,
            opened = self.connector.open(self.shard, begin) => opened,
        };
        match opened {
            Ok(opened) => {
                info!(
                    stream = %self.config.stream, shard = self.shard,
                    resume = self.position.as_ref().map(tracing::field::display), "connected"
                );
                self.metrics.set_state(ConnectionState::Connected);
                self.read(opened).await
            }
            Err(failure) => End::Failed(failure),
        }
    }

    async fn read(&mut self, opened: Opened) -> End {
        let metrics = self.metrics.clone();
        let mut body =
            Body::new(opened.response.bytes_stream(), opened.coding, self.config.silence, move |bytes| {
                metrics.received(bytes, jiff::Timestamp::now().as_millisecond());
            });
        let mut framer = Framer::new(self.config.max_line);
        let mut resumed = self.position.is_some();
        loop {
            let read = tokio::select! {
                // What was received before a stop is taken; whether more would come is not waited for.
                biased;
                () = self.stop.cancelled() => return End::Stopped,
                read = body.read(framer.buffer()) => read,
            };
            let ended = match read {
                Ok(0) => Some(Failure::new(Class::Ended, "the service closed the stream")),
                Ok(_) => None,
                Err(error) => Some(failure_of(error)),
            };
            framer.cut();
            while let Some(block) = framer.next_block() {
                if self.hand_over(block, &mut resumed).await.is_err() {
                    return End::Stopped;
                }
            }
            if let Some(failure) = ended {
                return End::Failed(failure);
            }
        }
    }

    /// Queues a block, and moves the position to its end.
    async fn hand_over(&mut self, block: Block, resumed: &mut bool) -> Result<(), Closed> {
        let position = match &block {
            Block::Lines(bytes) => airship::last_position(bytes),
            Block::Oversize { .. } => None,
        };
        self.retry.received_data();
        self.input.send(Item { block, resumed: std::mem::take(resumed) }).await?;
        if position.is_some() {
            self.position = position;
        }
        Ok(())
    }

    fn abandon_position(&mut self) {
        let Service::Airship(airship) = &self.config.service;
        self.start = match airship.on_expired {
            OnExpired::Latest => Start::Latest,
            OnExpired::Earliest | OnExpired::Stop => Start::Earliest,
        };
        warn!(
            stream = %self.config.stream, shard = self.shard, position = ?self.position, begin = ?self.start,
            "the service no longer accepts the position; beginning anew, events in between may be missing"
        );
        self.metrics.positions_abandoned.inc();
        self.position = None;
    }

    fn report(&self, failure: &Failure, plan: &Plan) {
        let (stream, shard) = (&self.config.stream, self.shard);
        let (class, reason, retry_in_ms) =
            (failure.class.name(), chain(failure), plan.pause.as_millis() as u64);
        if plan.needs_operator {
            error!(%stream, shard, class, reason, retry_in_ms, "cannot connect until this is mended");
        } else if failure.class == Class::Ended {
            info!(%stream, shard, class, reason, retry_in_ms, "disconnected");
        } else {
            warn!(%stream, shard, class, reason, retry_in_ms, "disconnected");
        }
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
