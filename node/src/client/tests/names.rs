//! Another GUID than that of the certificate: adopted, journalled, and dropped with the life of the log that gave it.

use schemas::facts::Validated;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::version::{Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};

use super::{Bench, NOW, START, info, lane};
use crate::client::{Action, Event};
use crate::ids::Resume;
use crate::intake::Intake;

const OWN: ClientGuid = ClientGuid(1);
const NAME: ClientGuid = ClientGuid(0xbeef);

fn named(bench: &Bench) -> Vec<ClientGuid> {
    let name = |action: &Action| match action {
        Action::Name(client) => Some(*client),
        _ => None,
    };
    bench.actions.iter().filter_map(name).collect()
}

/// Whether a push in a header with this client is taken.
fn takes(bench: &mut Bench, position: u64, client: ClientGuid) -> bool {
    let header = HeaderFields {
        server_guid: Some(ServerGuid(2)),
        client_guid: Some(client),
        message_id: Some(MessageId(u128::from(position))),
        ..HeaderFields::default()
    };
    let infos = [VersionInfo { info: vec![info("serde", "vers:cargo/<2.0.0")], ..VersionInfo::default() }];
    let draft = MessageDraft { major: Major::Deliver, minor: Some(Minor::Full), data: Some(&infos) };
    let facts = Validated::new(write::message(Spelling::Double, &header, &[draft]), &Limits::default()).unwrap();
    let intake = Box::new(Intake::of(&facts).unwrap());
    bench.handle(Event::Delivery { via: lane(position), intake });
    let answer = bench.actions.iter().rev().find_map(|action| match action {
        Action::Answer { answer, .. } => Some(answer.leaves()[0].status == schemas::core::ReplyStatus::Succeeded),
        _ => None,
    });
    answer.expect("an answer")
}

#[test]
fn c9_3_another_guid_is_used_when_it_is_journalled_and_what_is_under_way_to_the_old_one_is_taken() {
    let mut bench = Bench::synchronised();
    assert_eq!(bench.client.name(), OWN);
    assert!(!takes(&mut bench, 1, NAME));
    bench.client.handle(NOW, Event::Assigned(NAME));
    let Some(Action::Store(ticket, entries)) = bench.client.poll_action() else { panic!("journalled first") };
    assert!(bench.client.poll_action().is_none(), "not used yet");
    bench.journal.extend(entries);
    bench.handle(Event::Stored(ticket));
    assert_eq!(named(&bench), [NAME]);
    assert!(takes(&mut bench, 2, NAME) && takes(&mut bench, 3, OWN) && !takes(&mut bench, 4, ClientGuid(9)));

    let mut bench = Bench::new(bench.journal);
    assert_eq!(bench.client.name(), NAME, "also after a restart");
    bench.handle(Event::Connected { behind: false, start: START });
    assert!(named(&bench).is_empty());
    bench.handle(Event::Assigned(NAME));
    assert!(named(&bench).is_empty(), "known");
}

#[test]
fn another_life_of_the_servers_log_knows_the_client_by_its_certificate() {
    let mut bench = Bench::synchronised();
    bench.handle(Event::Assigned(NAME));
    bench.handle(Event::Disconnected);
    let start = Resume { incarnation: START.incarnation + 1, ..START };
    bench.actions.clear();
    bench.handle(Event::Connected { behind: false, start });
    let first = bench.actions.iter().find(|action| matches!(action, Action::Name(_) | Action::Open(..)));
    assert!(matches!(first, Some(Action::Name(OWN))), "before anything is asked: {first:?}");
    assert_eq!(Bench::new(bench.journal).client.name(), OWN);
}
