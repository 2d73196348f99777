//! The limits of a link and of a node, each hit over a real link (row P-6), and that a peer who breaks the protocol
//! hurts nobody but himself.

use bytes::Bytes;
use link::close::CloseCode;
use link::endpoint::ConnectError;
use link::error::SendError;
use link::frame::Kind;
use link::hello::Hello;
use schemas::core::ReplyStatus;
use tests::harness::draft::{self, component};
use tests::harness::memory::Meter;
use tests::harness::raw::{RawClient, frame};
use tests::harness::{TestClient, TestServer, within};

use super::{CLIENT, PROVIDER, Pair, REQUEST, SERVER, SIBLING, assert_status, by_hand, message_by_hand, pushed_to};

/// Codes of `x1206/1`.
const PROTOCOL: u64 = 3;
const TOO_LARGE: u64 = 4;
const DIGEST: u64 = 5;

/// Far below the length that the frame claims, far above what a link needs.
const ALLOCATION_MAX: usize = 4 << 20;

// P-6: a frame over the limit is refused by its header; nothing is allocated for its body. The server runs in this
// thread, so that its memory is counted.
#[tokio::test]
async fn p_6_a_frame_over_the_limit_is_refused_without_allocation() {
    let pair = Pair::start().await;
    let bad = RawClient::connect(&pair.server, SIBLING).await;
    let meter = Meter::start();
    let (mut stream, _answer) = bad.connection.open_bi().await.unwrap();
    stream.write_all(&frame(Kind::Document, u32::MAX, b"<m:Message_Core")).await.unwrap();
    let (code, why) = bad.closed().await;
    assert_eq!(code, TOO_LARGE, "{why}");
    assert!(meter.taken().largest_bytes < ALLOCATION_MAX, "{:?}", meter.taken());
    pair.ask(by_hand("", REQUEST)).await;
}

// P-6: an honest sender is told the limit by Hello, and keeps it.
#[tokio::test]
async fn p_6_the_limit_of_a_document_is_said_in_hello() {
    let server = TestServer::start(SERVER, |config| config.limits.document_bytes = 64 << 10).await;
    let client = TestClient::connect(&server, CLIENT).await;
    let long = Bytes::from(vec![b' '; (64 << 10) + 1]);
    let refused = client.link().open_exchange(&[long]).await;
    assert!(matches!(refused, Err(SendError::TooLong { limit: 65_536, .. })));
    client.ask(by_hand("", REQUEST)).await.succeeded();
}

/// Everything that is no frame of the stream it comes on, and the code that it earns.
fn garbage() -> Vec<(&'static str, Vec<u8>, u64)> {
    let document = by_hand("", REQUEST);
    let length = u32::try_from(document.len()).unwrap();
    let mut altered = frame(Kind::Document, length, &document);
    altered[70] ^= 1;
    let two = [frame(Kind::Document, length, &document), frame(Kind::Document, length, &document)].concat();
    vec![
        ("noise", (0..200_u8).collect(), TOO_LARGE | PROTOCOL),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: here, or anywhere else in the world\r\n\r\n".to_vec(), TOO_LARGE | PROTOCOL),
        ("a reply lane's frame", frame(Kind::Reply, length, &document), PROTOCOL),
        ("a Hello", frame(Kind::Hello, length, &document), PROTOCOL),
        ("a Delivery", frame(Kind::Delivery, length, &document), PROTOCOL),
        ("an End", frame(Kind::End, 0, b""), PROTOCOL),
        ("a body where none belongs", frame(Kind::End, length, &document), PROTOCOL),
        ("another digest", altered, DIGEST),
        ("two documents", two, PROTOCOL),
        ("half a header", frame(Kind::Document, length, &document)[..20].to_vec(), PROTOCOL),
        ("half a document", frame(Kind::Document, length, &document)[..100].to_vec(), PROTOCOL),
        ("nothing", Vec::new(), PROTOCOL),
    ]
}

/// `TOO_LARGE | PROTOCOL` stands for noise, whose first bytes may be read as a length.
fn assert_code(name: &str, code: u64, expected: u64, why: &str) {
    let fits = if expected == TOO_LARGE | PROTOCOL { code == TOO_LARGE || code == PROTOCOL } else { code == expected };
    assert!(fits, "{name}: closed with {code}, not {expected}: {why}");
}

#[tokio::test]
async fn garbage_in_an_exchange_closes_that_link_and_no_other() {
    let pair = Pair::start().await;
    for (name, bytes, expected) in garbage() {
        let bad = RawClient::connect(&pair.server, SIBLING).await;
        let (mut stream, _answer) = bad.connection.open_bi().await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.finish().unwrap();
        let (code, why) = bad.closed().await;
        assert_code(name, code, expected, &why);
        pair.ask(by_hand("", REQUEST)).await;
    }
}

#[tokio::test]
async fn garbage_in_the_reply_lane_closes_that_link_and_no_other() {
    let pair = Pair::start().await;
    let message = by_hand("", REQUEST);
    let length = u32::try_from(message.len()).unwrap();
    let mut wrong = vec![
        ("a message as a reply", frame(Kind::Reply, length, &message), PROTOCOL),
        ("no XML as a reply", frame(Kind::Reply, 4, b"<a b"), PROTOCOL),
        ("an exchange's document", frame(Kind::Document, length, &message), PROTOCOL),
        ("a second Hello", frame(Kind::Hello, length, &message), PROTOCOL),
    ];
    wrong.push(("noise", (0..200_u8).collect(), TOO_LARGE | PROTOCOL));
    for (name, bytes, expected) in wrong {
        let mut bad = RawClient::connect(&pair.server, SIBLING).await;
        bad.control.write_all(&bytes).await.unwrap();
        let (code, why) = bad.closed().await;
        assert_code(name, code, expected, &why);
        pair.ask(by_hand("", REQUEST)).await;
    }
}

// P-6 (streams): lanes go down only, and so many exchanges at once.
#[tokio::test]
async fn p_6_a_client_has_no_more_streams_than_it_is_granted() {
    let pair = Pair::start().await;
    let raw = RawClient::connect(&pair.server, SIBLING).await;
    let now_or_never = async |name: &str, waits: bool| {
        let opened = tokio::select! {
            biased;
            opened = async { if name == "lane" { raw.connection.open_uni().await.map(|stream| (Some(stream), None)) }
                else { raw.connection.open_bi().await.map(|pair| (None, Some(pair))) } } => Some(opened.unwrap()),
            () = std::future::ready(()) => None,
        };
        assert_eq!(opened.is_none(), waits, "{name}");
        opened
    };
    now_or_never("lane", true).await;
    let mut open = Vec::new();
    // Eight, the control stream among them.
    for _ in 0..7 {
        open.push(now_or_never("exchange", false).await);
    }
    now_or_never("exchange", true).await;
    pair.ask(by_hand("", REQUEST)).await;
}

// P-6 (depth, parts, subscriptions): the document is Failed, and the link lives.
#[tokio::test]
async fn p_6_limits_of_a_document_are_answered_failed() {
    let pair = Pair::start().await;
    let deep = by_hand("", &format!("<o:Message xmlns:o='urn:o'>{}</o:Message>", "<a>".repeat(500)));
    let wide = by_hand("", &"<m:Message_Core/>".repeat(4097));
    let long = message_by_hand(&format!("<v:Major_Message>{}</v:Major_Message>", "x".repeat((1 << 20) + 1)));
    for (document, name) in [(deep, "depth"), (wide, "parts"), (by_hand("", &long), "text_bytes")] {
        let answered = pair.client.ask(document).await;
        assert_status(&answered, &ReplyStatus::Failed);
        assert!(answered.leaf().why.contains(&format!("limit: {name}")), "{}", answered.leaf().why);
    }
    let products: Vec<_> = (0..1100).map(|number| draft::product(&format!("Product {number}"))).collect();
    assert_status(&pair.client.ask(draft::register(&products)).await, &ReplyStatus::Failed);
    pair.ask(draft::register(&products[..100])).await;
}

// P-6 (links): one more than the server takes is told to come back later.
#[tokio::test]
async fn p_6_one_link_too_many_is_refused_as_busy() {
    let server = TestServer::start(SERVER, |config| config.limits.links_max = 2).await;
    let _first = TestClient::connect(&server, CLIENT).await;
    let second = TestClient::connect(&server, SIBLING).await;
    let refused = TestClient::connect_with(&server, PROVIDER, Hello::default()).await;
    let busy = |error: &ConnectError| matches!(error, ConnectError::Refused(reason) if reason.code == CloseCode::Busy);
    assert!(refused.as_ref().err().is_some_and(busy), "{:?}", refused.err());
    second.leave().await;
    server.snapshot_when(|snapshot| snapshot.connected == 1).await;
    TestClient::connect(&server, PROVIDER).await.ask(by_hand("", REQUEST)).await.succeeded();
}

/// Items that may stand unanswered.
const WINDOW: usize = 256;

// P-6 (queue of a child): who does not answer gets so many items and no more, and nothing is lost.
#[tokio::test]
async fn p_6_no_more_than_a_window_of_items_stands_unanswered() {
    let pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    let items: Vec<_> = (0..600).map(|number| draft::deliver(&[draft::item(&format!("item-{number}"), "P")])).collect();
    pair.deliver(draft::bundle(&items)).await;
    let mut waiting = Vec::new();
    while waiting.iter().map(|pushed: &tests::harness::Pushed| pushed.items().len()).sum::<usize>() < WINDOW {
        waiting.push(pair.client.pushed().await);
    }
    let snapshot = pair.server.snapshot_when(|snapshot| snapshot.shard.unanswered == WINDOW as u64).await;
    assert_eq!(snapshot.shard.items, WINDOW as u64);
    // Others are not delayed by it.
    let other = super::listener(&pair.server, SIBLING).await;
    other.ask(draft::register(&[draft::product("P")])).await.succeeded();
    pair.publish(&[draft::item("for both", "P")]).await;
    assert_eq!(super::ids(&pushed_to(&other, &pair.provider).await), ["for both"]);
    for pushed in &waiting {
        pair.client.answer(pushed, &ReplyStatus::Succeeded).await;
    }
    let rest = pair.pushed().await;
    assert_eq!(rest.len(), items.len() - WINDOW + 1);
}

// P-6 (log): what is trimmed is told, and a new Request makes up for it.
#[tokio::test]
async fn p_6_who_missed_what_was_trimmed_is_told_and_asks_again() {
    let server = TestServer::start(SERVER, |config| {
        config.limits.items_max = 32;
        config.policy.providers = [relay::config::Guid(PROVIDER)].into();
    })
    .await;
    let provider = TestClient::connect(&server, PROVIDER).await;
    let client = TestClient::connect(&server, CLIENT).await;
    client.ask(draft::register(&[draft::product("P")])).await.succeeded();
    let incarnation = client.incarnation();
    client.leave().await;
    for number in 0..100 {
        provider.ask(draft::deliver(&[draft::item(&format!("item-{number}"), "P")])).await.succeeded();
    }
    let client = TestClient::resume(&server, CLIENT, incarnation, 0).await;
    assert!(client.hello().behind);
    let current = client.ask(draft::request_full(&[draft::product("P")])).await.succeeded();
    assert!((32..=34).contains(&current.items().len()), "{}", current.items().len());
}

// P-6 (log): what is replaced goes before what stands, gives its room back, and nobody misses it.
#[tokio::test]
async fn p_6_what_others_have_replaced_goes_first_and_gives_its_room_back() {
    const REVISIONS: usize = 300;
    let mut server = TestServer::start(SERVER, |config| {
        config.limits.items_max = 32;
        config.store.segment_bytes = 64 << 10;
        config.policy.providers = [relay::config::Guid(PROVIDER)].into();
    })
    .await;
    let provider = TestClient::connect(&server, PROVIDER).await;
    for number in 0..20 {
        provider.ask(draft::deliver(&[draft::item(&format!("stands-{number}"), "P")])).await.succeeded();
    }
    let padding = "Fixes a hole that an attacker may use.\n".repeat(60);
    for revision in 0..REVISIONS {
        let item = draft::commented(draft::item("often", "P"), &format!("Revision: {revision}\n{padding}"));
        provider.ask(draft::deliver(&[item])).await.succeeded();
    }
    provider.leave().await;
    // What stands and a window of revisions, the segment that is being written, and a third.
    within("room to be taken back", async {
        while log_bytes(&server) > 256 << 10 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let counts = server.page("/metrics").await;
    assert!(counts.contains("distributary_items_trimmed_total 0\n"), "nothing that stands has gone: {counts}");
    for newcomer in [CLIENT, SIBLING] {
        let client = TestClient::connect(&server, newcomer).await;
        let current = client.ask(draft::request_full(&[draft::product("P")])).await.succeeded();
        assert_eq!(current.items().len(), 21, "what stands, and the last revision");
        client.leave().await;
        server.restart().await;
    }
}

fn log_bytes(server: &TestServer) -> u64 {
    let files = std::fs::read_dir(server.folder().join("store")).unwrap().map(|file| file.unwrap());
    let segments = files.filter(|file| file.file_name().to_string_lossy().ends_with(".seg"));
    // One that goes meanwhile has none.
    segments.filter_map(|file| file.metadata().ok()).map(|of| of.len()).sum()
}

// P-6 (memory for what comes in): far more than the budget passes through it, and links that are cut give theirs back.
#[tokio::test]
async fn p_6_the_inbound_budget_is_given_back() {
    const DOCUMENT: usize = 60 << 10;
    let server = TestServer::start(SERVER, |config| {
        config.limits.document_bytes = 64 << 10;
        config.limits.inbound_bytes = 512 << 10;
    })
    .await;
    // Frames of eight documents: forty links of garbage come and go.
    for _ in 0..40 {
        let bad = RawClient::connect(&server, SIBLING).await;
        let (mut stream, _answer) = bad.connection.open_bi().await.unwrap();
        let half = vec![b' '; DOCUMENT / 2];
        stream.write_all(&frame(Kind::Document, u32::try_from(DOCUMENT).unwrap(), &half)).await.unwrap();
        stream.finish().unwrap();
        assert_eq!(bad.closed().await.0, PROTOCOL);
    }
    let client = TestClient::connect(&server, CLIENT).await;
    let filter = [draft::asset("P", "1", vec![component(&"f".repeat(DOCUMENT), "1")])];
    for _ in 0..40 {
        within("an answer", client.ask(draft::request(&filter))).await.succeeded();
    }
}
