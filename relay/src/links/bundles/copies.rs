//! P-2: what a link costs that gets what others get, in allocations of this thread. The rest of the way, and what is asserted
//! of it, is in `tests/it/copies.rs`.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::{AllocationInfo, measure};
use schemas::digest::Digest;

use super::*;

const SIZES: [usize; 3] = [1 << 10, 64 << 10, 4 << 20];
/// What may be allocated around an item: head and tail of its envelope, the list of its slices.
const AROUND_BYTES: u64 = 4 << 10;

/// An item that is worth coding, or one that is not.
fn item(bytes: usize, is_noise: bool) -> Bytes {
    if !is_noise {
        return "<item/>".bytes().cycle().take(bytes).collect();
    }
    let digests = (0_u32..).flat_map(|number| Digest::of(&number.to_be_bytes()).0);
    digests.take(bytes).collect()
}

/// What it takes to get a frame that somebody has made before, or that needs nobody else to be made.
fn get(bundle: &Bundle, form: LinkForm) -> (AllocationInfo, &Written) {
    let mut got = None;
    let info = measure(|| {
        let getting = pin!(bundle.in_form(form));
        got = match getting.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(written) => Some(written),
            Poll::Pending => None,
        };
    });
    (info, got.expect("it waits for nobody"))
}

#[tokio::test]
async fn p_2_what_others_get_too_is_made_once_and_costs_nothing_more() {
    let segmented = LinkForm::Segmented(None);
    for (bytes, is_noise) in SIZES.into_iter().flat_map(|bytes| [(bytes, false), (bytes, true)]) {
        let (mut recent, item) = (tests::recent(), item(bytes, is_noise));
        let mut bundle = || {
            let (positions, parts, mut bundle) = (vec![Position(7)], vec![item.clone()], None);
            let info = measure(|| {
                bundle = Some(recent.bundle(Class::Bulk, Spelling::Double, positions, parts));
            });
            (info, bundle.expect("a bundle"))
        };
        let (_, first) = bundle();
        if bytes > AT_ONCE_BYTES_MAX {
            // It is digested on a thread that may take its time.
            first.document().await;
        }
        let (info, plain) = get(&first, LinkForm::Plain);
        assert!(info.bytes_total <= AROUND_BYTES, "the first one, {bytes} bytes: {info:?}");
        assert_eq!(plain.1[1].as_ptr(), item.as_ptr(), "the item itself");
        let coded = first.in_form(segmented).await;
        for _ in 0..10 {
            let (info, again) = bundle();
            assert_eq!(info.count_total, 0, "{bytes} bytes: {info:?}");
            assert!(Arc::ptr_eq(&again, &first));
            for (form, expected) in [(LinkForm::Plain, plain), (segmented, coded)] {
                let (info, written) = get(&again, form);
                assert_eq!(info.count_total, 0, "{bytes} bytes, {form:?}: {info:?}");
                assert!(std::ptr::eq(written, expected));
            }
        }
    }
}
