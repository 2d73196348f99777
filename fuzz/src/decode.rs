//! From bytes to facts: no panic, no span outside of the document, and an intake form that is its own intake form.

use schemas::core::{MessageCore, Part, Payload, Root};
use schemas::facts::Validated;
use schemas::limits::Limits;
use schemas::part;

/// One input.
///
/// # Panics
/// If that is found which the target looks for.
pub fn run(data: &[u8]) {
    let limits = Limits::default();
    let Ok(document) = Validated::new(data.to_vec().into(), &limits) else { return };
    let length = document.bytes().len();
    for fact in document.signatures() {
        assert!(fact.covers.start < fact.span.start && fact.span.end < fact.covers.end && fact.covers.end <= length);
    }
    let again = Validated::new(document.bytes().clone(), &limits).expect("UTF-8 reads as it was read");
    assert_eq!(again.document(), document.document());
    let Root::Message(core) = &document.document().root else { return };
    for core in parts(core) {
        let taken_out = part::self_contained(&document, core);
        let Ok(alone) = Validated::new(taken_out.clone(), &limits) else {
            panic!("a part does not read out of its envelope")
        };
        let Root::Message(root) = &alone.document().root else { panic!("a message became a reply") };
        assert_eq!(part::self_contained(&alone, root), taken_out, "the intake form of an intake form is another");
    }
}

/// The message and the parts in it, at whatever depth, the outermost first.
fn parts(core: &MessageCore) -> Vec<&MessageCore> {
    let mut found = vec![core];
    if let Payload::Bundle(inner) = &core.payload {
        let good = inner.iter().filter_map(|part| if let Part::Good(core) = part { Some(core) } else { None });
        found.extend(good.flat_map(parts));
    }
    found
}
