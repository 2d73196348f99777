//! The shell around the pure client: one task that owns it, between its link and its disk.

mod driver;
mod store;
mod watch;

pub(crate) use driver::{Driver, Inputs};
pub(crate) use store::Store;
pub(crate) use watch::{Known, watch};
