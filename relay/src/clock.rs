//! The one place where the wall clock and the operating system's random source are read.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use node::ids::Time;
use schemas::guid::MessageId;

/// Now, in milliseconds since the Unix epoch. The wall clock is read once; from there on time only goes forward, whatever
/// is done to the clock: deadlines and leases must not jump.
pub fn now() -> Time {
    static BEGIN: OnceLock<(SystemTime, Instant)> = OnceLock::new();
    let (wall, begin) = BEGIN.get_or_init(|| (SystemTime::now(), Instant::now()));
    let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + begin.elapsed();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// As `xs:dateTime` in UTC, for `Sent_Time` (R-10.1.2-7).
pub fn sent_time(time: Time) -> String {
    let millis = i64::try_from(time.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
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
    fn sent_time_is_utc_with_z() {
        assert_eq!(sent_time(Time(1_768_469_400_123)), "2026-01-15T09:30:00.123Z");
    }
}
