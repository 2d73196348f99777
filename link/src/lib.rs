//! One QUIC link between two nodes: X.1206 over QUIC, as `docs/protocol.md` states it.
//!
//! A [`connection::Link`] joins two identities that have proven themselves by certificate ([`identity`], [`tls`]) and
//! have said [`hello`]. It carries [`frame`]s, each with one XML document, in exchanges, lanes and the reply lane. This
//! crate knows no document from the inside: it bounds, counts and checks bytes, and leaves every decision to its caller.
//!
//! Whatever a peer sends is bounded before memory is spent ([`limits`], [`budget`]) and every wait for progress has a
//! deadline; a peer that breaks the protocol loses its link, with a code and a text ([`close`]), and nothing else.

pub mod apart;
pub mod backoff;
pub mod budget;
pub mod close;
pub mod connection;
pub mod endpoint;
pub mod error;
pub mod exchange;
pub mod frame;
pub mod hello;
pub mod identity;
pub mod lane;
pub mod limits;
pub mod path;
pub mod pki;
mod quic;
mod reader;
pub mod reconnect;
pub mod segments;
pub mod short;
pub mod tls;
pub mod traffic;
mod window;
mod writer;

#[cfg(test)]
mod tests;
