//! The one place where the wall clock and the operating system's random source are read.

use std::time::SystemTime;

use node::ids::Time;
use schemas::guid::MessageId;

/// Now, in milliseconds since the Unix epoch.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
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
