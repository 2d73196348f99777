//! Carries out whatever the machines want done, until nobody wants anything.

use node::shard::Shard;

use super::network::{Message, Way};
use super::server::Live;
use super::world::{AtServer, BEGIN, World};

/// One that is polled for actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Machine {
    Server(usize),
    Device(usize),
    Provider(usize),
}

impl World {
    /// A machine that is polled dry wants nothing until it is told something.
    pub(super) fn drain(&mut self) -> Result<(), String> {
        while let Some(machine) = self.busy.pop_first() {
            match machine {
                Machine::Server(index) => {
                    self.drain_server(index)?;
                    self.set_timer(index);
                }
                Machine::Device(index) => {
                    while let Some(action) = self.devices[index].poll() {
                        self.device_action(index, action)?;
                    }
                }
                Machine::Provider(index) => {
                    while let Some((exchange, document)) = self.providers[index].next() {
                        if let Some(link) = self.providers[index].link {
                            self.send(link, Way::Up, Message::Open(exchange, document));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn drain_server(&mut self, index: usize) -> Result<(), String> {
        loop {
            let mut quiet = true;
            while let Some(action) = self.servers[index].live.as_mut().and_then(|live| live.engine.poll_action()) {
                quiet = false;
                self.engine_action(index, action)?;
            }
            for shard in 0..self.servers[index].rules.shards {
                let poll = |live: &mut Live| live.shards.get_mut(shard)?.poll_action();
                while let Some(action) = self.servers[index].live.as_mut().and_then(poll) {
                    quiet = false;
                    self.shard_action(index, shard, action)?;
                }
            }
            if quiet {
                return Ok(());
            }
        }
    }

    /// One timer is enough: when it goes off, the next is set.
    fn set_timer(&mut self, index: usize) {
        let now = self.now;
        let Some(live) = &mut self.servers[index].live else { return };
        let shards = live.shards.iter().filter_map(Shard::poll_timeout);
        let first = shards.chain([live.engine.poll_timeout()]).map(|(at, _)| at.0).min().unwrap_or_default();
        let wait = first.saturating_sub(BEGIN + now).max(1);
        if live.timer.is_none_or(|set| set > now + wait) {
            live.timer = Some(now + wait);
            self.after_at(wait, index, AtServer::Timer);
        }
    }
}
