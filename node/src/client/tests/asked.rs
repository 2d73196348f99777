//! What the server asks in an exchange: the inventory, changes in it; and what it delivers there.

use schemas::core::ReplyStatus;
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::version::{Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};

use super::{Bench, NOW, START, asset, full, info, item};
use crate::answer::Answer;
use crate::client::{Action, Asset, Draft, Event};
use crate::ids::ExchangeId;
use crate::intake::Intake;

const EXCHANGE: ExchangeId = ExchangeId(31);

/// A document of one Payload, to this client from this server unless said otherwise.
fn ask_from(server: u128, messages: &[(Major, Option<Minor>, &[VersionInfo])]) -> Event {
    let header = HeaderFields {
        server_guid: Some(ServerGuid(server)),
        client_guid: Some(ClientGuid(1)),
        message_id: Some(MessageId(9)),
        sent_time: None,
    };
    let drafts: Vec<MessageDraft<'_>> = messages
        .iter()
        .map(|(major, minor, infos)| MessageDraft {
            major: major.clone(),
            minor: minor.clone(),
            data: (!infos.is_empty()).then_some(*infos),
        })
        .collect();
    event(write::message(Spelling::Double, &header, &drafts))
}

fn ask(major: Major, minor: Option<Minor>, infos: &[VersionInfo]) -> Event {
    ask_from(2, &[(major, minor, infos)])
}

fn event(document: bytes::Bytes) -> Event {
    let facts = Validated::new(document, &Limits::default()).expect("a good document");
    Event::Asked { exchange: EXCHANGE, intake: Box::new(Intake::of(&facts).expect("a message")) }
}

fn about(name: &str) -> [VersionInfo; 1] {
    [VersionInfo { info: vec![info(name, "")], ..VersionInfo::default() }]
}

fn two_assets() -> Vec<Asset> {
    let other = VersionInfo { info: vec![info("openssl", "3.0.0")], ..VersionInfo::default() };
    vec![asset("1.2.3"), Asset::new("other", other)]
}

/// Synchronised, with these assets.
fn bench(assets: Vec<Asset>) -> Bench {
    let mut bench = Bench::new(Vec::new());
    bench.handle(Event::Assets(assets));
    bench.handle(Event::Connected { behind: false, start: START });
    bench.complete(&[]);
    bench
}

impl Bench {
    /// What the server is answered, and what is delivered with it.
    fn respond(&mut self, asked: Event) -> (Vec<ReplyStatus>, Vec<Draft>) {
        self.handle(asked);
        let Some(Action::Respond { exchange: EXCHANGE, answer, delivery }) = self.actions.pop() else {
            panic!("an answer")
        };
        (statuses(&answer), delivery)
    }

    /// The assets in the push that was opened last; nothing if none was.
    fn pushed(&mut self) -> Option<(ExchangeId, Vec<VersionInfo>)> {
        match self.actions.pop() {
            Some(Action::Open(exchange, drafts)) if drafts[0].major == Major::Deliver => {
                assert_eq!(drafts[0].minor, Some(Minor::Catalog));
                Some((exchange, drafts[0].infos.clone()))
            }
            _ => None,
        }
    }
}

fn statuses(answer: &Answer) -> Vec<ReplyStatus> {
    answer.leaves().into_iter().map(|leaf| leaf.status.clone()).collect()
}

fn infos(assets: &[Asset]) -> Vec<VersionInfo> {
    assets.iter().map(|asset| asset.info.clone()).collect()
}

#[test]
fn a_request_is_answered_with_the_assets_that_it_means() {
    let assets = two_assets();
    let mut bench = bench(assets.clone());
    let (statuses, delivery) = bench.respond(ask(Major::Request, None, &[]));
    assert_eq!(statuses, [ReplyStatus::Succeeded]);
    let everything = Draft { major: Major::Deliver, minor: Some(Minor::Catalog), infos: infos(&assets) };
    assert_eq!(delivery, [everything], "no data, all assets");
    for minor in [None, Some(Minor::Full), Some(Minor::Catalog)] {
        let (_, delivery) = bench.respond(ask(Major::Request, minor, &about("openssl")));
        assert_eq!(delivery[0].infos, infos(&assets[1..]));
    }
    let (statuses, delivery) = bench.respond(ask(Major::Request, None, &about("zlib")));
    assert_eq!((statuses, delivery), (vec![ReplyStatus::Succeeded], Vec::new()), "nothing here is meant");
}

#[test]
fn what_a_client_does_not_do_is_refused_and_one_fate_is_shared() {
    let mut bench = bench(two_assets());
    let (statuses, _) = bench.respond(ask(Major::Analyse, None, &about("serde")));
    assert_eq!(statuses, [ReplyStatus::MajorNotSupported]);
    let other = Some(Minor::Other("Some".into()));
    let both = [(Major::Request, None, &[][..]), (Major::Request, other, &[][..])];
    let (statuses, delivery) = bench.respond(ask_from(2, &both));
    assert_eq!(statuses, [ReplyStatus::Failed, ReplyStatus::MinorNotSupported]);
    assert!(delivery.is_empty());
    let (statuses, delivery) = bench.respond(ask_from(3, &both[..1]));
    assert_eq!((statuses, delivery), (vec![ReplyStatus::Failed], Vec::new()), "another server's header");
}

#[test]
fn who_registers_hears_of_a_changed_inventory_once_it_is_registered() {
    let mut bench = bench(vec![asset("1.2.3")]);
    let (statuses, delivery) = bench.respond(ask(Major::Register, None, &about("serde")));
    assert_eq!((statuses, delivery), (vec![ReplyStatus::Succeeded], Vec::new()));
    bench.handle(Event::Assets(vec![asset("2.0.0")]));
    bench.complete(&[]);
    assert_eq!(bench.opened().1, full(), "first the server's registration is brought up to date");
    bench.complete(&[]);
    let (exchange, pushed) = bench.pushed().expect("a push");
    assert_eq!(pushed, infos(&[asset("2.0.0")]));

    // Another change while the push is under way: one at a time.
    bench.handle(Event::Assets(two_assets()));
    bench.complete(&[]);
    bench.complete(&[]);
    assert!(bench.pushed().is_none());
    let refused = vec![(ReplyStatus::MajorNotSupported, Some("not allowed".to_owned()))];
    bench.handle(Event::Replied { exchange, outcomes: refused });
    bench.handle(Event::Ended(exchange));
    assert_eq!(bench.pushed().expect("the next").1, infos(&two_assets()));
}

#[test]
fn a_watch_ends_with_its_end_or_with_the_link() {
    for end in [Some(Minor::End), None] {
        let mut bench = bench(vec![asset("1.2.3")]);
        bench.respond(ask(Major::Register, None, &about("serde")));
        bench.respond(ask(Major::Register, Some(Minor::End), &about("openssl")));
        match end {
            Some(minor) => drop(bench.respond(ask(Major::Register, Some(minor), &about("serde")))),
            None => {
                bench.handle(Event::Disconnected);
                bench.handle(Event::Connected { behind: false, start: START });
            }
        }
        bench.handle(Event::Assets(vec![asset("2.0.0")]));
        bench.complete(&[]);
        bench.complete(&[]);
        assert!(bench.client.is_synchronised() && bench.pushed().is_none());
    }
}

#[test]
fn what_is_delivered_in_an_exchange_is_answered_when_it_is_durable() {
    let mut bench = bench(vec![asset("1.2.3")]);
    let document = item("A-1", 1, "vers:cargo/<2.0.0");
    bench.client.handle(NOW, event(document));
    let Some(Action::Store(ticket, entries)) = bench.client.poll_action() else { panic!("stored first") };
    assert_eq!(entries.len(), 1);
    assert!(bench.client.poll_action().is_none(), "nothing is said yet");
    bench.client.handle(NOW, Event::Stored(ticket));
    let Some(Action::Respond { answer, delivery, .. }) = bench.client.poll_action() else { panic!("an answer") };
    assert_eq!((statuses(&answer), delivery), (vec![ReplyStatus::Succeeded], Vec::new()));
    assert_eq!(bench.client.holdings().len(), 1);
}
