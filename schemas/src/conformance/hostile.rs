//! Documents made to hurt: depth, floods, cuts, mutations. Each ends in an answer, within stated bounds.

use proptest::prelude::*;

use super::{PID, REQUEST, core, data, good, read, refused, with_container, with_message};
use crate::core::{Part, Payload, Root};
use crate::error::ErrorKind;
use crate::facts::Validated;
use crate::limits::Limits;
use crate::names::{CORE, VERSION};
use crate::wellformed::{Namespaces, TokenKind};

/// Steps that the whole reader takes on a text, until its end or its first error.
fn steps(text: &str, limits: &Limits) -> usize {
    let mut reader = Namespaces::new(text, limits);
    while reader.read().is_ok_and(|(token, _)| token.kind != TokenKind::Eof) {}
    reader.steps()
}

fn check_limit(text: &str, expected: &str) {
    match refused(text).kind {
        ErrorKind::Limit { name, .. } => assert_eq!(name, expected),
        other => panic!("{other}"),
    }
    let limits = Limits::default();
    let taken = steps(text, &limits);
    assert!(taken <= limits.steps(text.len()), "{taken} steps on {} bytes", text.len());
}

/// Envelopes around a message.
fn nested(count: usize) -> String {
    let open = format!("<m:Message_Core><m:Header>{PID}</m:Header><m:Payload>");
    let close = "</m:Payload></m:Message_Core>";
    let root =
        open.replacen("<m:Message_Core>", &format!("<m:Message_Core xmlns:m=\"{CORE}\" xmlns:v=\"{VERSION}\">"), 1);
    format!("{root}{}{REQUEST}{}", open.repeat(count - 1), close.repeat(count))
}

/// Components inside components.
fn component_tree(depth: usize) -> String {
    let open = "<v:Version/><v:Contained_Versions><v:Info><v:Container>";
    let close = "</v:Container></v:Info></v:Contained_Versions>";
    with_container(&format!("{}<v:Version/>{}", open.repeat(depth), close.repeat(depth)))
}

/// Runs on a stack far smaller than any thread of the program has.
fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    const STACK_BYTES: usize = 512 << 10;
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).unwrap().join().unwrap();
}

// R-10.1.1-7: 64 bundles in each other are read; 100,000 are refused, and neither needs more than a small stack.
#[test]
fn c10_1_1_depth_64_is_accepted_and_100_000_refused_in_constant_stack() {
    on_small_stack(|| {
        let document = good(nested(64));
        let Root::Message(mut core) = document.root else { panic!("a reply") };
        let mut depth = 1;
        while let Payload::Bundle(mut parts) = core.payload {
            let Some(Part::Good(inner)) = parts.pop() else { panic!("a bad part at depth {depth}") };
            core = inner;
            depth += 1;
        }
        assert_eq!(depth, 64);
        good(nested(Limits::default().depth / 2 - 1));
        good(component_tree(60));
        check_limit(&nested(100_000), "depth");
        check_limit(&component_tree(10_000), "depth");
        check_limit(&with_message(&"<a>".repeat(100_000)), "depth");
    });
}

// P-6 (documents): every limit is hit, each gives its name, and none costs more steps than stated.
#[test]
fn p_6_every_limit_of_a_document_is_kept() {
    let attributes: String = (0..100_000).map(|n| format!(" a{n}=''")).collect();
    check_limit(&with_message(&format!("<o:Message xmlns:o='urn:o'{attributes}/>")), "attributes");
    let many: String = (0..60).map(|n| format!(" xmlns:p{n}='urn:{n}'")).collect();
    check_limit(&with_message(&format!("<a{many}>").repeat(3)), "namespaces");
    let name = "n".repeat(1 << 20);
    check_limit(&with_message(&format!("<{name}/>")), "name_bytes");
    check_limit(&with_message(&format!("<a {name}=''/>")), "name_bytes");
    check_limit(&with_message(&format!("<a xmlns:a='{}'/>", &name[..10_000])), "name_bytes");
    check_limit(&with_message(&format!("<?{name}?>")), "name_bytes");
    check_limit(&with_message(&format!("<a b='{name}'/>")), "attribute_bytes");
    check_limit(&with_message(&format!("<o:a xmlns:o='urn:o'>{}</o:a>", "<b/>".repeat(400_000))), "elements");
    check_limit(&core(&format!("<m:PID>{name}</m:PID>"), REQUEST), "guid_bytes");
    check_limit(&with_container(&format!("<v:Version>{name}x</v:Version>")), "text_bytes");
    check_limit(&with_container(&format!("<v:Version/><v:Description><b>{name}</b></v:Description>")), "text_bytes");
    check_limit(&core(PID, &"<m:Message_Core/>".repeat(4097)), "parts");
    check_limit(&core(PID, &"<a/>".repeat(4097)), "parts");
    check_limit(&core(PID, &REQUEST.repeat(4097)), "parts");
    let small = Limits { document_bytes: 100, ..Limits::default() };
    let refused = Validated::new(with_message(REQUEST).into(), &small).unwrap_err();
    assert_eq!(refused.error.kind, ErrorKind::Limit { name: "document_bytes", limit: 100 });
}

#[test]
fn floods_within_the_limits_take_no_more_steps_than_stated() {
    let limits = Limits::default();
    let declarations: String = (0..60).map(|n| format!(" xmlns:p{n}='u'")).collect();
    let attributes: String = (0..60).map(|n| format!(" p0:a{n}=''")).collect();
    for text in [
        format!("<a{declarations}><b{declarations}>{}</b></a>", "<p0:c/>".repeat(50_000)),
        format!("<a{declarations}>{}</a>", format!("<c{attributes}/>").repeat(5_000)),
        format!("<a>{}</a>", "&#9;".repeat(100_000)),
        format!("<a>{}</a>", "<!---->".repeat(100_000)),
        format!("<a>{}</a>", "<?a?>".repeat(100_000)),
        format!("<a xmlns:x='http://www.w3.org/2001/XMLSchema-instance'>{}</a>", "<b x:type='x:y'/>".repeat(50_000)),
    ] {
        let taken = steps(&text, &limits);
        assert!(taken <= limits.steps(text.len()), "{taken} steps on {} bytes: {:.60}", text.len(), text);
        crate::wellformed::check(text.as_bytes(), &limits).unwrap();
    }
}

// R-9.6.1-1: only the five entities exist, and nothing is expanded in attributes either.
#[test]
fn c9_6_1_entities_are_refused_wherever_they_stand() {
    let bomb = "<!DOCTYPE m:Message_Core [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>";
    let message = with_message(REQUEST);
    let declared = |what: &str| format!("<!DOCTYPE m:Message_Core {what}>{message}");
    for text in [
        declared("[<!ENTITY x SYSTEM 'file:///etc/passwd'>]"),
        declared("[<!ENTITY x SYSTEM 'file:///etc/passwd'>]").replace("Request", "&x;"),
        declared("[<!ENTITY x SYSTEM 'http://127.0.0.1:1/x'>]"),
        declared("[<!ENTITY x SYSTEM 'http://127.0.0.1:1/x'>]").replace("Request", "&x;"),
        declared("[<!ENTITY x PUBLIC '-//X//Y' 'http://127.0.0.1:1/x'>]"),
        declared("[<!ENTITY % x SYSTEM 'http://127.0.0.1:1/x.dtd'> %x;]"),
        declared("[<!ENTITY % x \"<!ENTITY y 'z'>\"> %x;]").replace("Request", "&y;"),
        declared("SYSTEM 'http://127.0.0.1:1/x.dtd'"),
        declared("PUBLIC '-//X//Y' 'file:///etc/passwd'"),
        declared(""),
        format!("{bomb}{message}"),
        format!("<?xml version='1.0'?>\n{bomb}{message}"),
        message.replace("Request", "&b;"),
        message.replace("<m:Header>", "<m:Header a='&b;'>"),
        message.replace("<m:Payload>", &format!("<m:Payload>{bomb}")),
        message.replace("Request", "&#0;"),
        message.replace("Request", "&#xFFFE;"),
        message.replace("Request", "&#x110000;"),
        message.replace("Request", "&lt"),
        message.replace("Request", &"&x;".repeat(1_000_000)),
    ] {
        assert!(matches!(refused(text.as_str()).kind, ErrorKind::NotWellFormed(_)), "{text:.200}");
    }
    good(message.replace("Request", "&#82;e&#x71;uest"));
}

#[test]
fn every_example_cut_at_every_byte_is_refused() {
    for path in data::files(&data::examples(), ".xml") {
        let bytes = bytes::Bytes::from(std::fs::read(&path).unwrap());
        let end = bytes.iter().rposition(|byte| *byte == b'>').unwrap();
        for cut in 0..=end {
            let read = Validated::new(bytes.slice(..cut), &Limits::default());
            assert!(read.is_err(), "{} cut at {cut}", path.display());
        }
    }
}

#[test]
fn an_error_says_where_it_is() {
    let text = with_container("<v:Version>1</v:Version>\n<v:Code>\n <v:Binary>QUJD*</v:Binary></v:Code>");
    let error = refused(text.as_str());
    assert_eq!((error.byte, error.line, error.clause), (text.find("<v:Binary").unwrap(), 3, "10.2.6"));
    let text = with_message("<v:Message>\n\n<v:CID>#h02</w:CID></v:Message>");
    let error = refused(text.as_str());
    assert_eq!((error.byte, error.line, error.clause), (text.find("</w:CID").unwrap(), 3, "9.6.1"));
}

#[test]
fn a_refusal_keeps_what_its_answer_needs() {
    let header = format!("{PID}<m:Message_ID>#h0a0B</m:Message_ID>");
    let refused = read(core(&header, "")).unwrap_err();
    assert_eq!(refused.message_id.map(|id| id.text.to_string()), Some("#h0a0B".to_owned()));
    assert!(!refused.is_reply);
    let refused = read(super::core_reply(&header, "").replace("itu.int//", "itu.int/")).unwrap_err();
    assert!(refused.is_reply);
    assert_eq!(refused.spelling, crate::names::Spelling::Single);
}

/// The arithmetic of [`Limits`]: what a type takes, doubled for the growth of the vector it stands in, over the fewest
/// elements that make one.
#[test]
fn p_6_types_take_no_more_memory_than_stated() {
    use std::mem::size_of;
    const STATED: usize = 512;
    for (name, bytes, elements) in [
        // Itself alone.
        ("VersionInfo", size_of::<crate::version::VersionInfo>(), 1),
        // Info, Container, Version.
        ("Info", size_of::<crate::version::Info>(), 3),
        // Reply, CID, ReplyStatus.
        ("Reply", size_of::<crate::core::Reply>(), 3),
        // Message_Core_Reply, Header, PID, Payload and a Reply.
        ("MessageCoreReply", size_of::<crate::core::MessageCoreReply>(), 7),
    ] {
        assert!(2 * bytes <= STATED * elements, "{name}: {bytes} bytes for {elements} elements");
    }
    assert!(2 * size_of::<crate::facts::SignatureFact>() <= STATED);
    // A bad part or an opaque message may be one empty element; the limit on parts bounds both by themselves.
    assert!(size_of::<Part>() + size_of::<crate::core::Message>() <= 1024);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn mutated_examples_never_panic(
        which in 0_usize..64,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..8),
    ) {
        let paths = data::files(&data::examples(), ".xml");
        let mut bytes = std::fs::read(&paths[which % paths.len()]).unwrap();
        for (index, byte, how) in edits {
            let at = index.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        if let Ok(read) = Validated::new(bytes.into(), &Limits::default())
            && let Root::Message(core) = &read.document().root
        {
            crate::part::self_contained(&read, core);
        }
    }

    #[test]
    fn markup_soup_never_panics(pieces in proptest::collection::vec(prop::sample::select(vec![
        "<", ">", "/>", "</", "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<?xml version='1.0'?>", "&", ";", "&#", "&lt;",
        "a", "xmlns", ":", "=", "'", "\"", " ", "\r", "\n", "é", "\u{fffe}", "\0", "xsi:type", "<a>", "</a>", "<a b='c'>",
        "<!", "<!D", "<!DOCTYPE", "[", "]", "-", "\u{feff}",
    ]), 0..40)) {
        let text = pieces.concat();
        let limits = Limits::default();
        let _ = read(text.as_str());
        prop_assert!(steps(&text, &limits) <= limits.steps(text.len()));
    }
}
