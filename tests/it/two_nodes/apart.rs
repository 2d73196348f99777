//! Long items on streams of their own, over links that are cut while one is on its way.

use std::time::Duration;

use dialler::places;
use link::apart::Partials;
use link::hello::Hello;
use node::ids::{Position, Resume};
use schemas::base64;
use schemas::class::Class;
use schemas::digest::Digest;
use schemas::guid::ClientGuid;
use schemas::version::{Code, CodeContent, CodeKind, VersionInfo};
use tests::harness::{TestClient, TestServer, draft, within};

use super::{CLIENT, LAST, PROVIDER, Pair, SERVER, SIBLING, ids};

const PRODUCT: &str = "P";
const ID: &str = "long";
/// Of the item's code, which stands in it as base64: 20 MB.
const CODE_BYTES: usize = 15_000_000;

fn item(code: impl Iterator<Item = u8>) -> VersionInfo {
    let text = base64::encode(&code.take(CODE_BYTES).collect::<Vec<u8>>()).into();
    let content = CodeContent { span: Default::default(), kind: CodeKind::Binary, reference: None, text };
    let mut item = draft::item(ID, PRODUCT);
    item.info[0].container.code = Some(Code { content: Some(content), ..Code::default() });
    item
}

/// Code that no compression makes shorter.
fn noise() -> VersionInfo {
    item((0_u32..).flat_map(|number| Digest::of(&number.to_be_bytes()).0))
}

/// Code that half of is the same again and again.
fn program() -> VersionInfo {
    let line = |number: u32| [&b"mov eax, 1; ret; mov ebx, 2; ret"[..], &Digest::of(&number.to_be_bytes()).0].concat();
    item((0_u32..).flat_map(line))
}

/// A client that takes items on streams of their own, and wants the product.
async fn device(server: &TestServer, guid: ClientGuid, hello: &Hello, partials: &Partials) -> TestClient {
    let hello = Hello { partials: Some(partials.offer()), ..hello.clone() };
    let client = TestClient::connect_with(server, guid, hello).await.expect("a link");
    client.link().keep_partials(partials);
    client
}

/// Waits until so many octets have come.
async fn received(client: &TestClient, octets: u64) {
    let look = async {
        let mut every = tokio::time::interval(Duration::from_millis(1));
        while client.link().wire_bytes().received < octets {
            every.tick().await;
        }
    };
    within("octets", look).await;
}

/// The link of a client is cut when half of the item has come; the octets that came on both of its links are those of one
/// that is not cut, and little more.
async fn cut_in_the_middle(hello: Hello, item: VersionInfo) {
    let server = TestServer::with_providers(SERVER, &[PROVIDER]).await;
    let provider = TestClient::connect(&server, PROVIDER).await;
    let partials = Partials::default();
    let steady = device(&server, SIBLING, &hello, &Partials::default()).await;
    let first = device(&server, CLIENT, &hello, &partials).await;
    for client in [&steady, &first] {
        client.ask(draft::register(&[draft::product(PRODUCT), draft::product(LAST)])).await.succeeded();
    }
    provider.ask(draft::deliver(&[item])).await.succeeded();
    let whole = steady.take().await.items();
    assert_eq!(ids(&whole), [ID]);
    let once = steady.socket_bytes().received;
    // Its answer is there before it goes.
    server.snapshot_when(|snapshot| snapshot.shard.taken == 1).await;
    steady.leave().await;

    tokio::select! {
        _ = first.pushed() => panic!("it was whole before the cut"),
        () = received(&first, once / 2) => {}
    }
    let (incarnation, before) = (first.incarnation(), first.socket_bytes().received);
    first.leave().await;
    assert_eq!(partials.offer().len(), 1, "what came is kept");
    let resume = Resume::at(incarnation, Position(0), None);
    let second = device(&server, CLIENT, &places::write(hello, Some(resume)), &partials).await;
    assert!(!second.hello().behind);
    provider.ask(draft::deliver(&[draft::item("last", LAST)])).await.succeeded();
    let mut got = Vec::new();
    while got.len() < 2 {
        got.extend(second.take().await.items());
    }
    got.sort_by_key(|item| item.id != ID);
    assert_eq!(ids(&got), [ID, "last"], "each once");
    assert!(got[0].bytes == whole[0].bytes, "byte for byte");
    let in_all = before + second.socket_bytes().received;
    assert!(in_all < once * 13 / 10, "{in_all} octets, {before} before the cut; {once} without one");
    // The item twice, as there are two clients, and the last word.
    let snapshot = server.snapshot_when(|snapshot| snapshot.shard.taken == 3 && snapshot.shard.unanswered == 0).await;
    assert_eq!(snapshot.shard.refused, 0);
}

#[tokio::test]
async fn what_came_before_a_cut_is_not_sent_again() {
    Box::pin(cut_in_the_middle(Hello::default(), noise())).await;
}

#[tokio::test]
async fn nor_is_what_came_in_segments() {
    Box::pin(cut_in_the_middle(Hello::default().reading_all_forms(), program())).await;
}

// R-10.1.1-2: an implementation that knows only what it must gets it as any other.
#[tokio::test]
async fn who_does_not_list_field_7_gets_a_long_item_in_its_lane() {
    let pair = Pair::start().await;
    assert_eq!(Hello::default().partials, None);
    pair.ask(draft::register(&[draft::product(PRODUCT)])).await;
    // Its link would be closed by a stream that is no lane.
    pair.publish(&[noise()]).await;
    let pushed = pair.client.pushed_of(Class::Bulk).await;
    assert_eq!(ids(&pushed.items()), [ID]);
}

#[tokio::test]
async fn several_long_items_go_side_by_side_and_each_is_answered() {
    let server = TestServer::with_providers(SERVER, &[PROVIDER]).await;
    let provider = TestClient::connect(&server, PROVIDER).await;
    let client = device(&server, CLIENT, &Hello::default().reading_all_forms(), &Partials::default()).await;
    client.ask(draft::register(&[draft::product(PRODUCT)])).await.succeeded();
    let padding = "x".repeat(300 << 10);
    let names: Vec<String> = (0..20).map(|number| format!("item-{number:02}")).collect();
    for name in &names {
        let item = draft::commented(draft::item(name, PRODUCT), &format!("Revision: 1\n{padding}"));
        provider.ask(draft::deliver(&[item])).await.succeeded();
    }
    // More than may be unanswered: nothing comes behind them before one is.
    let mut pushed = Vec::new();
    for _ in 0..link::apart::ITEMS_MAX {
        pushed.push(client.pushed_of(Class::Bulk).await);
    }
    let more = tokio::time::timeout(Duration::from_millis(200), client.pushed_of(Class::Bulk)).await;
    assert!(more.is_err(), "a fifth waits");
    let mut got = Vec::new();
    for pushed in &pushed {
        client.answer(pushed, &schemas::core::ReplyStatus::Succeeded).await;
        got.extend(ids(&pushed.items()));
    }
    while got.len() < names.len() {
        got.extend(ids(&client.take().await.items()));
    }
    got.sort();
    assert_eq!(got, names, "each once");
    server.snapshot_when(|snapshot| snapshot.shard.taken == 20 && snapshot.shard.unanswered == 0).await;
}
