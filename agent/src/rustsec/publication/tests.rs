use topology::subject::{Status, Subject};

use super::super::advisory::tests::DOCUMENT;
use super::super::parse;
use super::*;

fn put(path: &str, id: &str, package: &str, title: &str) -> Result<Change, Refusal> {
    let text = DOCUMENT.replace("RUSTSEC-2024-0001", id).replace("\"demo\"", &format!("\"{package}\""));
    Ok(parse(path, &text.replace("A  fault", title)).map(Box::new).map(Change::Put)?)
}

fn remove(path: &str) -> Result<Change, Refusal> {
    Ok(Change::Remove { path: path.to_owned() })
}

/// What is published, as `ID package revision status`.
fn check(state: &mut State, changes: Vec<Result<Change, Refusal>>, is_complete: bool, expected: &[&str]) -> Plan {
    // What is kept must be enough to go on.
    *state = State::from_json(&state.to_json().unwrap()).unwrap();
    let plan = state.plan(changes.into_iter(), is_complete);
    let published = plan.publish.iter().map(|(_, item)| {
        let subject = Subject::from_version_infos(std::slice::from_ref(item));
        let identity = subject.identity.unwrap();
        let status = if subject.status == Status::Withdrawn { " withdrawn" } else { "" };
        format!("{} {} {}{status}", identity.id, identity.asset.trim_start_matches("pkg:cargo/"), subject.revision)
    });
    assert_eq!(published.collect::<Vec<_>>(), expected);
    plan
}

#[test]
fn unchanged_content_keeps_its_revision() {
    let mut state = State::default();
    let both = || vec![put("p", "RUSTSEC-2024-0001", "a", "x"), put("q", "RUSTSEC-2024-0002", "a", "x")];
    check(&mut state, both(), true, &["RUSTSEC-2024-0001 a 1", "RUSTSEC-2024-0002 a 1"]);
    assert_eq!(check(&mut state, both(), true, &[]).unchanged, 2);
    let changed = vec![put("p", "RUSTSEC-2024-0001", "a", "y"), put("q", "RUSTSEC-2024-0002", "a", "x")];
    check(&mut state, changed, true, &["RUSTSEC-2024-0001 a 2"]);
}

#[test]
fn what_is_gone_is_withdrawn_and_may_come_back() {
    let mut state = State::default();
    check(&mut state, vec![put("p", "RUSTSEC-2024-0001", "a", "x")], true, &["RUSTSEC-2024-0001 a 1"]);
    check(&mut state, vec![], false, &[]);
    check(&mut state, vec![], true, &["RUSTSEC-2024-0001 a 2 withdrawn"]);
    check(&mut state, vec![], true, &[]);
    check(&mut state, vec![put("p", "RUSTSEC-2024-0001", "a", "x")], true, &["RUSTSEC-2024-0001 a 3"]);
    check(&mut state, vec![remove("p"), remove("p"), remove("q")], false, &["RUSTSEC-2024-0001 a 4 withdrawn"]);
}

#[test]
fn placeholder_is_one_item_for_each_package_and_its_number_another() {
    let mut state = State::default();
    let placeholders = vec![put("a/0", "RUSTSEC-0000-0000", "a", "x"), put("b/0", "RUSTSEC-0000-0000", "b", "x")];
    check(&mut state, placeholders, false, &["RUSTSEC-0000-0000 a 1", "RUSTSEC-0000-0000 b 1"]);
    let numbered = vec![remove("a/0"), put("a/1", "RUSTSEC-2024-0001", "a", "x")];
    check(&mut state, numbered, false, &["RUSTSEC-0000-0000 a 2 withdrawn", "RUSTSEC-2024-0001 a 1"]);
}

#[test]
fn changed_package_or_id_withdraws_the_old_identity() {
    let mut state = State::default();
    check(&mut state, vec![put("p", "RUSTSEC-2024-0001", "a", "x")], true, &["RUSTSEC-2024-0001 a 1"]);
    let renamed = vec![put("p", "RUSTSEC-2024-0001", "b", "x")];
    check(&mut state, renamed, true, &["RUSTSEC-2024-0001 a 2 withdrawn", "RUSTSEC-2024-0001 b 1"]);
}

#[test]
fn moved_document_stays_the_same_item() {
    for is_complete in [true, false] {
        let mut state = State::default();
        check(&mut state, vec![put("p", "RUSTSEC-2024-0001", "a", "x")], true, &["RUSTSEC-2024-0001 a 1"]);
        check(&mut state, vec![put("q", "RUSTSEC-2024-0001", "a", "x"), remove("p")], is_complete, &[]);
    }
}

#[test]
fn refused_document_is_reported_and_what_was_published_stays() {
    let mut state = State::default();
    check(&mut state, vec![put("p", "RUSTSEC-2024-0001", "a", "x")], true, &["RUSTSEC-2024-0001 a 1"]);
    let bad = || Err(Refusal::from(parse("p", "nonsense").unwrap_err()));
    let plan =
        check(&mut state, vec![bad(), put("q", "RUSTSEC-2024-0002", "a", "x")], true, &["RUSTSEC-2024-0002 a 1"]);
    assert_eq!(plan.refusals.iter().map(Refusal::path).collect::<Vec<_>>(), ["p"]);
    let twice = vec![put("p", "RUSTSEC-2024-0001", "a", "x"), put("q", "RUSTSEC-2024-0001", "a", "y")];
    let plan = check(&mut state, twice, true, &[]);
    assert_eq!(plan.refusals[0].to_string(), "q:1: RUSTSEC-2024-0001 of a is already that of p");
}

#[test]
fn foreign_state_is_refused() {
    assert!(State::from_json("{}").is_err());
    assert!(matches!(State::from_json("{\"format\": 9, \"items\": {}}"), Err(StateError::Format(9))));
}

#[test]
fn what_was_not_published_is_news_again_with_the_same_revision() {
    let both = || vec![put("p", "RUSTSEC-2024-0001", "a", "x"), put("q", "RUSTSEC-2024-0002", "b", "x")];
    let mut planned = State::default();
    let plan = planned.plan(both().into_iter(), true);
    let mut kept = State::default();
    kept.adopt(&planned, &plan.publish[0].1);
    check(&mut kept, both(), true, &["RUSTSEC-2024-0002 b 1"]);
    assert_eq!(kept, planned);
}
