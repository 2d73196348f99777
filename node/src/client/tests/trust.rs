//! What a device takes an item for, and what it does not take.

use std::sync::Arc;

use schemas::signature::{Authority, KeyId, PrivateKey};

use super::*;
use crate::client::journal::Regard;
use crate::trust::tests::{key, only, signed, signer, trust};
use crate::trust::{Names, Proof, Signer, Trust, Unsigned};

fn trusting(key: &PrivateKey) -> Event {
    told(by_tests(key))
}

fn told(trust: Trust) -> Event {
    Event::Trust(Arc::new(trust))
}

/// Synchronised under this trust.
fn bench(trust: Trust) -> Bench {
    let mut bench = Bench::synchronised();
    bench.handle(told(trust));
    bench.complete(&[]);
    bench
}

fn by_tests(key: &PrivateKey) -> Trust {
    trust(&[signer("Tests", key, &["Tests"])])
}

/// Starts again from the journal, under a trust, with its link up and its question open.
fn restarted(bench: Bench, trust: Trust) -> Bench {
    let mut again = Bench::new(bench.journal);
    again.handle(told(trust));
    again.handle(Event::Assets(vec![asset("1.2.3")]));
    again.handle(Event::Connected { behind: false, start: START });
    again
}

fn held(bench: &Bench) -> Vec<Digest> {
    bench.client.holdings().iter().map(|(digest, _)| digest).collect()
}

/// How often everything was asked for.
fn asked(bench: &Bench) -> usize {
    bench.actions.iter().filter(|action| matches!(action, Action::Open(..))).count()
}

fn push(bench: &mut Bench, position: u64, item: &Bytes) {
    bench.handle(delivery(lane(position), item));
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
    let mut bench = bench(by_tests(&key));
    let document = signed(&item("A-1", 1, "vers:cargo/<2.0.0"), &key);
    bench.handle(delivery(lane(6), &document));
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
    let mut bench = bench(by_tests(&key));
    bench.handle(delivery(lane(6), &item("A-2", 1, "vers:cargo/<2.0.0")));
    assert_eq!(regards(&bench), [Regard::Unsigned]);
    bench.handle(delivery(lane(7), &signed(&item("A-1", 1, "vers:cargo/<2.0.0"), &key)));
    bench.handle(delivery(lane(8), &item("A-1", 2, "vers:cargo/<1.0.0")));
    assert_eq!(bench.client.holdings().len(), 2, "it would have taken it back");
    assert!(regards(&bench).contains(&authorised()));
    // Whose signer lost the right is replaced by whatever may come.
    bench.handle(told(trust(&[])));
    bench.complete(&[]);
    bench.handle(delivery(lane(9), &item("A-1", 2, "vers:cargo/<3.0.0")));
    assert_eq!(regards(&bench), [Regard::Unsigned, Regard::Unsigned]);
}

// R-8.3-3, R-8.3-6: refused with the reason, and seen to be.
#[test]
fn c8_3_what_is_refused_is_written_down_once_and_asked_for_when_it_may_come() {
    let key = key();
    let mut bench = bench(trust(&[]));
    let document = signed(&item("A-1", 1, "vers:cargo/<2.0.0"), &key);
    for position in [6, 7] {
        bench.handle(delivery(lane(position), &document));
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

/// What the journal says of refused items.
fn refusals(bench: &Bench) -> Vec<&str> {
    let refusals = bench.events().into_iter().filter_map(|event| match event {
        Written::Refused { why, .. } => Some(why.as_str()),
        _ => None,
    });
    refusals.collect()
}

#[test]
fn c8_3_a_restart_writes_no_refusal_down_again_and_knows_what_may_come_later() {
    let (own, other) = (key(), key());
    let mut bench = bench(trust(&[]));
    let (first, second) = (signed(&item("A-1", 1, HERE), &own), signed(&item("A-2", 1, HERE), &other));
    push(&mut bench, 6, &first);
    bench = restarted(bench, trust(&[]));
    bench.complete(&[first.clone(), second.clone()]);
    assert_eq!(refusals(&bench).len(), 2, "the second one is news");
    let before = asked(&bench);
    bench.handle(trusting(&own));
    assert_eq!(asked(&bench), before + 1);
    bench.complete(&[first.clone(), second]);
    assert_eq!((held(&bench), refusals(&bench).len()), (vec![Digest::of(&first)], 2));
}

// Without a link nothing is heard again: the journal alone must know that something may be welcome.
#[test]
fn what_was_refused_before_a_restart_is_asked_for_with_another_trust() {
    let key = key();
    let mut bench = bench(trust(&[]));
    push(&mut bench, 6, &signed(&item("A-1", 1, HERE), &key));
    let mut again = Bench::new(bench.journal);
    again.handle(Event::Assets(vec![asset("1.2.3")]));
    again.handle(Event::Connected { behind: false, start: START });
    again.complete(&[]);
    let before = asked(&again);
    again.handle(Event::Trust(Arc::new(Trust { unsigned: Unsigned::Refuse, ..Trust::default() })));
    assert_eq!(asked(&again), before + 1);
}

#[test]
fn of_very_many_refusals_the_last_that_is_written_down_says_so() {
    let refused = |number: u64| Entry {
        number,
        at: NOW,
        event: Written::Refused { digest: Digest::of(&number.to_be_bytes()), id: None, why: String::new() },
        resume: None,
    };
    let mut bench = Bench::new((1..4096).map(refused).collect());
    bench.handle(told(Trust { unsigned: Unsigned::Refuse, ..trust(&[]) }));
    bench.handle(Event::Assets(vec![asset("1.2.3")]));
    bench.handle(Event::Connected { behind: false, start: START });
    let items: Vec<Bytes> = (1..4).map(|revision| item("A-1", revision, HERE)).collect();
    bench.complete(&items);
    assert_eq!(refusals(&bench).len(), 4096);
    assert!(refusals(&bench).last().is_some_and(|why| why.ends_with("after this one is written down")));
    bench = restarted(bench, Trust { unsigned: Unsigned::Refuse, ..trust(&[]) });
    bench.complete(&items);
    assert_eq!((refusals(&bench).len(), bench.client.holdings().len()), (4096, 0));
}

/// These under this trust, in both orders, without a restart, with one between, and with one behind: always one end.
#[track_caller]
fn ends_with(trust: &Trust, items: [&Bytes; 2], expected: &[&Bytes]) {
    let expected: Vec<Digest> = expected.iter().map(|item| Digest::of(item)).collect();
    for [first, second] in [items, [items[1], items[0]]] {
        for restart in 0..3 {
            let mut bench = bench(trust.clone());
            push(&mut bench, 6, first);
            if restart == 1 {
                bench = restarted(bench, trust.clone());
                bench.complete(std::slice::from_ref(first));
            }
            push(&mut bench, 7, second);
            if restart == 2 {
                bench = restarted(bench, trust.clone());
                bench.complete(&[second.clone(), first.clone()]);
            }
            assert_eq!(held(&bench), expected, "restart {restart}");
            let again = Bench::new(bench.journal);
            assert_eq!(held(&again), expected, "the journal gives another state, restart {restart}");
        }
    }
}

const HERE: &str = "vers:cargo/<2.0.0";
const ELSEWHERE: &str = "vers:cargo/<1.0.0";

// R-8.3-10: nor by coming first.
#[test]
fn c8_3_what_is_authorised_is_held_whatever_came_first_and_whatever_the_revisions_say() {
    let (key, stranger) = (key(), key());
    let trust = by_tests(&key);
    let (old, new) = (item("A-1", 1, HERE), item("A-1", 2, HERE));
    let (old_signed, new_signed) = (signed(&old, &key), signed(&new, &key));
    ends_with(&trust, [&old_signed, &new], &[&old_signed]);
    ends_with(&trust, [&new_signed, &old], &[&new_signed]);
    ends_with(&trust, [&old_signed, &new_signed], &[&new_signed]);
    ends_with(&trust, [&old, &new], &[&new]);
    // What does not concern this device is heard as well: it takes back what an unsigned one says.
    ends_with(&trust, [&signed(&item("A-1", 1, ELSEWHERE), &key), &new], &[]);
    ends_with(&trust, [&old_signed, &item("A-1", 2, ELSEWHERE)], &[&old_signed]);
    // Who is not named is refused, and keeps nobody out.
    ends_with(&trust, [&old, &signed(&new, &stranger)], &[&old]);
}

#[test]
fn without_a_trust_file_the_newer_one_is_held_whoever_signed() {
    let key = key();
    let (old, new) = (item("A-1", 1, HERE), item("A-1", 2, HERE));
    ends_with(&Trust::default(), [&signed(&old, &key), &new], &[&new]);
    let new_signed = signed(&new, &key);
    ends_with(&Trust::default(), [&old, &new_signed], &[&new_signed]);
}

// R-8.3-10: one signer does not take another's place, neither by a higher revision nor by a lower one.
#[test]
fn c8_3_who_may_not_speak_for_the_other_does_not_take_its_place() {
    let (wide, narrow) = (key(), key());
    let both = Signer { companies: only(&["Acme"]), ..signer("Wide", &wide, &["Tests"]) };
    let trust = trust(&[both, signer("Narrow", &narrow, &["Tests"])]);
    let text = String::from_utf8(item("A-1", 1, HERE).to_vec()).unwrap();
    let of_acme = text.replace("<v:Info>", "<v:Company>Acme</v:Company><v:Info>");
    assert_ne!(text, of_acme);
    let (first, second) = (signed(&of_acme.into(), &wide), signed(&item("A-1", 2, HERE), &narrow));
    for [came, comes] in [[&first, &second], [&second, &first]] {
        let mut bench = bench(trust.clone());
        push(&mut bench, 1, came);
        push(&mut bench, 2, comes);
        assert_eq!((held(&bench), regards(&bench).len()), (vec![Digest::of(came)], 1));
        assert!(matches!(regards(&bench)[..], [Regard::Authorised(_)]), "{:?}", regards(&bench));
    }
}

#[test]
fn what_was_replaced_while_its_key_was_away_is_asked_for_and_taken_when_the_key_is_back() {
    let key = key();
    for restart in [false, true] {
        let mut bench = bench(by_tests(&key));
        let (old, new) = (item("A-1", 1, HERE), signed(&item("A-1", 2, HERE), &key));
        push(&mut bench, 6, &new);
        let before = asked(&bench);
        bench.handle(told(trust(&[])));
        assert_eq!(asked(&bench), before + 1, "what it had replaced may be on offer again");
        bench.complete(std::slice::from_ref(&old));
        assert_eq!((held(&bench), regards(&bench)), (vec![Digest::of(&old)], vec![Regard::Unsigned]));
        bench = if restart {
            restarted(bench, by_tests(&key))
        } else {
            bench.handle(trusting(&key));
            bench
        };
        if !restart {
            assert_eq!(asked(&bench), before + 2, "what it replaced since is welcome again");
        }
        bench.complete(std::slice::from_ref(&new));
        assert_eq!((held(&bench), regards(&bench)), (vec![Digest::of(&new)], vec![authorised()]));
        push(&mut bench, 7, &item("A-1", 3, HERE));
        assert_eq!(held(&bench), [Digest::of(&new)]);
    }
}

#[test]
fn what_took_a_signers_place_while_he_was_away_is_not_authorised_when_he_is_back() {
    let key = key();
    for restart in [false, true] {
        let mut bench = bench(by_tests(&key));
        push(&mut bench, 6, &signed(&item("A-1", 1, HERE), &key));
        bench.handle(told(trust(&[])));
        bench.complete(&[]);
        push(&mut bench, 7, &item("A-1", 2, HERE));
        bench = if restart {
            restarted(bench, by_tests(&key))
        } else {
            bench.handle(trusting(&key));
            bench
        };
        // Also if the server does not have any more what was signed.
        assert!(matches!(&regards(&bench)[..], [Regard::Refused(why)] if why.contains("not signed")), "{restart}");
        bench.complete(&[item("A-1", 3, HERE)]);
        assert_eq!(held(&bench), [Digest::of(&item("A-1", 2, HERE))], "nor does the next one take it");
    }
}

#[test]
fn everything_is_asked_for_only_if_something_may_be_missed() {
    let (own, other) = (key(), key());
    let mut bench = bench(by_tests(&own));
    push(&mut bench, 6, &signed(&item("A-1", 1, HERE), &own));
    push(&mut bench, 7, &signed(&item("A-2", 1, HERE), &key()));
    let before = asked(&bench);
    let two = [signer("Tests", &own, &["Tests"]), signer("Other", &other, &["Tests"])];
    bench.handle(told(trust(&two)));
    assert_eq!(asked(&bench), before, "nothing that came is of this one");
    bench.handle(told(Trust::default()));
    assert_eq!(asked(&bench), before + 1);
}

/// Signed under an authority that certifies between these times; told from the document, since nothing here has a chain.
fn certified(item: &Bytes, key: &PrivateKey, authority: KeyId, from: u64, until: u64) -> Event {
    let document = signed(item, key);
    let facts = Validated::new(document, &Limits::default()).expect("a good document");
    let mut intake = Intake::of(&facts).expect("a message");
    let crate::intake::Body::Orders(orders) = &mut intake.part.body else { panic!("orders") };
    let signing = orders.item.as_mut().and_then(|item| item.signing.as_mut()).expect("signed");
    signing.by[0].issuers = vec![schemas::signature::Issuer { key: authority, from, until, between: 0 }];
    Event::Delivery { via: lane(6), intake: Box::new(intake) }
}

// R-8.3-3: an expired certificate is seen to be, by the clock alone.
#[test]
fn c8_3_a_certificate_ends_and_begins_by_the_clock() {
    let (key, authority, now) = (key(), KeyId([9; 32]), NOW.0 / 1000);
    let own = Authority { key: authority, from: 0, until: u64::MAX, between_max: None };
    let trust =
        trust(&[Signer { proof: Proof::Authority(own), products: Names::Any, ..signer("CA", &key, &["Tests"]) }]);
    let mut bench = bench(trust);
    bench.handle(certified(&item("A-1", 1, HERE), &key, authority, 0, now + 1800));
    bench.handle(certified(&item("A-2", 1, HERE), &key, authority, now + 5400, u64::MAX));
    assert_eq!(regards(&bench), [Regard::Authorised("CA".into())]);
    let (due, _) = bench.client.poll_timeout().expect("certificates end");
    assert_eq!(due, NOW.after(std::time::Duration::from_secs(3600)));
    let before = asked(&bench);
    bench.timeout(due);
    assert!(matches!(&regards(&bench)[0], Regard::Refused(why) if why.contains("does not hold")));
    assert_eq!(asked(&bench), before + 1, "what it had replaced may be on offer again");
    bench.complete(&[]);
    let (due, _) = bench.client.poll_timeout().expect("certificates begin");
    bench.timeout(due);
    assert_eq!(asked(&bench), before + 2, "what was refused may come now");
}

#[test]
fn a_clock_that_was_set_back_is_seen_and_keys_alone_need_none() {
    let (key, authority, now) = (key(), KeyId([9; 32]), NOW.0 / 1000);
    let own = Authority { key: authority, from: 0, until: now + 10, between_max: None };
    let by_authority = Signer { proof: Proof::Authority(own), ..signer("CA", &key, &["Tests"]) };
    let mut bench = bench(by_tests(&key));
    assert_eq!(bench.client.poll_timeout(), None);
    bench.handle(told(trust(&[by_authority])));
    bench.complete(&[]);
    bench.handle(certified(&item("A-1", 1, HERE), &key, authority, 0, u64::MAX));
    bench.timeout(Time((now + 10_000) * 1000));
    assert!(matches!(&regards(&bench)[..], [Regard::Refused(_)]));
    bench.timeout(NOW);
    assert_eq!(regards(&bench), [Regard::Authorised("CA".into())]);
}
