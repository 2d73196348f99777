//! The HTTP interface for operators: /metrics, /healthz, /readyz.

use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::driver::{Shared, Snapshot};
use crate::metrics::Metrics;
use crate::store::thread::Counters as StoreCounters;

/// What the pages read.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) metrics: Metrics,
    pub(crate) snapshot: Shared,
    pub(crate) store: Arc<StoreCounters>,
    /// Set while the server stops: it is alive, and not ready.
    pub(crate) draining: CancellationToken,
}

impl Pages {
    fn snapshot(&self) -> Snapshot {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, pages: Pages, stop: CancellationToken) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(pages);
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "the admin interface ended");
    }
}

async fn metrics(State(pages): State<Pages>) -> Response {
    match pages.metrics.render(&pages.snapshot(), &pages.store) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Ready means: links are accepted, and what is sent here is stored.
async fn ready(State(pages): State<Pages>) -> Response {
    if pages.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match pages.snapshot().broken {
        None => "ready\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("the store failed, restart after mending it: {why}\n"))
            .into_response(),
    }
}
