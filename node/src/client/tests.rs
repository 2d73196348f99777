//! One client: what it asks for, what it journals, when it answers.

mod asked;
mod names;
mod succeeded;
mod trust;

use bytes::Bytes;
use schemas::class::{Class, PerClass};
use schemas::core::ReplyStatus;
use schemas::digest::Digest;
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::version::{Container, Info, Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};

use super::journal::{Entry, Event as Written};
use super::{Action, Asset, Client, Event, Via};
use crate::ids::{ExchangeId, Place, Position, Push, Resume, Time};
use crate::intake::Intake;

const NOW: Time = Time(1_700_000_000_000);
const START: Resume = Resume::at(7, Position(5), None);

fn info(name: &str, version: &str) -> Info {
    let container = Container {
        package: Some("cargo".into()),
        file_name: Some(format!("pkg:cargo/{name}").into()),
        version: version.into(),
        ..Container::default()
    };
    Info { container, ..Info::default() }
}

fn asset(version: &str) -> Asset {
    Asset::new("device", VersionInfo { info: vec![info("serde", version)], ..VersionInfo::default() })
}

fn item(id: &str, revision: u64, range: &str) -> Bytes {
    let mut info = info("serde", range);
    info.source = Some("Tests".into());
    info.id = Some(id.into());
    info.container.author_comments = Some(format!("{id}\nRevision: {revision}").into());
    let infos = [VersionInfo { info: vec![info], ..VersionInfo::default() }];
    let header = HeaderFields { message_id: Some(MessageId(u128::from(revision))), ..HeaderFields::default() };
    let draft = MessageDraft { major: Major::Deliver, minor: Some(Minor::Full), data: Some(&infos) };
    write::message(Spelling::Double, &header, &[draft])
}

/// A push on the normal lane.
fn lane(position: u64) -> Via {
    Via::Lane(Push::new(Class::Normal, Position(position)))
}

fn delivery(via: Via, item: &Bytes) -> Event {
    let facts = Validated::new(item.clone(), &Limits::default()).expect("a good document");
    Event::Delivery { via, intake: Box::new(Intake::of(&facts).expect("a message")) }
}

/// A client with its journal; stores are durable at once unless said otherwise.
struct Bench {
    client: Client,
    journal: Vec<Entry>,
    actions: Vec<Action>,
    now: Time,
}

impl Bench {
    fn new(journal: Vec<Entry>) -> Self {
        let client = Client::recover(ClientGuid(1), ServerGuid(2), journal.iter().cloned());
        Self { client, journal, actions: Vec::new(), now: NOW }
    }

    fn handle(&mut self, event: Event) {
        self.client.handle(self.now, event);
        self.drain();
    }

    fn timeout(&mut self, now: Time) {
        self.now = now;
        self.client.handle_timeout(now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(action) = self.client.poll_action() {
            match action {
                Action::Store(ticket, entries) => {
                    self.journal.extend(entries);
                    self.client.handle(self.now, Event::Stored(ticket));
                }
                action => self.actions.push(action),
            }
        }
    }

    /// Connected, and synchronised with nothing on offer.
    fn synchronised() -> Self {
        let mut bench = Self::new(Vec::new());
        bench.handle(Event::Assets(vec![asset("1.2.3")]));
        bench.handle(Event::Connected { behind: false, start: START });
        bench.complete(&[]);
        assert!(bench.client.is_synchronised());
        bench
    }

    fn opened(&self) -> (ExchangeId, Vec<(String, Option<String>)>) {
        let last = self.actions.iter().rev().find_map(|action| match action {
            Action::Open(exchange, drafts) => Some((*exchange, drafts)),
            _ => None,
        });
        let (exchange, drafts) = last.expect("an exchange was opened");
        let text = |minor: &Option<Minor>| minor.as_ref().map(|minor| minor.as_str().to_owned());
        (exchange, drafts.iter().map(|draft| (draft.major.as_str().to_owned(), text(&draft.minor))).collect())
    }

    /// Answers the exchange that is under way.
    fn complete(&mut self, items: &[Bytes]) {
        let (exchange, messages) = self.opened();
        let outcomes = messages.iter().map(|_| (ReplyStatus::Succeeded, None)).collect();
        self.handle(Event::Replied { exchange, outcomes });
        for item in items {
            self.handle(delivery(Via::Exchange(exchange), item));
        }
        self.handle(Event::Ended(exchange));
    }

    fn events(&self) -> Vec<&Written> {
        self.journal.iter().map(|entry| &entry.event).collect()
    }

    fn answers(&self) -> usize {
        self.actions.iter().filter(|action| matches!(action, Action::Answer { .. })).count()
    }
}

fn full() -> Vec<(String, Option<String>)> {
    vec![("Request".into(), Some("Full".into()))]
}

#[test]
fn the_first_thing_a_client_says_is_request_full() {
    assert_eq!(Bench::synchronised().opened().1, full());
}

// R-8.2.2-18: End and Register in one Payload, then Request:Full.
#[test]
fn c8_2_2_an_upgrade_ends_and_registers_in_one_payload_then_asks() {
    let mut bench = Bench::synchronised();
    bench.handle(Event::Assets(vec![asset("2.0.0")]));
    let change = vec![("Register".into(), Some("End".into())), ("Register".into(), None)];
    assert_eq!(bench.opened().1, change);
    bench.complete(&[]);
    assert_eq!(bench.opened().1, full());
    bench.complete(&[]);
    assert!(bench.client.is_synchronised());
}

#[test]
fn an_asset_that_is_gone_is_ended() {
    let mut bench = Bench::synchronised();
    bench.handle(Event::Assets(Vec::new()));
    assert_eq!(bench.opened().1, [("Register".into(), Some("End".into()))]);
    bench.complete(&[]);
    assert!(bench.client.is_synchronised(), "a device without assets wants nothing");
}

#[test]
fn a_change_that_a_restart_interrupted_is_made_up_for() {
    let bench = Bench::synchronised();
    let mut again = Bench::new(bench.journal);
    again.handle(Event::Assets(vec![asset("2.0.0")]));
    again.handle(Event::Connected { behind: false, start: START });
    assert_eq!(again.opened().1[0], ("Register".into(), Some("End".into())), "the journal knows what was registered");
}

#[test]
fn an_item_is_answered_when_its_entry_is_durable() {
    let mut bench = Bench::synchronised();
    bench.client.handle(NOW, delivery(lane(6), &item("A-1", 1, "vers:cargo/<2.0.0")));
    let Some(Action::Store(ticket, _)) = bench.client.poll_action() else { panic!("stored first") };
    assert!(bench.client.poll_action().is_none(), "nothing is said yet");
    bench.client.handle(NOW, Event::Stored(ticket));
    assert!(matches!(
        bench.client.poll_action(),
        Some(Action::Answer { push: Push { position: Position(6), .. }, .. })
    ));
}

#[test]
fn what_was_pushed_on_a_link_that_is_gone_is_not_answered_on_the_next() {
    let mut bench = Bench::synchronised();
    bench.client.handle(NOW, delivery(lane(6), &item("A-1", 1, "vers:cargo/<2.0.0")));
    bench.client.handle(NOW, Event::Disconnected);
    bench.client.handle(NOW, Event::Connected { behind: false, start: START });
    bench.drain();
    assert_eq!((bench.answers(), bench.client.holdings().len()), (0, 1), "it is held");
    bench.handle(delivery(lane(6), &item("A-1", 1, "vers:cargo/<2.0.0")));
    assert_eq!(bench.answers(), 1);
}

#[test]
fn a_repeated_item_is_answered_and_journalled_once() {
    let mut bench = Bench::synchronised();
    let item = item("A-1", 1, "vers:cargo/<2.0.0");
    bench.handle(delivery(lane(6), &item));
    bench.handle(delivery(lane(6), &item));
    assert_eq!(bench.answers(), 2);
    assert_eq!(bench.events().iter().filter(|event| matches!(event, Written::Gained { .. })).count(), 1);
}

#[test]
fn an_item_that_does_not_apply_is_journalled_only_if_a_predecessor_is_held() {
    let mut bench = Bench::synchronised();
    let gained = |bench: &Bench| bench.client.holdings().len();
    bench.handle(delivery(lane(6), &item("A-1", 1, "vers:cargo/<1.0.0")));
    assert_eq!(gained(&bench), 0);
    bench.handle(delivery(lane(7), &item("A-2", 1, "vers:cargo/<2.0.0")));
    bench.handle(delivery(lane(8), &item("A-2", 2, "vers:cargo/<1.0.0")));
    assert_eq!(gained(&bench), 0);
    let retracted = bench.events().iter().filter(|event| matches!(event, Written::Retracted { .. })).count();
    assert_eq!(retracted, 1);
}

#[test]
fn an_older_revision_that_comes_late_changes_nothing() {
    let mut bench = Bench::synchronised();
    bench.handle(delivery(lane(6), &item("A-1", 2, "vers:cargo/<2.0.0")));
    bench.handle(delivery(lane(7), &item("A-1", 1, "vers:cargo/<9.0.0")));
    let held: Vec<Digest> = bench.client.holdings().iter().map(|(digest, _)| digest).collect();
    assert_eq!(held, [Digest::of(&item("A-1", 2, "vers:cargo/<2.0.0"))]);
}

/// A faster lane brings a retraction before a slower one brings what it takes back.
#[test]
fn a_successor_on_another_lane_may_come_before_its_predecessor() {
    for range in ["vers:cargo/<1.0.0", "vers:cargo/<2.0.0"] {
        let mut bench = Bench::synchronised();
        let (first, second) = (item("A-1", 1, "vers:cargo/<9.0.0"), item("A-1", 2, range));
        let on = |class, position| Via::Lane(Push::new(class, Position(position)));
        bench.handle(delivery(on(Class::Critical, 7), &second));
        let held = |bench: &Bench| bench.client.holdings().iter().map(|(digest, _)| digest).collect::<Vec<_>>();
        let before = held(&bench);
        bench.handle(delivery(on(Class::Bulk, 6), &first));
        assert_eq!((held(&bench), bench.answers()), (before, 2), "both are answered, and the newer one counts");
    }
}

#[test]
fn each_class_has_a_place_of_its_own_and_what_is_settled_moves_along() {
    let mut bench = Bench::synchronised();
    let places =
        |bench: &Bench| bench.client.resume().expect("a place").places.into_array().map(|place| place.position.0);
    let push = |class, position, settled| Via::Lane(Push { class, position: Position(position), settled });
    bench.handle(delivery(push(Class::Critical, 6, PerClass::all(false)), &item("A-1", 1, "vers:cargo/<2.0.0")));
    assert_eq!(places(&bench), [6, 5, 5]);
    let settled = PerClass::of([true, false, false]);
    bench.handle(delivery(push(Class::Normal, 9, settled), &item("A-2", 2, "vers:cargo/<2.0.0")));
    assert_eq!(places(&bench), [9, 9, 5], "bulk may be on its way");
    bench.handle(delivery(push(Class::Bulk, 8, PerClass::all(true)), &item("A-3", 3, "vers:cargo/<2.0.0")));
    assert_eq!(places(&bench), [9, 9, 8]);
}

#[test]
fn pushes_wait_while_something_is_asked_for() {
    let mut bench = Bench::new(Vec::new());
    bench.handle(Event::Assets(vec![asset("1.2.3")]));
    bench.handle(Event::Connected { behind: false, start: START });
    bench.handle(delivery(lane(6), &item("A-2", 2, "vers:cargo/<2.0.0")));
    assert!(!bench.client.takes_pushes());
    assert_eq!(bench.answers(), 0);
    bench.complete(&[item("A-1", 1, "vers:cargo/<2.0.0")]);
    assert!(bench.client.takes_pushes());
    assert_eq!(bench.answers(), 1);
    let gained: Vec<Digest> = bench
        .events()
        .iter()
        .filter_map(|event| match event {
            Written::Gained { digest, .. } => Some(*digest),
            _ => None,
        })
        .collect();
    let order = [item("A-1", 1, "vers:cargo/<2.0.0"), item("A-2", 2, "vers:cargo/<2.0.0")];
    assert_eq!(gained, order.map(|item| Digest::of(&item)), "in the order of the log");
}

#[test]
fn a_position_counts_only_after_the_answer_that_synchronised_it() {
    let mut bench = Bench::new(Vec::new());
    bench.handle(Event::Assets(vec![asset("1.2.3")]));
    bench.handle(Event::Connected { behind: false, start: START });
    assert_eq!(bench.client.resume(), None);
    bench.complete(&[]);
    assert_eq!(bench.client.resume(), Some(START));
    let item = item("A-1", 1, "vers:cargo/<2.0.0");
    bench.handle(delivery(lane(6), &item));
    let mut resume = START;
    resume.places[Class::Normal] = Place { position: Position(6), digest: Some(Digest::of(&item)) };
    assert_eq!(bench.client.resume(), Some(resume));
    assert_eq!(Bench::new(bench.journal).client.resume(), Some(resume), "also after a restart");
}

#[test]
fn who_is_behind_asks_again_and_his_old_position_counts_no_more() {
    let mut bench = Bench::synchronised();
    bench.handle(Event::Disconnected);
    let elsewhere = Resume::at(8, Position(90), None);
    bench.handle(Event::Connected { behind: true, start: elsewhere });
    assert_eq!(bench.opened().1, full());
    assert_eq!(bench.client.resume(), Some(START), "until the answer is whole");
    bench.complete(&[]);
    assert_eq!(bench.client.resume(), Some(elsewhere));
}

#[test]
fn who_falls_behind_while_he_asks_asks_again() {
    let mut bench = Bench::new(Vec::new());
    bench.handle(Event::Assets(vec![asset("1.2.3")]));
    bench.handle(Event::Connected { behind: false, start: START });
    let (first, _) = bench.opened();
    bench.handle(Event::Behind(Position(9)));
    bench.complete(&[]);
    assert!(!bench.client.is_synchronised());
    assert_ne!(bench.opened().0, first);
    bench.complete(&[]);
    assert!(bench.client.is_synchronised());
}

#[test]
fn a_link_that_comes_back_asks_for_nothing() {
    let mut bench = Bench::synchronised();
    let before = bench.actions.len();
    bench.handle(Event::Disconnected);
    bench.handle(Event::Connected { behind: false, start: START });
    assert_eq!(bench.actions.len(), before);
    assert!(bench.client.is_synchronised());
}

/// A client whose first Request was answered with this status, and what it does.
fn refused(status: ReplyStatus) -> (Bench, Action) {
    let mut bench = Bench::new(Vec::new());
    bench.handle(Event::Assets(vec![asset("1.2.3")]));
    bench.handle(Event::Connected { behind: false, start: START });
    let (exchange, _) = bench.opened();
    bench.handle(Event::Replied { exchange, outcomes: vec![(status, Some("no room".to_owned()))] });
    let last = bench.actions.pop().expect("something is done");
    (bench, last)
}

#[test]
fn what_is_not_supported_stops_the_client_with_the_reason() {
    let (_, done) = refused(ReplyStatus::MajorNotSupported);
    assert!(matches!(done, Action::Stop(why) if why.contains("no room")));
}

#[test]
fn what_failed_is_asked_for_again_on_another_link() {
    let (mut bench, done) = refused(ReplyStatus::Failed);
    assert!(matches!(done, Action::Hangup(why) if why.contains("no room")));
    bench.handle(Event::Disconnected);
    bench.handle(Event::Connected { behind: false, start: START });
    assert_eq!(bench.opened().1, full());
    bench.complete(&[]);
    assert!(bench.client.is_synchronised());
}

#[test]
fn a_changed_inventory_matches_again_what_is_held() {
    let mut bench = Bench::synchronised();
    bench.handle(delivery(lane(6), &item("A-1", 1, "vers:cargo/<2.0.0")));
    bench.handle(Event::Assets(vec![asset("1.9.0")]));
    assert!(matches!(bench.events().last(), Some(Written::Rematched { .. })));
    bench.handle(Event::Assets(vec![asset("2.0.0")]));
    assert!(matches!(bench.events().last(), Some(Written::Left { .. })));
    assert!(bench.client.holdings().is_empty());
}
