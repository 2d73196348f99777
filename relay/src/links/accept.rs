//! Accepting links until told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use link::close::CloseCode;
use link::endpoint::Server;
use node::ids::LinkId;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::session::{self, Context};

/// What accepting needs.
pub(crate) struct Accepting {
    pub(crate) server: Arc<Server>,
    pub(crate) context: Arc<Context>,
    pub(crate) links_max: usize,
    /// Stops taking new links.
    pub(crate) stop: CancellationToken,
    /// Runs the links' tasks.
    pub(crate) tracker: TaskTracker,
}

/// Accepts links; each lives in a task of its own.
pub(crate) async fn accept_links(accepting: Accepting) {
    let Accepting { server, context, links_max, stop, tracker } = accepting;
    let permits = Arc::new(Semaphore::new(links_max));
    let next = AtomicU64::new(1);
    loop {
        let handshake = tokio::select! {
            handshake = server.accept() => handshake,
            () = stop.cancelled() => None,
        };
        let Some(handshake) = handshake else { break };
        let permit = permits.clone().try_acquire_owned().ok();
        let (context, link) = (context.clone(), LinkId(next.fetch_add(1, Ordering::Relaxed)));
        tracker.spawn(async move {
            let from = handshake.remote_addr();
            // Boxed: what a handshake takes is not held by every link that stands.
            let pending = match Box::pin(handshake.complete()).await {
                Ok(pending) => pending,
                Err(error) => {
                    context.metrics.handshakes_failed.inc();
                    return tracing::info!(%from, %error, "handshake failed");
                }
            };
            if permit.is_none() {
                context.metrics.handshakes_failed.inc();
                return pending.refuse(CloseCode::Busy, "as many links as this server takes");
            }
            session::run(&context, link, pending).await;
        });
    }
}
