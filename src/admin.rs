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
use tokio::net::TcpListener;

use crate::sink::kafka::reach::Reach;
use crate::supervisor::ShardFigures;
use crate::task;
use crate::telemetry::metrics;

mod connections;
mod readiness;

/// The media type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Served {
    registry: Arc<Registry>,
    figures: Arc<[ShardFigures]>,
    reach: Reach,
}

/// Begins to serve; the address that was bound is returned, for port 0.
pub(crate) async fn serve(
    listen: SocketAddr,
    figures: &[ShardFigures],
    reach: &Reach,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let bound = listener.local_addr()?;
    let served = Served {
        registry: Arc::new(metrics::registry(figures, reach)),
        figures: figures.into(),
        reach: reach.clone(),
    };
    let router = Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(served);
    drop(task::spawn(&tokio::runtime::Handle::current(), "admin", connections::serve(listener, router)));
    Ok(bound)
}

async fn ready(State(served): State<Served>) -> impl IntoResponse {
    let page = readiness::Page::of(&served.figures, &served.reach);
    let status = if page.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(page))
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
