//! The W3C XML test suite through the well-formedness API.

use std::path::Path;
use std::process::Command;

use super::data::large;
use crate::limits::Limits;
use crate::{text, wellformed};

/// One line of the manifest.
struct Case {
    file: String,
    well_formed: bool,
    doctype: bool,
}

impl Case {
    fn parse(line: &str) -> Self {
        let field = |name: &str| {
            let (_, rest) = line.split_once(&format!("\"{name}\": ")).unwrap();
            rest.split([',', '}']).next().unwrap().trim_matches('"').to_owned()
        };
        Self { file: field("file"), well_formed: field("type") != "not-wf", doctype: field("doctype") == "true" }
    }
}

/// The manifest looks for the word; in these it stands in a comment, an instruction and a CDATA section.
const MENTIONED_ONLY: [&str; 3] = ["oasis/p15pass1.xml", "oasis/p16pass1.xml", "oasis/p18pass1.xml"];

/// Whether a file is accepted: encoding, then well-formedness.
fn accepted(path: &Path) -> bool {
    let limits = Limits::default();
    let utf8 = text::to_utf8(std::fs::read(path).unwrap().into(), &limits);
    utf8.is_ok_and(|utf8| wellformed::check(&utf8, &limits).is_ok())
}

// R-9.6.1-1, with `attacks`: XML 1.0, UTF-8 and UTF-16, no DTD.
#[test]
fn c9_6_1_documents_without_doctype_are_judged_as_the_w3c_suite_says_and_all_others_refused() {
    let Some(folder) = large("xml/xmlconf", "the W3C XML test suite") else { return };
    let unpacked = tempfile::tempdir().unwrap();
    let tar =
        Command::new("tar").arg("xJf").arg(folder.join("xmlconf-A.tar.xz")).arg("-C").arg(unpacked.path()).status();
    assert!(tar.unwrap().success());
    let manifest = std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    let (mut plain, mut utf16, mut doctype, mut wrong) = (0, 0, 0, Vec::new());
    for case in manifest.lines().map(Case::parse) {
        let path = unpacked.path().join("xmlconf").join(&case.file);
        let declared = case.doctype && !MENTIONED_ONLY.contains(&case.file.as_str());
        let expected = case.well_formed && !declared;
        if case.doctype {
            doctype += 1;
        } else {
            plain += 1;
            let bytes = std::fs::read(&path).unwrap();
            utf16 += usize::from(bytes.starts_with(b"\xfe\xff") || bytes.starts_with(b"\xff\xfe"));
        }
        if accepted(&path) != expected {
            wrong.push(case.file);
        }
    }
    assert!(wrong.is_empty(), "judged wrongly: {wrong:?}");
    assert_eq!((plain, utf16, doctype), (269, 33, 872 - 269));
}
