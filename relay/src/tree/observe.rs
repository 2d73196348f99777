//! Looking at a tree from outside: servers by their metrics, agents by what they write.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use agent::contact::Contact;
use agent::journal::{JOURNAL, Kind};
use node::ids::Time;
use serde::Deserialize;

use super::scrape::{Metrics, page};

/// A counter of a server: the metric and its labels.
type Counter = (&'static str, &'static [(&'static str, &'static str)]);

/// What is counted, by the constants below.
const COUNTERS: [Counter; 7] = [
    ("distributary_wire_bytes_total", &[("direction", "in"), ("side", "up")]),
    ("distributary_wire_bytes_total", &[("direction", "out"), ("side", "up")]),
    ("distributary_wire_bytes_total", &[("direction", "in"), ("side", "down")]),
    ("distributary_wire_bytes_total", &[("direction", "out"), ("side", "down")]),
    ("distributary_uplink_bytes_without_cache_total", &[]),
    ("distributary_items_pushed_total", &[]),
    ("distributary_requests_coalesced_total", &[]),
];
/// From the upstreams.
pub(super) const UP_IN: usize = 0;
/// To the upstreams.
pub(super) const UP_OUT: usize = 1;
/// From what is below.
pub(super) const DOWN_IN: usize = 2;
/// To what is below.
pub(super) const DOWN_OUT: usize = 3;
/// What would have crossed to and from the upstreams, had everybody below dialled them.
pub(super) const WITHOUT_CACHE: usize = 4;
/// Items pushed to what is below.
pub(super) const PUSHED: usize = 5;
/// Requests that shared another's way up.
pub(super) const COALESCED: usize = 6;

/// A value for each counter; `None` where a server does not have it.
pub(super) type Counts<T = u64> = [Option<T>; COUNTERS.len()];

/// What one look has seen.
pub(super) struct Sight {
    /// When it began.
    pub(super) begun: Instant,
    /// Of each server that answers.
    pub(super) servers: Vec<Option<Server>>,
    /// Of each agent.
    pub(super) agents: Vec<Agent>,
}

/// What a server says.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// It takes links and stores what it is sent.
    pub(super) ready: bool,
    pub(super) links: Option<u64>,
    pub(super) uplinks: Option<u64>,
    pub(super) items: Option<u64>,
    /// Items that wait to be pushed or for an answer.
    pub(super) open: u64,
    pub(super) counts: Counts,
}

/// What an agent has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Agent {
    /// When it said so, if the last that it said is that it is synchronised.
    pub(super) synchronised: Option<Time>,
    /// Deliveries in its journal.
    pub(super) items: usize,
}

/// Who is looked at, and how far that was read.
pub(super) struct Eyes {
    admins: Vec<SocketAddr>,
    agents: Vec<Tail>,
}

impl Eyes {
    pub(super) fn new(admins: Vec<SocketAddr>, states: Vec<PathBuf>) -> Self {
        let agents = states.into_iter().map(|state| Tail { state, read: 0, items: 0 }).collect();
        Self { admins, agents }
    }

    /// Looks at everybody; takes as long as the servers take to answer.
    pub(super) fn look(&mut self) -> Sight {
        Sight {
            begun: Instant::now(),
            servers: self.admins.iter().map(|admin| Server::ask(*admin)).collect(),
            agents: self.agents.iter_mut().map(Tail::look).collect(),
        }
    }
}

impl Server {
    fn ask(admin: SocketAddr) -> Option<Self> {
        let metrics = Metrics(page(admin, "/metrics")?);
        let gauge = |name| metrics.value(name, &[]);
        Some(Self {
            ready: page(admin, "/readyz").is_some(),
            links: gauge("distributary_links"),
            uplinks: gauge("distributary_uplinks_connected"),
            items: gauge("distributary_items"),
            open: gauge("distributary_items_queued").unwrap_or(0) + gauge("distributary_items_unanswered").unwrap_or(0),
            counts: COUNTERS.map(|(name, labels)| metrics.value(name, labels)),
        })
    }
}

/// An agent's journal, read as it grows.
struct Tail {
    state: PathBuf,
    /// Bytes of whole lines.
    read: u64,
    items: usize,
}

/// What counts in a line of a journal.
#[derive(Deserialize)]
struct Line {
    event: Kind,
}

impl Tail {
    fn look(&mut self) -> Agent {
        // Nothing there, or nothing new, is no fault: what is not seen now is seen at the next look.
        drop(self.read_on());
        let contact = Contact::read(&self.state).filter(|contact| contact.synchronised);
        Agent { synchronised: contact.and_then(|contact| dialler::clock::parse(&contact.at)), items: self.items }
    }

    fn read_on(&mut self) -> std::io::Result<()> {
        let mut file = File::open(self.state.join(JOURNAL))?;
        if file.metadata()?.len() < self.read {
            // Its end was torn and has been cut.
            (self.read, self.items) = (0, 0);
        }
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        for line in text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            self.read += line.len() as u64;
            let kind = serde_json::from_slice::<Line>(line).ok().map(|line| line.event);
            self.items += usize::from(matches!(kind, Some(Kind::Gained | Kind::Revised | Kind::Retracted)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_read_as_it_grows() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut tail = Tail { state: folder.path().to_owned(), read: 0, items: 0 };
        assert_eq!(tail.look(), Agent::default());
        let mut write = |text: &str| {
            std::fs::write(folder.path().join(JOURNAL), text).expect("writes");
            tail.look().items
        };
        let (gained, noted) = ("{\"n\":1,\"event\":\"gained\"}\n", "{\"n\":2,\"event\":\"noted\"}\n");
        assert_eq!(write(gained), 1);
        assert_eq!(write(&format!("{gained}{noted}{gained}")), 2);
        assert_eq!(write(&format!("{gained}{noted}{gained}{{\"n\":4,\"event\":\"gai")), 2);
        assert_eq!(write(&format!("{gained}{noted}{gained}{gained}")), 3);
        assert_eq!(write(gained), 1);
    }
}
