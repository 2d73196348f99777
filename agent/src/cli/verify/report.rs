//! One document's signatures, for people and for programs.

use std::fmt::Write as _;

use dialler::clock;
use node::trust::Trust;
use schemas::core::Span;
use schemas::facts::{SignatureFact, Validated};
use schemas::shown::shown;
use schemas::signature::Verified;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::authority::{self, Judged};
use super::outline::{Outline, Place, merged};
use super::{Found, Keys, advice, content};

/// Elements without a signature that are named to people; the rest is counted.
const NAMED: usize = 12;
/// What is said of each valid signature without a trust file.
const NOT_CHECKED: &str = "whether it may speak for whom it names was not checked: give --trust FILE";

/// See the module.
pub(super) struct Report {
    document: String,
    signatures: Vec<Signature>,
    /// Elements that no signature covers.
    uncovered: Vec<Place>,
    uncovered_bytes: usize,
    /// Those of them that are not only Headers and envelopes.
    unsigned: Vec<Place>,
    /// Signatures that nobody has looked at.
    unread: Vec<Place>,
    bytes: usize,
    /// Of each item; none without a trust file.
    authority: Option<Vec<Judged>>,
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
    pub(super) fn of(path: String, document: &Validated, keys: &Keys, trust: Option<&Trust>) -> Self {
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
        let authority = trust.map(|trust| authority::judge(document, trust, clock::wall()));
        let uncovered = outline.uncovered(&covered);
        let unsigned = outline.unsigned(&covered, &content::of(document.document()));
        Self { document: path, uncovered, uncovered_bytes, unsigned, unread, bytes, signatures, authority }
    }

    /// Whether there are signatures, all of them count, and all content is covered by them; under a trust file, whether
    /// all that is said may be said.
    pub(super) fn is_good(&self) -> bool {
        let may_say = |items: &Vec<Judged>| !items.is_empty() && items.iter().all(Judged::is_authorised);
        self.authority.as_ref().is_none_or(may_say)
            && self.unread.is_empty()
            && self.unsigned.is_empty()
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
        self.write_authority(good, &mut text);
        self.signatures.iter().for_each(|signature| signature.write(self.authority.is_some(), &mut text));
        for place in &self.unread {
            let lines = place.lines();
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "  a Signature in {lines} that nobody looks at: in a part that is not as X.1206 says, or of another message set"
            );
        }
        if good > 0 && !self.unsigned.is_empty() {
            let _ = writeln!(
                text,
                "  content that no signature covers: {}\n    next:    have each message signed as a whole (--place \
                 message), or take for said only what is covered",
                named(&self.unsigned)
            );
        }
        if !self.uncovered.is_empty() {
            let (left, bytes) = (self.uncovered_bytes, self.bytes);
            let _ = writeln!(text, "  not covered, {left} of {bytes} bytes: {}", named(&self.uncovered));
        }
        text
    }

    /// First of all: who reads only how many are valid would take somebody's signature for the vendor's.
    fn write_authority(&self, good: usize, text: &mut String) {
        match &self.authority {
            Some(items) => items.iter().for_each(|item| {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "  authority: {}", item.text());
            }),
            None if good == 0 => {}
            None => {
                let _ = writeln!(
                    text,
                    "  authority: not checked. Valid says only that nothing was changed since somebody with that key \
                     signed it.\n    next:    give --trust FILE to check who may speak for whom; docs/trust.md says what \
                     stands in it"
                );
            }
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let authority = self.authority.as_ref().map(|items| items.iter().map(Judged::json).collect::<Vec<_>>());
        serde_json::json!({
            "document": self.document,
            "good": self.is_good(),
            "bytes": self.bytes,
            "authority": authority,
            "signatures": self.signatures.iter().map(|one| one.json(self.authority.is_some())).collect::<Vec<_>>(),
            "uncovered": self.uncovered.iter().map(Place::json).collect::<Vec<_>>(),
            "uncovered_bytes": self.uncovered_bytes,
            "unsigned_content": self.unsigned.iter().map(Place::json).collect::<Vec<_>>(),
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

    fn write(&self, is_judged: bool, text: &mut String) {
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
        let unjudged = if is_judged { "" } else { "; nobody has checked whose it is" };
        let _ = writeln!(text, "    by:      {}{unjudged}", verified.key);
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

    fn json(&self, is_judged: bool) -> serde_json::Value {
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
            "trust": verified.filter(|_| !is_judged).map(|_| NOT_CHECKED),
            "covered": verified.map(|verified| verified.covered.map(|span| [span.start, span.end])),
        })
    }
}

/// The first of these, and how many more there are.
fn named(places: &[Place]) -> String {
    let named = places.iter().take(NAMED).map(|place| format!("{} ({})", shown(&place.name), place.lines()));
    let named = named.collect::<Vec<_>>().join(", ");
    match places.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
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
