//! The machines of `node` in virtual time: one server, a provider and devices over links that delay, cut and lose, on
//! disks that lose what was not synced. A seed replays exactly.
//!
//! `world` is the clock and what happens, `setup` what a seed varies, `fault` what goes wrong, `act` what the machines
//! want done, `links` what crosses the `network`, `check` what must hold at the end by the plain `model`; `disk` is the
//! server's store, and `server`, `device` and `provider` are the parties.

mod act;
mod check;
mod device;
mod disk;
mod fault;
mod links;
mod model;
mod network;
mod provider;
mod server;
mod setup;
mod world;

pub use self::world::{Options, Report, run};

/// What a run is made of. Counts are small so that a run takes milliseconds; seeds make the variety.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Devices.
    pub devices: usize,
    /// Deliveries by the provider.
    pub deliveries: usize,
    /// Crashes, cuts and changes of inventory.
    pub faults: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { devices: 12, deliveries: 40, faults: 16 }
    }
}
