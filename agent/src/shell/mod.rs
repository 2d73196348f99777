//! The shell around the pure client: one task that owns it, and the tasks of its link.

mod driver;
mod exchange;
mod incoming;
mod lane;
mod session;
mod store;
mod watch;

pub(crate) use driver::{Driver, Input};
pub(crate) use session::{Dialler, dial};
pub(crate) use store::Store;
pub(crate) use watch::watch;
