//! Looking at the inventory's files, by the clock and on SIGHUP.

use std::io;
use std::time::Duration;

use node::client::Asset;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::assets::{self, Stamp};
use crate::config::AssetSource;
use crate::inventory::Inventory;

/// Tells the driver of each change until it is gone. `known` is what it has, read when the files stood like `stamp`.
pub(crate) async fn watch(
    sources: Vec<AssetSource>,
    every: Duration,
    known: (Inventory, Stamp),
    changes: mpsc::Sender<Vec<Asset>>,
) -> io::Result<()> {
    let (mut known, mut stamp) = known;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once, and the inventory was read just now.
    tick.tick().await;
    loop {
        let is_asked = tokio::select! {
            _ = tick.tick() => false,
            hung_up = hangup.recv() => hung_up.is_some(),
        };
        let now = Stamp::of(&sources);
        if now == stamp && !is_asked {
            continue;
        }
        let looked = sources.clone();
        let found = tokio::task::spawn_blocking(move || assets::find(&looked)).await;
        match found {
            Ok(Ok(found)) => {
                stamp = now;
                if found != known {
                    tracing::info!(assets = found.len(), "the inventory changed");
                    if changes.send(assets::for_client(&found)).await.is_err() {
                        return Ok(());
                    }
                    known = found;
                }
            }
            // Looked at again at the next tick: a file that is being written may be whole then.
            Ok(Err(error)) => tracing::warn!(%error, "the inventory cannot be read; the last one stays in force"),
            Err(error) => tracing::warn!(%error, "the inventory cannot be read"),
        }
    }
}
