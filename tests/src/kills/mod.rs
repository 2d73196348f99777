//! Real processes that are killed: servers, agents and a provider on loopback, in rounds.
//!
//! Each round publishes some items and kills somebody at a seeded instant, or lets a failpoint in a server's disk do it.
//! [`run`] has one server, [`tree`] several in tiers. At the end every journal is held against a plain model.

mod model;
mod process;
mod rounds;
mod stage;
pub mod tree;
mod world;

use serde::{Deserialize, Serialize};

use crate::faults::{Failpoint, Faults, Restart, Then, When};

pub use self::rounds::{Plan, Report, run};

/// The disk that the server of a round stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFaults {
    /// Whether its disk forgets what was not synced.
    pub forgets: bool,
    /// Decides what a restart keeps of it.
    pub seed: u64,
    /// Whether it acknowledges before it syncs.
    pub lies: bool,
    /// Where it kills the server.
    pub failpoint: Option<Point>,
}

/// A failpoint of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Which sync, from 1.
    pub nth: u64,
    /// Before it (between append and sync), or after it (between sync and reply).
    pub before: bool,
}

impl ServerFaults {
    /// What to open the disk with; `None` for the plain one.
    pub fn of_disk(self) -> Option<(Restart, Faults)> {
        if !self.forgets {
            return None;
        }
        let restart = match self.seed % 3 {
            // What nothing was ever synced of is best lost whole: torn, the store notices by itself.
            _ if self.lies => Restart::Discard,
            0 => Restart::Discard,
            1 => Restart::TornPrefix { seed: self.seed },
            _ => Restart::Sectors { seed: self.seed },
        };
        let failpoint = self.failpoint.map(|point| Failpoint {
            prefix: "log-".to_owned(),
            nth: point.nth,
            when: if point.before { When::BeforeSync } else { When::AfterSync },
            then: Then::Abort,
        });
        Some((restart, Faults { failpoint, lie_on_sync: self.lies }))
    }
}
