//! A dialler and the server above it, over real QUIC.

mod incoming;
mod items;
mod outgoing;
mod replies;
mod rig;
