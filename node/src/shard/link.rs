//! One link: a lane for each class, which share nothing but whose they are. So what a client does not read of one class
//! holds up nothing of another.

use bytes::Bytes;
use schemas::class::PerClass;
use schemas::guid::ClientGuid;

use super::lane::Lane;
use super::{Config, Item};
use crate::catalogue::Form;
use crate::engine::CursorReport;
use crate::ids::{Position, Time};

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    client: ClientGuid,
    generation: u64,
    pub(super) lanes: PerClass<Lane>,
    reported: PerClass<Position>,
    /// It stands in the shard's list of those that have something to report.
    is_dirty: bool,
}

impl Link {
    pub(super) fn new(client: ClientGuid, generation: u64, start: PerClass<Position>) -> Self {
        let lanes = PerClass::new(|class| Lane::new(class, start[class]));
        Self { client, generation, lanes, reported: start, is_dirty: false }
    }

    /// A new item, for the lane of its class.
    pub(super) fn item(&mut self, now: Time, item: &Item, form: Form, bytes: Bytes, config: &Config) {
        if let Some(old) = item.replaces {
            self.unqueue(old);
        }
        for (class, lane) in self.lanes.iter_mut() {
            if class == item.class {
                lane.item(now, item, form, bytes.clone(), config);
            } else {
                lane.passes(item.position);
            }
        }
    }

    /// It is not sent any more, if it was not yet.
    pub(super) fn unqueue(&mut self, position: Position) {
        self.lanes.iter_mut().for_each(|(_, lane)| lane.unqueue(position));
    }

    /// Of which classes everything is answered.
    pub(super) fn settled(&self) -> PerClass<bool> {
        PerClass::new(|class| self.lanes[class].is_settled())
    }

    fn cursors(&self) -> PerClass<Position> {
        PerClass::new(|class| self.lanes[class].cursor())
    }

    /// Whether the client has answered more than was reported.
    pub(super) fn has_news(&self) -> bool {
        self.lanes.iter().any(|(class, lane)| lane.cursor() > self.reported[class])
    }

    /// Marks it if it has news: says whether it was not marked before.
    pub(super) fn mark_dirty(&mut self) -> bool {
        let is_new = !self.is_dirty && self.has_news();
        self.is_dirty |= is_new;
        is_new
    }

    /// How far the client has answered, which counts as reported.
    pub(super) fn report(&mut self) -> CursorReport {
        self.is_dirty = false;
        self.reported = self.cursors();
        CursorReport { client: self.client, generation: self.generation, positions: self.reported }
    }

    /// Whether new items of every class come by themselves.
    pub(super) fn keeps_up(&self) -> bool {
        self.lanes.iter().all(|(_, lane)| lane.keeps_up())
    }
}
