//! Dialling until it works, without doing harm.

use std::net::SocketAddr;
use std::time::Duration;

use schemas::guid::ServerGuid;

use crate::backoff::Backoff;
use crate::close::{CloseCode, CloseReason};
use crate::connection::Link;
use crate::endpoint::{Client, ConnectError};
use crate::hello::Hello;

/// A link that stood so long was a success: the next dial begins with the shortest delays again.
const SETTLED: Duration = Duration::from_secs(10);

/// Whom to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where.
    pub addr: SocketAddr,
    /// Who must answer.
    pub server: ServerGuid,
}

/// Keeps the delays between dials to one server. `R` is the random source, [`crate::tls::random_u64`] outside tests.
#[derive(Debug)]
pub struct Reconnect<R> {
    backoff: Backoff,
    random: R,
    wait: Duration,
}

impl<R: FnMut() -> u64> Reconnect<R> {
    /// The first dial is made at once.
    pub fn new(backoff: Backoff, random: R) -> Self {
        Self { backoff, random, wait: Duration::ZERO }
    }

    /// Dials until there is a link; to give up, drop the future. `hello` is asked anew for each dial, `failed` is told
    /// of each failure and how long the next wait is.
    pub async fn dial(
        &mut self,
        client: &Client,
        target: Target,
        hello: impl Fn() -> Hello,
        mut failed: impl FnMut(&ConnectError, Duration),
    ) -> Link {
        loop {
            tokio::time::sleep(self.wait).await;
            match client.connect(target.addr, target.server, hello()).await {
                Ok(link) => return link,
                Err(error) => {
                    self.wait = self.backoff.next((self.random)());
                    failed(&error, self.wait);
                }
            }
        }
    }

    /// Says how a link ended and how long it stood; returns how long the next dial will wait.
    pub fn ended(&mut self, reason: &CloseReason, stood: Duration) -> Duration {
        if reason.code == CloseCode::Replaced {
            // Somebody else lives under this GUID. To come back at once would only replace it in turn.
            self.backoff.exhaust();
        } else if stood >= SETTLED {
            self.backoff.reset();
        }
        self.wait = self.backoff.next((self.random)());
        self.wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::close::ClosedBy;

    fn ended(reconnect: &mut Reconnect<impl FnMut() -> u64>, code: CloseCode, stood: u64) -> u128 {
        let reason = CloseReason { by: ClosedBy::Peer, code, text: String::new() };
        reconnect.ended(&reason, Duration::from_secs(stood)).as_millis()
    }

    #[test]
    fn only_a_link_that_stood_is_a_success() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let mut reconnect = Reconnect::new(backoff, || u64::MAX);
        assert_eq!(ended(&mut reconnect, CloseCode::Lost, 0), 100);
        assert_eq!(ended(&mut reconnect, CloseCode::Lost, 0), 200);
        assert_eq!(ended(&mut reconnect, CloseCode::Lost, 60), 100);
    }

    #[test]
    fn who_was_replaced_waits_longest() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let mut reconnect = Reconnect::new(backoff, || u64::MAX);
        assert_eq!(ended(&mut reconnect, CloseCode::Replaced, 60), 10_000);
    }
}
