//! Clause 8.2.2, from the side of who asks providers: how each is asked, and what is said when.

use std::collections::BTreeSet;

use bytes::Bytes;
use link::frame::Kind;
use relay::config::{Ask, Asks, Upstream};
use schemas::core::ReplyStatus;
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use schemas::version::{Major, Minor, VersionInfo};
use tests::harness::draft::{self, component_item};
use tests::harness::stub::{Said, StubLink};
use tests::harness::{Recorder, Stub, TestClient, TestServer, Way, leaves, within};
use topology::interest::Interest;
use topology::want::Want;

use super::{PROVIDER, foreign, publish, root, under_all};

const EVERYTHING: (Major, Option<Minor>) = (Major::Request, Some(Minor::Full));
const LIST: (Major, Option<Minor>) = (Major::Request, Some(Minor::Catalog));

fn asks(ask: Ask) -> Asks {
    Asks { ask, ..foreign() }
}

fn runs(file: &str) -> VersionInfo {
    draft::asset("Editor", "1", vec![draft::component(file, "1")])
}

/// What a stub's catalogue says of an item.
fn entry(item: VersionInfo) -> Bytes {
    draft::message(Major::Deliver, Some(Minor::Catalog), Some(&[item]))
}

/// Major and minor of a message without data.
fn bare((major, minor, infos): Said) -> (Major, Option<Minor>) {
    assert!(infos.is_empty(), "{infos:?}");
    (major, minor)
}

/// The IDs of the elements that a Request:Full names.
fn elements((major, minor, infos): Said) -> Vec<String> {
    assert_eq!((major, minor), EVERYTHING);
    let wants = infos.iter().flat_map(|info| Want::of_interest(&Interest::from_version_info(info)));
    let id = |want: Want| match want {
        Want::Element { id, .. } => id.into_string(),
        other => panic!("{other:?}"),
    };
    wants.map(id).collect()
}

/// What has been asked upwards by way of a recorder.
fn asked(recorder: &Recorder) -> Vec<Said> {
    recorder.asked().into_iter().map(|(_, message)| message).collect()
}

async fn under_stub(stub: &Stub, guid: u128, ask: Ask) -> (TestServer, StubLink) {
    let upstream = Upstream::with(stub.addr(), stub.guid(), asks(ask));
    let server = TestServer::start(ServerGuid(guid), |config| config.upstream = vec![upstream]).await;
    let link = stub.accept().await;
    (server, link)
}

/// One client's Request:Full, while the test answers for the upstream.
fn asking(client: &std::sync::Arc<TestClient>, file: &str) -> tokio::task::JoinHandle<tests::harness::Answered> {
    let (client, data) = (client.clone(), [runs(file)]);
    tokio::spawn(async move { client.ask(draft::request_full(&data)).await.succeeded() })
}

// R-8.2.2-4: everything is refused, in each of the three ways: the list is asked for, once, and it is remembered.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_who_is_refused_everything_asks_for_the_list() {
    use ReplyStatus::{MajorNotSupported, MinorNotSupported};
    let ways = [vec![MajorNotSupported], vec![MinorNotSupported], vec![MajorNotSupported, MinorNotSupported]];
    for (number, refusal) in ways.into_iter().enumerate() {
        let guid = 0x1_1000 + 0x100 * number as u128;
        let stub = Stub::bind(ServerGuid(guid));
        let (mut isp, link) = under_stub(&stub, guid + 1, Ask::Everything).await;
        let first = link.heard().await;
        assert_eq!(bare(first.message()), EVERYTHING);
        first.answer(&refusal, &[]).await;
        let second = link.heard().await;
        assert_eq!(bare(second.message()), LIST, "{refusal:?}");
        let items = [component_item("a", "a.so", "1"), component_item("b", "b.so", "1")];
        second.succeed(&items.clone().map(entry)).await;
        isp.snapshot_when(|snapshot| snapshot.items == 2).await;

        let client = std::sync::Arc::new(TestClient::connect(&isp, ClientGuid(guid << 16)).await);
        let answer = asking(&client, "a.so");
        let third = link.heard().await;
        assert_eq!(elements(third.message()), ["a"], "and single elements of it");
        third.succeed(&[draft::deliver(&items[..1])]).await;
        assert_eq!(within("an answer", answer).await.unwrap().ids(), ["a"]);

        isp.restart().await;
        let link = stub.accept().await;
        let client = std::sync::Arc::new(TestClient::connect(&isp, ClientGuid(guid << 16)).await);
        let answer = asking(&client, "b.so");
        let fourth = link.heard().await;
        assert_eq!(elements(fourth.message()), ["b"], "nothing is negotiated again");
        fourth.succeed(&[draft::deliver(&items[1..])]).await;
        assert_eq!(within("an answer", answer).await.unwrap().ids(), ["b"]);
    }
}

// R-8.2.2-5: refused in every form, it stops: two requests in total, whatever is asked below.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_refused_in_every_form_is_the_end_of_it() {
    let stub = Stub::bind(ServerGuid(0x1_2000));
    let (mut isp, link) = under_stub(&stub, 0x1_2001, Ask::Everything).await;
    for form in [EVERYTHING, LIST] {
        let heard = link.heard().await;
        assert_eq!(bare(heard.message()), form);
        heard.answer(&[ReplyStatus::MinorNotSupported], &[]).await;
    }
    for number in 0..3 {
        let client = TestClient::connect(&isp, ClientGuid(0x1_2010 + number)).await;
        assert!(client.ask(draft::request_full(&[runs("a.so")])).await.succeeded().items().is_empty());
    }
    isp.stop().await;
    let more = within("the end of the link", link.link().accept_exchange()).await;
    assert!(more.is_err(), "nothing was asked before the link ended");
}

// R-8.2.2-6: who publishes what may be asked of it is asked nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_a_published_policy_saves_the_refusal() {
    let vendor = TestServer::start(ServerGuid(0x1_3000), |config| {
        config.policy.providers = [relay::config::Guid(PROVIDER)].into();
        config.policy.full_of_everything = false;
    })
    .await;
    let provider = TestClient::connect(&vendor, PROVIDER).await;
    publish(&provider, &[component_item("a", "a.so", "1")]).await;
    let refused = TestClient::connect(&vendor, ClientGuid(0x1_3010)).await;
    let everything = draft::message(Major::Request, Some(Minor::Full), None);
    assert_eq!(refused.ask(everything).await.statuses(), [ReplyStatus::MinorNotSupported], "it means it");
    let recorder = Recorder::before(&vendor);
    let upstream = Upstream::with(recorder.addr(), vendor.guid(), asks(Ask::Everything));
    let isp = under_all(0x1_3001, vec![upstream], |_| ()).await;
    let client = TestClient::connect(&isp, ClientGuid(0x1_3011)).await;
    assert_eq!(client.ask(draft::request_full(&[runs("a.so")])).await.succeeded().ids(), ["a"]);
    assert_eq!(bare(asked(&recorder).remove(0)), LIST);
    for kept in recorder.kept().into_iter().filter(|kept| (kept.way, kept.kind) == (Way::Down, Kind::Reply)) {
        let reply = Validated::new(kept.body, &Limits::default()).unwrap();
        assert!(leaves(&reply).iter().all(|leaf| leaf.status == ReplyStatus::Succeeded));
    }
}

struct Provider {
    server: TestServer,
    client: TestClient,
    recorder: Recorder,
}

impl Provider {
    async fn start(guid: u128) -> Self {
        let server = root(guid).await;
        let client = TestClient::connect(&server, PROVIDER).await;
        let recorder = Recorder::before(&server);
        Self { server, client, recorder }
    }

    fn asked(&self, ask: Ask) -> Upstream {
        Upstream::with(self.recorder.addr(), self.server.guid(), asks(ask))
    }
}

// R-8.2.2-1, -9: the same program as an ISP's server and as a company's; small providers are asked for everything, large
// ones for their list. What clients get does not depend on it.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_several_providers_are_asked_each_in_its_mode() {
    for (guid, modes) in [(0x1_4000, [Ask::Everything, Ask::Elements]), (0x1_5000, [Ask::Names, Ask::Everything])] {
        let (small, large) = (Provider::start(guid).await, Provider::start(guid + 0x100).await);
        publish(&small.client, &[component_item("of the small", "a.so", "1"), draft::item("no", "Other")]).await;
        let many = |number| component_item(&format!("of the large {number}"), &format!("lib{number}.so"), "1");
        publish(&large.client, &(0..50).map(many).collect::<Vec<_>>()).await;
        publish(&large.client, &[component_item("of the large", "a.so", "1")]).await;
        let upstreams = vec![small.asked(modes[0]), large.asked(modes[1])];
        let server = under_all(guid + 0x200, upstreams, |_| ()).await;
        let client = TestClient::connect(&server, ClientGuid(guid << 16)).await;
        let answer = client.ask(draft::request_full(&[runs("a.so")])).await.succeeded();
        assert_eq!(answer.ids(), ["of the large", "of the small"]);
        for (provider, mode) in [(&small, modes[0]), (&large, modes[1])] {
            let first = bare(asked(&provider.recorder).remove(0));
            assert_eq!(first, if mode == Ask::Everything { EVERYTHING } else { LIST });
        }
    }
}

// R-8.2.2-2: a mirror has everything from the start, and serves it with its provider cut off.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_a_mirror_serves_everything_with_the_provider_cut_off() {
    let mut provider = Provider::start(0x1_6000).await;
    let item = |number: usize| component_item(&format!("item-{number:03}"), &format!("lib{number}.so"), "1");
    publish(&provider.client, &(0..200).map(item).collect::<Vec<_>>()).await;
    let mirror = under_all(0x1_6100, vec![provider.asked(Ask::Everything)], |_| ()).await;
    publish(&provider.client, &[item(200)]).await;
    mirror.snapshot_when(|snapshot| snapshot.items == 201).await;
    provider.server.stop().await;
    mirror.snapshot_when(|snapshot| snapshot.uplinks_connected == 0).await;
    let client = TestClient::connect(&mirror, ClientGuid(0x1_6001)).await;
    let everything = client.ask(draft::message(Major::Request, Some(Minor::Full), None)).await.succeeded();
    assert_eq!(everything.ids(), (0..=200).map(|number| format!("item-{number:03}")).collect::<Vec<_>>());
    assert_eq!(client.ask(draft::request(&[runs("lib77.so")])).await.succeeded().ids(), ["item-077"]);
}

// R-8.2.2-13: who has something on an asset is known from the lists: the others are not asked.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_a_source_is_found_by_its_catalogue() {
    let (one, other) = (Provider::start(0x1_7000).await, Provider::start(0x1_7100).await);
    publish(&one.client, &[component_item("elsewhere", "b.so", "1")]).await;
    publish(&other.client, &[component_item("here", "a.so", "1")]).await;
    let upstreams = vec![one.asked(Ask::Elements), other.asked(Ask::Elements)];
    let isp = under_all(0x1_7200, upstreams, |_| ()).await;
    let client = TestClient::connect(&isp, ClientGuid(0x1_7001)).await;
    assert_eq!(client.ask(draft::request_full(&[runs("a.so")])).await.succeeded().ids(), ["here"]);
    assert_eq!(asked(&one.recorder).len(), 1, "for its list");
    let mut asked = asked(&other.recorder);
    assert_eq!(elements(asked.pop().unwrap()), ["here"]);
    assert_eq!(asked.len(), 1);
}

// R-8.2.1-3: the sources are turned to after the subscription, or before it: it comes to the same.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_1_subscription_and_sources_come_in_either_order() {
    let mut results = BTreeSet::new();
    for (guid, sources_first) in [(0x1_b000, true), (0x1_c000, false)] {
        let vendor = Provider::start(guid).await;
        publish(&vendor.client, &[component_item("a", "a.so", "1"), component_item("b", "b.so", "1")]).await;
        let upstream = vendor.asked(Ask::Elements);
        let mut isp = TestServer::start(ServerGuid(guid + 1), |_| ()).await;
        let client = TestClient::connect(&isp, ClientGuid(guid << 16)).await;
        let mut got = Vec::new();
        if sources_first {
            isp.reload(|config| config.upstream = vec![upstream]).await;
            isp.snapshot_when(|snapshot| snapshot.items == 2 && snapshot.uplinks_synchronised == 1).await;
            got.extend(client.ask(draft::request_full(&[runs("a.so")])).await.succeeded().items());
        } else {
            got.extend(client.ask(draft::request_full(&[runs("a.so")])).await.succeeded().items());
            isp.reload(|config| config.upstream = vec![upstream]).await;
            got.extend(client.take_until("a").await);
        }
        publish(&vendor.client, &[component_item("a-2", "a.so", "1")]).await;
        got.extend(client.take_until("a-2").await);
        // Three entries and two contents: an older snapshot would not have them all.
        let state = isp.snapshot_when(|snapshot| snapshot.items == 5 && snapshot.uplinks_synchronised == 1).await;
        let got: Vec<(String, bool)> = got.into_iter().map(|item| (item.id, item.is_entry)).collect();
        results.insert((got, state.subscriptions, state.items));
    }
    assert_eq!(results.len(), 1, "{results:?}");
}

/// When a client is answered that asks for what one provider has sent already and a slow vendor has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    AtOnce,
    WithTheVendor,
    AtTheLimit,
}

/// The items in the answer, those pushed, and in how many documents the answer's came.
async fn combined(guid: u128, mode: Answered) -> (Vec<String>, Vec<String>, usize) {
    let (first, vendor) = (Provider::start(guid).await, Stub::bind(ServerGuid(guid + 0x100)));
    publish(&first.client, &[component_item("of the first", "a.so", "1")]).await;
    let of_vendor = component_item("of the vendor", "a.so", "1");
    let stub = Upstream::with(vendor.addr(), vendor.guid(), asks(Ask::Elements));
    let isp = TestServer::start(ServerGuid(guid + 0x200), |config| {
        config.upstream = vec![first.asked(Ask::Everything), stub];
        config.policy.combine_milliseconds = match mode {
            Answered::AtOnce => 0,
            // Longer than any wait of a test.
            Answered::WithTheVendor => 60_000,
            Answered::AtTheLimit => 300,
        };
    })
    .await;
    let link = vendor.accept().await;
    link.heard().await.succeed(&[entry(of_vendor.clone())]).await;
    isp.snapshot_when(|snapshot| snapshot.items == 2 && snapshot.uplinks_synchronised == 2).await;
    let client = std::sync::Arc::new(TestClient::connect(&isp, ClientGuid(guid << 16)).await);
    let answer = asking(&client, "a.so");
    let heard = link.heard().await;
    assert_eq!(elements(heard.message()), ["of the vendor"]);
    let content = [draft::deliver(&[of_vendor])];
    let answer = if mode == Answered::WithTheVendor {
        heard.succeed(&content).await;
        within("an answer", answer).await.unwrap()
    } else {
        let answer = within("an answer that waits for no vendor", answer).await.unwrap();
        heard.succeed(&content).await;
        answer
    };
    isp.snapshot_when(|snapshot| snapshot.uplinks_synchronised == 2).await;
    publish(&first.client, &[component_item("last", "a.so", "1")]).await;
    let pushed = client.take_until("last").await.into_iter().map(|item| item.id).collect();
    (answer.ids(), pushed, answer.deliveries.len())
}

// R-8.2.2-12: at once and the rest later, or together, and then not beyond the limit; nothing twice in any mode.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_stock_goes_at_once_or_with_the_slow_vendors() {
    let mut unions = BTreeSet::new();
    for (guid, mode) in
        [(0x1_8000, Answered::AtOnce), (0x1_9000, Answered::WithTheVendor), (0x1_a000, Answered::AtTheLimit)]
    {
        let (answer, pushed, documents) = combined(guid, mode).await;
        if mode == Answered::WithTheVendor {
            assert_eq!(answer, ["of the first", "of the vendor"], "{mode:?}");
            assert_eq!(pushed, ["last"], "{mode:?}");
        } else {
            assert_eq!(answer, ["of the first"], "{mode:?}");
            assert_eq!(pushed, ["of the vendor", "last"], "{mode:?}");
        }
        assert_eq!(documents, 1, "{mode:?}: one document, each part its source's own");
        let mut union = [answer, pushed].concat();
        union.sort();
        unions.insert(union);
    }
    assert_eq!(unions.len(), 1, "{unions:?}");
}
