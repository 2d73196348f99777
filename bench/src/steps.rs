//! The steps of an item's way, each as something that can be done once more: for criterion, which times them, and for
//! `scripts/bench`, which counts their instructions.

use std::hint::black_box;

use bytes::Bytes;
use link::frame::{FrameHeader, Kind};
use node::bundle::{self, Outer};
use schemas::core::{Part, Payload, Root};
use schemas::facts::Validated;
use schemas::guid::{MessageId, ServerGuid};
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::{part, read, wellformed};
use topology::subject::Reach;

use crate::documents;
use crate::registered::{INVENTORIES, item, registered};

/// One step, ready to be done.
pub type Step = Box<dyn FnMut()>;

/// What each is called, and how it is made ready. None of them runs code that picks instructions by the processor, such
/// as digests and ciphers do: counts of one machine hold on another.
pub const STEPS: [(&str, fn() -> Step); 6] = [
    ("decode an advisory of 2 KiB", decode),
    ("check a bundle of 64 parts", check),
    ("make 64 parts self-contained", self_contained),
    ("match one item, 10,000 inventories", matching),
    ("envelope 64 parts", envelope),
    ("write a frame's header", header),
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
    let table = registered(INVENTORIES);
    let reach = Reach::of(&topology::subject::Subject::from_version_infos(&[item(4_500, "vers:cargo/<1.10.0")]));
    Box::new(move || drop(black_box(table.clients_for(black_box(&reach), 1))))
}

fn envelope() -> Step {
    let parts: Vec<Bytes> = (0..64).map(|_| documents::advisory(1 << 10)).collect();
    Box::new(move || {
        let outer = Outer {
            server: ServerGuid(7),
            client: None,
            message_id: MessageId(9),
            sent_time: "2026-01-15T09:30:00Z",
        };
        black_box(bundle::document(Spelling::Double, &outer, parts.iter().cloned()));
    })
}

fn header() -> Step {
    let header = FrameHeader::over(Kind::Delivery, &[documents::advisory(1 << 10)]);
    Box::new(move || _ = black_box(header.encode(black_box(1 << 10))))
}
