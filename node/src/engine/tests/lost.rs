//! Items whose bytes are lost: who is told, and what is fetched again.

use schemas::class::PerClass;
use schemas::core::ReplyStatus;
use schemas::version::{Major, Minor, VersionInfo};

use super::bench::{Bench, DEVICE, OTHER, PROVIDER, advisory, config, deliver, register, request, runs, statuses};
use super::uplinks::{Local, UPSTREAM, lane, upstream};
use crate::engine::{Action, CursorReport, Event};
use crate::ids::{LinkId, Position, Resume};
use crate::shard;
use crate::store::{Lost, Recovered};
use crate::uplink::{Ask, Realm};

fn item(id: &str, revision: u64) -> VersionInfo {
    advisory(id, revision, "serde", "vers:cargo/<2.0.0", "")
}

/// Links that were told that they are behind.
fn behind(bench: &Bench) -> Vec<(LinkId, Position)> {
    let told = |action: &Action| match action {
        Action::Behind(link, position) => Some((*link, *position)),
        _ => None,
    };
    bench.actions.iter().filter_map(told).collect()
}

#[test]
fn who_has_not_answered_for_it_is_behind_and_it_may_be_delivered_again() {
    let (mut bench, provider, device) = Bench::with_device();
    let (other, _) = bench.connect(OTHER, None);
    bench.send(other, &request(2, &[runs("serde", "1.2.3")]));
    let document = deliver(0x10, item("A-1", 1));
    bench.send(provider, &document);
    let positions = PerClass::all(Position(1));
    let generation = bench.engine.generation(other).expect("a link");
    bench.handle(Event::Cursors(vec![CursorReport { client: OTHER, generation, positions }]));
    bench.settle();

    bench.handle(Event::Lost(vec![Position(1), Position(1)]));
    bench.settle();
    assert_eq!(behind(&bench), [(device, Position(1))]);
    assert!(
        bench.actions.iter().any(|action| { matches!(action, Action::Shard(0, shard::Event::Outdated(Position(1)))) })
    );
    assert_eq!((bench.engine.totals().damaged, bench.engine.catalogue().len()), (1, 0));
    let again = bench.send(provider, &document);
    assert_eq!(statuses(&again), [ReplyStatus::Succeeded]);
    assert_eq!(bench.pushed(device), [Position(1), Position(2)]);
}

#[test]
fn what_is_lost_stays_known_in_the_log_when_something_behind_it_is_evicted() {
    let mut small = config();
    small.items_max = 2;
    let mut bench = Bench::with(small, Recovered { incarnation: 0x1c, ..Recovered::default() });
    let (provider, _) = bench.connect(PROVIDER, None);
    bench.send(provider, &deliver(1, item("A-0", 1)));
    bench.handle(Event::Lost(vec![Position(1)]));
    bench.settle();
    for (number, id, revision) in [(2, "A-1", 1), (3, "A-2", 1), (4, "A-2", 2)] {
        bench.send(provider, &deliver(number, item(id, revision)));
    }
    assert_eq!(bench.engine.totals().evicted, 1);
    let kept: Vec<u64> = bench.kept.records.iter().map(|(position, _)| *position).collect();
    assert_eq!(kept, [1, 2, 4], "by the first, who was away hears after a restart that something is missing");
}

/// The store finds this position lost when it is opened again, with or without its record.
fn lose(mut local: Local, position: u64, has_record: bool) -> Local {
    let records = &mut local.bench.kept.records;
    let place = records.iter().position(|(at, _)| *at == position).expect("an item");
    let record = Some(records.remove(place).1).filter(|_| has_record);
    local.bench.kept.lost.push(Lost { position, record });
    local.restart()
}

/// One that holds two items of its upstream, for a device that has them and one that does not.
fn with_two(ask: Ask) -> (Local, Resume) {
    let mut local = Local::new(upstream(Realm::Same, ask));
    for client in [DEVICE, OTHER] {
        let link = local.connect(client);
        local.ask(link, &register(client.0, &[runs("serde", "1.2.3")]));
    }
    let (above, _) = local.asked();
    local.answers(above, &[item("A-1", 1), item("A-2", 1)]);
    assert_eq!(local.bench.engine.catalogue().len(), 2);
    let resume = local.bench.engine.resume_above(UPSTREAM).expect("a position");
    (local, resume)
}

#[test]
fn what_was_lost_while_it_was_down_is_fetched_again_once() {
    for ask in [Ask::Names, Ask::Everything] {
        let (local, resume) = with_two(ask);
        let mut local = lose(local, 1, true);
        assert_eq!((local.bench.engine.catalogue().len(), local.bench.engine.totals().damaged), (1, 1));
        let nothing = Some(Resume::at(0x1c, Position(0), None));
        assert!(local.bench.connect(DEVICE, nothing).1.behind, "it may miss it");
        local.connected(false, resume);
        let (above, asked) = local.asked();
        assert_eq!((&asked.major, &asked.minor), (&Major::Request, &None), "{asked:?}");
        assert_eq!(asked.infos.len(), 1, "no more than that: {asked:?}");
        local.answers(above, &[item("A-1", 1)]);
        assert_eq!(local.bench.engine.catalogue().len(), 2);

        let mut local = local.restart();
        assert_eq!(local.bench.engine.catalogue().iter().filter(|(_, item)| item.current).count(), 2);
        local.connected(false, local.bench.engine.resume_above(UPSTREAM).expect("a position"));
        assert!(local.opened().is_empty(), "it is here again");
    }
}

#[test]
fn what_is_lost_before_a_newer_revision_is_not_missed() {
    let (mut local, _) = with_two(Ask::Names);
    local.brings(lane(9), &deliver(0x99, item("A-1", 2)));
    let resume = local.bench.engine.resume_above(UPSTREAM).expect("a position");
    let mut local = lose(local, 1, true);
    local.connected(false, resume);
    assert!(local.opened().is_empty());
}

#[test]
fn of_what_nothing_is_known_everything_is_asked_for_again_and_everybody_before_it_is_behind() {
    let (local, resume) = with_two(Ask::Names);
    let mut local = lose(local, 2, false);
    assert_eq!(local.bench.engine.catalogue().head(), Position(2), "its place is not given again");
    let at = |position| Some(Resume::at(0x1c, Position(position), None));
    let positions = PerClass::all(Position(2));
    let (link, _) = local.bench.connect(OTHER, at(0));
    let generation = local.bench.engine.generation(link).expect("a link");
    local.bench.handle(Event::Cursors(vec![CursorReport { client: OTHER, generation, positions }]));
    local.bench.settle();
    assert!(local.bench.connect(DEVICE, at(1)).1.behind);
    assert!(!local.bench.connect(OTHER, at(2)).1.behind, "it had come so far");
    local.connected(true, resume);
    let (clearing, asked) = local.asked();
    assert_eq!((&asked.major, &asked.minor), (&Major::Register, &Some(Minor::End)));
    local.answers(clearing, &[]);
    let (above, _) = local.asked();
    local.answers(above, &[item("A-1", 1), item("A-2", 1)]);
    let current = |(_, item): &(Position, &crate::catalogue::Item)| item.current;
    assert_eq!(local.bench.engine.catalogue().iter().filter(current).count(), 2);
}

#[test]
fn what_is_lost_under_a_running_server_is_fetched_again() {
    let (mut local, _) = with_two(Ask::Names);
    local.bench.handle(Event::Lost(vec![Position(2)]));
    local.bench.settle();
    let (above, asked) = local.asked();
    assert_eq!((&asked.major, &asked.minor, asked.infos.len()), (&Major::Request, &None, 1));
    local.answers(above, &[item("A-2", 1)]);
    let kept: Vec<u64> = local.bench.engine.catalogue().iter().map(|(position, _)| position.0).collect();
    assert_eq!(kept, [1, 3]);
}
