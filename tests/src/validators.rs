//! Two independent XML Schema validators, libxml2's `xmllint` and Xerces-C's `SAX2Count`, over documents in memory.
//!
//! Two, because one is not enough: libxml2 accepts a payload that mixes nested messages with plain ones. Both get the
//! published grammar of `schemas/xsd` with the second message set of `schemas/xsd/ext`, all documents of a call in one
//! process each. Everything that the program writes goes through [`assert_valid`].

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The grammar's files by the namespace that each declares, as `xsi:schemaLocation` wants them, from the folder in
/// which the validators run. The first member of each pair is a namespace that we emit, the double slash included.
const SCHEMA_LOCATION: &str = "http://www.itu.int//xml-namespace/itu-t/x.1206/CORE/ xsd/Message_Core.xsd \
     http://www.itu.int//xml-namespace/itu-t/x.1206/CORE/MESSAGE/VERSION/ xsd/Message_Version.xsd \
     http://www.w3.org/2000/09/xmldsig# xsd/xmldsig-core-schema.xsd \
     urn:uuid:fc07d47a-cc79-5041-8709-8d566c4bcfd0 xsd/ext/Message_Malware.xsd";

/// Which validator said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Validator {
    /// `xmllint --schema`.
    Libxml2,
    /// `SAX2Count -v=always -f`.
    XercesC,
}

/// What one validator says of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Well-formed and valid. Only what the validator said positively counts.
    pub accepted: bool,
    /// Its complaints, with line numbers of the document as given; empty if it was accepted.
    pub messages: Vec<String>,
}

/// What both say of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    /// The caller's name of the document.
    pub name: String,
    /// libxml2's verdict.
    pub libxml2: Verdict,
    /// Xerces-C's verdict.
    pub xerces: Verdict,
}

impl Verdicts {
    /// Whether both accept the document.
    pub fn accepted(&self) -> bool {
        self.libxml2.accepted && self.xerces.accepted
    }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ValidatorError {
    /// The program is not installed.
    #[error("{program} is not installed: `apt-get install {package}`, or run scripts/test, which does")]
    Missing {
        /// The program that was called.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The validator could not read the grammar, or died.
    #[error("{program} gave no verdicts: {said}")]
    NoVerdict {
        /// The program that was called.
        program: &'static str,
        /// What it printed.
        said: String,
    },
    /// A file could not be written or a program not be started.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Fails, with every complaint of both validators, unless both accept every document. Documents are UTF-8.
///
/// # Panics
///
/// If a document is refused or a validator is missing. An empty list is a caller's mistake and fails too.
#[track_caller]
pub fn assert_valid<N: AsRef<str>, B: AsRef<[u8]>>(documents: &[(N, B)]) {
    assert!(!documents.is_empty(), "no document to validate: the test shows nothing");
    let verdicts = match validate(documents) {
        Ok(verdicts) => verdicts,
        Err(error) => panic!("{error}"),
    };
    let mut complaints = String::new();
    for (verdict, (_, bytes)) in verdicts.iter().zip(documents).filter(|(verdict, _)| !verdict.accepted()) {
        for (validator, said) in [(Validator::Libxml2, &verdict.libxml2), (Validator::XercesC, &verdict.xerces)] {
            for message in &said.messages {
                complaints += &format!("{}: {validator:?}: {message}\n", verdict.name);
            }
        }
        complaints += &format!("{}\n", String::from_utf8_lossy(bytes.as_ref()));
    }
    assert!(complaints.is_empty(), "documents that are not valid against the published grammar:\n{complaints}");
}

/// The verdicts of both validators on each document, in the order given. Documents are UTF-8.
///
/// # Errors
///
/// If a validator is not installed, cannot read the grammar, or judges fewer documents than it got.
pub fn validate<N: AsRef<str>, B: AsRef<[u8]>>(documents: &[(N, B)]) -> Result<Vec<Verdicts>, ValidatorError> {
    if documents.is_empty() {
        return Ok(Vec::new());
    }
    let folder = tempfile::tempdir()?;
    // By relative path: a schema location is a URI, and a checkout's path may hold blanks.
    std::os::unix::fs::symlink(grammar(), folder.path().join("xsd"))?;
    let mut plain = Vec::with_capacity(documents.len());
    let mut located = Vec::with_capacity(documents.len());
    for (index, (_, bytes)) in documents.iter().enumerate() {
        // Callers' names may hold anything; the files are numbered.
        plain.push(format!("plain-{index}.xml"));
        fs::write(folder.path().join(&plain[index]), bytes)?;
        located.push(format!("located-{index}.xml"));
        fs::write(folder.path().join(&located[index]), with_schema_location(bytes.as_ref()))?;
    }
    let mut libxml2 = run_xmllint(folder.path(), &plain)?;
    let mut xerces = run_sax2count(folder.path(), &located)?;
    let verdicts = documents.iter().zip(plain.iter().zip(&located)).map(|((name, _), (plain, located))| Verdicts {
        name: name.as_ref().to_owned(),
        libxml2: libxml2.remove(plain).unwrap_or_else(Verdict::silence),
        xerces: xerces.remove(located).unwrap_or_else(Verdict::silence),
    });
    Ok(verdicts.collect())
}

impl Verdict {
    /// What a validator that never mentions a document says of it: nothing good.
    fn silence() -> Self {
        Self { accepted: false, messages: vec!["the validator did not mention it".to_owned()] }
    }
}

/// The folder of the published grammar.
fn grammar() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/xsd")
}

/// The document with the grammar's location in its root element, since Xerces-C's programs take it from nowhere else.
/// The insertion has no line break, so line numbers stay. What has no root element is returned as it is.
fn with_schema_location(document: &[u8]) -> Vec<u8> {
    let Some(end_of_name) = end_of_root_name(document) else { return document.to_vec() };
    let mut located = document[..end_of_name].to_vec();
    located
        .extend_from_slice(b" xmlns:located=\"http://www.w3.org/2001/XMLSchema-instance\" located:schemaLocation=\"");
    located.extend_from_slice(SCHEMA_LOCATION.as_bytes());
    located.push(b'"');
    located.extend_from_slice(&document[end_of_name..]);
    located
}

/// Where the root element's name ends: behind the first `<name`, past the prolog's comments and instructions.
fn end_of_root_name(document: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += document.get(at..)?.iter().position(|&byte| byte == b'<')?;
        let rest = &document[at..];
        let (skipped, closing): (usize, &[u8]) = if rest.starts_with(b"<!--") {
            (4, b"-->")
        } else if rest.starts_with(b"<?") {
            (2, b"?>")
        } else if rest.starts_with(b"<!") {
            // A DOCTYPE: no document of ours has one.
            return None;
        } else {
            let name = rest[1..].iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>'))?;
            return (name > 0).then_some(at + 1 + name);
        };
        let body = &rest[skipped..];
        at += skipped + body.windows(closing.len()).position(|window| window == closing)? + closing.len();
    }
}

fn run_xmllint(folder: &Path, files: &[String]) -> Result<BTreeMap<String, Verdict>, ValidatorError> {
    const PROGRAM: &str = "xmllint";
    let mut command = Command::new(PROGRAM);
    command.args(["--noout", "--nonet", "--huge", "--schema", "xsd/ext/Message_Malware.xsd"]).args(files);
    let (_, said) = run(PROGRAM, "libxml2-utils", command.current_dir(folder))?;
    if said.contains("failed to compile") {
        return Err(ValidatorError::NoVerdict { program: PROGRAM, said });
    }
    Ok(read_xmllint(&said))
}

/// Each line begins with the file's name; `FILE validates` is the only good news.
fn read_xmllint(said: &str) -> BTreeMap<String, Verdict> {
    let mut verdicts = BTreeMap::new();
    for line in said.lines() {
        if let Some(file) = line.strip_suffix(" validates") {
            verdicts.insert(file.to_owned(), Verdict { accepted: true, messages: Vec::new() });
        } else if let Some((file, message)) = line.split_once(".xml:") {
            let verdict =
                verdicts.entry(format!("{file}.xml")).or_insert(Verdict { accepted: false, messages: Vec::new() });
            verdict.messages.push(format!("line {message}"));
        }
    }
    verdicts
}

fn run_sax2count(folder: &Path, files: &[String]) -> Result<BTreeMap<String, Verdict>, ValidatorError> {
    const PROGRAM: &str = "SAX2Count";
    let list = "list.txt";
    fs::write(folder.join(list), files.join("\n") + "\n")?;
    let mut command = Command::new(PROGRAM);
    command.args(["-v=always", "-f", "-l", list]);
    let (counts, said) = run(PROGRAM, "libxerces-c-samples", command.current_dir(folder))?;
    let verdicts = read_sax2count(&counts, &said);
    if verdicts.len() < files.len() {
        return Err(ValidatorError::NoVerdict { program: PROGRAM, said });
    }
    Ok(verdicts)
}

/// Errors stand on stderr behind `==Parsing== FILE`; a count of its elements on stdout means that a file had none.
fn read_sax2count(counts: &str, said: &str) -> BTreeMap<String, Verdict> {
    let mut verdicts: BTreeMap<String, Verdict> = BTreeMap::new();
    let mut current = None;
    let mut line_number = "";
    for line in said.lines() {
        if let Some(file) = line.strip_prefix("==Parsing== ") {
            let verdict = Verdict { accepted: false, messages: Vec::new() };
            current = Some(verdicts.entry(file.to_owned()).or_insert(verdict));
        } else if let Some((_, place)) = line.split_once(" at file ") {
            line_number = place.split_once(", line ").map_or("", |(_, number)| number);
        } else if let (Some(message), Some(verdict)) = (line.trim_start().strip_prefix("Message: "), &mut current) {
            verdict.messages.push(format!("line {line_number}: {message}"));
        }
    }
    for (file, _) in counts.lines().filter_map(|line| line.split_once(": ")) {
        if let Some(verdict) = verdicts.get_mut(file) {
            verdict.accepted = verdict.messages.is_empty();
        }
    }
    verdicts
}

/// Runs it and returns what it printed on stdout and stderr. Its exit code is not asked: it speaks of the list, not of
/// one document.
fn run(
    program: &'static str,
    package: &'static str,
    command: &mut Command,
) -> Result<(String, String), ValidatorError> {
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ValidatorError::Missing { program, package },
        _ => ValidatorError::Io(error),
    })?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code().is_none() {
        return Err(ValidatorError::NoVerdict { program, said: format!("{}: {said}", output.status) });
    }
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), said))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the location is put, if anywhere.
    fn check(document: &str, expected: Option<&str>) {
        let end = end_of_root_name(document.as_bytes());
        assert_eq!(end.map(|end| &document[..end]), expected, "{document}");
    }

    #[test]
    fn the_location_goes_behind_the_root_elements_name() {
        check("<a/>", Some("<a"));
        check("<m:a b='1'/>", Some("<m:a"));
        check("<?xml version='1.0'?>\n<!-- <b> --><a\n/>", Some("<?xml version='1.0'?>\n<!-- <b> --><a"));
    }

    #[test]
    fn what_has_no_root_element_is_left_alone() {
        for document in ["", "text", "<", "<a", "< a/>", "<!-- <a>", "<?x <a>", "<!DOCTYPE a><a/>"] {
            check(document, None);
        }
    }

    #[test]
    fn each_validators_words_are_read() {
        let said = "a-0.xml:7: element X: Schemas validity error : bad\na-0.xml fails to validate\na-1.xml validates\n";
        let verdicts = read_xmllint(said);
        assert!(!verdicts["a-0.xml"].accepted && verdicts["a-1.xml"].accepted);
        assert_eq!(verdicts["a-0.xml"].messages, ["line 7: element X: Schemas validity error : bad"]);

        let said =
            "==Parsing== b-0.xml\n\nError at file /x/b-0.xml, line 7, char 2\n  Message: bad\n==Parsing== b-1.xml\n";
        let verdicts = read_sax2count("b-1.xml: 2 ms (1 elems)\n", said);
        assert!(!verdicts["b-0.xml"].accepted && verdicts["b-1.xml"].accepted);
        assert_eq!(verdicts["b-0.xml"].messages, ["line 7, char 2: bad"]);
    }
}
