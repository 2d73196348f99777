//! Links between two endpoints over loopback sockets.

#![expect(clippy::large_futures, reason = "a test's future holds both ends of a link, and runs once")]

mod apart;
mod closing;
mod congestion;
mod exchanges;
mod handshake;
mod hostile;
mod lanes;
pub(crate) mod pair;
mod segmented;
mod short;
mod slow;
mod wire;
