//! Links: where lanes begin, who is behind, whose cursor counts.

use std::time::Duration;

use schemas::class::{Class, PerClass};
use schemas::core::ReplyStatus;
use schemas::digest::Digest;

use super::bench::{Bench, DEVICE, OTHER, PROVIDER, advisory, config, deliver, request, runs, statuses};
use crate::engine::{Action, CloseReason, CursorReport, Event};
use crate::ids::{LinkId, Place, Position, Resume};
use crate::shard;
use crate::store::Recovered;

/// Three items for the device; the bench, and where a client stands that has the first two.
fn three_items() -> (Bench, Resume) {
    let (mut bench, provider, device) = Bench::with_device();
    for number in 1..=3_u64 {
        let item = advisory(&format!("A-{number}"), 1, "serde", "vers:cargo/<2.0.0", "");
        bench.send(provider, &deliver(u128::from(number), item));
    }
    answered(&mut bench, device, 3);
    (bench, Resume::at(0x1c, Position(2), None))
}

fn answered(bench: &mut Bench, link: LinkId, position: u64) {
    let generation = bench.engine.generation(link).expect("live");
    let report = CursorReport { client: DEVICE, generation, positions: PerClass::all(Position(position)) };
    bench.handle(Event::Cursors(vec![report]));
    bench.settle();
}

#[test]
fn the_smaller_of_both_positions_wins() {
    let (mut bench, resume) = three_items();
    let (_, welcome) = bench.connect(DEVICE, Some(resume));
    assert_eq!((welcome.start.everything(), welcome.behind), (Position(2), false), "the client's is smaller");
    let (_, welcome) = bench.connect(DEVICE, Some(Resume::at(resume.incarnation, Position(3), None)));
    assert_eq!((welcome.start.everything(), welcome.behind), (Position(3), false));
    assert_eq!(welcome.generation, 3);
}

#[test]
fn each_class_goes_on_where_it_stood() {
    let (mut bench, mut resume) = three_items();
    resume.places[Class::Bulk] = Place::default();
    let (link, welcome) = bench.connect(DEVICE, Some(resume));
    let starts = welcome.start.places.into_array().map(|place| place.position.0);
    assert_eq!((starts, welcome.behind), ([2, 2, 0], false));
    let up = bench.actions.iter().rev().find_map(|action| match action {
        Action::Shard(_, shard::Event::LinkUp { link: up, start, .. }) if *up == link => Some(*start),
        _ => None,
    });
    assert_eq!(up.map(|start| start.into_array().map(|position| position.0)), Some([2, 2, 0]));
    bench.handle(Event::Need { link, class: Class::Bulk, after: Position(0) });
    let due = bench.actions.iter().rev().find_map(|action| match action {
        Action::Shard(_, shard::Event::Due { class: Class::Bulk, stretch, .. }) => Some(stretch.clone()),
        _ => None,
    });
    let due = due.expect("an answer");
    assert_eq!((due.due.len(), due.through, due.complete), (0, Position(3), true), "all three are normal");
}

#[test]
fn what_was_trimmed_of_one_class_is_not_missed_by_another() {
    let mut small = config();
    (small.items_max, small.small_bytes_max) = (1, 1 << 20);
    let mut bench = Bench::with(small, Recovered { incarnation: 0x1c, ..Recovered::default() });
    let (provider, _) = bench.connect(PROVIDER, None);
    let (device, _) = bench.connect(DEVICE, None);
    bench.send(device, &request(1, &[runs("serde", "1.2.3")]));
    for number in 1..=2_u64 {
        let item = advisory(&format!("A-{number}"), 1, "serde", "vers:cargo/<2.0.0", "");
        bench.send(provider, &deliver(u128::from(number), item));
    }
    answered(&mut bench, device, 1);
    let mut resume = Resume::at(0x1c, Position(1), None);
    resume.places[Class::Bulk] = Place::default();
    assert!(!bench.connect(DEVICE, Some(resume)).1.behind, "position 1 was normal");
    resume.places[Class::Normal] = Place::default();
    assert!(bench.connect(DEVICE, Some(resume)).1.behind);
}

#[test]
fn what_cannot_be_verified_is_behind() {
    let (bench, resume) = three_items();
    let mut bench = bench.restart();
    let cases = [
        ("another incarnation", Resume { incarnation: 0xbad, ..resume }),
        ("past the head", Resume::at(0x1c, Position(4), None)),
        ("another digest", Resume::at(0x1c, Position(2), Some(Digest::of(b"something else")))),
    ];
    for (why, resume) in cases {
        let (_, welcome) = bench.connect(DEVICE, Some(resume));
        assert_eq!((welcome.behind, welcome.start.everything()), (true, Position(3)), "{why}");
    }
    let (_, welcome) = bench.connect(DEVICE, None);
    assert!(welcome.behind, "registered, and holds nothing any more");
    let (_, welcome) = bench.connect(OTHER, None);
    assert!(!welcome.behind, "never registered");
}

#[test]
fn a_client_is_behind_if_something_of_its_own_was_trimmed() {
    let mut small = config();
    small.items_max = 2;
    let mut bench = Bench::with(small, Recovered { incarnation: 0x1c, ..Recovered::default() });
    let (provider, _) = bench.connect(PROVIDER, None);
    for (client, name) in [(DEVICE, "serde"), (OTHER, "rand")] {
        let (link, _) = bench.connect(client, None);
        bench.send(link, &request(client.0, &[runs(name, "1.2.3")]));
        bench.handle(Event::LinkDown(link));
    }
    for number in 1..=3_u64 {
        let name = if number == 1 { "serde" } else { "rand" };
        let item = advisory(&format!("A-{number}"), 1, name, "vers:cargo/<2.0.0", "");
        bench.send(provider, &deliver(u128::from(number), item));
    }
    assert_eq!(bench.engine.catalogue().len(), 2);
    let nothing = Resume::at(0x1c, Position(0), None);
    assert!(bench.connect(DEVICE, Some(nothing)).1.behind, "position 1 was for it, and is gone");
    assert!(!bench.connect(OTHER, Some(nothing)).1.behind, "nothing of its own is gone");
    let mut bench = bench.restart();
    assert!(bench.connect(OTHER, Some(nothing)).1.behind, "after a restart it errs that way");
}

#[test]
fn what_others_have_replaced_goes_before_the_oldest() {
    let mut small = config();
    small.items_max = 3;
    let mut bench = Bench::with(small.clone(), Recovered { incarnation: 0x1c, ..Recovered::default() });
    let (provider, _) = bench.connect(PROVIDER, None);
    let (device, _) = bench.connect(DEVICE, None);
    bench.send(device, &request(1, &[runs("serde", "1.2.3")]));
    let item = |name: &str, revision: u64| advisory(name, revision, "serde", "vers:cargo/<2.0.0", "");
    let kept = |bench: &Bench| bench.kept.records.iter().map(|(position, _)| *position).collect::<Vec<_>>();
    for (number, name, revision) in [(1, "A-1", 1), (2, "A-2", 1), (3, "A-2", 2), (4, "A-2", 3)] {
        bench.send(provider, &deliver(number, item(name, revision)));
    }
    assert_eq!(kept(&bench), [1, 3, 4], "the first is the oldest, and stands");
    let totals = bench.engine.totals();
    assert_eq!((totals.evicted, totals.trimmed), (1, 0));
    let nothing = Resume::at(0x1c, Position(0), None);
    assert!(!bench.connect(DEVICE, Some(nothing)).1.behind, "nobody misses it");

    let mut bench = Bench::with(small, bench.kept);
    let (provider, _) = bench.connect(PROVIDER, None);
    assert!(!bench.connect(DEVICE, Some(nothing)).1.behind, "also after a restart");
    assert_eq!(statuses(&bench.send(provider, &deliver(2, item("A-2", 1)))), [ReplyStatus::Succeeded]);
    assert_eq!(bench.engine.catalogue().head(), Position(4), "it is known as delivered, and takes no second effect");
    bench.send(provider, &deliver(5, item("A-3", 1)));
    assert_eq!(kept(&bench), [1, 4, 5]);
    bench.send(provider, &deliver(6, item("A-4", 1)));
    assert_eq!(kept(&bench), [4, 5, 6], "nothing is replaced any more");
    assert!(bench.connect(DEVICE, Some(nothing)).1.behind, "of these it may miss one");
}

#[test]
fn what_came_again_after_it_was_evicted_stands_where_it_came_last() {
    let (bench, _) = three_items();
    // Its room was not taken back yet when the server ended, and it came again since.
    let mut kept = bench.kept;
    let first = kept.records[0].1.clone();
    kept.records.push((9, first));
    let bench = Bench::with(config(), kept);
    let stands: Vec<u64> = bench.engine.catalogue().iter().map(|(position, _)| position.0).collect();
    assert_eq!(stands, [2, 3, 9], "who has come as far as 3 has yet to get it");
    assert!(bench.engine.catalogue().iter().all(|(_, item)| item.current));
}

#[test]
fn the_oldest_items_go_when_all_together_are_too_long() {
    let mut small = config();
    small.items_bytes_max = 8000;
    let mut bench = Bench::with(small, Recovered { incarnation: 0x1c, ..Recovered::default() });
    let (provider, _) = bench.connect(PROVIDER, None);
    let publish = |bench: &mut Bench, number: u64, comments: usize| {
        let item = advisory(&format!("A-{number}"), 1, "serde", "vers:cargo/<2.0.0", &"x".repeat(comments));
        bench.send(provider, &deliver(u128::from(number), item));
    };
    (1..=3).for_each(|number| publish(&mut bench, number, 1000));
    let three = bench.engine.catalogue().size();
    assert!((3000..8000).contains(&three.bytes) && three.items == 3, "{three:?}");
    publish(&mut bench, 4, 6000);
    let left = bench.engine.catalogue().size();
    assert!(left.bytes <= 8000 && left.items < 3, "{left:?}");
    let positions: Vec<u64> = bench.engine.catalogue().iter().map(|(position, _)| position.0).collect();
    assert_eq!(positions.last(), Some(&4), "the newest stays");
}

#[test]
fn what_was_trimmed_is_known_as_delivered_also_after_a_restart() {
    let mut small = config();
    small.items_max = 1;
    let mut bench = Bench::with(small.clone(), Recovered { incarnation: 0x1c, ..Recovered::default() });
    let (provider, _) = bench.connect(PROVIDER, None);
    let item = |number: u64| advisory(&format!("A-{number}"), 1, "serde", "vers:cargo/<2.0.0", "");
    for number in 1..=2 {
        bench.send(provider, &deliver(u128::from(number), item(number)));
    }
    assert_eq!(bench.engine.catalogue().floor(), Position(1));
    let mut bench = Bench::with(small, bench.kept);
    let (provider, _) = bench.connect(PROVIDER, None);
    let reply = bench.send(provider, &deliver(1, item(1)));
    assert_eq!(statuses(&reply), [ReplyStatus::Succeeded]);
    assert_eq!(bench.engine.catalogue().head(), Position(2), "and takes no second effect");
}

#[test]
fn a_live_link_is_told_when_it_falls_behind() {
    let mut small = config();
    small.items_max = 1;
    let mut bench = Bench::with(small, Recovered::default());
    let (provider, _) = bench.connect(PROVIDER, None);
    let (device, _) = bench.connect(DEVICE, None);
    bench.send(device, &request(1, &[runs("serde", "1.2.3")]));
    for number in 1..=2_u64 {
        let item = advisory(&format!("A-{number}"), 1, "serde", "vers:cargo/<2.0.0", "");
        bench.send(provider, &deliver(u128::from(number), item));
    }
    let trimmed = |action: &Action| matches!(action, Action::Shard(0, shard::Event::Trimmed(Position(1))));
    assert!(bench.actions.iter().any(trimmed), "the shard is asked who had not come so far");
    bench.handle(Event::Lags { link: device, class: Class::Normal, after: Position(0) });
    let told =
        bench.actions.iter().any(|action| matches!(action, Action::Behind(link, Position(1)) if *link == device));
    assert!(told, "it had not looked at position 1 when that was trimmed");
}

#[test]
fn the_newer_link_replaces_the_older_whose_cursor_counts_no_more() {
    let (mut bench, resume) = three_items();
    let (older, _) = bench.connect(DEVICE, Some(resume));
    let generation = bench.engine.generation(older).expect("live");
    let (newer, _) = bench.connect(DEVICE, Some(resume));
    let closed = |action: &Action| matches!(action, Action::Close(link, CloseReason::Replaced) if *link == older);
    assert!(bench.actions.iter().any(closed));
    let stale = CursorReport { client: DEVICE, generation, positions: PerClass::all(Position(99)) };
    bench.handle(Event::Cursors(vec![stale]));
    assert!(bench.asked.is_empty(), "an older generation writes nothing");
    assert!(bench.engine.generation(newer).is_some());
}

#[test]
fn of_who_never_registers_nothing_is_kept() {
    let mut bench = Bench::new();
    let (link, _) = bench.connect(OTHER, None);
    bench.handle(Event::LinkDown(link));
    bench.settle();
    assert!(bench.kept.rows.is_empty());
}

#[test]
fn a_hello_of_a_link_that_is_gone_is_not_answered() {
    let mut bench = Bench::new();
    bench.handle(Event::Hello { link: LinkId(9), client: DEVICE, resume: None, mark: None });
    bench.handle(Event::LinkDown(LinkId(9)));
    bench.settle();
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Welcome(..))));
    assert_eq!(bench.engine.connected(), 0);
}

#[test]
fn a_registration_is_a_lease_that_contact_renews() {
    let (mut bench, _, device) = Bench::with_device();
    let day = Duration::from_secs(24 * 3600);
    bench.handle(Event::LinkDown(device));
    bench.now = bench.now.after(day * 80);
    let (device, _) = bench.connect(DEVICE, None);
    bench.handle(Event::LinkDown(device));
    for (days, registered) in [(80, 1), (20, 0)] {
        bench.now = bench.now.after(day * days);
        bench.engine.handle_timeout(bench.now);
        bench.drain();
        bench.settle();
        assert_eq!(bench.engine.registered(), registered, "after {days} more days");
    }
    assert!(bench.engine.subscriptions().of(DEVICE).is_empty());
    let mut bench = bench.restart();
    assert_eq!(bench.engine.registered(), 0);
    let resume = Resume::at(0x1c, Position(0), None);
    assert!(bench.connect(DEVICE, Some(resume)).1.behind, "what it believes to be registered is over");
}

#[test]
fn who_comes_back_while_the_sweep_is_on_its_way_keeps_everything() {
    let (mut bench, _, device) = Bench::with_device();
    bench.handle(Event::LinkDown(device));
    bench.settle();
    bench.now = bench.now.after(Duration::from_secs(91 * 24 * 3600));
    bench.engine.handle_timeout(bench.now);
    bench.drain();
    bench.handle(Event::Hello { link: LinkId(77), client: DEVICE, resume: None, mark: None });
    bench.settle();
    assert_eq!(bench.engine.subscriptions().of(DEVICE).len(), 1);
    assert_eq!(bench.restart().engine.subscriptions().of(DEVICE).len(), 1, "in the store as in memory");
}

#[test]
fn a_lease_runs_from_the_end_of_a_link() {
    let (mut bench, _, device) = Bench::with_device();
    bench.now = bench.now.after(Duration::from_secs(91 * 24 * 3600));
    bench.handle(Event::LinkDown(device));
    bench.settle();
    bench.engine.handle_timeout(bench.now);
    bench.drain();
    bench.settle();
    assert_eq!(bench.engine.registered(), 1);
}
