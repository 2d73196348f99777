//! The one place where clocks and the operating system's random source are read.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use node::ids::Time;
use schemas::guid::MessageId;

/// Now, in milliseconds since the Unix epoch. The wall clock is read once; from there on time only goes forward, whatever
/// is done to the clock: deadlines and leases must not jump.
pub fn now() -> Time {
    static BEGIN: OnceLock<(SystemTime, Instant)> = OnceLock::new();
    let (wall, begin) = BEGIN.get_or_init(|| (SystemTime::now(), Instant::now()));
    time(since_epoch(*wall) + begin.elapsed())
}

/// What the wall clock shows, in milliseconds since the Unix epoch: for what people read later. It may jump, and it knows
/// of the hours for which a device slept.
pub fn wall() -> Time {
    time(since_epoch(SystemTime::now()))
}

fn since_epoch(wall: SystemTime) -> Duration {
    wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn time(since: Duration) -> Time {
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// RFC 3339 in UTC, which is also an `xs:dateTime`, as `Sent_Time` needs (R-10.1.2-7).
pub fn text(time: Time) -> String {
    time.text()
}

/// Reads what [`text`] writes; `None` for anything else and for times before 1970.
pub fn parse(text: &str) -> Option<Time> {
    Time::parse(text)
}

/// 128 random bits, for a log's incarnation.
pub fn random_128() -> u128 {
    uuid::Uuid::new_v4().as_u128()
}

/// 64 random bits, for delays that nobody can foretell.
pub fn random_64() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

/// A fresh `Message_ID`.
pub fn message_id() -> MessageId {
    MessageId(random_128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_as_they_were() {
        let time = Time(1_768_469_400_123);
        assert_eq!(text(time), "2026-01-15T09:30:00.123Z");
        assert_eq!(parse(&text(time)), Some(time));
        assert_eq!(parse(&text(Time(0))), Some(Time(0)));
        assert_eq!(parse("yesterday"), None);
    }
}
