//! Items: repeated, older, newer, withdrawn; content and list.

use schemas::core::ReplyStatus;
use schemas::version::{Major, Minor};

use super::bench::{
    Bench, DEVICE, OTHER, PROVIDER, advisory, deliver, document, draft, policy, register, request, runs, statuses,
};
use crate::catalogue::Form;
use crate::engine::Event;
use crate::ids::Position;
use crate::policy::Policy;

// R-10.1.2-6: one effect, two equal replies.
#[test]
fn c10_1_2_a_repeated_message_has_one_effect_and_two_equal_replies() {
    let (mut bench, provider, device) = Bench::with_device();
    let item = deliver(7, advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", ""));
    let first = bench.send(provider, &item);
    let again = bench.send(provider, &item);
    assert_eq!(first.answer, again.answer);
    assert_eq!(bench.pushed(device), [Position(1)]);
    assert_eq!(bench.engine.totals().duplicates, 1);
}

#[test]
fn a_repeated_register_is_answered_again_and_changes_nothing() {
    let (mut bench, _, device) = Bench::with_device();
    let ends = document(20, &[draft(Major::Register, Some(Minor::End), &[runs("serde", "1.2.3")])]);
    let first = bench.send(device, &ends);
    bench.send(device, &register(21, &[runs("serde", "1.2.3")]));
    let again = bench.send(device, &ends);
    assert_eq!(first.answer, again.answer);
    assert_eq!(bench.engine.subscriptions().of(DEVICE).len(), 1, "a late copy does not end what came after it");
}

#[test]
fn a_register_that_changed_nothing_does_not_undo_an_end_when_it_is_repeated() {
    let (mut bench, _, device) = Bench::with_device();
    let idle = register(20, &[runs("serde", "1.2.3")]);
    bench.send(device, &idle);
    bench.send(device, &document(21, &[draft(Major::Register, Some(Minor::End), &[runs("serde", "1.2.3")])]));
    bench.send(device, &idle);
    assert!(bench.engine.subscriptions().of(DEVICE).is_empty());
}

#[test]
fn the_same_message_id_for_another_message_is_failed() {
    let (mut bench, provider, _) = Bench::with_device();
    bench.send(provider, &deliver(7, advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", "")));
    let mut bench = bench.restart();
    let (provider, _) = bench.connect(PROVIDER, None);
    let other = bench.send(provider, &deliver(7, advisory("A-2", 1, "serde", "vers:cargo/<2.0.0", "")));
    assert_eq!(statuses(&other), [ReplyStatus::Failed], "also after a restart");
    assert_eq!(bench.engine.catalogue().len(), 1);
}

#[test]
fn a_lower_revision_is_succeeded_and_never_current() {
    let (mut bench, provider, device) = Bench::with_device();
    bench.send(provider, &deliver(1, advisory("A-1", 2, "serde", "vers:cargo/<2.0.0", "")));
    let late = bench.send(provider, &deliver(2, advisory("A-1", 1, "serde", "vers:cargo/<9.0.0", "")));
    assert_eq!(statuses(&late), [ReplyStatus::Succeeded]);
    assert_eq!(bench.pushed(device), [Position(1)]);
    assert_eq!(bench.engine.catalogue().len(), 1);
}

#[test]
fn a_retraction_reaches_those_who_had_the_item_and_nobody_else() {
    let (mut bench, provider, device) = Bench::with_device();
    let (other, _) = bench.connect(OTHER, None);
    bench.send(other, &request(3, &[runs("serde", "3.0.0")]));
    bench.send(provider, &deliver(1, advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", "")));
    bench.send(provider, &deliver(2, advisory("A-1", 2, "serde", "vers:cargo/*", "\nStatus: withdrawn")));
    assert_eq!(bench.pushed(device), [Position(1), Position(2)]);
    assert_eq!(bench.pushed(other), []);
    let late = bench.send(other, &request(4, &[runs("serde", "1.0.0")]));
    assert_eq!(bench.due(&late).len(), 1, "who may hold the predecessor elsewhere is told as well");
}

#[test]
fn a_narrowed_range_still_reaches_whom_it_left() {
    let (mut bench, provider, device) = Bench::with_device();
    bench.send(provider, &deliver(1, advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", "")));
    bench.send(provider, &deliver(2, advisory("A-1", 2, "serde", "vers:cargo/<1.0.0", "")));
    assert_eq!(bench.pushed(device), [Position(1), Position(2)]);
}

#[test]
fn a_list_is_derived_where_the_provider_published_none() {
    let (mut bench, provider, _) = Bench::with_device();
    let (other, _) = bench.connect(OTHER, None);
    let info = || advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", "");
    let asks = |id| document(id, &[draft(Major::Request, Some(Minor::Catalog), &[runs("serde", "1.2.3")])]);
    bench.send(provider, &deliver(1, info()));
    let derived = bench.send(other, &asks(2));
    assert_eq!(bench.due(&derived).iter().map(|due| due.form).collect::<Vec<_>>(), [Form::Derived]);
    bench.send(provider, &document(3, &[draft(Major::Deliver, Some(Minor::Catalog), &[info()])]));
    let own = bench.send(other, &asks(4));
    assert_eq!(bench.due(&own).iter().map(|due| (due.position.0, due.form)).collect::<Vec<_>>(), [(2, Form::Whole)]);
}

// R-8.2.2-7: an item published an hour after the list is announced, unasked.
#[test]
fn c8_2_2_an_item_published_an_hour_after_the_list_is_announced() {
    let mut bench = Bench::new();
    let (provider, _) = bench.connect(PROVIDER, None);
    let (other, _) = bench.connect(OTHER, None);
    bench.send(other, &document(2, &[draft(Major::Request, Some(Minor::Catalog), &[runs("serde", "1.2.3")])]));
    bench.now = bench.now.after(std::time::Duration::from_secs(3600));
    bench.engine.handle_timeout(bench.now);
    bench.drain();
    bench.settle();
    bench.send(provider, &deliver(1, advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", "")));
    assert_eq!(bench.pushed(other), [Position(1)]);
}

#[test]
fn an_item_that_no_envelope_would_hold_is_failed() {
    let mut config = super::bench::config();
    config.item_bytes_max = 100;
    let mut bench = Bench::with(config, crate::store::Recovered::default());
    let (provider, _) = bench.connect(PROVIDER, None);
    let reply = bench.send(provider, &deliver(1, advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", "")));
    assert_eq!(statuses(&reply), [ReplyStatus::Failed]);
}

// R-1-6: the same Deliver is refused and, after a policy change, accepted without a rebuild.
#[test]
fn c1_rights_are_policy_and_change_without_a_restart() {
    let (mut bench, _, device) = Bench::with_device();
    let item = |id| deliver(id, advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", ""));
    assert_eq!(statuses(&bench.send(device, &item(30))), [ReplyStatus::MajorNotSupported]);
    bench.handle(Event::Policy(Policy { providers: [PROVIDER, DEVICE].into(), ..policy() }));
    assert_eq!(statuses(&bench.send(device, &item(31))), [ReplyStatus::Succeeded]);
}

#[test]
fn more_subscriptions_than_allowed_are_failed_together() {
    let mut config = super::bench::config();
    config.subscriptions_max = 2;
    let mut bench = Bench::with(config, crate::store::Recovered::default());
    let (device, _) = bench.connect(DEVICE, None);
    let three = [runs("a", "1.0.0"), runs("b", "1.0.0"), runs("c", "1.0.0")];
    assert_eq!(statuses(&bench.send(device, &request(1, &three))), [ReplyStatus::Failed]);
    assert!(bench.engine.subscriptions().of(DEVICE).is_empty(), "none of the three");
    assert_eq!(statuses(&bench.send(device, &request(2, &three[..2]))), [ReplyStatus::Succeeded]);
}
