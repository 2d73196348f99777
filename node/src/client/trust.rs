//! What this device takes an item for: judged when it comes, when the trust file changes, and by the clock, since
//! certificates end and begin without anybody saying so.

use std::sync::Arc;
use std::time::Duration;

use super::Client;
use super::word::Under;
use crate::ids::Time;
use crate::trust::Trust;

/// How long a verdict that may change with time stands: as long as at servers.
const RECHECK: Duration = Duration::from_secs(3600);

impl Client {
    /// Time has passed: to be called at [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        self.look_at_clock(now);
    }

    /// When to call [`Self::handle_timeout`], and what for.
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let at = self.judged.after(RECHECK);
        self.trust.depends_on_time().then_some((at, "look whether certificates hold"))
    }

    pub(super) fn trust_changed(&mut self, now: Time, trust: Arc<Trust>) {
        let before = std::mem::replace(&mut self.trust, trust);
        self.judge_again(now, &before);
    }

    /// A device's clock may be set: what was judged by a time to come is judged again as well.
    pub(super) fn look_at_clock(&mut self, now: Time) {
        let Some((due, _)) = self.poll_timeout() else { return };
        if now >= due || now < self.judged {
            let trust = self.trust.clone();
            self.judge_again(now, &trust);
        }
    }

    /// What is held is marked where it is regarded otherwise now. If something that is not held may be welcome now,
    /// everything is asked for again: only the server has it.
    fn judge_again(&mut self, now: Time, before: &Trust) {
        let then = Under { trust: before, at: std::mem::replace(&mut self.judged, now) };
        let under = Under { trust: &self.trust, at: now };
        let misses = self.holdings.may_miss(then, under);
        let events = self.holdings.rejudge(under);
        self.store(now, events, None, Vec::new());
        if misses {
            self.resynchronise(now);
        }
    }
}
