//! The one place where the agent reads the wall clock and the operating system's random source.

use std::time::SystemTime;

use jiff::Timestamp;
use node::ids::Time;
use schemas::guid::MessageId;

/// Now, in milliseconds since the Unix epoch.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// RFC 3339 in UTC, which is also an `xs:dateTime` (R-10.1.2-7).
pub fn text(time: Time) -> String {
    let millis = i64::try_from(time.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX).to_string()
}

/// Reads what [`text`] writes; `None` for anything else and for times before 1970.
pub fn parse(text: &str) -> Option<Time> {
    let timestamp: Timestamp = text.parse().ok()?;
    u64::try_from(timestamp.as_millisecond()).ok().map(Time)
}

/// A fresh `Message_ID`.
pub fn message_id() -> MessageId {
    MessageId(uuid::Uuid::new_v4().as_u128())
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
