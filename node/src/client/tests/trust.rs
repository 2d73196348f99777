//! What a device takes an item for, and what it does not take.

use std::sync::Arc;

use schemas::signature::PrivateKey;

use super::*;
use crate::client::journal::Regard;
use crate::trust::Trust;
use crate::trust::tests::{key, signed, signer, trust};

fn trusting(key: &PrivateKey) -> Event {
    told(trust(&[signer("Tests", key, &["Tests"])]))
}

fn told(trust: Trust) -> Event {
    Event::Trust(Arc::new(trust))
}

fn regards(bench: &Bench) -> Vec<Regard> {
    bench.client.holdings().iter().map(|(_, held)| held.regard.clone()).collect()
}

fn authorised() -> Regard {
    Regard::Authorised("Tests".into())
}

#[test]
fn what_is_held_is_marked_when_its_signer_loses_the_right_and_when_he_has_it_back() {
    let key = key();
    let mut bench = Bench::synchronised();
    bench.handle(trusting(&key));
    let document = signed(&item("A-1", 1, "vers:cargo/<2.0.0"), &key);
    bench.handle(delivery(Via::Lane(Position(6)), &document));
    assert_eq!(regards(&bench), [authorised()]);
    bench.handle(told(trust(&[])));
    assert!(matches!(&regards(&bench)[0], Regard::Refused(why) if why.contains("not in the trust file")));
    // A restart finds the mark, and adds none.
    let mut again = Bench::new(bench.journal);
    let before = again.journal.len();
    again.handle(told(trust(&[])));
    assert_eq!((again.journal.len(), regards(&again).len()), (before, 1));
    again.handle(trusting(&key));
    assert_eq!(regards(&again), [authorised()]);
    let marks = again.journal.iter().filter(|entry| matches!(entry.event, Written::Regarded { .. })).count();
    assert_eq!(marks, 3, "authorised, not any more, again");
}

#[test]
fn what_is_not_signed_is_never_authorised_and_replaces_nothing_that_is() {
    let key = key();
    let mut bench = Bench::synchronised();
    bench.handle(trusting(&key));
    bench.handle(delivery(Via::Lane(Position(6)), &item("A-2", 1, "vers:cargo/<2.0.0")));
    assert_eq!(regards(&bench), [Regard::Unsigned]);
    bench.handle(delivery(Via::Lane(Position(7)), &signed(&item("A-1", 1, "vers:cargo/<2.0.0"), &key)));
    bench.handle(delivery(Via::Lane(Position(8)), &item("A-1", 2, "vers:cargo/<1.0.0")));
    assert_eq!(bench.client.holdings().len(), 2, "it would have taken it back");
    assert!(regards(&bench).contains(&authorised()));
    // Whose signer lost the right is replaced by whatever may come.
    bench.handle(told(trust(&[])));
    bench.complete(&[]);
    bench.handle(delivery(Via::Lane(Position(9)), &item("A-1", 2, "vers:cargo/<3.0.0")));
    assert_eq!(regards(&bench), [Regard::Unsigned, Regard::Unsigned]);
}

// R-8.3-3, R-8.3-6: refused with the reason, and seen to be.
#[test]
fn c8_3_what_is_refused_is_written_down_once_and_asked_for_when_it_may_come() {
    let key = key();
    let mut bench = Bench::synchronised();
    bench.handle(told(trust(&[])));
    let document = signed(&item("A-1", 1, "vers:cargo/<2.0.0"), &key);
    for position in [6, 7] {
        bench.handle(delivery(Via::Lane(Position(position)), &document));
    }
    let refused = bench.journal.iter().filter(|entry| matches!(entry.event, Written::Refused { .. })).count();
    assert_eq!((refused, bench.client.holdings().len()), (1, 0));
    let answers = bench.actions.iter().filter_map(|action| match action {
        Action::Answer { answer, .. } => Some(answer.leaves()[0].status.clone()),
        _ => None,
    });
    assert_eq!(answers.collect::<Vec<_>>(), [ReplyStatus::Failed, ReplyStatus::Failed]);
    bench.handle(trusting(&key));
    bench.complete(std::slice::from_ref(&document));
    assert_eq!(regards(&bench), [authorised()]);
}
