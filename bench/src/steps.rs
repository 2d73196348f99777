//! The steps of an item's way, each as something that can be done once more: for criterion, which times them, and for
//! `scripts/bench`, which counts their instructions.

use std::hint::black_box;

use bytes::Bytes;
use link::frame::{FrameHeader, Kind};
use node::bundle::{self, Outer};
use node::catalogue::{Form, Stretch};
use node::ids::{LinkId, Position, Time};
use node::shard::{self, Action, Event, Shard};
use schemas::class::{Class, PerClass};
use schemas::core::{Part, Payload, Root};
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::{part, read, wellformed};
use topology::subject::Reach;

use crate::documents;
use crate::registered::{item, registered};

/// One step, ready to be done.
pub type Step = Box<dyn FnMut()>;

/// What a step is called, and how it is made ready.
pub type Named = (&'static str, fn() -> Step);

/// All of them. None runs code that picks instructions by the processor, such as digests and ciphers do: counts of one
/// machine hold on another.
pub const STEPS: [Named; 7] = [
    ("decode an advisory of 2 KiB", decode),
    ("check a bundle of 64 parts", check),
    ("make 64 parts self-contained", self_contained),
    ("match one item, 1,000 inventories", matching),
    ("envelope 64 parts", envelope),
    ("write a frame's header", header),
    ("fan out one item to 1,000 links, and take their answers", fan_out),
];

fn decode() -> Step {
    let (document, limits) = (documents::advisory(2 << 10), Limits::default());
    Box::new(move || drop(black_box(read::document(black_box(&document), &limits))))
}

fn check() -> Step {
    let (document, limits) = (documents::bundle(64), Limits::default());
    Box::new(move || drop(black_box(wellformed::check(black_box(&document), &limits))))
}

fn self_contained() -> Step {
    let validated = Validated::new(documents::bundle(64), &Limits::default()).expect("a valid document");
    Box::new(move || {
        let Root::Message(core) = &validated.document().root else { return };
        let Payload::Bundle(parts) = &core.payload else { return };
        for part in parts {
            if let Part::Good(core) = part {
                black_box(part::self_contained(&validated, core));
            }
        }
    })
}

fn matching() -> Step {
    // Fewer than the criterion bench has: counting is forty times slower.
    let table = registered(1_000);
    let reach = Reach::of(&topology::subject::Subject::from_version_infos(&[item(4_500, "vers:cargo/<1.10.0")]));
    Box::new(move || drop(black_box(table.clients_for(black_box(&reach), 1))))
}

fn envelope() -> Step {
    let parts: Vec<Bytes> = (0..64).map(|_| documents::advisory(1 << 10)).collect();
    Box::new(move || {
        let outer =
            Outer { server: ServerGuid(7), client: None, message_id: MessageId(9), sent_time: "2026-01-15T09:30:00Z" };
        black_box(bundle::document(Spelling::Double, &outer, parts.iter().cloned()));
    })
}

fn header() -> Step {
    let header = FrameHeader::over(Kind::Delivery, &[documents::advisory(1 << 10)]);
    Box::new(move || _ = black_box(header.encode(black_box(1 << 10))))
}

/// Links of the shard.
const LINKS: u64 = 1000;

fn fan_out() -> Step {
    let (mut shard, now, bytes) =
        (Shard::new(shard::Config::default()), Time(1_700_000_000_000), documents::advisory(1 << 10));
    for link in (1..=LINKS).map(LinkId) {
        let client = ClientGuid(link.0.into());
        shard.handle(now, Event::LinkUp { link, client, generation: 1, start: PerClass::all(Position(0)) });
        for class in Class::ALL {
            let stretch = Stretch { due: Vec::new(), through: Position(0), complete: true };
            shard.handle(now, Event::Due { link, class, stretch });
        }
    }
    while shard.poll_action().is_some() {}
    let links: Vec<(LinkId, Form)> = (1..=LINKS).map(|link| (LinkId(link), Form::Whole)).collect();
    let mut position = Position(0);
    Box::new(move || {
        position = Position(position.0 + 1);
        // Critical, as what is not may wait for company.
        let (class, spelling, bytes) = (Class::Critical, Spelling::Double, bytes.clone());
        let item = shard::Item { position, replaces: None, accepted: now, class, spelling, bytes };
        shard.handle(now, Event::Item { item, links: links.clone() });
        // Nothing more comes in this moment.
        shard.handle_timeout(now);
        let mut sent = 0;
        while let Some(action) = shard.poll_action() {
            let Action::Send { link, .. } = black_box(action) else { continue };
            shard.handle(now, Event::Ready(link, class));
            shard.handle(now, Event::Answered { link, class, position, outcomes: vec![true] });
            sent += 1;
        }
        assert_eq!(sent, LINKS, "everybody gets it");
    })
}
