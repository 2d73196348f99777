//! From a UDP socket to a link: binding, the handshake, Hello.

mod client;
mod handshake;
mod server;
mod socket;

pub use client::{Client, ConnectError};
pub use handshake::HandshakeError;
pub use server::{Handshake, Pending, Server};
pub use socket::BindError;
