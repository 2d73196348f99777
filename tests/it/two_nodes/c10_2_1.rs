//! Clause 10.2.1: what Major and Minor mean together.

use bytes::Bytes;
use schemas::core::{Message, Payload, ReplyStatus, Root};
use schemas::version::{Code, CodeContent, CodeKind, Info, Major, Minor, VersionInfo};
use tests::harness::{TestClient, TestServer, draft};

use super::{PROVIDER, Pair, SERVER, assert_status, example, ids, listener, message_by_hand, pushed_to};
use crate::two_nodes::by_hand;

const MAJORS: [Major; 4] = [Major::Register, Major::Request, Major::Deliver, Major::Analyse];
const MINORS: [Option<Minor>; 4] = [None, Some(Minor::Full), Some(Minor::Catalog), Some(Minor::End)];

/// What one cell of Annex B says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// A subscription: what comes at once, and whether as entries.
    Subscribes {
        now: bool,
        entries: bool,
    },
    /// What is there, once.
    Once,
    /// Ends the subscription.
    Ends,
    /// Stored, as content or as an entry.
    Stores {
        entry: bool,
    },
    Refused(Refusal),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Major,
    Minor,
}

const ANNEX_B: [[Cell; 4]; 4] = {
    use Cell::{Ends, Once, Refused, Stores, Subscribes};
    [
        [
            Subscribes { now: false, entries: false },
            Subscribes { now: false, entries: false },
            Subscribes { now: false, entries: true },
            Ends,
        ],
        [Once, Subscribes { now: true, entries: false }, Subscribes { now: true, entries: true }, Ends],
        [Stores { entry: false }, Stores { entry: false }, Stores { entry: true }, Refused(Refusal::Minor)],
        [Refused(Refusal::Major), Refused(Refusal::Minor), Refused(Refusal::Minor), Refused(Refusal::Minor)],
    ]
};

/// An item that brings code.
fn patch(id: &str, product: &str) -> VersionInfo {
    let mut item = draft::item(id, product);
    item.info.iter_mut().for_each(|info| info.container.code = Some(binary("QUJD")));
    item
}

fn binary(base64: &str) -> Code {
    let content =
        CodeContent { span: Default::default(), kind: CodeKind::Binary, reference: None, text: base64.into() };
    Code { content: Some(content), ..Code::default() }
}

/// One cell, with a client of its own.
async fn check(server: &TestServer, provider: &TestClient, number: usize, major: &Major, minor: Option<&Minor>) {
    let cell = ANNEX_B[number / 4][number % 4];
    let name = format!("{}:{}", major.as_str(), minor.map_or("", Minor::as_str));
    let product = format!("Product {number}");
    let guid = schemas::guid::ClientGuid(0x100 + number as u128);
    let client = listener(server, guid).await;
    let publish = |id: &str| draft::deliver(&[patch(id, &product)]);
    provider.ask(publish("before")).await.succeeded();
    if cell == Cell::Ends {
        client.ask(draft::request_full(&[draft::product(&product)])).await.succeeded();
    }
    let data = match cell {
        Cell::Stores { .. } => patch("own", &product),
        Cell::Subscribes { .. } | Cell::Once | Cell::Ends | Cell::Refused(_) => draft::product(&product),
    };
    let answered = client.ask(draft::message(major.clone(), minor.cloned(), Some(&[data]))).await;
    provider.ask(publish("after")).await.succeeded();
    let later = pushed_to(&client, provider).await;
    let expected = match cell {
        Cell::Refused(Refusal::Major) => ReplyStatus::MajorNotSupported,
        Cell::Refused(Refusal::Minor) => ReplyStatus::MinorNotSupported,
        Cell::Subscribes { .. } | Cell::Once | Cell::Ends | Cell::Stores { .. } => ReplyStatus::Succeeded,
    };
    assert_eq!(answered.leaf().status, expected, "{name}: {}", answered.leaf().why);
    let now = answered.items();
    match cell {
        Cell::Subscribes { now: at_once, entries } => {
            assert_eq!(ids(&now), if at_once { vec!["before"] } else { vec![] }, "{name}");
            assert_eq!(ids(&later), ["after"], "{name}");
            assert!(now.iter().chain(&later).all(|item| item.is_entry == entries), "{name}");
            assert!(now.iter().chain(&later).all(|item| item.subject.has_code != entries), "{name}");
        }
        Cell::Once => assert_eq!((ids(&now), ids(&later)), (vec!["before".to_owned()], vec![]), "{name}"),
        Cell::Ends | Cell::Refused(_) => assert!(now.is_empty() && later.is_empty(), "{name}"),
        Cell::Stores { entry } => {
            let held = provider.ask(draft::request(&[draft::product(&product)])).await.succeeded().items();
            let own = held.iter().find(|item| item.id == "own").map(|item| item.is_entry);
            assert_eq!(own, Some(entry), "{name}");
        }
    }
}

// R-10.2.1-14, R-10.2.1-12, R-10.2.10-4: the table of Annex B, cell by cell.
#[tokio::test]
async fn c10_2_1_each_major_with_each_minor_means_what_annex_b_says() {
    let deliverers: Vec<_> = (0x108..0x10c).map(schemas::guid::ClientGuid).chain([PROVIDER]).collect();
    let server = TestServer::with_providers(SERVER, &deliverers).await;
    let provider = TestClient::connect(&server, PROVIDER).await;
    let cells = MAJORS.iter().flat_map(|major| MINORS.iter().map(move |minor| (major, minor.as_ref())));
    for (number, (major, minor)) in cells.enumerate() {
        check(&server, &provider, number, major, minor).await;
    }
}

// R-10.2.1-15: each Major without Message_Data.
#[tokio::test]
async fn c10_2_1_message_data_may_be_absent() {
    let pair = Pair::start().await;
    pair.publish(&[draft::item("one", "A"), draft::item("two", "B")]).await;

    let once = pair.ask(draft::message(Major::Request, None, None)).await;
    assert_eq!(once.ids(), ["one", "two"], "Request: everything on offer");

    // Presence only: known to the server, and nothing is pushed.
    let newcomer = listener(&pair.server, schemas::guid::ClientGuid(0x200)).await;
    let before = pair.server.snapshot_when(|snapshot| snapshot.registered == 2).await;
    let present = TestClient::connect(&pair.server, schemas::guid::ClientGuid(0x201)).await;
    present.ask(draft::message(Major::Register, None, None)).await.succeeded();
    pair.server.snapshot_when(|snapshot| snapshot.registered == before.registered + 1).await;
    present.ask(draft::register(&[draft::product(super::LAST)])).await.succeeded();
    pair.publish(&[draft::item("three", "A")]).await;
    assert!(pushed_to(&present, &pair.provider).await.is_empty());

    // Register:End: every subscription of the sender, and nobody else's.
    for product in ["A", "B"] {
        pair.ask(draft::register(&[draft::product(product)])).await;
        newcomer.ask(draft::register(&[draft::product(product)])).await.succeeded();
    }
    pair.ask(draft::message(Major::Register, Some(Minor::End), None)).await;
    pair.ask(draft::register(&[draft::product(super::LAST)])).await;
    pair.publish(&[draft::item("four", "A"), draft::item("five", "B")]).await;
    assert!(pair.pushed().await.is_empty());
    assert_eq!(ids(&pushed_to(&newcomer, &pair.provider).await), ["four", "five"]);

    for major in [Major::Deliver, Major::Analyse] {
        let answered = pair.provider.ask(draft::message(major, None, None)).await;
        assert_status(&answered, &ReplyStatus::Failed);
        assert!(answered.leaf().why.contains("without Message_Data"), "{}", answered.leaf().why);
    }
}

// R-10.2.1-5: Register is about what comes, never about what was.
#[tokio::test]
async fn c10_2_1_register_brings_what_is_published_after_it() {
    let pair = Pair::start().await;
    pair.publish(&[draft::item("before", "P")]).await;
    let answered = pair.ask(draft::register(&[draft::product("P")])).await;
    assert!(answered.items().is_empty());
    pair.publish(&[draft::item("after", "P")]).await;
    assert_eq!(pair.pushed_ids().await, ["after"]);
}

// R-10.2.1-6: every given field must match, absent ones are wildcards.
#[tokio::test]
async fn c10_2_1_request_returns_all_that_satisfies_every_given_field() {
    let pair = Pair::start().await;
    let by = |company: &str, item: VersionInfo| VersionInfo { company: Some(company.into()), ..item };
    pair.publish(&[
        by("X", draft::item("x-p", "P")),
        by("X", draft::item("x-q", "Q")),
        by("Y", draft::item("y-p", "P")),
        draft::component_item("lib-1", "lib.so", "1.0"),
        draft::component_item("lib-2", "lib.so", "2.0"),
    ])
    .await;
    let of_company = pair.ask(draft::request(&[draft::company("X")])).await;
    assert_eq!(of_company.ids(), ["x-p", "x-q"]);
    let of_both = pair.ask(draft::request(&[by("X", draft::product("P"))])).await;
    assert_eq!(of_both.ids(), ["x-p"]);
    let component = VersionInfo { info: vec![draft::component("lib.so", "1.0")], ..VersionInfo::default() };
    assert_eq!(pair.ask(draft::request(&[component])).await.ids(), ["lib-1"]);
}

// R-10.2.1-7: several things in one Deliver.
#[tokio::test]
async fn c10_2_1_deliver_carries_several_items_in_one_message() {
    let pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("C")])).await;
    pair.deliver(draft::deliver(&[draft::item("a", "A"), draft::item("b", "B"), draft::item("c", "C")])).await;
    let pushed = pair.pushed().await;
    assert_eq!(pushed.len(), 1);
    let products: Vec<_> = pushed[0].subject.affected.iter().map(|one| one.product.as_deref().unwrap()).collect();
    assert_eq!(products, ["A", "B", "C"]);
}

// R-10.2.1-9: Full, Catalog and End are known, others are not.
#[tokio::test]
async fn c10_2_1_other_minors_are_not_supported() {
    let pair = Pair::start().await;
    for (minor, expected) in [
        ("Full", ReplyStatus::Succeeded),
        ("Catalog", ReplyStatus::Succeeded),
        ("End", ReplyStatus::Succeeded),
        ("Fullest", ReplyStatus::MinorNotSupported),
        ("full", ReplyStatus::MinorNotSupported),
    ] {
        let text = format!("<v:Major_Message>Register</v:Major_Message><v:Minor_Message>{minor}</v:Minor_Message>");
        assert_status(&pair.client.ask(by_hand("", &message_by_hand(&text))).await, &expected);
    }
}

// R-10.2.1-10: Full means information as well as code.
#[tokio::test]
async fn c10_2_1_full_contains_information_without_code() {
    let pair = Pair::start().await;
    pair.publish(&[draft::item("advice", "P"), patch("patch", "P")]).await;
    let full = pair.ask(draft::request_full(&[draft::product("P")])).await;
    assert_eq!(full.ids(), ["advice", "patch"]);
    let has_code: Vec<bool> = full.items().iter().map(|item| item.subject.has_code).collect();
    assert_eq!(has_code, [false, true]);
}

// R-10.2.1-11: a provider's list is handed out as a list, without bytes, and the request for it stands.
#[tokio::test]
async fn c10_2_1_catalog_is_a_list_of_entries_without_bytes() {
    let pair = Pair::start().await;
    let provider = TestClient::connect(&pair.server, PROVIDER).await;
    provider.ask(without_guids(&example("valid/05-deliver-catalog-refs.xml"))).await.succeeded();
    let list = pair.ask(draft::request_catalog(&[draft::product("Quill Editor")])).await;
    assert_eq!(list.ids(), ["QSA-2026-003"]);
    assert!(list.items().iter().all(|item| item.is_entry));
    let Root::Message(core) = &list.deliveries[0].document().root else { panic!("a reply") };
    let mut codes = 0;
    for info in infos(&core.payload) {
        let Some(content) = info.container.code.as_ref().and_then(|code| code.content.as_ref()) else { continue };
        assert!(content.text.is_empty() && content.reference.is_some());
        codes += 1;
    }
    assert_eq!(codes, 1);
    provider.ask(draft::deliver(&[patch("QSA-2026-004", "Quill Editor")])).await.succeeded();
    let later = pushed_to(&pair.client, &provider).await;
    assert_eq!(ids(&later), ["QSA-2026-004"]);
    assert!(later[0].is_entry && !later[0].subject.has_code);
}

fn infos(payload: &Payload) -> Vec<&Info> {
    match payload {
        Payload::Bundle(parts) => parts
            .iter()
            .flat_map(|part| match part {
                schemas::core::Part::Good(core) => infos(&core.payload),
                schemas::core::Part::Bad(bad) => panic!("{}", bad.error),
            })
            .collect(),
        Payload::Messages(messages) => messages
            .iter()
            .flat_map(|message| match message {
                Message::Version(message) => message.data.infos(),
                Message::Opaque(_) => &[],
            })
            .flat_map(|version_info| &version_info.info)
            .collect(),
    }
}

/// An example as any client may send it.
fn without_guids(document: &Bytes) -> Bytes {
    let text = std::str::from_utf8(document).unwrap();
    let start = text.find("<m:Server_GUID>").unwrap();
    let end = text.find("</m:Server_GUID>").unwrap() + "</m:Server_GUID>".len();
    format!("{}{}", &text[..start], &text[end..]).into()
}

// R-10.2.2-1, R-10.1.4-8: an empty Message_Data says as much as none.
#[tokio::test]
async fn c10_2_2_empty_message_data_means_the_same_as_none() {
    let pair = Pair::start().await;
    pair.publish(&[draft::item("one", "A"), draft::item("two", "B")]).await;
    let major = "<v:Major_Message>Request</v:Major_Message>";
    let absent = pair.ask(by_hand("", &message_by_hand(major))).await;
    let empty = pair.ask(by_hand("", &message_by_hand(&format!("{major}<v:Message_Data/>")))).await;
    assert_eq!(absent.ids(), ["one", "two"]);
    assert_eq!(empty.ids(), absent.ids());
}
