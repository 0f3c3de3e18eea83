//! `/live`, `/ready` and `/metrics` for probes and Prometheus, and `/api/status`, which is what `/ready` says, whatever it is.

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

use crate::sink::kafka::group::Seat;
use crate::sink::kafka::reach::Reach;
use crate::supervisor::AllFigures;
use crate::task;
use crate::telemetry::metrics::{self, OfProcess};
use crate::webhook;

mod connections;
mod readiness;

/// The media type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Served {
    registry: Arc<Registry>,
    figures: AllFigures,
    reach: Reach,
    seat: Option<Seat>,
    webhook: Option<webhook::Metrics>,
}

/// Begins to serve; the address that was bound is returned, for port 0.
pub(crate) async fn serve(
    listen: SocketAddr,
    figures: &AllFigures,
    reach: &Reach,
    seat: Option<&Seat>,
    webhook: Option<&webhook::Metrics>,
    process: &OfProcess,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let bound = listener.local_addr()?;
    let served = Served {
        registry: Arc::new(metrics::registry(figures, reach, webhook, process)),
        figures: figures.clone(),
        reach: reach.clone(),
        seat: seat.cloned(),
        webhook: webhook.cloned(),
    };
    let router = Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/status", get(status))
        .with_state(served);
    drop(task::spawn(&tokio::runtime::Handle::current(), "admin", connections::serve(listener, router)));
    Ok(bound)
}

async fn ready(State(served): State<Served>) -> impl IntoResponse {
    let page = served.page();
    let status = if page.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(page))
}

/// The same page for whoever wants to know how things are, rather than whether to send traffic.
async fn status(State(served): State<Served>) -> impl IntoResponse {
    Json(served.page())
}

impl Served {
    fn page(&self) -> readiness::Page {
        readiness::Page::of(&self.figures.get(), &self.reach, self.seat.as_ref(), self.webhook.as_ref())
    }
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
