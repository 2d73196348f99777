use super::*;

const FAILED: (ReplyStatus, Option<String>) = (ReplyStatus::Failed, None);
const GOOD: (ReplyStatus, Option<String>) = (ReplyStatus::Succeeded, None);

fn client(number: u128) -> ClientGuid {
    ClientGuid(number)
}

fn part(number: u128, length: usize, messages: usize) -> Part {
    Part {
        client: client(number),
        name: client(number),
        spelling: Spelling::Double,
        bytes: vec![b'x'; length].into(),
        messages,
        ends: false,
    }
}

fn gone(number: u128) -> Gone {
    Gone { route: vec![(schemas::guid::ServerGuid(9), client(number))], contact: Time(1) }
}

fn clients(parts: &[Part]) -> Vec<u128> {
    parts.iter().map(|part| part.client.0).collect()
}

#[test]
fn a_document_is_bounded_and_of_one_spelling() {
    let mut reports = Reports::default();
    reports.push(part(1, 2 * BYTES_MAX, 1));
    (2..4).for_each(|number| reports.push(part(number, BYTES_MAX / 2, 1)));
    reports.push(Part { spelling: Spelling::Single, ..part(4, 1, 1) });
    reports.push(part(5, 1, 1));
    assert_eq!(clients(&reports.take()), [1], "a large one goes alone");
    assert_eq!(clients(&reports.take()), [2, 3]);
    assert_eq!(clients(&reports.take()), [4]);
    assert_eq!(clients(&reports.take()), [5]);
    (0..300).for_each(|number| reports.push(part(number, 1, 1)));
    assert_eq!(reports.take().len(), PARTS_MAX);
}

#[test]
fn what_is_dropped_is_told_in_other_words() {
    let mut reports = Reports::default();
    reports.push(part(1, 1, 1));
    reports.set_gone(gone(2));
    assert!(matches!(reports.next_due(), Some(Due::Gone(ClientGuid(2), _))));
    reports.push(Part { ends: true, ..part(2, 1, 1) });
    reports.push(part(3, WAITING_BYTES_MAX, 1));
    assert_eq!(clients(&reports.take()), [3]);
    assert!(matches!(reports.next_due(), Some(Due::Gone(ClientGuid(2), _))), "once more");
    assert!(matches!(reports.next_due(), Some(Due::Known(ClientGuid(1), Detail::State))));
    assert!(reports.next_due().is_none());
}

#[test]
fn the_fuller_of_two_details_is_told_once() {
    let mut reports = Reports::default();
    for detail in [Detail::Presence, Detail::State, Detail::Presence] {
        reports.set_due(client(1), detail);
    }
    assert!(matches!(reports.next_due(), Some(Due::Known(_, Detail::State))));
    assert!(reports.next_due().is_none());
}

#[test]
fn each_part_has_its_own_fate_and_what_was_refused_is_tried_again() {
    let mut reports = Reports::default();
    for part in [part(1, 1, 2), part(2, 1, 1), Part { ends: true, ..part(3, 1, 1) }] {
        reports.push(part);
    }
    reports.set_gone(gone(3));
    let parts = reports.take();
    reports.put_back(parts);
    let parts = reports.take();
    assert_eq!(clients(&parts), [1, 2, 3], "in the same order");
    assert_eq!(reports.settle(parts, &[GOOD, FAILED, GOOD, FAILED], &[]).gone, [client(3)]);
    assert!(!reports.is_done(), "somebody is not known above");
    reports.try_again();
    assert!(matches!(reports.next_due(), Some(Due::Known(ClientGuid(1), Detail::State))));
    assert!(reports.is_done());
    reports.push(part(1, 1, 2));
    let parts = reports.take();
    let settled = reports.settle(parts, &[FAILED], &[Some(client(9))]);
    assert!(settled.gone.is_empty() && settled.renamed.is_empty(), "refused as a whole");
    assert_eq!(reports.refused(), 1);
}
