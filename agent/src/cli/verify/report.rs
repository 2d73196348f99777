//! One document's signatures, for people and for programs.

use std::fmt::Write as _;

use schemas::core::Span;
use schemas::facts::{SignatureFact, Validated};
use schemas::shown::shown;
use schemas::signature::Verified;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::outline::{Outline, Place, merged};
use super::{Found, Keys, advice};

/// Elements without a signature that are named to people; the rest is counted.
const NAMED: usize = 12;
/// What is said of each valid signature.
const NOT_JUDGED: &str = "not judged: no trust file";

/// See the module.
pub(super) struct Report {
    document: String,
    signatures: Vec<Signature>,
    /// Elements that no signature covers.
    uncovered: Vec<Place>,
    uncovered_bytes: usize,
    /// Signatures that nobody has looked at.
    unread: Vec<Place>,
    bytes: usize,
}

struct Signature {
    /// What it signs or says to sign.
    scope: Place,
    /// Elements right inside.
    children: Vec<String>,
    own: Place,
    found: Found,
    /// Lines of the two covered ranges.
    covered: Vec<Place>,
}

impl Report {
    pub(super) fn of(path: String, document: &Validated, keys: &Keys) -> Self {
        let outline = Outline::of(document);
        let signature = |fact: &SignatureFact| {
            let found = keys.find(document, fact);
            let covered = found.verified().map(|verified| verified.covered).into_iter().flatten();
            Signature {
                scope: outline.place(fact.covers),
                children: outline.children(fact.covers),
                own: outline.place(fact.span),
                covered: covered.map(|span| outline.place(span)).collect(),
                found,
            }
        };
        let signatures: Vec<Signature> = document.signatures().iter().map(signature).collect();
        let good = signatures.iter().filter(|signature| signature.found.is_good());
        let covered: Vec<Span> = good.flat_map(|signature| signature.covered.iter().map(|place| place.span)).collect();
        let (covered, bytes) = (merged(covered), document.bytes().len());
        let covered_bytes: usize = covered.iter().map(|span| span.end - span.start).sum();
        let uncovered_bytes = bytes - covered_bytes;
        let known = merged(document.signatures().iter().map(|fact| fact.span).collect());
        let unread = outline.unread(&covered, &known);
        Self { document: path, uncovered: outline.uncovered(&covered), uncovered_bytes, unread, bytes, signatures }
    }

    /// Whether there are signatures, and all of them count.
    pub(super) fn is_good(&self) -> bool {
        self.unread.is_empty()
            && !self.signatures.is_empty()
            && self.signatures.iter().all(|signature| signature.found.is_good())
    }

    pub(super) fn text(&self) -> String {
        let good = self.signatures.iter().filter(|signature| signature.found.is_good()).count();
        let count = self.signatures.len();
        let mut text = match count {
            0 => format!("{}: not signed\n", shown(&self.document)),
            _ => format!("{}: {good} of {count} signatures valid\n", shown(&self.document)),
        };
        self.signatures.iter().for_each(|signature| signature.write(&mut text));
        for place in &self.unread {
            let lines = place.lines();
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "  a Signature in {lines} that nobody looks at: in a part that is not as X.1206 says, or of another message set"
            );
        }
        if self.uncovered.is_empty() {
            return text;
        }
        let named: Vec<String> = self
            .uncovered
            .iter()
            .take(NAMED)
            .map(|place| format!("{} ({})", shown(&place.name), place.lines()))
            .collect();
        let more = match self.uncovered.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (left, bytes) = (self.uncovered_bytes, self.bytes);
        let _ = writeln!(text, "  not covered, {left} of {bytes} bytes: {}{more}", named.join(", "));
        text
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "document": self.document,
            "good": self.is_good(),
            "bytes": self.bytes,
            "signatures": self.signatures.iter().map(Signature::json).collect::<Vec<_>>(),
            "uncovered": self.uncovered.iter().map(Place::json).collect::<Vec<_>>(),
            "uncovered_bytes": self.uncovered_bytes,
            "unread": self.unread.iter().map(Place::json).collect::<Vec<_>>(),
        })
    }
}

impl Signature {
    /// `valid`, `key-not-given`, or the code of a refusal.
    fn code(&self) -> &'static str {
        match &self.found {
            Found::Valid(_) => "valid",
            Found::Stranger(_) => "key-not-given",
            Found::Refused(refusal) => refusal.code(),
        }
    }

    fn reason(&self) -> Option<String> {
        match &self.found {
            Found::Valid(_) => None,
            Found::Stranger(_) => Some("valid, but by none of the keys that were given".to_owned()),
            Found::Refused(refusal) => Some(refusal.to_string()),
        }
    }

    fn next_step(&self) -> Option<&'static str> {
        match &self.found {
            Found::Valid(_) => None,
            Found::Stranger(_) => Some("if you know this key to be the signer's, give it with --key too"),
            Found::Refused(refusal) => Some(advice::next_step(refusal)),
        }
    }

    fn write(&self, text: &mut String) {
        let scope = shown(&self.scope.name);
        let verdict = match self.reason() {
            None => "valid".to_owned(),
            Some(reason) => format!("refused ({}): {}", self.code(), shown(&reason)),
        };
        let _ = writeln!(text, "  {scope} in {}: {verdict}", self.scope.lines());
        if let Some(next) = self.next_step() {
            let _ = writeln!(text, "    next:    {next}");
        }
        let Some(verified) = self.found.verified() else { return };
        let _ = writeln!(text, "    by:      {}, {NOT_JUDGED}", verified.key);
        for subject in subjects(verified) {
            let _ =
                writeln!(text, "    as:      {}, which its certificate says and nobody has checked", shown(&subject));
        }
        let inside = self.children.iter().map(|name| shown(name).into_owned()).collect::<Vec<_>>().join(", ");
        let ranges: Vec<String> = self
            .covered
            .iter()
            .map(|place| format!("bytes {}-{} ({})", place.span.start, place.span.end, place.lines()))
            .collect();
        let _ = writeln!(text, "    covers:  {}: {scope} with {inside}; comments aside", ranges.join(" and "));
        let own = &self.own;
        let _ = writeln!(text, "    but not: the Signature itself, bytes {}-{}", own.span.start, own.span.end);
    }

    fn json(&self) -> serde_json::Value {
        let verified = self.found.verified();
        serde_json::json!({
            "scope": self.scope.json(),
            "contains": self.children,
            "signature": self.own.json(),
            "code": self.code(),
            "reason": self.reason(),
            "next_step": self.next_step(),
            "key": verified.map(|verified| verified.key.to_string()),
            "certificates": verified.map(subjects).unwrap_or_default(),
            "trust": verified.map(|_| NOT_JUDGED),
            "covered": verified.map(|verified| verified.covered.map(|span| [span.start, span.end])),
        })
    }
}

/// Whom the certificates are for, the signer's first.
fn subjects(verified: &Verified) -> Vec<String> {
    let subject = |bytes: &bytes::Bytes| match X509Certificate::from_der(bytes) {
        Ok((_, certificate)) => certificate.subject().to_string(),
        Err(_) => "an unreadable certificate".to_owned(),
    };
    verified.certificates.iter().map(subject).collect()
}
