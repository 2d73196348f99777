//! Clause 9.3: trees of any shape, which change while they are in use.

use link::hello::Hello;
use link::pki::Role;
use relay::config::Upstream;
use schemas::core::ReplyStatus;
use schemas::guid::ClientGuid;
use schemas::mark::Mark;
use schemas::version::VersionInfo;
use schemas::write::{self, HeaderFields, MessageDraft};
use tests::harness::draft::{self, component_item};
use tests::harness::{Authority, Capture, Recorder, TestClient, TestServer};

use super::{PROVIDER, publish, root, same_realm, synchronised, under, under_all};

fn runs(file: &str) -> VersionInfo {
    draft::asset("Editor", "1", vec![draft::component(file, "1")])
}

fn above(upstream: &TestServer) -> Upstream {
    Upstream::with(upstream.addr(), upstream.guid(), same_realm())
}

// R-9.3-1: eight servers in a chain: what is asked at the bottom is answered from the top, what is published at the top
// is pushed to the bottom, and each hop has its answer.
#[tokio::test(flavor = "multi_thread")]
async fn c9_3_a_chain_of_eight_carries_items_down_and_answers_up() {
    let mut chain = vec![root(0x3_0000).await];
    let provider = TestClient::connect(&chain[0], PROVIDER).await;
    publish(&provider, &[component_item("present", "a.so", "1")]).await;
    for number in 1..=8 {
        let next = under(&chain[number - 1], 0x3_0000 + number as u128, same_realm()).await;
        chain.push(next);
    }
    let client = TestClient::connect(&chain[8], ClientGuid(0x3_0100)).await;
    let mut got = client.ask(draft::request_full(&[runs("a.so")])).await.succeeded().ids();
    if got.is_empty() {
        // The chain took longer than an answer waits.
        got.extend(client.take_until("present").await.into_iter().map(|item| item.id));
    }
    assert_eq!(got, ["present"]);
    publish(&provider, &[component_item("later", "a.so", "1")]).await;
    assert_eq!(client.take_until("later").await.len(), 1);
    for server in &chain {
        let snapshot = server.snapshot_when(|snapshot| snapshot.shard.taken > 0).await;
        assert_eq!((snapshot.shard.unanswered, snapshot.shard.refused), (0, 0));
    }
}

// R-9.3-2: attached at run time a local server brings everything that is below it, detached it takes it away.
#[tokio::test(flavor = "multi_thread")]
async fn c9_3_subtrees_are_attached_and_detached_at_run_time() {
    let (one, other) = (root(0x3_1000).await, root(0x3_1100).await);
    let providers = [TestClient::connect(&one, PROVIDER).await, TestClient::connect(&other, PROVIDER).await];
    publish(&providers[0], &[component_item("of one", "a.so", "1")]).await;
    publish(&providers[1], &[component_item("of the other", "a.so", "1")]).await;
    let mut top = root(0x3_1200).await;
    let below = under(&top, 0x3_1300, same_realm()).await;
    let client = TestClient::connect(&below, ClientGuid(0x3_1001)).await;
    assert!(client.ask(draft::request_full(&[runs("a.so")])).await.succeeded().ids().is_empty());

    top.reload(|config| config.upstream = vec![above(&one)]).await;
    assert_eq!(client.take_until("of one").await.len(), 1);
    synchronised(&top, 1).await;
    top.reload(|config| config.upstream = vec![above(&other)]).await;
    assert_eq!(client.take_until("of the other").await.len(), 1);
    one.snapshot_when(|snapshot| snapshot.subscriptions == 0 && snapshot.connected == 1).await;
    publish(&providers[0], &[component_item("too late", "a.so", "1")]).await;
    publish(&providers[1], &[component_item("in time", "a.so", "1")]).await;
    assert_eq!(client.take_until("in time").await.len(), 1, "and nothing from where it was");
}

// R-8-2: a local server registered with five servers; the End at one leaves four.
#[tokio::test(flavor = "multi_thread")]
async fn c8_of_five_registrations_one_is_ended_and_four_stay() {
    let mut servers = Vec::new();
    for number in 0..5 {
        let server = root(0x3_2000 + number).await;
        let provider = TestClient::connect(&server, PROVIDER).await;
        servers.push((server, provider));
    }
    let upstreams: Vec<Upstream> = servers.iter().map(|(server, _)| above(server)).collect();
    let mut local = under_all(0x3_2100, upstreams, |_| ()).await;
    let client = TestClient::connect(&local, ClientGuid(0x3_2001)).await;
    client.ask(draft::request_full(&[runs("a.so")])).await.succeeded();
    for (server, _) in &servers {
        server.snapshot_when(|snapshot| snapshot.subscriptions > 0).await;
    }
    local.reload(|config| _ = config.upstream.remove(2)).await;
    servers[2].0.snapshot_when(|snapshot| snapshot.subscriptions == 0).await;
    for (number, (server, provider)) in servers.iter().enumerate() {
        publish(provider, &[component_item(&format!("item-{number}"), "a.so", "1")]).await;
        assert_eq!(server.snapshot().await.subscriptions == 0, number == 2);
    }
    let mut got = Vec::new();
    while got.len() < 4 {
        got.extend(client.take().await.items().into_iter().map(|item| item.id));
    }
    got.sort();
    assert_eq!(got, ["item-0", "item-1", "item-3", "item-4"]);
}

// R-9.3-2: a server that would stand below itself: whoever is asked by it answers Failed, it hangs up by itself, and the
// rest of the tree goes on.
#[tokio::test(flavor = "multi_thread")]
async fn c9_3_a_cycle_is_refused_and_the_tree_goes_on() {
    let mut top = root(0x3_3000).await;
    let provider = TestClient::connect(&top, PROVIDER).await;
    let middle = under(&top, 0x3_3100, same_realm()).await;
    let bottom = under(&middle, 0x3_3200, same_realm()).await;
    let client = TestClient::connect(&bottom, ClientGuid(0x3_3001)).await;
    client.ask(draft::request_full(&[runs("a.so")])).await.succeeded();
    synchronised(&bottom, 1).await;
    let wanted = middle.snapshot().await.subscriptions;

    let hello = Hello { path: Some(vec![Mark::of(top.guid().0)]), ..Hello::default() };
    let circular = TestClient::connect_with(&bottom, ClientGuid(0x3_3002), hello).await.unwrap();
    assert!(circular.hello().path.as_ref().unwrap().contains(&Mark::of(top.guid().0)), "it is told what stands above");
    for document in [draft::register(&[runs("a.so")]), draft::request_full(&[runs("a.so")])] {
        let leaf = circular.ask(document).await.leaf();
        assert_eq!(leaf.status, ReplyStatus::Failed);
        assert!(leaf.why.contains("cycle"), "{}", leaf.why);
    }

    top.reload(|config| config.upstream = vec![above(&bottom)]).await;
    publish(&provider, &[component_item("item", "a.so", "1")]).await;
    assert_eq!(client.take_until("item").await.len(), 1);
    let snapshot = top.snapshot().await;
    assert_eq!((snapshot.uplinks_synchronised, snapshot.wants_asked), (0, 0));
    assert_eq!((bottom.snapshot().await.registered, middle.snapshot().await.subscriptions), (1, wanted));
}

// R-9.3-6: the GUID that a client brings is kept.
#[tokio::test]
async fn c9_3_a_guid_that_a_client_brings_is_kept() {
    let server = root(0x3_4000).await;
    let guid = ClientGuid(0x7a11_0000_c0de_4bad_9bad_0000_0000_0001);
    let client = TestClient::connect(&server, guid).await;
    let header = HeaderFields { client_guid: Some(guid), server_guid: Some(server.guid()), ..draft::header() };
    let data = [runs("a.so")];
    let register = [MessageDraft { major: schemas::version::Major::Register, minor: None, data: Some(&data) }];
    let answer = client.ask(write::message(schemas::names::Spelling::Double, &header, &register)).await.succeeded();
    let schemas::core::Root::Reply(reply) = &answer.reply.document().root else { panic!("a reply") };
    assert_eq!(reply.header.client_guid.as_ref().map(|named| named.value), Some(guid), "and no other assigned");
    let again = TestClient::connect(&server, guid).await;
    assert_eq!(server.snapshot_when(|snapshot| snapshot.registered == 1).await.subscriptions, 1);
    again.ask(draft::end(&data)).await.succeeded();
    assert_eq!(server.snapshot().await.subscriptions, 0);
}

// R-9.3-9: towards each server above another GUID; neither hears of the other.
#[tokio::test(flavor = "multi_thread")]
async fn c9_3_a_client_has_another_guid_at_each_server() {
    const GUIDS: [u128; 2] = [0x71d4_9c0a_5be8_4f26_83c1_d09e_62b7_a4f5, 0x0e86_f3b2_97d5_4ac1_b64e_21f8_c93d_7a50];
    let servers = [root(0x3_5000).await, root(0x3_5100).await];
    let recorders = [Recorder::before(&servers[0]), Recorder::before(&servers[1])];
    let mut upstreams = Vec::new();
    for ((server, recorder), guid) in servers.iter().zip(&recorders).zip(GUIDS) {
        let own = Authority::shared().issue(guid, Role::Client);
        let upstream = Upstream::with(recorder.addr(), server.guid(), same_realm());
        upstreams.push(Upstream { certificate: Some(own.certificate), key: Some(own.key), ..upstream });
    }
    let local = under_all(0x3_5200, upstreams, |_| ()).await;
    for (number, server) in servers.iter().enumerate() {
        let provider = TestClient::connect(server, PROVIDER).await;
        publish(&provider, &[component_item(&format!("item-{number}"), "a.so", "1")]).await;
    }
    let client = TestClient::connect(&local, ClientGuid(0x3_5001)).await;
    assert_eq!(client.ask(draft::request_full(&[runs("a.so")])).await.succeeded().ids(), ["item-0", "item-1"]);
    for (number, recorder) in recorders.iter().enumerate() {
        let capture = Capture::new(recorder.kept().into_iter().map(|kept| kept.body));
        let tells = |guid: u128| {
            let hex = format!("{guid:032x}");
            let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
            capture.tells(parts) || capture.tells(hex) || capture.tells(guid.to_be_bytes())
        };
        assert!(tells(GUIDS[number]), "its own");
        assert!(!tells(GUIDS[1 - number]), "and not the other");
    }
}
