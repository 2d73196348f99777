//! Values: 128-bit identifiers, statuses, message names, times.

use bytestring::ByteString;

use super::cursor::{Cursor, Element};
use crate::core::{Identifier, ReplyStatus};
use crate::error::Error;
use crate::guid::NotA128BitValue;
use crate::version::{Major, Minor};
use crate::wellformed::trim_blanks;

/// Reads a 128-bit value (R-10.1.2-10); one in any accepted notation, or an error.
pub(super) fn identifier<'a, T>(
    cursor: &mut Cursor<'a>,
    element: &Element<'a>,
    clause: &'static str,
    parse: fn(&str) -> Result<T, NotA128BitValue>,
) -> Result<Identifier<T>, Error> {
    let text = trimmed(cursor.bounded_text(element, "guid_bytes", cursor.limits().guid_bytes)?);
    match parse(&text) {
        Ok(value) => Ok(Identifier { value, text, span: cursor.span_from(element) }),
        Err(fault) => Err(cursor.grammar(element.start, clause, format!("{}: {fault}", element.name.local))),
    }
}

/// Blanks cut off, without a copy.
pub(super) fn trimmed(text: ByteString) -> ByteString {
    let inner = trim_blanks(&text);
    if inner.len() == text.len() { text } else { text.slice_ref(inner) }
}

/// S3: without case, blanks collapsed; what is not known is kept, and is a failure.
pub(super) fn status(text: ByteString) -> ReplyStatus {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match words.join(" ").to_ascii_lowercase().as_str() {
        "succeeded" => ReplyStatus::Succeeded,
        "failed" => ReplyStatus::Failed,
        "major message not supported" => ReplyStatus::MajorNotSupported,
        "minor message not supported" => ReplyStatus::MinorNotSupported,
        // 10.1.6 mentions the second form in passing.
        "handler not available" | "message not supported" => ReplyStatus::HandlerNotAvailable,
        _ => ReplyStatus::Other(trimmed(text)),
    }
}

/// S21 and S29: trimmed, and one more spelling.
pub(super) fn major(text: ByteString) -> Major {
    match trim_blanks(&text) {
        "Register" => Major::Register,
        "Request" => Major::Request,
        "Deliver" => Major::Deliver,
        "Analyse" | "Analyze" => Major::Analyse,
        _ => Major::Other(trimmed(text)),
    }
}

/// S10 and S21: empty and "null" say the same as no element.
pub(super) fn minor(text: ByteString) -> Option<Minor> {
    match trim_blanks(&text) {
        "" | "null" => None,
        "Full" => Some(Minor::Full),
        "Catalog" => Some(Minor::Catalog),
        "End" => Some(Minor::End),
        _ => Some(Minor::Other(trimmed(text))),
    }
}

/// Whether a text, blanks cut off, is an `xs:dateTime` (XML Schema 1.0, 3.2.7).
pub fn is_date_time(text: &str) -> bool {
    parse_date_time(text).is_some()
}

fn parse_date_time(text: &str) -> Option<()> {
    let (date, time) = text.split_once('T')?;
    let mut fields = date.strip_prefix('-').unwrap_or(date).split('-');
    let (year, month, day) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() || !is_year(year) {
        return None;
    }
    let month = two_digits(month, 1, 12)?;
    two_digits(day, 1, days(year, month))?;
    is_time(time).then_some(())
}

fn is_year(year: &str) -> bool {
    let digits = year.len() >= 4 && year.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = year.len() == 4 || !year.starts_with('0');
    digits && canonical && year.bytes().any(|byte| byte != b'0')
}

fn days(year: &str, month: u8) -> u8 {
    // The calendar repeats every 400 years, so four digits decide. There is no year 0; before it, -0001 is leap in
    // proleptic reckoning by some tables and not by others, and is let pass by its digits.
    let last_four: u32 = year[year.len() - 4..].parse().unwrap_or(0);
    let leap = last_four.is_multiple_of(4) && (!last_four.is_multiple_of(100) || last_four.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_time(time: &str) -> bool {
    let zone = time.find(['Z', '+', '-']).unwrap_or(time.len());
    is_clock(&time[..zone]) && is_zone(&time[zone..])
}

fn is_clock(clock: &str) -> bool {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    // Midnight may be written as the end of the day.
    if whole == "24:00:00" {
        return fraction.bytes().all(|byte| byte == b'0');
    }
    matches_fields(whole, &[23, 59, 59])
}

fn is_zone(zone: &str) -> bool {
    match zone.strip_prefix(['+', '-']) {
        Some(offset) => offset == "14:00" || matches_fields(offset, &[13, 59]),
        None => matches!(zone, "" | "Z"),
    }
}

fn matches_fields(text: &str, highest: &[u8]) -> bool {
    let fields: Vec<&str> = text.split(':').collect();
    fields.len() == highest.len() && fields.iter().zip(highest).all(|(field, max)| two_digits(field, 0, *max).is_some())
}

fn two_digits(text: &str, min: u8, max: u8) -> Option<u8> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|value| digits && (min..=max).contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    // R-10.1.2-7 (what is accepted): any xs:dateTime.
    #[test]
    fn c10_1_2_sent_time_is_any_xs_date_time() {
        for good in [
            "2026-01-15T09:30:00Z",
            "2026-01-15T09:30:00",
            "2024-02-29T00:00:00.123456789+14:00",
            "-0044-03-15T12:00:00-13:59",
            "12026-12-31T24:00:00.000Z",
            "2000-02-29T23:59:59.9Z",
        ] {
            assert!(is_date_time(good), "{good}");
        }
        for bad in [
            "",
            "T",
            "2026-01-15",
            "2026-01-15 09:30",
            "2026-01-15T09:30",
            "2026-1-15T09:30:00Z",
            "0000-01-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-01-15T24:00:01Z",
            "2026-01-15T25:00:00Z",
            "2026-01-15T09:60:00Z",
            "2026-01-15T09:30:60Z",
            "2026-01-15T09:30:00.Z",
            "2026-01-15T09:30:00+14:01",
            "2026-01-15T09:30:00+1:00",
            "2026-01-15T09:30:00z",
            "026-01-15T09:30:00Z",
            "02026-01-15T09:30:00Z",
            "+2026-01-15T09:30:00Z",
            "2026-01-15T09:30:00ZZ",
            "2026-01-15T+9:30:00Z",
            "2026-01-15-T09:30:00Z",
            "２０２６-01-15T09:30:00Z",
        ] {
            assert!(!is_date_time(bad), "{bad}");
        }
    }

    // R-10.2.10-6
    #[test]
    fn c10_2_10_statuses_are_compared_without_case_and_outer_blanks() {
        for (text, expected) in [
            ("Succeeded", ReplyStatus::Succeeded),
            (" FAILED\n", ReplyStatus::Failed),
            ("Major message not supported", ReplyStatus::MajorNotSupported),
            ("Minor  Message\nNot Supported", ReplyStatus::MinorNotSupported),
            ("handler Not Available", ReplyStatus::HandlerNotAvailable),
            ("Message not supported", ReplyStatus::HandlerNotAvailable),
            (" Queued ", ReplyStatus::Other("Queued".into())),
        ] {
            assert_eq!(status(text.into()), expected, "{text}");
        }
    }
}
