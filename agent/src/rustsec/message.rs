//! An advisory as an item (`Deliver` without Code).

use std::fmt::Write;

use bytestring::ByteString;
use schemas::core::Description;
use schemas::version::{Container, Info, VersionInfo};
use topology::comments::Comments;
use topology::vers::Vers;

use super::advisory::{Advisory, TOOLCHAIN};

/// Who speaks.
pub const SOURCE: &str = "RustSec";

/// Bytes of the title and of the summary that go along; the reference has the rest.
const TEXT_BYTES_MAX: usize = 1024;

/// The item: one Info for the advisory's own ID, which carries the facts, and one for each alias, which carries what it
/// is about and nothing that belongs to another authority's entry (C-4). A withdrawn one applies to no version.
pub fn to_version_info(advisory: &Advisory, revision: u64) -> VersionInfo {
    let affected = if advisory.is_withdrawn { Vers::Nothing } else { Vers::of(advisory.affected.clone()) };
    let frame = Frame {
        package: &advisory.package,
        date: Some(&advisory.date),
        reference: Some(reference(advisory)),
        affected,
    };
    let status = advisory.is_withdrawn.then(|| "withdrawn".to_owned());
    let mut info = vec![frame.info(&advisory.id, comments(advisory, status.clone(), revision))];
    for (at, alias) in advisory.aliases.iter().enumerate() {
        if *alias != advisory.id && !advisory.aliases[..at].contains(alias) {
            info.push(frame.info(alias, Comments { status: status.clone(), ..Comments::default() }));
        }
    }
    VersionInfo { info, ..VersionInfo::default() }
}

/// What is published when a document is gone or speaks of something else now.
pub fn withdrawal(package: &str, id: &str, revision: u64) -> VersionInfo {
    let comments = Comments {
        text: vec!["No longer in the RustSec database under this name.".to_owned()],
        status: Some("withdrawn".to_owned()),
        revision: Some(revision),
        ..Comments::default()
    };
    let frame = Frame { package, date: None, reference: None, affected: Vers::Nothing };
    VersionInfo { info: vec![frame.info(id, comments)], ..VersionInfo::default() }
}

/// What all Infos of an item share.
struct Frame<'a> {
    package: &'a str,
    date: Option<&'a str>,
    reference: Option<String>,
    affected: Vers,
}

impl Frame<'_> {
    fn info(&self, id: &str, comments: Comments) -> Info {
        let comments = comments.to_string();
        let packaging = if self.package.starts_with(TOOLCHAIN) { "generic" } else { "cargo" };
        let container = Container {
            package: Some(packaging.into()),
            version: self.affected.to_string().into(),
            file_name: Some(format!("pkg:{packaging}/{}", self.package).into()),
            author_comments: (!comments.is_empty()).then(|| comments.into()),
            ..Container::default()
        };
        Info {
            source: Some(SOURCE.into()),
            id: Some(id.to_owned().into()),
            date: self.date.map(|date| date.to_owned().into()),
            description: self
                .reference
                .clone()
                .map(|uri| Description { reference: Some(ByteString::from(uri)), ..Description::default() }),
            container,
            ..Info::default()
        }
    }
}

fn comments(advisory: &Advisory, status: Option<String>, revision: u64) -> Comments {
    let mut text: Vec<String> = [&advisory.title, &advisory.summary].map(|text| bounded(text)).into();
    text.retain(|text| !text.is_empty());
    text.extend(advisory.license.as_ref().map(|license| format!("Licence of this text: {license}")));
    let cvss = |prefix: &str| advisory.cvss.clone().filter(|vector| vector.starts_with(prefix));
    Comments {
        text,
        cvss2: advisory.cvss.clone().filter(|vector| !vector.starts_with("CVSS:")),
        cvss3: cvss("CVSS:3"),
        cvss4: cvss("CVSS:4"),
        patched: (!advisory.patched.is_empty()).then(|| advisory.patched.join("; ")),
        status,
        kind: Some(advisory.informational.clone().unwrap_or_else(|| "vulnerability".to_owned())),
        revision: Some(revision),
    }
}

/// The advisory's own reference, else its page, else its crate's.
fn reference(advisory: &Advisory) -> String {
    let page = || {
        if advisory.id.starts_with("RUSTSEC-0000-") {
            format!("https://rustsec.org/packages/{}.html", advisory.package.trim_start_matches(TOOLCHAIN))
        } else {
            format!("https://rustsec.org/advisories/{}.html", advisory.id)
        }
    };
    advisory.url.as_deref().map(str::trim).map_or_else(page, str::to_owned)
}

/// At most [`TEXT_BYTES_MAX`] bytes, without characters that XML cannot carry.
fn bounded(text: &str) -> String {
    let mut bounded = String::new();
    for c in text.chars().filter(|c| crate::inventory::is_carried(c.encode_utf8(&mut [0; 4]))) {
        if bounded.len() + c.len_utf8() > TEXT_BYTES_MAX - '…'.len_utf8() {
            // Writing to a String cannot fail.
            let _ = write!(bounded, "…");
            break;
        }
        bounded.push(c);
    }
    bounded
}

#[cfg(test)]
mod tests {
    use topology::subject::{Status, Subject};

    use super::super::advisory::tests::DOCUMENT;
    use super::super::parse;
    use super::*;

    #[test]
    fn advisory_is_written_as_the_mapping_says() {
        let written = to_version_info(&parse("p", DOCUMENT).unwrap(), 3);
        let ids: Vec<_> = written.info.iter().map(|info| info.id.as_deref().unwrap()).collect();
        assert_eq!(ids, ["RUSTSEC-2024-0001", "CVE-2024-1", "GHSA-aaaa-bbbb-cccc"]);
        for info in &written.info {
            assert_eq!((info.source.as_deref(), info.date.as_deref()), (Some("RustSec"), Some("2024-01-02")));
            assert_eq!(info.description.as_ref().unwrap().reference.as_deref(), Some("https://example.org/1"));
            assert_eq!(info.container.file_name.as_deref(), Some("pkg:cargo/demo"));
            assert_eq!(&*info.container.version, "vers:cargo/>=1.0.0|<1.2.3");
        }
        let own = written.info[0].container.author_comments.as_deref();
        assert_eq!(
            own,
            Some(
                "A fault in `demo`\nFirst paragraph, two lines.\nCVSS3: CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\n\
                 Patched: >= 1.2.3\nKind: vulnerability\nRevision: 3"
            )
        );
        assert_eq!(written.info[1].container.author_comments, None);
        let subject = Subject::from_version_infos(&[written]);
        assert_eq!((subject.revision, subject.status, subject.score_tenths), (3, Status::Current, Some(98)));
        assert_eq!(subject.identity.unwrap().asset, "pkg:cargo/demo");
    }

    #[test]
    fn withdrawn_applies_to_nothing() {
        let document = DOCUMENT.replace("keywords", "withdrawn = \"2025-01-01\"\nkeywords");
        let written = to_version_info(&parse("p", &document).unwrap(), 2);
        for item in [written, withdrawal("demo", "RUSTSEC-2024-0001", 2)] {
            assert_eq!(&*item.info[0].container.version, "vers:none/*");
            let subject = Subject::from_version_infos(&[item]);
            assert_eq!((subject.status, subject.revision), (Status::Withdrawn, 2));
            assert_eq!(subject.identity.unwrap().asset, "pkg:cargo/demo");
        }
    }

    #[test]
    fn part_of_the_toolchain_is_no_crate() {
        let document = DOCUMENT.replace("RUSTSEC-2024-0001", "CVE-2018-1000657").replace("\"demo\"", "\"std\"");
        let written = to_version_info(&parse("rust/std/CVE-2018-1000657.md", &document).unwrap(), 1);
        let container = &written.info[0].container;
        assert_eq!(container.package.as_deref(), Some("generic"));
        assert_eq!(container.file_name.as_deref(), Some("pkg:generic/rust/std"));
        assert_eq!(&*container.version, "vers:cargo/>=1.0.0|<1.2.3");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(bounded(&"é".repeat(2000)).len(), 1 + TEXT_BYTES_MAX - "é".len());
        assert_eq!(bounded("a\u{1}b"), "ab");
    }
}
