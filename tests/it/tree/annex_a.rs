//! Annex A of the conformance matrix: the sequence of figure 3, step by step, between seven parties: a small information
//! provider P1, a vendor V with a large repository, a source P2 that a user finds, the ISP, agents, an installer and the
//! user. Every frame on every link is written down.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agent::config::{AssetSource, Config};
use agent::journal::{Kind as Event, Line};
use agent::view::View;
use bytes::Bytes;
use link::frame::Kind;
use link::hello::Hello;
use relay::config::{Ask, Asks, Upstream};
use schemas::core::ReplyStatus;
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use schemas::version::{Major, Minor, VersionInfo};
use tests::harness::draft::{self, component_item};
use tests::harness::stub::Said;
use tests::harness::{Capture, Got, Recorder, TestAgent, TestClient, TestServer, Way, agent_config, items, leaves};
use tests::validators::assert_valid;

use super::{PROVIDER, answered, foreign, publish, under_all};

/// Products of V that are not the one that this is about.
const REPOSITORY: usize = 40;

/// When the ISP delivers what it has of P1 (step 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    /// Now, and V's later.
    A,
    /// Together with V's.
    B,
}

/// A server with what its owner publishes there.
struct Source {
    server: TestServer,
    publisher: TestClient,
    name: &'static str,
}

impl Source {
    async fn start(guid: u128, name: &'static str, full_of_everything: bool) -> Self {
        let server = TestServer::start(ServerGuid(guid), |config| {
            config.policy.providers = [relay::config::Guid(PROVIDER)].into();
            config.policy.full_of_everything = full_of_everything;
        })
        .await;
        let publisher = TestClient::connect(&server, PROVIDER).await;
        Self { server, publisher, name }
    }

    async fn publish(&self, items: &[VersionInfo]) {
        let own = |mut item: VersionInfo| {
            item.info.iter_mut().for_each(|info| info.source = Some(self.name.into()));
            item
        };
        publish(&self.publisher, &items.iter().cloned().map(own).collect::<Vec<_>>()).await;
    }
}

/// A device: what its installer lists, and the agent that reads it.
struct Device {
    list: PathBuf,
    state: PathBuf,
    agent: TestAgent,
}

impl Device {
    /// Its agent dials `server`, by way of a recorder. Nothing is installed.
    fn start(recorder: &Recorder, server: &TestServer, guid: u128, folder: &Path) -> Self {
        let (list, state) = (folder.join(format!("{guid:x}.toml")), folder.join(format!("{guid:x}")));
        std::fs::write(&list, "").unwrap();
        let assets = vec![AssetSource { name: "device".to_owned(), cargo_lock: None, list: Some(list.clone()) }];
        let config = agent_config((recorder.addr(), server.guid()), ClientGuid(guid), &state);
        let agent = TestAgent::run(Config { assets, rescan_seconds: 1, ..config });
        Self { list, state, agent }
    }

    /// The installer puts this in the place of what was there.
    fn install(&self, list: &str) {
        let new = self.list.with_extension("new");
        std::fs::write(&new, list).unwrap();
        std::fs::rename(new, &self.list).unwrap();
    }

    /// The IDs that have come, in order, once this one has.
    async fn gained(&self, id: &str) -> Vec<String> {
        let gained = |lines: &[Line]| -> Vec<String> {
            lines.iter().filter(|line| line.event == Event::Gained).filter_map(|line| line.id.clone()).collect()
        };
        let lines = self.agent.lines_when(id, |lines| gained(lines).iter().any(|one| one == id)).await;
        gained(&lines)
    }
}

/// The editor with its library.
fn editor(version: &str, library: &str) -> String {
    format!(
        "[[asset]]\nname = \"Quill Editor\"\nversion = \"{version}\"\nfile = \"quill-editor\"\n\
         [[asset.component]]\nfile = \"libzed.so.1\"\nversion = \"{library}\"\n"
    )
}

const FULL: (Major, Option<Minor>) = (Major::Request, Some(Minor::Full));
const LIST: (Major, Option<Minor>) = (Major::Request, Some(Minor::Catalog));
const END: (Major, Option<Minor>) = (Major::Register, Some(Minor::End));

/// The exchanges of a recorder in which this was said, with how much data.
fn exchanges(recorder: &Recorder, what: (Major, Option<Minor>)) -> Vec<(u64, usize)> {
    let said = |(number, (major, minor, infos)): (u64, Said)| ((major, minor) == what).then_some((number, infos.len()));
    recorder.asked().into_iter().filter_map(said).collect()
}

/// What a recorder has seen of one exchange: the statuses of its reply, then its items.
fn answer_to(recorder: &Recorder, exchange: u64) -> (Vec<ReplyStatus>, Vec<Vec<Got>>) {
    let (mut statuses, mut documents) = (Vec::new(), Vec::new());
    for kept in recorder.kept().into_iter().filter(|kept| kept.exchange == Some(exchange)) {
        match kept.kind {
            Kind::Reply => statuses = leaves(&read(kept.body)).into_iter().map(|leaf| leaf.status).collect(),
            Kind::Delivery => documents.push(items(&read(kept.body))),
            _ => {}
        }
    }
    (statuses, documents)
}

/// Items that came down without being asked for.
fn pushed(recorder: &Recorder) -> Vec<Got> {
    let lane =
        |kept: &tests::harness::Kept| kept.way == Way::Down && kept.kind == Kind::Delivery && kept.exchange.is_none();
    recorder.kept().into_iter().filter(lane).flat_map(|kept| items(&read(kept.body))).collect()
}

fn read(body: Bytes) -> Validated {
    Validated::new(body, &Limits::default()).unwrap()
}

fn ids(items: &[Got]) -> Vec<&str> {
    items.iter().map(|item| item.id.as_str()).collect()
}

/// The parties and every link between them.
struct Play {
    guid: u128,
    variant: Variant,
    /// Whether V publishes what may be asked of it.
    knows: bool,
    p1: Source,
    vendor: Source,
    p2: Source,
    isp: TestServer,
    to_p1: Recorder,
    to_vendor: Recorder,
    to_p2: Recorder,
    to_isp: Recorder,
    folder: tempfile::TempDir,
}

impl Play {
    async fn start(guid: u128, variant: Variant, knows: bool) -> Self {
        let p1 = Source::start(guid, "Provider 1", true).await;
        let vendor = Source::start(guid + 1, "Quill Software", false).await;
        let p2 = Source::start(guid + 2, "Provider 2", true).await;
        p1.publish(&[draft::item("P1-1", "Quill Editor"), draft::item("P1-2", "Something Else")]).await;
        let other = |number: usize| component_item(&format!("V-other-{number}"), &format!("lib{number}.so"), "1");
        vendor.publish(&(0..REPOSITORY).map(other).collect::<Vec<_>>()).await;
        vendor.publish(&[component_item("V-1", "libzed.so.1", "1.2.8")]).await;
        p2.publish(&[draft::item("P2-1", "Quill Editor")]).await;
        let (to_p1, to_p2) = (Recorder::before(&p1.server), Recorder::before(&p2.server));
        let hide: fn(&mut Hello) = |hello| hello.policy.clear();
        let to_vendor = if knows { Recorder::before(&vendor.server) } else { Recorder::editing(&vendor.server, hide) };
        let everything = Asks { ask: Ask::Everything, ..foreign() };
        let upstreams = vec![
            Upstream::with(to_p1.addr(), p1.server.guid(), everything),
            Upstream::with(to_vendor.addr(), vendor.server.guid(), everything),
        ];
        let isp = under_all(guid + 3, upstreams, |config| {
            // Longer than any wait of a test.
            config.policy.combine_milliseconds = if variant == Variant::A { 0 } else { 60_000 };
        })
        .await;
        let (to_isp, folder) = (Recorder::before(&isp), tempfile::tempdir().unwrap());
        Self { guid, variant, knows, p1, vendor, p2, isp, to_p1, to_vendor, to_p2, to_isp, folder }
    }

    /// A device of this number, whose agent dials a server by way of a recorder.
    fn device(&self, number: u128, recorder: &Recorder, server: &TestServer) -> Device {
        Device::start(recorder, server, (self.guid << 16) + number, self.folder.path())
    }

    /// Steps 0 to 5, before there is any agent.
    async fn the_isp_asks_its_sources(&self) {
        assert_eq!(exchanges(&self.to_p1, FULL), [(1, 0)], "1: everything, without data");
        let (statuses, documents) = answer_to(&self.to_p1, 1);
        assert_eq!(statuses, [ReplyStatus::Succeeded], "2");
        assert_eq!(ids(&documents.concat()), ["P1-1", "P1-2"], "2: and what there is");
        let refused = exchanges(&self.to_vendor, FULL);
        if self.knows {
            assert_eq!(refused, [], "0: nothing is asked that would be refused");
        } else {
            assert_eq!(refused, [(1, 0)], "3a");
            assert_eq!(answer_to(&self.to_vendor, 1).0, [ReplyStatus::MinorNotSupported], "3b");
        }
        let lists = exchanges(&self.to_vendor, LIST);
        assert_eq!(lists.len(), 1, "4: one request");
        let (statuses, documents) = answer_to(&self.to_vendor, lists[0].0);
        assert_eq!(statuses, [ReplyStatus::Succeeded], "5");
        let list = documents.concat();
        assert!(list.len() == REPOSITORY + 1 && list.iter().all(|item| item.is_entry), "5: the list, and only that");
        self.isp.snapshot_when(|snapshot| snapshot.items == REPOSITORY + 3).await;
    }

    /// Steps 6 to 14: on two devices, one after the other.
    async fn the_editor_is_installed(&self) -> [Device; 2] {
        let device = self.device(0, &self.to_isp, &self.isp);
        device.install(&editor("4.1.0", "1.2.8"));
        let mut gained = device.gained("V-1").await;
        gained.sort();
        assert_eq!(gained, ["P1-1", "V-1"], "9, 13");
        let own = exchanges(&self.to_isp, FULL);
        assert_eq!(own.len(), 1, "7");
        let asked = self.to_isp.asked().into_iter().find(|(number, _)| *number == own[0].0).unwrap().1;
        assert_eq!(asked.2[0].product_name.as_deref(), Some("Quill Editor"), "7: the asset, with its components");
        assert!(format!("{:?}", asked.2).contains("libzed.so.1"));
        let (statuses, documents) = answer_to(&self.to_isp, own[0].0);
        assert_eq!(statuses, [ReplyStatus::Succeeded], "8");
        if self.variant == Variant::A {
            assert_eq!(ids(&documents.concat()), ["P1-1"], "9: now");
            assert_eq!(ids(&pushed(&self.to_isp)), ["V-1"], "13: and V's when it has come");
        } else {
            assert_eq!((documents.len(), documents[0].len()), (1, 2), "13: combined");
            assert!(pushed(&self.to_isp).is_empty());
        }
        let fetched = exchanges(&self.to_vendor, FULL);
        assert_eq!(fetched.len(), if self.knows { 1 } else { 2 }, "11: one request for the element");
        let (statuses, documents) = answer_to(&self.to_vendor, fetched.last().unwrap().0);
        let of_vendor = documents.concat();
        assert_eq!((statuses, ids(&of_vendor)), (vec![ReplyStatus::Succeeded], vec!["V-1"]), "12");
        let delivered = items_down(&self.to_isp);
        let of_isp = delivered.iter().find(|item| item.id == "V-1").unwrap();
        assert_eq!(of_isp.bytes, of_vendor[0].bytes, "13: V's own bytes");
        let second = self.device(1, &self.to_isp, &self.isp);
        second.install(&editor("4.1.0", "1.2.8"));
        second.gained("V-1").await;
        assert_eq!(exchanges(&self.to_vendor, FULL), fetched, "10: a hit, and nothing is asked");
        let shown: BTreeMap<String, String> =
            View::load(&device.state).unwrap().items.into_iter().map(|item| (item.id, item.source)).collect();
        assert_eq!(shown, [("P1-1", "Provider 1"), ("V-1", "Quill Software")].map(owned).into(), "14: with its origin");
        [device, second]
    }

    /// Steps 15 and 16: the user finds P2, of which the ISP does not know, and asks it himself.
    async fn the_user_asks_another_source(&self) {
        let user = self.device(2, &self.to_p2, &self.p2.server);
        user.install(&editor("4.1.0", "1.2.8"));
        user.gained("P2-1").await;
        self.p2.publish(&[draft::item("P2-2", "Quill Editor")]).await;
        assert_eq!(user.gained("P2-2").await, ["P2-1", "P2-2"], "16: now, and when available");
        let shown = View::load(&user.state).unwrap().items;
        assert!(shown.len() == 2 && shown.iter().all(|item| item.source == "Provider 2"), "16: with its origin");
        let guid = ClientGuid((self.guid << 16) + 3);
        let prepared = TestClient::connect_via(&self.p2.server, self.to_p2.addr(), guid).await;
        let list = prepared.ask(draft::request_catalog(&[draft::product("Quill Editor")])).await.succeeded().items();
        assert!(list.len() == 2 && list.iter().all(|item| item.is_entry), "15: or the list");
        assert!(!items_down(&self.to_isp).iter().any(|item| item.id.starts_with("P2")), "15: without the ISP");
    }

    /// Step 17: V has something new, and a newer version of what it had.
    async fn the_vendor_announces(&self, devices: &[Device; 2]) {
        let newer = draft::commented(component_item("V-1", "libzed.so.1", "1.2.8"), "Now with a remedy.\nRevision: 2");
        self.vendor.publish(&[newer, component_item("V-2", "libzed.so.1", "1.2.8")]).await;
        let revised = |lines: &[Line]| lines.iter().any(|line| line.event == Event::Revised);
        for device in devices {
            device.gained("V-2").await;
            device.agent.lines_when("the newer version", revised).await;
        }
        let announced = pushed(&self.to_vendor);
        assert!(announced.iter().any(|item| item.id == "V-2" && item.is_entry), "17: announced by the list");
        assert_eq!(element_requests(&self.to_vendor, "V-2"), 1, "17: fetched once, for two agents");
    }

    /// Step 18.
    async fn the_editor_is_upgraded(&self, devices: &[Device; 2]) {
        devices.iter().for_each(|device| device.install(&editor("4.2.0", "1.3.0")));
        // What each asks for now follows its End and Register.
        self.isp.snapshot_when(|snapshot| answered(snapshot, "request") >= 4).await;
        let (ends, registers) = (exchanges(&self.to_isp, END), exchanges(&self.to_isp, (Major::Register, None)));
        assert_eq!((ends.len(), &ends), (2, &registers), "18: both in one Payload");
        self.vendor.publish(&[component_item("V-old", "libzed.so.1", "1.2.8")]).await;
        self.vendor.publish(&[component_item("V-new", "libzed.so.1", "1.3.0")]).await;
        self.p1.publish(&[draft::item("P1-3", "Quill Editor")]).await;
        for device in devices {
            device.gained("P1-3").await;
            assert!(!device.gained("V-new").await.contains(&"V-old".to_owned()), "18: no old item afterwards");
        }
    }

    /// Step 19.
    async fn the_editor_is_removed(&self, devices: &[Device; 2]) {
        for device in devices {
            device.install("[[asset]]\nname = \"Something Else\"\nversion = \"1\"\n");
            device.gained("P1-2").await;
        }
        self.p1.publish(&[draft::item("P1-4", "Quill Editor"), draft::item("P1-5", "Something Else")]).await;
        for device in devices {
            assert!(!device.gained("P1-5").await.contains(&"P1-4".to_owned()), "19: silence");
        }
        self.vendor.server.snapshot_when(|snapshot| snapshot.subscriptions == 1).await;
        assert!(!exchanges(&self.to_vendor, END).is_empty(), "19: ended above, all but the list");
    }

    /// Step 1's check, at the end of it all.
    fn no_end_user_is_known_to_the_sources(&self) {
        let up = [&self.to_p1, &self.to_vendor].into_iter().flat_map(Recorder::up);
        let capture = Capture::new(up.map(|kept| kept.body));
        for device in [self.guid << 16, (self.guid << 16) + 1] {
            assert!(!capture.tells(ClientGuid(device).to_string()) && !capture.tells(format!("{device:032x}")));
        }
        assert!(["Quill Editor", "libzed", "1.2.8", "1.3.0"].iter().all(|word| !capture.tells(word)));
    }

    /// Each document once, with where it was seen.
    fn documents(&self) -> Vec<(String, Bytes)> {
        let recorders = [("P1", &self.to_p1), ("V", &self.to_vendor), ("the ISP", &self.to_isp), ("P2", &self.to_p2)];
        let mut documents = BTreeMap::new();
        for (name, recorder) in recorders {
            for kept in recorder.kept() {
                if matches!(kept.kind, Kind::Document | Kind::Reply | Kind::Delivery) {
                    documents.entry(kept.body).or_insert_with(|| format!("{:?} at {name}, {:?}", kept.kind, kept.way));
                }
            }
        }
        documents.into_iter().map(|(body, name)| (name, body)).collect()
    }
}

async fn sequence(guid: u128, variant: Variant, knows: bool) {
    let play = Box::pin(Play::start(guid, variant, knows)).await;
    play.the_isp_asks_its_sources().await;
    let devices = play.the_editor_is_installed().await;
    play.the_user_asks_another_source().await;
    play.the_vendor_announces(&devices).await;
    play.the_editor_is_upgraded(&devices).await;
    play.the_editor_is_removed(&devices).await;
    play.no_end_user_is_known_to_the_sources();
    let documents = play.documents();
    assert!(documents.len() > 50, "{}", documents.len());
    assert_valid(&documents);
}

fn owned((id, source): (&str, &str)) -> (String, String) {
    (id.to_owned(), source.to_owned())
}

/// Every item that has come down.
fn items_down(recorder: &Recorder) -> Vec<Got> {
    let down = recorder.kept().into_iter().filter(|kept| kept.way == Way::Down && kept.kind == Kind::Delivery);
    down.flat_map(|kept| items(&read(kept.body))).collect()
}

/// How often an element was asked for.
fn element_requests(recorder: &Recorder, id: &str) -> usize {
    let full = recorder.asked().into_iter().filter(|(_, said)| said.1 == Some(Minor::Full));
    full.filter(|(_, said)| said.2.iter().flat_map(|info| &info.info).any(|info| info.id.as_deref() == Some(id)))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn annex_a_variant_a_delivers_at_once() {
    Box::pin(sequence(0x5_1000, Variant::A, false)).await;
    Box::pin(sequence(0x5_2000, Variant::A, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn annex_a_variant_b_delivers_together() {
    Box::pin(sequence(0x5_3000, Variant::B, false)).await;
    Box::pin(sequence(0x5_4000, Variant::B, true)).await;
}
