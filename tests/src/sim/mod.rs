//! The machines of `node` in virtual time: a tree of servers with providers and devices, over links that delay, cut and
//! lose, on disks that lose what was not synced. A seed replays exactly.
//!
//! `world` is the clock and what happens, `drain` carries out what the machines want done. What a seed draws: `tree` is
//! who stands where, `setup` when things happen and what servers are like, `model` what is run and published, `fault` and
//! `operator` what goes wrong and what is changed. The parties are `server` on its `disk`, `device` and `provider`;
//! `dial` makes their links, `arrive` is what crosses them over the `network`. `upper` carries out what a server wants
//! done for those below it, `lower` what whoever dials wants. At the end `check` holds every device against the model,
//! with `journal`, `order`, `wants` and `traffic` beside it.
//!
//! Instead of a seed, a scenario file can say all this: `scenario` plays it, `real` reads what it names.

mod arrive;
mod check;
mod device;
mod dial;
mod disk;
mod drain;
mod fault;
mod journal;
mod lower;
mod model;
mod network;
mod operator;
mod order;
mod provider;
mod real;
pub mod scenario;
mod server;
mod setup;
mod traffic;
mod tree;
mod upper;
mod wants;
mod world;

pub use self::world::{Report, run};

/// How to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What stands there.
    pub shape: Shape,
    /// Nothing goes wrong and nothing changes: to count what crosses each edge.
    pub calm: bool,
    /// The servers' disks acknowledge before they sync: to show that the checks notice.
    pub lies: bool,
}

/// What stands there. Counts are small so that a run takes milliseconds; seeds make the variety.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// One server, one provider and twelve devices.
    #[default]
    One,
    /// A random tree of 1 to 200 nodes.
    Tree,
}
