//! How stale a local server is: for how long its upstreams may have had something that it does not know.

use std::collections::HashMap;
use std::time::Duration;

use node::uplink::Uplink;
use schemas::guid::ServerGuid;
use tokio::time::Instant;

/// When each upstream was last seen connected, with everything of it here that was asked for.
#[derive(Debug, Default)]
pub(crate) struct Freshness(HashMap<ServerGuid, Instant>);

impl Freshness {
    /// Looks at all uplinks; answers how long ago that was for the worst of them. One that is new is fresh from now on.
    pub(crate) fn look<'a>(&mut self, now: Instant, uplinks: impl Iterator<Item = &'a Uplink>) -> Duration {
        self.note(now, uplinks.map(|uplink| (uplink.config().server, uplink.is_synchronised())))
    }

    fn note(&mut self, now: Instant, uplinks: impl Iterator<Item = (ServerGuid, bool)>) -> Duration {
        let seen = |(server, is_fresh): (ServerGuid, bool)| {
            let before = self.0.get(&server).copied().filter(|_| !is_fresh);
            (server, before.unwrap_or(now))
        };
        self.0 = uplinks.map(seen).collect();
        self.0.values().map(|since| now.duration_since(*since)).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_upstream_counts_from_when_it_was_last_fresh() {
        let (one, other, begin) = (ServerGuid(1), ServerGuid(2), Instant::now());
        let mut freshness = Freshness::default();
        let mut look = |seconds: u64, seen: &[(ServerGuid, bool)]| {
            freshness.note(begin + Duration::from_secs(seconds), seen.iter().copied()).as_secs()
        };
        assert_eq!(look(0, &[(one, false)]), 0);
        assert_eq!(look(3, &[(one, false)]), 3, "since the start, if it never was");
        assert_eq!(look(4, &[(one, true), (other, true)]), 0);
        assert_eq!(look(9, &[(one, true), (other, false)]), 5);
        assert_eq!(look(11, &[(one, false), (other, false)]), 7);
        assert_eq!(look(12, &[(one, false)]), 3, "who is left does not count any more");
        assert_eq!(look(13, &[]), 0, "a root is never stale");
    }
}
