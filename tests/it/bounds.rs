//! No document takes more memory or more parser steps than `schemas::limits` states, whatever it looks like.
//!
//! Memory is counted by an allocator, beyond the document itself; steps by the reader. Nothing is timed.

mod signed;

use bytes::Bytes;
use node::client::{self, Action, Asset, Client, Via};
use node::ids::{ExchangeId, Time};
use node::intake::Intake;
use schemas::error::ErrorKind;
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use schemas::names::{CORE, VERSION};
use schemas::version::{Code, CodeContent, CodeKind};
use schemas::wellformed::{Namespaces, TokenKind};
use tests::harness::draft;
use tests::harness::memory::{Counting, Meter, Taken};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the statement leaves to things that do not grow with a document: the error, the reader's own buffers.
const CONSTANT_BYTES: usize = 64 << 10;
/// Bytes of types for each element, as stated.
const ELEMENT_BYTES: usize = 512;

/// A kind of document, as long as one asks for.
struct Shape {
    name: &'static str,
    make: fn(usize) -> String,
}

const fn shape(name: &'static str, make: fn(usize) -> String) -> Shape {
    Shape { name, make }
}

fn with_payload(payload: &str) -> String {
    format!(
        "<m:Message_Core xmlns:m=\"{CORE}\" xmlns:v=\"{VERSION}\"><m:Header><m:PID>#h1</m:PID></m:Header>\
         <m:Payload>{payload}</m:Payload></m:Message_Core>"
    )
}

fn with_data(data: &str) -> String {
    let head = "<v:Message><v:CID>#h02</v:CID><v:Major_Message>Request</v:Major_Message><v:Message_Data>";
    with_payload(&format!("{head}{data}</v:Message_Data></v:Message>"))
}

fn with_container(content: &str) -> String {
    with_data(&format!("<v:Version_Info><v:Info><v:Container>{content}</v:Container></v:Info></v:Version_Info>"))
}

fn opaque(content: &str) -> String {
    with_payload(&format!("<o:Message xmlns:o='urn:o'><o:CID>#h77</o:CID>{content}</o:Message>"))
}

fn numbered(bytes: usize, one: fn(usize) -> String) -> String {
    let mut text = String::new();
    let mut number = 0;
    while text.len() < bytes {
        text += &one(number);
        number += 1;
    }
    text
}

/// Each entity is twice the one before; the message uses the last.
fn bomb(bytes: usize) -> String {
    let entities = numbered(bytes, |number| format!("<!ENTITY a{} '&a{number};&a{number};'>", number + 1));
    let last = entities.matches("<!ENTITY").count();
    format!("<!DOCTYPE a [<!ENTITY a0 'a'>{entities}]>{}", with_container(&format!("<v:Version>&a{last};</v:Version>")))
}

/// Files and addresses as an external subset, as parameter entities and as general ones, all of them used.
fn external_entities(bytes: usize) -> String {
    let entities = numbered(bytes, |number| {
        format!(
            "<!ENTITY a{number} SYSTEM 'file:///etc/passwd'><!ENTITY % p{number} SYSTEM 'http://127.0.0.1:1/x'>%p{number};"
        )
    });
    let used = with_container("<v:Version>&a0;</v:Version>");
    format!("<!DOCTYPE m:Message_Core SYSTEM 'http://127.0.0.1:1/x.dtd' [{entities}]>{used}")
}

const PART: &str = "<m:Message_Core><m:Header><m:PID>#h1</m:PID></m:Header><m:Payload>";
const PART_END: &str = "</m:Payload></m:Message_Core>";

/// Each is about as long as asked for; above some length each but the plain ones is refused.
const SHAPES: [Shape; 23] = [
    shape("envelopes in each other", |n| with_payload(&format!("{}{}", PART.repeat(n / 98), PART_END.repeat(n / 98)))),
    shape("elements in each other", |n| opaque(&format!("{}{}", "<a>".repeat(n / 7), "</a>".repeat(n / 7)))),
    shape("elements that never end", |n| opaque(&"<a>".repeat(n / 3))),
    shape("many empty parts", |n| with_payload(&"<m:Message_Core/>".repeat(n / 17))),
    shape("many tiny elements", |n| opaque(&"<a/>".repeat(n / 4))),
    shape("many empty Version_Infos", |n| with_data(&"<v:Version_Info/>".repeat(n / 17))),
    shape("many small Infos", |n| {
        let info = "<v:Info><v:Container><v:Version/></v:Container></v:Info>";
        with_data(&format!("<v:Version_Info>{}</v:Version_Info>", info.repeat(n / info.len())))
    }),
    shape("many messages", |n| {
        let message = "<v:Message><v:CID>#h02</v:CID><v:Major_Message>Request</v:Major_Message></v:Message>";
        with_payload(&message.repeat(n / message.len()))
    }),
    shape("components in each other", |n| {
        let open = "<v:Contained_Versions><v:Info><v:Container><v:Version/>";
        let close = "</v:Container></v:Info></v:Contained_Versions>";
        let depth = (n / (open.len() + close.len())).min(60);
        with_container(&format!("<v:Version/>{}{}", open.repeat(depth), close.repeat(depth)))
    }),
    shape("an attribute flood", |n| opaque(&format!("<a{}/>", numbered(n, |number| format!(" a{number}=''"))))),
    shape("attributes on every element", |n| opaque(&"<a b='' c='' d='' e=''/>".repeat(n / 24))),
    shape("a declaration flood", |n| opaque(&format!("<a{}/>", numbered(n, |number| format!(" xmlns:a{number}='u'"))))),
    shape("declarations on every element", |n| opaque(&"<a xmlns:a='u' xmlns:b='u'/>".repeat(n / 28))),
    shape("a long name", |n| opaque(&format!("<{}/>", "n".repeat(n)))),
    shape("an entity flood", |n| with_container(&format!("<v:Version>{}</v:Version>", "&amp;".repeat(n / 5)))),
    shape("a bomb of entities", bomb),
    shape("external entities", external_entities),
    shape("a huge text", |n| with_container(&format!("<v:Version>{}</v:Version>", "t".repeat(n)))),
    shape("a text of many lines", |n| with_container(&format!("<v:Version>{}</v:Version>", "t\r\n".repeat(n / 3)))),
    shape("a text of carriage returns", |n| with_container(&format!("<v:Version>{}</v:Version>", "\r".repeat(n)))),
    shape("a text with a reference in its middle", |n| {
        let half = "t".repeat(n / 2);
        with_container(&format!("<v:Version>{half}&lt;{half}</v:Version>"))
    }),
    shape("an attribute of carriage returns", |n| {
        with_container(&format!("<v:Version/><v:Description ref='&lt;{}'/>", "\r".repeat(n)))
    }),
    shape("a huge code", |n| {
        with_container(&format!("<v:Version/><v:Code><v:Binary>{}</v:Binary></v:Code>", "QUJD".repeat(n / 4)))
    }),
];

const SIZES: [usize; 5] = [1 << 10, 16 << 10, 256 << 10, 1 << 20, 4 << 20];

fn utf16(text: &str) -> Bytes {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>().into()
}

/// Reads a document and throws it away.
fn read(document: Bytes) -> Taken {
    let limits = Limits::default();
    let meter = Meter::start();
    drop(Validated::new(document, &limits));
    meter.taken()
}

/// What the statement allows for this document: its UTF-8 form if it came in another, types for its elements (and
/// never more than for the most elements), and twice its length for texts.
fn allowed(text: &str, is_utf16: bool) -> usize {
    let elements = text.matches('<').count().min(Limits::default().elements);
    let utf8 = if is_utf16 { text.len() * 2 * 3 / 2 } else { 0 };
    utf8 + elements * ELEMENT_BYTES + 2 * text.len() + CONSTANT_BYTES
}

// P-6 (memory).
#[test]
fn p_6_no_document_takes_more_memory_than_stated() {
    let mut breaches = Vec::new();
    for (shape, size) in SHAPES.iter().flat_map(|shape| SIZES.map(|size| (shape, size))) {
        let text = (shape.make)(size);
        for (document, is_utf16) in [(Bytes::from(text.clone()), false), (utf16(&text), true)] {
            let (taken, allowed) = (read(document).peak_bytes, allowed(&text, is_utf16));
            if taken > allowed {
                let form = if is_utf16 { "UTF-16" } else { "UTF-8" };
                breaches.push(format!("{}, {} bytes, {form}: {taken} bytes, not {allowed}", shape.name, text.len()));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

// R-9.6.1-1: entities, internal or external, are refused in constant memory, however many there are.
#[test]
fn c9_6_1_entities_are_refused_in_constant_memory() {
    let bare_reference = |bytes: usize| with_container(&format!("<v:Version>{}</v:Version>", "&a;".repeat(bytes / 3)));
    let makers: [(&str, &dyn Fn(usize) -> String); 3] =
        [("a bomb", &bomb), ("external", &external_entities), ("undeclared", &bare_reference)];
    for ((name, make), size) in makers.into_iter().flat_map(|maker| SIZES.map(|size| (maker, size))) {
        let document = Bytes::from(make(size));
        let refused = Validated::new(document.clone(), &Limits::default()).unwrap_err();
        assert!(matches!(refused.error.kind, ErrorKind::NotWellFormed(_)), "{name}, {size}: {}", refused.error);
        let taken = read(document);
        assert!(taken.peak_bytes <= CONSTANT_BYTES, "{name}, {size}: {taken:?}");
    }
}

fn steps(text: &str) -> usize {
    let limits = Limits::default();
    let mut reader = Namespaces::new(text, &limits);
    while reader.read().is_ok_and(|(token, _)| token.kind != TokenKind::Eof) {}
    reader.steps()
}

// P-6 (time): twice the document, twice the work; counted in steps and in allocations, not in seconds.
#[test]
fn p_6_work_grows_no_faster_than_the_document() {
    const SMALL: usize = 64 << 10;
    for shape in &SHAPES {
        let (small, large) = ((shape.make)(SMALL), (shape.make)(2 * SMALL));
        assert!(steps(&large) <= Limits::default().steps(large.len()), "{}", shape.name);
        let (few, many) = (steps(&small), steps(&large));
        assert!(many <= 2 * few + few / 8 + 64, "{}: {few} steps, then {many}", shape.name);
        let (few, many) = (read(small.into()).allocations, read(large.into()).allocations);
        assert!(many <= 2 * few + few / 8 + 64, "{}: {few} allocations, then {many}", shape.name);
    }
}

// P-6: a document over the limit is refused by its length alone.
#[test]
fn p_6_a_document_that_is_too_long_is_not_looked_at() {
    let document = Bytes::from(vec![b'<'; 4 << 20]);
    let limits = Limits { document_bytes: 1 << 20, ..Limits::default() };
    let meter = Meter::start();
    assert!(Validated::new(document, &limits).is_err());
    assert!(meter.taken().peak_bytes < CONSTANT_BYTES, "{:?}", meter.taken());
}

/// An item about product P with much code in it.
fn large_item(number: usize) -> Bytes {
    let content = CodeContent {
        span: Default::default(),
        kind: CodeKind::Binary,
        reference: None,
        text: "QUJD".repeat(64 << 10).into(),
    };
    let mut info = draft::item(&format!("item {number}"), "P");
    info.info[0].container.code = Some(Code { content: Some(content), ..Code::default() });
    draft::deliver(&[info])
}

// P-6 (memory): what a device holds of an item does not grow with the item's document, neither when that comes nor when
// the journal is read again.
#[test]
fn p_6_a_client_does_not_hold_the_documents_of_its_items() {
    const ITEMS: usize = 16;
    let assets = || vec![Asset::new("device", draft::product("P"))];
    let meter = Meter::start();
    let mut live = Client::new(ClientGuid(1), ServerGuid(2));
    live.handle(Time(1), client::Event::Assets(assets()));
    let mut again = Client::new(ClientGuid(1), ServerGuid(2));
    for number in 0..ITEMS {
        let facts = Validated::new(large_item(number), &Limits::default()).unwrap();
        let intake = Box::new(Intake::of(&facts).unwrap());
        drop(facts);
        // An answer: what is pushed waits until that is whole.
        let via = Via::Exchange(ExchangeId(1));
        live.handle(Time(2), client::Event::Delivery { via, intake });
        while let Some(action) = live.poll_action() {
            let Action::Store(ticket, entries) = action else { continue };
            live.handle(Time(3), client::Event::Stored(ticket));
            entries.into_iter().for_each(|entry| again.replay(entry));
        }
    }
    assert_eq!((live.holdings().len(), again.holdings().len()), (ITEMS, ITEMS));
    let held = meter.held_bytes();
    assert!(held < large_item(0).len(), "{held} bytes for {ITEMS} items, twice");
}

#[test]
fn the_meter_counts() {
    let meter = Meter::start();
    let block = vec![0_u8; 100_000];
    drop(vec![0_u8; 50_000]);
    let taken = meter.taken();
    assert_eq!((taken.peak_bytes, taken.allocations, taken.largest_bytes), (150_000, 2, 100_000));
    assert_eq!(meter.held_bytes(), 100_000);
    drop(block);
}
