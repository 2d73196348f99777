//! The small names by which a machine and its shell speak of the same thing.

use std::time::Duration;

use schemas::class::{Class, PerClass};
use schemas::digest::Digest;

/// Milliseconds since the Unix epoch, as the shell's clock says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// This much later.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long from `earlier` to here, zero if the clock went back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 in UTC, which is also an `xs:dateTime`, as `Sent_Time` needs (R-10.1.2-7).
    pub fn text(self) -> String {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
    }

    /// Reads such a text; `None` for anything else and for times before 1970.
    pub fn parse(text: &str) -> Option<Self> {
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(timestamp.as_millisecond()).ok().map(Self)
    }
}

/// One live link; never used twice by a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// One exchange; never used twice on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// One question of an operator; never used twice by a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// One `Store` action, answered by one `Stored` or `StoreFailed`, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A place in a node's log. Zero is before the first item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a receiver stands in a sender's log, as it holds it durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The life of the log.
    pub incarnation: u128,
    /// In each class.
    pub places: PerClass<Place>,
}

/// A place in a sender's log, as one class of items has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Everything of the class up to here is held, or did not concern the receiver.
    pub position: Position,
    /// The item at that position; `None` before the first item, and if it is not known.
    pub digest: Option<Digest>,
}

impl Resume {
    /// The same place in every class.
    pub const fn at(incarnation: u128, position: Position, digest: Option<Digest>) -> Self {
        Self { incarnation, places: PerClass::all(Place { position, digest }) }
    }

    /// Up to where everything is held, whatever its class.
    pub fn everything(&self) -> Position {
        self.places.into_array().map(|place| place.position).into_iter().min().unwrap_or_default()
    }

    /// A Delivery was taken, whose last item has this digest.
    pub fn advance(&mut self, push: Push, digest: Option<Digest>) {
        for (class, place) in self.places.iter_mut() {
            let is_own = class == push.class;
            if (is_own || push.settled[class]) && push.position > place.position {
                *place = Place { position: push.position, digest: digest.filter(|_| is_own) };
            }
        }
    }
}

/// A Delivery on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Push {
    /// The lane's.
    pub class: Class,
    /// Of the last item.
    pub position: Position,
    /// Of which other classes nothing up to there is on its way: the receiver has answered all that there was for it.
    pub settled: PerClass<bool>,
}

impl Push {
    /// One beside which others may be on their way.
    pub const fn new(class: Class, position: Position) -> Self {
        Self { class, position, settled: PerClass::all(false) }
    }
}
