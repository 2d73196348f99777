//! Rows of the project itself: offline children, duplicates, link security, bounded labels.

use bytes::Bytes;
use link::close::CloseCode;
use link::endpoint::{Client, ConnectError};
use link::frame::Kind;
use link::hello::Hello;
use link::limits::LinkLimits;
use link::pki::Role;
use schemas::core::ReplyStatus;
use schemas::guid::ServerGuid;
use tests::harness::draft::{self, commented};
use tests::harness::raw::{RawClient, frame};
use tests::harness::{Authority, TestClient, within};

use super::{CLIENT, PROVIDER, Pair, SIBLING, assert_status, ids};

/// Code of `x1206/1` for a link whose client has come again.
const REPLACED: u64 = 1;

// P-7: who was away during three versions gets the last one, once.
#[tokio::test]
async fn p_7_a_client_that_was_away_gets_the_latest_only() {
    let pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    pair.publish(&[draft::item("seen", "P")]).await;
    let last = pair.client.take().await;
    pair.server.snapshot_when(|snapshot| snapshot.shard.taken == 1).await;
    let incarnation = pair.client.incarnation();
    pair.client.leave().await;
    pair.server.snapshot_when(|snapshot| snapshot.connected == 1).await;
    for revision in 1..=3 {
        let item = commented(draft::item("ADV-1", "P"), &format!("Revision: {revision}"));
        pair.provider.ask(draft::deliver(&[item])).await.succeeded();
    }
    let client = TestClient::resume(&pair.server, CLIENT, incarnation, last.header.position).await;
    assert!(!client.hello().behind);
    let pushed = super::pushed_to(&client, &pair.provider).await;
    let got: Vec<_> = pushed.iter().map(|item| (item.id.as_str(), item.subject.revision)).collect();
    assert_eq!(got, [("ADV-1", 3)]);
}

// P-8: a transfer that is cut off is repeated by either side, and has one effect; order stays.
#[tokio::test]
async fn p_8_a_reconnect_in_mid_transfer_has_one_effect() {
    let mut pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    let documents: Vec<_> =
        (0..8).map(|number| draft::deliver(&[draft::item(&format!("item-{number}"), "P")])).collect();
    // Up: all is sent again, whether it had arrived or not.
    let arrived = cut_in_mid_transfer(&mut pair, &documents).await;
    for document in &documents {
        pair.deliver(document.clone()).await;
    }
    let all = documents.len() as u64;
    let judged = |totals: &node::engine::Totals| totals.accepted + totals.duplicates == all + arrived;
    let totals = pair.server.snapshot_when(|snapshot| judged(&snapshot.engine)).await.engine;
    assert_eq!((totals.accepted, totals.duplicates), (all, arrived));
    let held = pair.ask(draft::request(&[draft::product("P")])).await;
    assert_eq!(held.items().len(), documents.len());
    // Down: the client's link is cut before it has answered anything.
    let incarnation = pair.client.incarnation();
    let unanswered = pair.client.pushed().await;
    pair.client.link().close(CloseCode::Done, "cut");
    let before = unanswered.header.position - unanswered.items().len() as u64;
    pair.client = TestClient::resume(&pair.server, CLIENT, incarnation, before).await;
    let again = pair.pushed().await;
    assert_eq!(again.len(), documents.len(), "{:?}", ids(&again));
    let first = unanswered.items();
    assert_eq!(
        again[..first.len()].iter().map(|item| item.digest).collect::<Vec<_>>(),
        first.iter().map(|item| item.digest).collect::<Vec<_>>()
    );
    // What was answered does not come a third time.
    pair.publish(&[draft::item("last", "P")]).await;
    assert_eq!(pair.pushed_ids().await, ["last"]);
}

/// Cuts the provider's link twice: when all documents but the last are held and no reply to them has been read, and in
/// the middle of the last one. Answers how many have arrived; the provider is connected again.
async fn cut_in_mid_transfer(pair: &mut Pair, documents: &[Bytes]) -> u64 {
    let (last, first) = documents.split_last().unwrap();
    let arrived = first.len() as u64;
    let mut unread = Vec::new();
    for document in first {
        let exchange = within("an exchange", pair.provider.link().open_exchange(std::slice::from_ref(document))).await;
        unread.push(exchange.unwrap());
    }
    pair.server.snapshot_when(|snapshot| snapshot.engine.accepted == arrived).await;
    pair.provider.link().close(CloseCode::Done, "cut");

    let half = RawClient::connect(&pair.server, PROVIDER).await;
    let (mut stream, _answer) = half.connection.open_bi().await.unwrap();
    let framed = frame(Kind::Document, u32::try_from(last.len()).unwrap(), last);
    stream.write_all(&framed[..framed.len() - last.len() / 2]).await.unwrap();
    pair.provider = TestClient::connect(&pair.server, PROVIDER).await;
    assert_eq!(half.closed().await.0, REPLACED, "the newer link takes the place of the one in mid-document");
    arrived
}

/// Dials as `guid` with a certificate of any CA, expecting any server.
async fn dial(pair: &Pair, authority: &Authority, expected: ServerGuid) -> Result<Hello, ConnectError> {
    let identity = authority.identity(CLIENT.0, Role::Client, Authority::shared());
    let budget = link::budget::Budget::new(1 << 20, 64 << 20);
    let addr = pair.server.addr();
    let endpoint = Client::bind(Client::any_local(addr), &identity, LinkLimits::device(), budget).unwrap();
    let link = within("an answer", endpoint.connect(addr, expected, Hello::default())).await?;
    Ok(link.peer_hello().clone())
}

// P-12: who is not of the CA is refused, and so is who speaks under another's GUID, server or client.
#[tokio::test]
async fn p_12_unknown_certificates_and_foreign_guids_are_refused() {
    let pair = Pair::start().await;
    let stranger = dial(&pair, &Authority::new(), pair.server.guid()).await;
    assert!(matches!(stranger, Err(ConnectError::CertificateRefused(_))), "{stranger:?}");
    let other_server = dial(&pair, Authority::shared(), ServerGuid(7)).await;
    assert!(matches!(other_server, Err(ConnectError::NotTheServer(_))), "{other_server:?}");
    let spoofed = super::by_hand(&format!("<m:Client_GUID>{SIBLING}</m:Client_GUID>"), super::REQUEST);
    assert_status(&pair.client.ask(spoofed).await, &ReplyStatus::Failed);
    pair.ask(draft::request(&[draft::product("P")])).await;
}

/// Every metric with its labels.
fn series(page: &str) -> Vec<&str> {
    page.lines().filter(|line| line.starts_with("distributary_")).map(|line| line.rsplit_once(' ').unwrap().0).collect()
}

// P-9: label sets stay as they are while clients grow.
#[tokio::test]
async fn p_9_labels_do_not_grow_with_clients() {
    let pair = Pair::start().await;
    let busy = async |guid: u128| {
        let client = super::listener(&pair.server, schemas::guid::ClientGuid(guid)).await;
        client.ask(draft::request_full(&[draft::product(&format!("Product {guid}"))])).await.succeeded();
        pair.publish(&[draft::item(&format!("item-{guid}"), &format!("Product {guid}"))]).await;
        assert_eq!(super::pushed_to(&client, &pair.provider).await.len(), 1);
        client.leave().await;
        // The page is as old as the last snapshot.
        let gone = |snapshot: &relay::driver::Snapshot| snapshot.connected == 2;
        pair.server.snapshot_when(gone).await;
    };
    busy(0x300).await;
    let few = pair.server.page("/metrics").await;
    for guid in 0x301..0x310 {
        busy(guid).await;
    }
    let many = pair.server.page("/metrics").await;
    assert_eq!(series(&few), series(&many));
}
