//! The example documents: what EXPECTED.tsv says of each, as far as it is decided by reading.

use super::data::{examples, files};
use crate::facts::Validated;
use crate::limits::Limits;

/// What reading a file shall give.
enum Verdict {
    /// A document. Whether it is processed or answered with a status, an engine decides.
    Read,
    /// A refusal by this clause with these words.
    Refused(&'static str, &'static str),
}

fn verdict(file: &str) -> Verdict {
    match file {
        "invalid/i01-empty-payload.xml" => Verdict::Refused("10.1.1", "Payload is empty"),
        "invalid/i02-mixed-payload.xml" => Verdict::Refused("10.1.1", "mixture"),
        "invalid/i03-no-pid.xml" => Verdict::Refused("10.1.2", "PID is missing"),
        "invalid/i04-abstract-head.xml" => Verdict::Refused("10.1.4", "abstract element"),
        "invalid/i06-two-codes.xml" => Verdict::Refused("10.2.6", "more than one of Script, Binary and Byte"),
        "invalid/i07-container-no-version.xml" => Verdict::Refused("10.2.5", "Version is missing"),
        "invalid/i17-reply-in-message.xml" => Verdict::Refused("10.1.5", "message and reply in one document"),
        "invalid/i19-unqualified.xml" => Verdict::Refused("11.1", "unqualified"),
        "invalid/i20-sent-time.xml" => Verdict::Refused("10.1.2", "Sent_Time"),
        "semantic/s3-bad-guids.xml" => Verdict::Refused("10.1.2", "not a 128-bit value"),
        _ => Verdict::Read,
    }
}

#[test]
fn every_example_reads_as_expected() {
    let expected = std::fs::read_to_string(examples().join("EXPECTED.tsv")).unwrap();
    let mut count = 0;
    for line in expected.lines().skip(1) {
        let (file, answer) = line.split_once('\t').unwrap();
        // A refusal of the document is Failed; the other statuses need the document.
        let failed = answer.starts_with("Failed");
        let read = Validated::new(std::fs::read(examples().join(file)).unwrap().into(), &Limits::default());
        match (verdict(file), read) {
            (Verdict::Read, Ok(_)) => assert!(!failed, "{file} should fail"),
            (Verdict::Read, Err(refused)) => panic!("{file}: {refused}"),
            (Verdict::Refused(..), Ok(_)) => panic!("{file} was accepted"),
            (Verdict::Refused(clause, words), Err(refused)) => {
                let error = refused.error;
                assert!(failed && error.clause == clause && error.to_string().contains(words), "{file}: {error}");
                assert!(error.byte > 0 && error.line > 1, "{file}: {error}");
            }
        }
        count += 1;
    }
    assert_eq!(count, files(&examples(), ".xml").len());
}
