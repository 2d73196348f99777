//! Any sequence of events: no panic, every document of a live link answered once, tickets in order.

use proptest::prelude::*;
use schemas::class::{Class, PerClass};
use schemas::version::{Major, Minor};

use super::bench::{Bench, DEVICE, OTHER, PROVIDER, advisory, document, draft, runs};
use crate::engine::{CursorReport, Event};
use crate::ids::{ExchangeId, LinkId, Position, Resume};

#[derive(Clone, Debug)]
enum Operation {
    Hello(u8, Option<(bool, u64)>),
    Down(u8),
    Deliver(u8, u8, u8),
    Ask(u8, u8, bool),
    End(u8, u8),
    Store(bool),
    Need(u8, u64),
    Cursor(u8, u64),
    Later,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (0..3_u8, proptest::option::of((any::<bool>(), 0..12_u64))).prop_map(|(who, at)| Operation::Hello(who, at)),
        1 => (0..8_u8).prop_map(Operation::Down),
        4 => (0..8_u8, 0..4_u8, 0..4_u8).prop_map(|(link, id, revision)| Operation::Deliver(link, id, revision)),
        3 => (0..8_u8, 0..3_u8, any::<bool>()).prop_map(|(link, version, list)| Operation::Ask(link, version, list)),
        1 => (0..8_u8, 0..3_u8).prop_map(|(link, version)| Operation::End(link, version)),
        8 => prop_oneof![19 => Just(true), 1 => Just(false)].prop_map(Operation::Store),
        1 => (0..8_u8, 0..12_u64).prop_map(|(link, after)| Operation::Need(link, after)),
        1 => (0..3_u8, 0..12_u64).prop_map(|(who, at)| Operation::Cursor(who, at)),
        1 => Just(Operation::Later),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_events_is_survived(operations in proptest::collection::vec(operation(), 1..60)) {
        let mut bench = Bench::new();
        let mut opened: Vec<(LinkId, ExchangeId)> = Vec::new();
        let mut down: Vec<LinkId> = Vec::new();
        for (index, operation) in operations.into_iter().enumerate() {
            run(&mut bench, index as u128, operation, &mut opened, &mut down);
        }
        while let Some((ticket, _)) = (!bench.asked.is_empty()).then(|| bench.asked.remove(0)) {
            bench.handle(Event::Stored(ticket));
        }
        for (link, exchange) in opened {
            let replies = bench.reply(exchange).is_some();
            prop_assert!(replies || down.contains(&link) || bench.engine.generation(link).is_none());
        }
    }
}

fn run(
    bench: &mut Bench,
    number: u128,
    operation: Operation,
    opened: &mut Vec<(LinkId, ExchangeId)>,
    down: &mut Vec<LinkId>,
) {
    let clients = [PROVIDER, DEVICE, OTHER];
    let version = |version: u8| [runs("serde", &format!("{version}.0.0"))];
    let link = |link: u8| LinkId(u64::from(link) + 2);
    match operation {
        Operation::Hello(who, at) => {
            let resume = at.map(|(same, position)| Resume::at(if same { 0x1c } else { 1 }, Position(position), None));
            let new = LinkId(bench.unique());
            bench.handle(Event::Hello { link: new, client: clients[usize::from(who)], resume, mark: None });
        }
        Operation::Down(number) => {
            down.push(link(number));
            bench.handle(Event::LinkDown(link(number)));
        }
        Operation::Deliver(to, id, revision) => {
            let info = [advisory(&format!("A-{id}"), u64::from(revision), "serde", "vers:cargo/<2.0.0", "")];
            let text = document(number, &[draft(Major::Deliver, Some(Minor::Full), &info)]);
            open(bench, link(to), &text, opened);
        }
        Operation::Ask(to, asset, list) => {
            let minor = if list { Minor::Catalog } else { Minor::Full };
            let text = document(number, &[draft(Major::Request, Some(minor), &version(asset))]);
            open(bench, link(to), &text, opened);
        }
        Operation::End(to, asset) => {
            let text = document(number, &[draft(Major::Register, Some(Minor::End), &version(asset))]);
            open(bench, link(to), &text, opened);
        }
        Operation::Store(good) => {
            if !bench.asked.is_empty() {
                let (ticket, _) = bench.asked.remove(0);
                let failed = Event::StoreFailed(ticket, "full".into());
                bench.handle(if good { Event::Stored(ticket) } else { failed });
            }
        }
        Operation::Need(to, after) => {
            bench.handle(Event::Need { link: link(to), class: Class::Normal, after: Position(after) })
        }
        Operation::Cursor(who, at) => {
            let report = CursorReport {
                client: clients[usize::from(who)],
                generation: 1,
                positions: PerClass::all(Position(at)),
            };
            bench.handle(Event::Cursors(vec![report]));
        }
        Operation::Later => {
            bench.now = bench.now.after(std::time::Duration::from_secs(3601));
            bench.engine.handle_timeout(bench.now);
            bench.drain();
        }
    }
}

/// A link that is not live yet has nobody to answer: a shell sends documents after the Welcome.
fn open(bench: &mut Bench, link: LinkId, text: &bytes::Bytes, opened: &mut Vec<(LinkId, ExchangeId)>) {
    let live = bench.engine.generation(link).is_some();
    let exchange = bench.open(link, text);
    if live {
        opened.push((link, exchange));
    }
}
