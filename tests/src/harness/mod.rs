//! A real server and real clients in one process, over QUIC on loopback, for tests of what crosses a link.
//!
//! Nothing here sleeps. Whatever may hang stands under [`within`]; that nothing comes is shown by what comes after it
//! (a lane keeps the order of the log).

mod agent;
mod authority;
mod client;
pub mod draft;
mod files;
mod forwarder;
mod leaks;
pub mod memory;
pub mod raw;
mod received;
mod recorder;
mod server;
pub mod stub;

use std::time::Duration;

pub use self::agent::{TestAgent, agent_config};
pub use authority::Authority;
pub use client::{Pushed, TestClient};
pub use files::open_files;
pub use forwarder::{Forwarded, Forwarder};
pub use leaks::Capture;
pub use received::{Answered, Got, Leaf, items, leaves};
pub use recorder::{Kept, Recorder, Way};
pub use server::{TestServer, page};
pub use stub::Stub;

/// As long as anything in a test may take; reached only by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The value of a future that must not hang.
///
/// # Panics
///
/// After [`PATIENCE`], with what was waited for.
#[track_caller]
pub fn within<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(value) => value,
            Err(_) => panic!("{place}: waited {PATIENCE:?} for {what}"),
        }
    }
}
