//! The span of an attempt to connect. A batch is linked to those of its lines, so that one sees by which connection they came.

use opentelemetry::trace::{SpanContext, Status};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use url::Url;

use super::failure::Failure;
use crate::model::types::ShardId;
use crate::trace::{TARGET, context};

/// An attempt that is under way. One that is given up tells nothing.
pub(crate) struct Attempt(Span);

impl Attempt {
    /// Begins now.
    pub(crate) fn begin() -> Self {
        Self(info_span!(target: TARGET, parent: None, "connect", otel.kind = "client"))
    }

    /// Tells how it ended; gives its context for what is linked to it, where it is traced.
    pub(crate) fn end(
        self,
        shard: &ShardId,
        connection: u32,
        url: &Url,
        failure: Option<&Failure>,
    ) -> Option<SpanContext> {
        let Self(span) = self;
        let context = context(&span)?;
        span.set_attribute("tributary.stream", shard.stream.to_string());
        span.set_attribute("tributary.shard", i64::from(shard.index));
        span.set_attribute("tributary.connection", i64::from(connection));
        span.set_attribute("server.address", url.host_str().unwrap_or_default().to_owned());
        if let Some(failure) = failure {
            span.set_attribute("error.type", failure.class.name());
            span.set_status(Status::error(failure.class.name()));
        }
        failure.is_none().then_some(context)
    }
}
