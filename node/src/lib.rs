//! What to do: the pure machines of a node.
//!
//! [`engine::Engine`] decides: sessions, subscriptions, the log. [`shard::Shard`] delivers: cursors, windows, bundles of
//! the links it owns. [`client::Client`] is the other end: what a device registers, holds and journals; [`uplink`] is
//! the same for a local server, inside its engine. All have
//! one shape: `handle(now, event)` in, `poll_action()` and `poll_timeout()` out; mutate once, drain, wait.
//!
//! This crate names no runtime, socket, clock, disk or random source: time and random values come in as arguments, and
//! the disk is an action (`Store`) answered by an event (`Stored`).

pub mod answer;
pub mod bundle;
pub mod catalogue;
pub mod client;
pub mod engine;
pub mod entry;
pub mod ids;
pub mod intake;
pub mod policy;
pub mod records;
pub mod returned;
pub mod shard;
pub mod store;
pub mod trust;
pub mod uplink;
