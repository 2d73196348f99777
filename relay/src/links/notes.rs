//! What a client is told beside its lanes: that it is behind, and what stands above this server.

use std::sync::Arc;

use link::connection::Link;
use link::error::SendError;
use schemas::mark::Mark;
use tokio::sync::watch;

/// What there is to tell. Only the newest of each matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// Up to where the client may have missed items, and how often that was said: it is told again each time.
    behind: (u64, u64),
    /// What stands above this server, if it has changed since Hello.
    pub(crate) path: Option<Arc<[Mark]>>,
}

impl Notes {
    /// The client may have missed items up to here.
    pub(crate) fn say_behind(&mut self, position: u64) {
        self.behind = (position, self.behind.1 + 1);
    }
}

/// Tells what changes until the link or the driver ends.
pub(crate) async fn tell(link: Link, mut notes: watch::Receiver<Notes>) {
    let mut told = Notes::default();
    while notes.changed().await.is_ok() {
        let now = notes.borrow_and_update().clone();
        // Boxed: there is room for it only while something is told.
        if Box::pin(tell_changes(&link, &told, &now)).await.is_err() {
            break;
        }
        told = now;
    }
}

async fn tell_changes(link: &Link, told: &Notes, now: &Notes) -> Result<(), SendError> {
    if now.behind != told.behind {
        link.behind(now.behind.0).await?;
    }
    match &now.path {
        Some(path) if now.path != told.path => link.path(path).await,
        _ => Ok(()),
    }
}
