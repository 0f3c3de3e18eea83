//! The span of an attempt to connect. A batch is linked to those of its lines, so that one sees by which connection they came.

use tokio::time::Instant;
use url::Url;

use super::failure::Failure;
use crate::clock::ns_at;
use crate::model::types::ShardId;
use crate::trace::{Context, Kind, MaybeTracer, Span, Value};

/// Hands over the span of an attempt that began then; gives its context for what is linked to it. Of attempts there are few, so all are
/// kept where anything is traced.
pub(crate) fn traced(
    tracer: &MaybeTracer,
    shard: &ShardId,
    connection: u32,
    url: &Url,
    began: Instant,
    failure: Option<&Failure>,
) -> Option<Context> {
    let tracer = tracer.as_ref().filter(|tracer| tracer.is_on())?;
    let context = tracer.root().kept();
    let mut attributes = vec![
        ("tributary.stream", Value::from(&*shard.stream)),
        ("tributary.shard", Value::from(u64::from(shard.index))),
        ("tributary.connection", Value::from(u64::from(connection))),
        ("server.address", Value::from(url.host_str().unwrap_or_default())),
    ];
    let error = failure.map(|failure| failure.class.name().to_owned());
    attributes.extend(error.as_deref().map(|class| ("error.type", Value::from(class))));
    tracer.send(Span {
        name: "connect",
        kind: Kind::Client,
        context,
        parent: None,
        start_ns: ns_at(began),
        end_ns: ns_at(Instant::now()),
        attributes,
        links: Vec::new(),
        error,
    });
    failure.is_none().then_some(context)
}
