//! One shard: windows, bundles, answers, cursors.

use bytes::Bytes;
use schemas::class::{Class, PerClass};
use schemas::guid::ClientGuid;
use schemas::names::Spelling;

use super::{Action, BOUNDS_MS, Config, Event, Item, Shard};
use crate::bundle;
use crate::catalogue::{Due, Form, Stretch};
use crate::ids::{LinkId, Position, Time};

const NOW: Time = Time(1_000);
const FAST: LinkId = LinkId(1);
const SLOW: LinkId = LinkId(2);

fn config() -> Config {
    Config { window_items_max: 3, queue_items_max: 2, ..Config::default() }
}

/// A shard whose links are caught up.
fn shard(config: Config, links: &[LinkId]) -> Shard {
    let mut shard = Shard::new(config);
    for link in links {
        let client = ClientGuid(u128::from(link.0));
        shard.handle(NOW, Event::LinkUp { link: *link, client, generation: 1, start: PerClass::default() });
        for class in Class::ALL {
            let stretch = Stretch { due: Vec::new(), through: Position(0), complete: true };
            shard.handle(NOW, Event::Due { link: *link, class, stretch });
        }
    }
    drain(&mut shard);
    shard
}

fn item(position: u64, class: Class) -> Item {
    let bytes = Bytes::from(vec![b'x'; 10]);
    let position = Position(position);
    Item { position, replaces: None, accepted: NOW, class, spelling: Spelling::Double, bytes }
}

fn push(shard: &mut Shard, position: u64, links: &[LinkId]) {
    push_as(shard, item(position, Class::Critical), links);
}

fn push_as(shard: &mut Shard, item: Item, links: &[LinkId]) {
    push_with(shard, [item], links);
}

/// What comes in one moment.
fn push_with(shard: &mut Shard, items: impl IntoIterator<Item = Item>, links: &[LinkId]) {
    for item in items {
        let links = links.iter().map(|link| (*link, Form::Whole)).collect();
        shard.handle(NOW, Event::Item { item, links });
    }
    shard.handle_timeout(NOW);
}

fn drain(shard: &mut Shard) -> Vec<Action> {
    std::iter::from_fn(|| shard.poll_action()).collect()
}

/// (link, position, items) of what is sent.
fn sent(shard: &mut Shard) -> Vec<(LinkId, u64, usize)> {
    let sent = |action| match action {
        Action::Send { link, push, parts, .. } => Some((link, push.position.0, parts.len())),
        _ => None,
    };
    drain(shard).into_iter().filter_map(sent).collect()
}

fn answer(shard: &mut Shard, link: LinkId, position: u64, outcomes: &[bool]) {
    answer_on(shard, Class::Critical, link, position, outcomes);
}

fn answer_on(shard: &mut Shard, class: Class, link: LinkId, position: u64, outcomes: &[bool]) {
    shard.handle(NOW, Event::Answered { link, class, position: Position(position), outcomes: outcomes.to_vec() });
    shard.handle_timeout(NOW);
}

/// The transport takes another critical bundle.
fn ready(shard: &mut Shard, link: LinkId) {
    shard.handle(NOW, Event::Ready(link, Class::Critical));
    shard.handle_timeout(NOW);
}

#[test]
fn a_full_window_waits_for_an_answer_whatever_it_is() {
    let mut shard = shard(config(), &[FAST]);
    for position in 1..=4 {
        push(&mut shard, position, &[FAST]);
        ready(&mut shard, FAST);
    }
    assert_eq!(sent(&mut shard), [(FAST, 1, 1), (FAST, 2, 1), (FAST, 3, 1)], "three stand unanswered");
    answer(&mut shard, FAST, 1, &[false]);
    assert_eq!(sent(&mut shard), [(FAST, 4, 1)], "Failed, too, takes its item out of the window");
    assert_eq!((shard.totals().refused, shard.totals().unanswered), (1, 3));
}

#[test]
fn a_client_that_does_not_read_costs_only_itself() {
    let mut shard = shard(config(), &[FAST, SLOW]);
    for position in 1..=20 {
        push(&mut shard, position, &[FAST, SLOW]);
        ready(&mut shard, FAST);
        answer(&mut shard, FAST, position, &[true]);
    }
    let sent = sent(&mut shard);
    assert_eq!(sent.iter().filter(|(link, ..)| *link == FAST).count(), 20);
    assert_eq!(sent.iter().filter(|(link, ..)| *link == SLOW).count(), 1, "the transport took no second bundle");
    assert_eq!(shard.totals().lagging, 1);
    let queued = shard.links[&SLOW].lanes[Class::Critical].queued();
    assert!(queued <= config().queue_items_max, "what it has to catch up stands in the log: {queued} queued");
}

#[test]
fn who_lags_is_read_from_the_log_and_loses_nothing() {
    let mut shard = shard(config(), &[SLOW]);
    for position in 1..=9 {
        push(&mut shard, position, &[SLOW]);
    }
    let mut got = sent(&mut shard);
    for _ in 0..40 {
        ready(&mut shard, SLOW);
        if let Some((_, position, items)) = got.last().copied() {
            answer(&mut shard, SLOW, position, &vec![true; items]);
        }
        for action in drain(&mut shard) {
            match action {
                Action::Need { link, class, after } => {
                    let due = (after.0 + 1..=9).map(|position| Due {
                        position: Position(position),
                        form: Form::Whole,
                        bytes: 10,
                        spelling: Spelling::Double,
                    });
                    let stretch = Stretch { due: due.collect(), through: Position(9), complete: true };
                    shard.handle(NOW, Event::Due { link, class, stretch });
                }
                Action::Read { link, class, positions } => {
                    let items = positions.into_iter().map(|at| (at, Some(Bytes::from_static(b"xxxxxxxxxx")))).collect();
                    shard.handle(NOW, Event::Data { link, class, items });
                }
                Action::Send { link, push, parts, .. } => got.push((link, push.position.0, parts.len())),
                Action::Lags { .. } | Action::Cursors(_) | Action::Breach(..) => {}
            }
        }
    }
    assert_eq!(got.iter().map(|(_, _, items)| items).sum::<usize>(), 9);
    assert_eq!(got.last().map(|(_, position, _)| *position), Some(9));
}

// P-7: superseded items are skipped.
#[test]
fn p_7_an_item_that_was_superseded_while_it_waited_is_not_sent() {
    let mut shard = shard(config(), &[FAST]);
    push(&mut shard, 1, &[FAST]);
    push(&mut shard, 2, &[FAST]);
    push_as(&mut shard, Item { replaces: Some(Position(2)), ..item(3, Class::Critical) }, &[FAST]);
    ready(&mut shard, FAST);
    ready(&mut shard, FAST);
    assert_eq!(sent(&mut shard), [(FAST, 1, 1), (FAST, 3, 1)]);
}

#[test]
fn what_comes_together_goes_together_and_alone_at_once() {
    let mut shard = shard(Config::default(), &[FAST]);
    for class in [Class::Critical, Class::Normal] {
        let links = vec![(FAST, Form::Whole)];
        shard.handle(NOW, Event::Item { item: item(1, class), links });
        assert_eq!(sent(&mut shard), [], "more may come");
        assert_eq!(shard.poll_timeout().map(|(at, _)| at), Some(NOW), "but nothing waits for it");
        push_as(&mut shard, item(2, class), &[FAST]);
        assert_eq!(sent(&mut shard), [(FAST, 2, 2)]);
    }
}

#[test]
fn a_bundle_that_is_full_waits_for_nothing() {
    let bundle = bundle::Limits { bundle_items_max: 2, ..bundle::Limits::default() };
    let mut shard = shard(Config { bundle, ..Config::default() }, &[FAST]);
    for position in 1..=3 {
        let item = item(position, Class::Normal);
        shard.handle(NOW, Event::Item { item, links: vec![(FAST, Form::Whole)] });
    }
    let before_the_end = drain(&mut shard).into_iter().filter(|action| matches!(action, Action::Send { .. })).count();
    assert_eq!(before_the_end, 1, "a third does not fit");
    shard.handle(NOW, Event::Ready(FAST, Class::Normal));
    answer_on(&mut shard, Class::Normal, FAST, 2, &[true, true]);
    assert_eq!(sent(&mut shard), [(FAST, 3, 1)]);
}

#[test]
fn a_bundle_waits_for_no_item_of_another_spelling() {
    let mut shard = shard(Config::default(), &[FAST]);
    push_as(&mut shard, item(1, Class::Normal), &[FAST]);
    shard.handle(NOW, Event::Ready(FAST, Class::Normal));
    push_as(&mut shard, item(2, Class::Normal), &[FAST]);
    assert_eq!(sent(&mut shard), [(FAST, 1, 1)], "the second waits for company");
    let other = Item { spelling: Spelling::Single, ..item(3, Class::Normal) };
    shard.handle(NOW, Event::Item { item: other, links: vec![(FAST, Form::Whole)] });
    assert_eq!(sent(&mut shard), [(FAST, 2, 1)]);
}

#[test]
fn while_something_is_unanswered_normal_items_wait_for_company_and_critical_ones_do_not() {
    let mut shard = shard(Config::default(), &[FAST]);
    let wait = bundle::Limits::default().bundle_wait_max;
    for (position, class) in [(1, Class::Normal), (2, Class::Critical)] {
        push_as(&mut shard, item(position, class), &[FAST]);
        shard.handle(NOW, Event::Ready(FAST, class));
        assert_eq!(sent(&mut shard), [(FAST, position, 1)], "nothing is unanswered");
    }
    push_with(&mut shard, [item(3, Class::Normal), item(4, Class::Critical)], &[FAST]);
    assert_eq!(sent(&mut shard), [(FAST, 4, 1)]);
    assert_eq!(shard.poll_timeout().map(|(at, _)| at), Some(NOW.after(wait)));
    push_as(&mut shard, item(5, Class::Normal), &[FAST]);
    assert_eq!(sent(&mut shard), []);
    shard.handle_timeout(NOW.after(wait));
    assert_eq!(sent(&mut shard), [(FAST, 5, 2)], "one bundle");
    push_as(&mut shard, item(6, Class::Normal), &[FAST]);
    shard.handle(NOW, Event::Ready(FAST, Class::Normal));
    answer_on(&mut shard, Class::Normal, FAST, 1, &[true]);
    assert_eq!(sent(&mut shard), []);
    answer_on(&mut shard, Class::Normal, FAST, 5, &[true, true]);
    assert_eq!(sent(&mut shard), [(FAST, 6, 1)], "everything is answered");
}

#[test]
fn what_is_not_read_of_one_class_holds_up_nothing_of_another() {
    let mut shard = shard(config(), &[SLOW]);
    for position in 1..=20 {
        push_as(&mut shard, item(position, Class::Bulk), &[SLOW]);
    }
    shard.handle_timeout(NOW.after(bundle::Limits::default().bundle_wait_max));
    assert!(sent(&mut shard).len() <= 1, "the transport takes no second bundle");
    for position in 21..=40 {
        push(&mut shard, position, &[SLOW]);
        assert_eq!(sent(&mut shard), [(SLOW, position, 1)]);
        answer(&mut shard, SLOW, position, &[true]);
        ready(&mut shard, SLOW);
    }
    let mut reports = Vec::new();
    shard.handle(NOW, Event::LinkDown(SLOW));
    shard.handle_timeout(NOW);
    for action in drain(&mut shard) {
        if let Action::Cursors(cursors) = action {
            reports.extend(cursors);
        }
    }
    let positions = reports[0].positions.into_array().map(|position| position.0);
    assert_eq!(positions, [40, 40, 0], "nothing normal was on its way");
}

#[test]
fn a_bundle_says_of_which_other_classes_everything_is_answered() {
    let mut shard = shard(config(), &[FAST]);
    let settled = |shard: &mut Shard| {
        let settled = drain(shard).into_iter().find_map(|action| match action {
            Action::Send { push, .. } => Some(push.settled.into_array()),
            _ => None,
        });
        settled.expect("a bundle")
    };
    push(&mut shard, 1, &[FAST]);
    assert_eq!(settled(&mut shard), [false, true, true]);
    push_as(&mut shard, item(2, Class::Bulk), &[FAST]);
    shard.handle_timeout(NOW.after(bundle::Limits::default().bundle_wait_max));
    assert_eq!(settled(&mut shard), [false, true, false]);
    answer(&mut shard, FAST, 1, &[true]);
    ready(&mut shard, FAST);
    push(&mut shard, 3, &[FAST]);
    assert_eq!(settled(&mut shard), [false, true, false], "bulk is on its way");
    answer_on(&mut shard, Class::Bulk, FAST, 2, &[true]);
    answer(&mut shard, FAST, 3, &[true]);
    ready(&mut shard, FAST);
    push(&mut shard, 4, &[FAST]);
    assert_eq!(settled(&mut shard), [false, true, true]);
}

// P-7: also on another lane.
#[test]
fn p_7_what_takes_the_place_of_a_queued_item_of_another_class_takes_it_off() {
    let mut shard = shard(Config::default(), &[FAST]);
    let newer = Item { replaces: Some(Position(1)), ..item(2, Class::Critical) };
    push_with(&mut shard, [item(1, Class::Normal), newer], &[FAST]);
    shard.handle_timeout(NOW.after(bundle::Limits::default().bundle_wait_max));
    assert_eq!(sent(&mut shard), [(FAST, 2, 1)]);
}

#[test]
fn fan_out_is_measured_where_items_are_pushed_as_they_come() {
    let mut shard = shard(config(), &[FAST]);
    push(&mut shard, 1, &[FAST]);
    shard.handle(NOW, Event::LinkUp { link: SLOW, client: ClientGuid(2), generation: 1, start: PerClass::default() });
    let class = Class::Critical;
    let due = vec![Due { position: Position(1), bytes: 10, spelling: Spelling::Double, form: Form::Whole }];
    let stretch = Stretch { due, through: Position(1), complete: true };
    shard.handle(NOW, Event::Due { link: SLOW, class, stretch });
    let items = vec![(Position(1), Some(item(1, Class::Critical).bytes))];
    shard.handle(NOW, Event::Data { link: SLOW, class, items });
    assert_eq!(sent(&mut shard), [(FAST, 1, 1), (SLOW, 1, 1)]);
    for (link, wait) in [(FAST, 7), (SLOW, 90_000)] {
        let now = NOW.after(std::time::Duration::from_millis(wait));
        shard.handle(now, Event::Answered { link, class, position: Position(1), outcomes: vec![true] });
    }
    let fanout = shard.totals().fanout;
    let bucket = BOUNDS_MS.iter().position(|bound| *bound == 10).unwrap();
    assert_eq!((shard.totals().taken, fanout.counts.iter().sum::<u64>()), (2, 1), "who catches up is not measured");
    assert_eq!((fanout.counts[bucket], fanout.sum_ms), (1, 7));
}

#[test]
fn answers_that_fit_no_bundle_are_a_breach() {
    for (position, outcomes) in [(1, vec![true, true]), (2, vec![true])] {
        let mut shard = shard(config(), &[FAST]);
        push(&mut shard, 1, &[FAST]);
        drain(&mut shard);
        answer(&mut shard, FAST, position, &outcomes);
        assert!(matches!(drain(&mut shard)[..], [Action::Breach(FAST, _)]), "{position} {outcomes:?}");
    }
}

#[test]
fn cursors_are_gathered_for_a_second_and_stand_below_the_oldest_unanswered() {
    let mut shard = shard(config(), &[FAST]);
    for position in 1..=3 {
        push(&mut shard, position, &[FAST]);
        ready(&mut shard, FAST);
    }
    answer(&mut shard, FAST, 2, &[true]);
    answer(&mut shard, FAST, 1, &[true]);
    drain(&mut shard);
    let wait = config().cursor_wait_max;
    shard.handle_timeout(NOW.after(wait));
    let reports: Vec<_> = drain(&mut shard)
        .into_iter()
        .filter_map(|action| if let Action::Cursors(reports) = action { Some(reports) } else { None })
        .flatten()
        .collect();
    assert_eq!(reports.iter().map(|report| report.positions[Class::Critical].0).collect::<Vec<_>>(), [2]);
}

#[test]
fn what_waits_is_looked_up_again_when_a_subscription_ended() {
    let mut shard = shard(config(), &[FAST]);
    push(&mut shard, 1, &[FAST]);
    push(&mut shard, 2, &[FAST]);
    drain(&mut shard);
    shard.handle(NOW, Event::Recheck(FAST));
    let asked = drain(&mut shard);
    let critical =
        |action: &&Action| matches!(action, Action::Need { link: FAST, class: Class::Critical, after: Position(1) });
    assert_eq!(asked.iter().filter(critical).count(), 1, "{asked:?}");
}
