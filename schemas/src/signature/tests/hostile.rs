//! Canonical forms and signatures of what was made to hurt: no panic, and no more work than the bytes are worth.

use proptest::prelude::*;

use super::documents::{KINDS, PREFIXED, STYLES, scopes, signed, signed_everywhere, text, validated};
use crate::facts::Validated;
use crate::limits::Limits;
use crate::names::Spelling;
use crate::signature::canon::{self, Kind, Method};
use crate::signature::{Refusal, verify};

fn methods() -> [Method; 4] {
    let exclusive = Method::new(Kind::Exclusive);
    [
        Method::new(Kind::Inclusive10),
        Method::new(Kind::Inclusive11).with_comments(),
        exclusive.clone(),
        exclusive.with_comments().with_prefixes("p1 #default p3"),
    ]
}

fn length(text: &str, method: &Method) -> Result<usize, Refusal> {
    let mut length = 0;
    canon::document(text, method, &Limits::default(), |piece| length += piece.len()).map(|()| length)
}

#[test]
fn c8_3_floods_are_refused_by_the_limit_that_they_pass() {
    let attributes: String = (0..100_000).map(|n| format!(" a{n}=''")).collect();
    let declarations: String = (0..60).map(|n| format!(" xmlns:p{n}='urn:{n}'")).collect();
    for (text, limit) in [
        (format!("<a{attributes}/>"), "attributes"),
        (format!("<a{declarations}>").repeat(3), "namespaces"),
        ("<a>".repeat(200_000), "depth"),
        (format!("<r>{}</r>", "<a/>".repeat(400_001)), "elements"),
        (format!("<a b='{}'/>", "&lt;".repeat(100_000)), "attribute_bytes"),
    ] {
        for method in methods() {
            let refused = length(&text, &method).unwrap_err();
            assert!(matches!(refused, Refusal::Limit { name, .. } if name == limit), "{limit}: {refused}");
        }
    }
}

/// Declarations are written once where they are used, however often they are: the form does not outgrow the document.
#[test]
fn c8_3_floods_within_the_limits_have_forms_of_a_bounded_size() {
    let declarations: String = (0..60).map(|n| format!(" xmlns:p{n}='urn:{n}'")).collect();
    let attributes: String = (0..60).map(|n| format!(" p{n}:a=''")).collect();
    for text in [
        format!("<a{declarations}>{}</a>", format!("<c{attributes}/>").repeat(2_000)),
        format!("<a{declarations}>{}</a>", "<p0:c><p59:d/></p0:c>".repeat(20_000)),
        format!("{}{}", "<a xmlns='urn:a'><a xmlns=''>".repeat(60), "</a></a>".repeat(60)),
        format!("<a>{}</a>", "<b>&amp;\r\r\n&#13;</b>".repeat(50_000)),
    ] {
        for method in methods() {
            assert!(length(&text, &method).unwrap() <= 8 * text.len());
        }
    }
}

/// Signatures around signatures: what they read together is bounded, and those over the bound prove nothing.
#[test]
fn c8_3_many_signatures_around_each_other_are_bounded_together() {
    let document = signed_everywhere(&validated(PREFIXED.message(Spelling::Double)));
    let total: usize = document.signatures().iter().map(|fact| fact.covers.end - fact.covers.start).sum();
    let passes = total.div_ceil(document.bytes().len());
    for signature_passes in [passes, passes - 1] {
        let limits = Limits { signature_passes, ..Limits::default() };
        let read = Validated::new(document.bytes().clone(), &limits).unwrap();
        let valid = read.signatures().iter().filter(|fact| fact.verified().is_some()).count();
        assert_eq!(valid == read.signatures().len(), signature_passes == passes);
    }
}

#[test]
fn c8_3_spans_that_are_no_elements_are_refused() {
    let document = validated(PREFIXED.message(Spelling::Double));
    let document = signed(&document, scopes(&document)[1], KINDS[1]);
    let (text, fact, limits) = (text(&document), &document.signatures()[0], Limits::default());
    for at in (0..text.len()).step_by(7) {
        for (start, end) in [(at, text.len()), (0, at), (at, at), (at, usize::MAX), (at, 0)] {
            let odd = crate::core::Span { start, end };
            assert!(verify(text, odd, fact.span, &|_| None, &limits).is_err());
            assert!(verify(text, fact.covers, odd, &|_| None, &limits).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn c8_3_mutated_signed_documents_never_panic_and_never_gain_a_signature(
        style in 0_usize..4,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..4),
    ) {
        let document = validated(STYLES[style].message(Spelling::Double));
        let signed = signed(&document, scopes(&document)[1], KINDS[1 + style % 3]);
        let mut bytes = signed.bytes().to_vec();
        for (index, byte, how) in edits {
            let at = index.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        if let Ok(read) = Validated::new(bytes.into(), &Limits::default()) {
            let key = signed.signatures()[0].verified().unwrap().key;
            prop_assert!(read.signatures().iter().filter_map(|fact| fact.verified()).all(|found| found.key == key));
        }
    }

    // What has a canonical form has it once and for all, and it is well-formed.
    #[test]
    fn c8_3_markup_soup_has_a_stable_canonical_form_or_none(pieces in proptest::collection::vec(
        prop::sample::select(vec![
            "<a>", "</a>", "<p:b xmlns:p='urn:p'>", "</p:b>", "<c xmlns='urn:d' d='1' b=\"&lt;&#9;\"/>", "<a xmlns=''>",
            "&amp;", "&#13;", "<![CDATA[<&>]]>", "]]", "<!-- c -->", "<?pi  data\r?>", "\r\n", "é", "<", "xmlns:p='u'",
            "<p:b/>", "<a xml:lang='en' p:x='' xmlns:p='urn:p' xmlns:q='urn:q'/>",
        ]), 0..20),
    ) {
        let text = format!("<r>{}</r>", pieces.concat());
        for method in methods() {
            let mut form = Vec::new();
            if canon::document(&text, &method, &Limits::default(), |piece| form.extend_from_slice(piece)).is_ok() {
                let form = String::from_utf8(form).unwrap();
                let mut again = Vec::new();
                canon::document(&form, &method, &Limits::default(), |piece| again.extend_from_slice(piece)).unwrap();
                prop_assert_eq!(form.as_bytes(), again);
            }
        }
    }
}
