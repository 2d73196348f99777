//! Nothing is said before it is durable, and nothing is believed that is not.

use schemas::core::ReplyStatus;

use super::bench::{Bench, DEVICE, OTHER, advisory, deliver, request, runs, statuses};
use crate::engine::{Action, CloseReason, Event};
use crate::ids::LinkId;

// R-10.2.10-2: Succeeded only after the effect is durable.
#[test]
fn c10_2_10_a_reply_waits_for_its_stored() {
    let (mut bench, provider, device) = Bench::with_device();
    let exchange = bench.open(provider, &deliver(7, advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", "")));
    assert!(bench.reply(exchange).is_none(), "nothing is said yet");
    assert!(bench.pushed(device).is_empty(), "nothing is pushed yet");
    bench.settle();
    assert_eq!(statuses(&bench.reply(exchange).expect("answered")), [ReplyStatus::Succeeded]);
    assert_eq!(bench.pushed(device).len(), 1);
}

#[test]
fn a_failed_store_takes_every_good_word_back() {
    let (mut bench, provider, device) = Bench::with_device();
    let first = bench.open(provider, &deliver(7, advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", "")));
    let second = bench.open(provider, &deliver(8, advisory("A-2", 1, "serde", "vers:cargo/<2.0.0", "")));
    let tickets: Vec<_> = bench.asked.drain(..).map(|(ticket, _)| ticket).collect();
    bench.handle(Event::StoreFailed(tickets[0], "no space left on device".into()));
    // What comes after a failure is not believed, even if the store has it.
    bench.handle(Event::Stored(tickets[1]));
    for exchange in [first, second] {
        let reply = bench.reply(exchange).expect("answered");
        assert_eq!(statuses(&reply), [ReplyStatus::Failed]);
        assert!(reply.answer.leaves()[0].why.as_deref().expect("a reason").contains("no space left"));
    }
    assert!(bench.pushed(device).is_empty());
    let again = bench.send(provider, &deliver(7, advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", "")));
    assert_eq!(statuses(&again), [ReplyStatus::Failed], "what was lost is not taken for a repetition");
    let link = LinkId(99);
    bench.handle(Event::Hello { link, client: OTHER, resume: None, mark: None });
    let (ticket, _) = bench.asked.remove(0);
    bench.handle(Event::StoreFailed(ticket, "no space left on device".into()));
    let refused = |action: &Action| matches!(action, Action::Close(to, CloseReason::StoreFailed) if *to == link);
    assert!(bench.actions.iter().any(refused), "a newcomer is not left waiting");
    assert_eq!(bench.engine.broken(), Some("no space left on device"));
}

#[test]
fn a_broken_node_still_answers_requests_and_accepts_nothing() {
    let (mut bench, provider, device) = Bench::with_device();
    bench.send(provider, &deliver(7, advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", "")));
    bench.open(provider, &deliver(8, advisory("A-2", 1, "serde", "vers:cargo/<2.0.0", "")));
    let (ticket, _) = bench.asked.remove(0);
    bench.handle(Event::StoreFailed(ticket, "gone".into()));
    let refused = bench.send(provider, &deliver(9, advisory("A-3", 1, "serde", "vers:cargo/<2.0.0", "")));
    assert_eq!(statuses(&refused), [ReplyStatus::Failed]);
    let answered = bench.send(device, &request(2, &[runs("serde", "1.2.3")]));
    assert_eq!(bench.due(&answered).len(), 1, "what is durable is still served");
}

// R-8-1: the subscription table survives a restart, and its size is what the metric says.
#[test]
fn c8_the_subscription_table_survives_a_restart() {
    let (bench, ..) = Bench::with_device();
    let before = bench.engine.subscriptions().of(DEVICE).to_vec();
    let again = bench.restart();
    assert_eq!(again.engine.subscriptions().of(DEVICE), before);
    assert_eq!(again.engine.registered(), 1);
}

#[test]
fn a_restart_gives_the_same_catalogue() {
    let (mut bench, provider, _) = Bench::with_device();
    for (number, revision) in [(1_u128, 1), (2, 2), (3, 3)] {
        bench.send(provider, &deliver(number, advisory("A-1", revision, "serde", "vers:cargo/<2.0.0", "")));
    }
    let current = |bench: &Bench| -> Vec<(u64, bool)> {
        bench.engine.catalogue().iter().map(|(position, item)| (position.0, item.current)).collect()
    };
    let before = current(&bench);
    assert_eq!(before, [(1, false), (2, false), (3, true)]);
    assert_eq!(current(&bench.restart()), before);
}
