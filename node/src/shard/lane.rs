//! One link's way through the log, for one class of items: what is queued, what is sent and not answered, where its cursor stands.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use schemas::class::Class;
use schemas::names::Spelling;

use super::{Config, Item};
use crate::catalogue::{Form, Stretch};
use crate::ids::{Position, Time};

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    class: Class,
    queue: VecDeque<Queued>,
    queue_bytes: u64,
    window: VecDeque<Sent>,
    window_items: usize,
    window_bytes: u64,
    /// Everything up to here was sent, or does not concern the client.
    sent: Position,
    /// Everything up to here was sent, is queued, or does not concern the client.
    looked: Position,
    /// Whether new items come by themselves; else they are looked up when there is room.
    caught_up: bool,
    /// A `Need` is out.
    asked: bool,
    /// Its answer is for subscriptions that changed.
    stale: bool,
    /// A `Read` is out.
    reading: bool,
    /// The transport takes a bundle.
    pub(super) ready: bool,
    /// When the queue must be sent at the latest.
    pub(super) deadline: Option<Time>,
    waiting_since: Option<Time>,
}

/// An item that is to be sent.
#[derive(Debug)]
struct Queued {
    position: Position,
    form: Form,
    spelling: Spelling,
    size: u64,
    bytes: Option<Bytes>,
    /// When the item was accepted here, if it comes to a link that keeps up.
    accepted: Option<Time>,
}

/// A bundle that was sent and is not answered.
#[derive(Debug)]
struct Sent {
    first: Position,
    last: Position,
    items: usize,
    bytes: u64,
    /// Of those items that came to a link that keeps up.
    accepted: Vec<Time>,
}

/// What a lane can do now.
pub(super) enum Next {
    Nothing,
    Wait(Time),
    Read(Vec<Position>),
    Send { position: Position, spelling: Spelling, positions: Vec<Position>, parts: Vec<Bytes> },
}

/// Whether more may come with what has just come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Lasts,
    IsOver,
}

impl Lane {
    pub(super) fn new(class: Class, start: Position) -> Self {
        Self {
            class,
            queue: VecDeque::new(),
            queue_bytes: 0,
            window: VecDeque::new(),
            window_items: 0,
            window_bytes: 0,
            sent: start,
            looked: start,
            caught_up: false,
            asked: false,
            stale: false,
            reading: false,
            ready: true,
            deadline: None,
            waiting_since: None,
        }
    }

    /// A new item. Dropped if the link does not keep up: it is found again through the postings.
    pub(super) fn item(&mut self, now: Time, item: &Item, form: Form, bytes: Bytes, config: &Config) {
        if !self.caught_up {
            return;
        }
        let size = bytes.len() as u64;
        let full = self.queue.len() >= config.queue_items_max
            || (!self.queue.is_empty() && self.queue_bytes + size > config.queue_bytes_max);
        if full {
            self.caught_up = false;
            return;
        }
        self.looked = item.position;
        self.waiting_since.get_or_insert(now);
        self.queue_bytes += size;
        self.queue.push_back(Queued {
            position: item.position,
            form,
            spelling: item.spelling,
            size,
            bytes: Some(bytes),
            accepted: Some(item.accepted),
        });
    }

    /// An item of another class came, at this position: whatever of this class was before it has come.
    pub(super) fn passes(&mut self, position: Position) {
        if self.caught_up {
            self.looked = position;
        }
    }

    pub(super) fn unqueue(&mut self, position: Position) {
        if let Some(index) = self.queue.iter().position(|queued| queued.position == position)
            && let Some(queued) = self.queue.remove(index)
        {
            self.queue_bytes -= queued.size;
        }
    }

    /// The next stretch of the log, as far as it concerns this client. Bytes are read when they are to be sent.
    pub(super) fn due(&mut self, stretch: Stretch) {
        self.asked = false;
        if std::mem::take(&mut self.stale) {
            return;
        }
        self.looked = stretch.through;
        self.caught_up = stretch.complete;
        for due in stretch.due {
            self.queue_bytes += due.bytes;
            self.queue.push_back(Queued {
                position: due.position,
                form: due.form,
                spelling: due.spelling,
                size: due.bytes,
                bytes: None,
                accepted: None,
            });
        }
    }

    pub(super) fn data(&mut self, items: Vec<(Position, Option<Bytes>)>) {
        self.reading = false;
        for (position, bytes) in items {
            let Some(queued) = self.queue.iter_mut().find(|queued| queued.position == position) else { continue };
            queued.bytes = match queued.form {
                Form::Whole => bytes,
                Form::Derived => bytes.and_then(|bytes| crate::entry::derive(&bytes)),
            };
            if queued.bytes.is_none() {
                // Trimmed while it waited: nobody can send it any more, and the engine says *behind* where it matters.
                self.unqueue(position);
            }
        }
    }

    /// Subscriptions changed: what is queued is looked up again.
    pub(super) fn recheck(&mut self) {
        self.looked = self.queue.front().map_or(self.looked, |queued| before(queued.position));
        self.queue.clear();
        self.queue_bytes = 0;
        self.caught_up = false;
        self.reading = false;
        self.stale = self.asked;
    }

    /// Whether something up to `floor`, which was trimmed, is still to be looked up or read; after which position.
    pub(super) fn lags(&self, floor: Position) -> Option<Position> {
        let unread = self.queue.iter().find(|queued| queued.bytes.is_none()).map(|queued| before(queued.position));
        let after = unread.or((!self.caught_up).then_some(self.looked))?;
        (after < floor).then_some(after)
    }

    /// Whether the engine is to be asked for the next stretch, and after which position.
    pub(super) fn wants_more(&mut self) -> Option<Position> {
        let wants = !self.caught_up && !self.asked && self.queue.is_empty();
        self.asked |= wants;
        wants.then_some(self.looked)
    }

    pub(super) fn next(&mut self, now: Time, moment: Moment, config: &Config) -> Next {
        if self.queue.is_empty() {
            self.waiting_since = None;
        }
        let count = self.takeable(config);
        if count == 0 || !self.ready || self.reading {
            return Next::Nothing;
        }
        if let Some(until) = self.waits_for_company(now, count, moment, config) {
            return Next::Wait(until);
        }
        let missing: Vec<Position> = self
            .queue
            .iter()
            .take(count)
            .filter(|queued| queued.bytes.is_none())
            .map(|queued| queued.position)
            .collect();
        if !missing.is_empty() {
            self.reading = true;
            return Next::Read(missing);
        }
        self.send(count)
    }

    /// How many queued items fit into one bundle and into the window.
    fn takeable(&self, config: &Config) -> usize {
        let fitting = config.bundle.first(self.queue.iter().map(|queued| (queued.size, queued.spelling)));
        let room = config.window_items_max.saturating_sub(self.window_items);
        let (mut count, mut bytes) = (0, self.window_bytes);
        for queued in self.queue.iter().take(fitting.min(room)) {
            bytes += queued.size;
            if bytes > config.window_bytes_max && !(self.window.is_empty() && count == 0) {
                break;
            }
            count += 1;
        }
        count
    }

    /// A bundle that is not full waits for the end of the moment: what came together goes together. While something of the
    /// lane is unanswered it waits a little longer, so that bundles grow with the time that a client takes; a critical one
    /// does not, and who catches up waits for nothing.
    fn waits_for_company(&self, now: Time, count: usize, moment: Moment, config: &Config) -> Option<Time> {
        let full = count < self.queue.len() || self.queue_bytes >= config.bundle.bundle_bytes_max;
        if full || self.queue.iter().any(|queued| queued.bytes.is_none()) {
            return None;
        }
        let is_patient = self.class != Class::Critical && !self.window.is_empty();
        let wait = if is_patient { config.bundle.bundle_wait_max } else { Duration::ZERO };
        let until = self.waiting_since?.after(wait);
        (until > now || moment == Moment::Lasts).then(|| until.max(now))
    }

    /// Whether a bundle waits for company already, and one item more changes nothing about that.
    pub(super) fn gathers(&self, config: &Config) -> bool {
        let limits = &config.bundle;
        let fits = self.queue.len() < limits.bundle_items_max && self.queue_bytes < limits.bundle_bytes_max;
        // Those between are of the first one's: else the bundle was full before.
        let spelling = |queued: &Queued| queued.spelling;
        let is_of_one = self.queue.front().map(spelling) == self.queue.back().map(spelling);
        self.deadline.is_some() && fits && is_of_one
    }

    fn send(&mut self, count: usize) -> Next {
        let taken: Vec<Queued> = self.queue.drain(..count).collect();
        let (Some(first), Some(last)) = (taken.first(), taken.last()) else { return Next::Nothing };
        let (first, last, spelling) = (first.position, last.position, last.spelling);
        let bytes = taken.iter().map(|queued| queued.size).sum();
        self.queue_bytes -= bytes;
        let accepted = taken.iter().filter_map(|queued| queued.accepted).collect();
        self.window.push_back(Sent { first, last, items: count, bytes, accepted });
        self.window_items += count;
        self.window_bytes += bytes;
        self.sent = last;
        self.ready = false;
        self.waiting_since = None;
        let positions = taken.iter().map(|queued| queued.position).collect();
        let parts = taken.into_iter().filter_map(|queued| queued.bytes).collect();
        Next::Send { position: last, spelling, positions, parts }
    }

    /// Takes an answered bundle out of the window, whatever the answers were: no item can poison a link. Says when those
    /// of its items were accepted that were pushed as they came.
    pub(super) fn answered(&mut self, position: Position, outcomes: usize) -> Result<Vec<Time>, String> {
        let Some(index) = self.window.iter().position(|sent| sent.last == position) else {
            return Err(format!("answer to position {position}, which is not waiting for one"));
        };
        let items = self.window[index].items;
        if items != outcomes {
            return Err(format!("{outcomes} answers to the {items} items of the bundle at position {position}"));
        }
        let Some(sent) = self.window.remove(index) else { return Ok(Vec::new()) };
        self.window_items -= sent.items;
        self.window_bytes -= sent.bytes;
        Ok(sent.accepted)
    }

    /// Below the oldest item that is not answered.
    pub(super) fn cursor(&self) -> Position {
        let oldest = self.window.front().map(|sent| sent.first).or(self.queue.front().map(|queued| queued.position));
        oldest.map_or(self.looked, before)
    }

    /// Whether everything that there was for the client is answered.
    pub(super) fn is_settled(&self) -> bool {
        self.caught_up && self.queue.is_empty() && self.window.is_empty()
    }

    pub(super) fn unanswered(&self) -> usize {
        self.window_items
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn keeps_up(&self) -> bool {
        self.caught_up
    }
}

fn before(position: Position) -> Position {
    Position(position.0.saturating_sub(1))
}
