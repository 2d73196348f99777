//! QUIC connections on one socket, all driven by one task.
//!
//! The protocol is `quinn-proto`'s and the system calls are `quinn-udp`'s, both unmodified; here is only what joins them to
//! tokio. `quinn`'s own joint has a task, channels, a timer and a buffer for each connection and hands the kernel at most
//! ten packets at once. A server with thousands of links that get the same at the same time does better with one
//! [`driver`] that looks after all connections in turn and hands over as many packets as the kernel takes: `docs/benchmarks.md`
//! has both, measured side by side.
//!
//! ```text
//! a task writes -> connection's state, under its lock -> ready queue -> driver -> packets -> socket
//! socket -> driver -> endpoint: whose packet? -> connection's state -> wakes the task that waits for it
//! ```
//!
//! A port may have several sockets, each with a driver of its own: [`steering`] says which of them has a connection.
//!
//! Locks: the endpoint's and one for each connection, held for as long as one call into `quinn-proto` takes and never across
//! an await. Only the driver ever holds both.

mod connection;
mod driver;
mod endpoint;
mod ready;
mod shared_window;
mod socket;
mod steering;
mod stream;
mod timers;

pub(crate) use connection::Connection;
pub(crate) use endpoint::{Endpoint, Incoming, accept, listen};
pub(crate) use shared_window::{SharedWindow, Waiting};
pub(crate) use socket::Socket;
pub(crate) use steering::SocketIds;
pub(crate) use stream::{ReadError, RecvStream, SendStream, WriteError};

#[cfg(test)]
mod tests;
