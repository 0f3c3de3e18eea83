//! `/live`, `/ready` and `/metrics` for probes and Prometheus.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use serde::Serialize;
use tokio::net::TcpListener;

use crate::source::metrics::ConnectionState;
use crate::supervisor::ShardFigures;
use crate::{task, telemetry};

mod connections;

/// The media type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Served {
    registry: Arc<Registry>,
    figures: Arc<[ShardFigures]>,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    shards: Vec<ShardReadiness>,
}

#[derive(Serialize)]
struct ShardReadiness {
    shard: String,
    ready: bool,
    state: &'static str,
}

/// Begins to serve; the address that was bound is returned, for port 0.
pub async fn serve(listen: SocketAddr, figures: &[ShardFigures]) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let bound = listener.local_addr()?;
    let served = Served { registry: Arc::new(telemetry::registry(figures)), figures: figures.into() };
    let router = Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(served);
    drop(task::spawn(&tokio::runtime::Handle::current(), "admin", connections::serve(listener, router)));
    Ok(bound)
}

async fn ready(State(served): State<Served>) -> impl IntoResponse {
    let shards: Vec<_> = served.figures.iter().map(readiness).collect();
    let ready = shards.iter().all(|shard| shard.ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, shards }))
}

async fn metrics(State(served): State<Served>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &served.registry) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, OPEN_METRICS)], text),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], error.to_string())
        }
    }
}

/// A shard is ready once it is open in Kafka and was connected, and until a person has to act or it stopped. A pause
/// before a reconnect is routine.
fn readiness(figures: &ShardFigures) -> ShardReadiness {
    let state = figures.source.state();
    let works = !matches!(state, ConnectionState::Idle | ConnectionState::NeedsOperator);
    ShardReadiness {
        shard: figures.id.to_string(),
        ready: works && figures.shard.last_commit_ms() > 0 && figures.source.was_connected(),
        state: state.name(),
    }
}
