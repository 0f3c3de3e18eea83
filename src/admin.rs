//! `/live`, `/ready` and `/metrics` for probes and Prometheus; for people the status page `/`, and what it shows as JSON:
//! `/api/status`, and `/api/status/events` with a snapshot a second.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::clock::now_ms;
use crate::sink::kafka::group::Seat;
use crate::sink::kafka::reach::Reach;
use crate::supervisor::{AllFigures, ShardFigures};
use crate::task;
use crate::telemetry::metrics::{self, OfProcess};
use crate::webhook;

mod connections;
mod page;
mod readiness;
mod status;
mod viewers;

use page::Page;
use status::{Rates, Snapshot};
use viewers::Viewers;

/// What is said to one viewer too many.
const FULL: &str = "too many look at the events already; /api/status has the same once\n";

/// The media type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Served {
    registry: Arc<Registry>,
    figures: AllFigures,
    reach: Reach,
    seat: Option<Seat>,
    webhook: Option<webhook::Metrics>,
    /// Milliseconds since the Unix epoch.
    started_ms: i64,
    page: Page,
    viewers: Viewers,
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
        started_ms: now_ms(),
        page: Page::default(),
        viewers: Viewers::default(),
    };
    let runtime = tokio::runtime::Handle::current();
    let snapshots = served.viewers.clone().serve(served.snapshots());
    drop(task::spawn(&runtime, "snapshots", snapshots));
    let router = Router::new()
        .route("/", get(async |State(served): State<Served>| served.page))
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/status", get(status))
        .route("/api/status/events", get(events))
        .with_state(served);
    drop(task::spawn(&runtime, "admin", connections::serve(listener, router)));
    Ok(bound)
}

async fn ready(State(served): State<Served>) -> impl IntoResponse {
    let page = served.readiness(&served.figures.get());
    let status = if page.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(page))
}

/// For whoever wants to know how things are, rather than whether to send traffic.
async fn status(State(served): State<Served>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(served.snapshot(None)))
}

/// The same each second, with rates.
async fn events(State(served): State<Served>) -> Response {
    match served.viewers.join() {
        Some(events) => {
            let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
            (headers, Body::from_stream(events)).into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, FULL).into_response(),
    }
}

impl Served {
    fn readiness(&self, figures: &[ShardFigures]) -> readiness::Page {
        readiness::Page::of(figures, &self.reach, self.seat.as_ref(), self.webhook.as_ref())
    }

    fn snapshot(&self, rates: Option<&mut Rates>) -> Snapshot {
        let figures = self.figures.get();
        let rates = rates.map(|rates| rates.measure(&figures)).unwrap_or_default();
        Snapshot::of(self.readiness(&figures), &figures, &rates, self.started_ms)
    }

    /// Makes snapshots with rates, one after the other, as JSON.
    fn snapshots(&self) -> impl FnMut(bool) -> String + use<> {
        let (served, mut rates) = (self.clone(), Rates::default());
        move |is_first| {
            if is_first {
                rates = Rates::default();
            }
            let snapshot = served.snapshot(Some(&mut rates));
            // It has no map with keys that are not text, which alone could fail.
            serde_json::to_string(&snapshot).unwrap_or_default()
        }
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
