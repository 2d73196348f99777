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

/// Plans and offers, and answers only the given ones: what the next process finds after a crash.
fn crash(state: &mut State, changes: Vec<Result<Change, Refusal>>, answered: &[usize]) {
    let mut planned = state.clone();
    let plan = planned.plan(changes.into_iter(), true);
    state.offer(&planned);
    for part in answered {
        state.adopt(&planned, &plan.publish[*part].1);
    }
}

#[test]
fn what_was_not_answered_is_news_again_with_the_same_revision() {
    let both = || vec![put("p", "RUSTSEC-2024-0001", "a", "x"), put("q", "RUSTSEC-2024-0002", "b", "x")];
    let mut state = State::default();
    crash(&mut state, both(), &[0]);
    check(&mut state, both(), true, &["RUSTSEC-2024-0002 b 1"]);
    assert_eq!(check(&mut state, both(), true, &[]).unchanged, 2);
}

#[test]
fn no_revision_stands_for_two_contents_whenever_a_process_dies() {
    let content = |title| vec![put("p", "RUSTSEC-2024-0001", "a", title)];
    let mut state = State::default();
    crash(&mut state, content("A"), &[]);
    crash(&mut state, content("B"), &[]);
    crash(&mut state, content("A"), &[]);
    check(&mut state.clone(), content("A"), true, &["RUSTSEC-2024-0001 a 3"]);
    check(&mut state.clone(), content("D"), true, &["RUSTSEC-2024-0001 a 4"]);
    // Answered, and then an update that nobody heard of: going back to what was answered is news.
    check(&mut state, content("A"), true, &["RUSTSEC-2024-0001 a 3"]);
    crash(&mut state, content("B"), &[]);
    check(&mut state, content("A"), true, &["RUSTSEC-2024-0001 a 5"]);
}

#[test]
fn what_may_have_been_taken_is_withdrawn_when_it_is_gone() {
    let mut state = State::default();
    crash(&mut state, vec![put("p", "RUSTSEC-2024-0001", "a", "x")], &[]);
    crash(&mut state, vec![], &[]);
    check(&mut state.clone(), vec![put("p", "RUSTSEC-2024-0001", "a", "x")], true, &["RUSTSEC-2024-0001 a 3"]);
    check(&mut state, vec![], true, &["RUSTSEC-2024-0001 a 2 withdrawn"]);
    check(&mut state, vec![], true, &[]);
}

#[test]
fn only_the_last_of_several_changes_counts_as_answered() {
    let twice = vec![put("p", "RUSTSEC-2024-0001", "a", "x"), put("p", "RUSTSEC-2024-0001", "a", "y")];
    let mut state = State::default();
    crash(&mut state, twice, &[0]);
    check(&mut state, vec![put("p", "RUSTSEC-2024-0001", "a", "y")], false, &["RUSTSEC-2024-0001 a 2"]);
}

fn many(count: usize) -> Vec<Result<Change, Refusal>> {
    (0..count).map(|n| put(&format!("p/{n}"), &format!("RUSTSEC-2024-{n:04}"), "a", "x")).collect()
}

#[test]
fn source_that_lacks_much_of_what_stands_is_doubted() {
    let mut state = State::default();
    assert_eq!(state.plan(many(60).into_iter(), true).doubt(), None, "nothing stood before");
    let plan = |count, is_complete| state.clone().plan(many(count).into_iter(), is_complete);
    assert_eq!(plan(54, true).doubt(), None, "one in ten is missing");
    assert_eq!(plan(53, true).doubt(), Some(Doubt::Missing { missing: 7, standing: 60 }));
    assert_eq!(plan(53, false).doubt(), None, "changes do not mention what stands");
    assert_eq!(plan(0, true).doubt(), Some(Doubt::Nothing));
    let mut few = State::default();
    few.plan(many(6).into_iter(), true);
    assert_eq!(few.clone().plan(many(1).into_iter(), true).doubt(), None, "five");
    let refused = vec![Err(Refusal::from(parse("p/0", "nonsense").unwrap_err()))];
    assert_eq!(few.plan(refused.into_iter(), true).doubt(), Some(Doubt::Nothing), "a source of refusals only");
}

#[test]
fn source_with_a_torn_line_withdraws_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("advisories.jsonl");
    let line = |n: u8| {
        let text = DOCUMENT.replace("RUSTSEC-2024-0001", &format!("RUSTSEC-2024-000{n}"));
        serde_json::json!({ "path": format!("p{n}"), "text": text }).to_string()
    };
    let whole = format!("{}\n{}\n{}\n", line(1), line(2), line(3));
    let mut state = State::default();
    let mut plan = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let source = super::super::read_source(&file).unwrap();
        let is_complete = source.is_complete();
        state.plan(source, is_complete)
    };
    assert_eq!(plan(&whole).publish.len(), 3);
    // Cut in the second line, as half a download is.
    let torn = plan(&whole[..line(1).len() + 40]);
    assert_eq!((torn.publish.len(), torn.unchanged, torn.refusals.len()), (0, 1, 1));
    assert!(torn.is_partial);
    let gone = plan(&format!("{}\n", line(1)));
    assert_eq!((gone.publish.len(), gone.missing, gone.is_partial), (2, 2, false));
}
