//! Links of clients: accepting them, reading what they say, writing what they get.

mod accept;
pub(crate) mod apart;
pub(crate) mod bundles;
pub(crate) mod exchange;
pub(crate) mod lane;
pub(crate) mod notes;
pub(crate) mod outgoing;
pub(crate) mod reading;
mod replies;
pub(crate) mod session;

pub(crate) use accept::{Accepting, accept_links};
