//! Looking at the files of the inventory and of the trust, by the clock and on SIGHUP.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use dialler::trust::Settings;
use node::client::Event;
use node::trust::Trust;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::assets::{self, Stamp};
use crate::config::AssetSource;
use crate::inventory::Inventory;

/// What the driver has.
pub(crate) struct Known {
    pub(crate) inventory: Inventory,
    /// How the inventory's files stood when it was read.
    pub(crate) stamp: Stamp,
    pub(crate) trust: Arc<Trust>,
}

/// Tells the driver of each change until it is gone.
pub(crate) async fn watch(
    sources: Vec<AssetSource>,
    trust: Settings,
    every: Duration,
    mut known: Known,
    changes: mpsc::Sender<Event>,
) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once, and the files were read just now.
    tick.tick().await;
    loop {
        let is_asked = tokio::select! {
            _ = tick.tick() => false,
            hung_up = hangup.recv() => hung_up.is_some(),
        };
        let changed = [known.look_at_trust(&trust).await, known.look_at_inventory(&sources, is_asked).await];
        for event in changed.into_iter().flatten() {
            if changes.send(event).await.is_err() {
                return Ok(());
            }
        }
    }
}

impl Known {
    /// Few and small files, and a key's file may change without the one that names it: all are read each time.
    async fn look_at_trust(&mut self, settings: &Settings) -> Option<Event> {
        settings.file.as_ref()?;
        let settings = settings.clone();
        match tokio::task::spawn_blocking(move || settings.load()).await {
            Ok(Ok(found)) if found != *self.trust => {
                tracing::info!(signers = found.signers.as_ref().map_or(0, Vec::len), "the trust file changed");
                self.trust = Arc::new(found);
                Some(Event::Trust(self.trust.clone()))
            }
            Ok(Ok(_)) => None,
            // Looked at again at the next tick: a file that is being written may be whole then.
            Ok(Err(error)) => {
                tracing::warn!(%error, "the trust file cannot be used; the last one stays in force");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the trust file cannot be read");
                None
            }
        }
    }

    async fn look_at_inventory(&mut self, sources: &[AssetSource], is_asked: bool) -> Option<Event> {
        let now = Stamp::of(sources);
        if now == self.stamp && !is_asked {
            return None;
        }
        let looked = sources.to_owned();
        match tokio::task::spawn_blocking(move || assets::find(&looked)).await {
            Ok(Ok(found)) => {
                self.stamp = now;
                if found == self.inventory {
                    return None;
                }
                tracing::info!(assets = found.len(), "the inventory changed");
                let event = Event::Assets(assets::for_client(&found));
                self.inventory = found;
                Some(event)
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the inventory cannot be read; the last one stays in force");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the inventory cannot be read");
                None
            }
        }
    }
}
