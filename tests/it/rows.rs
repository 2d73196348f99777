//! `rows.toml` is complete and honest: every row of the conformance matrix stands there once, and says which existing
//! test shows it, or that none does yet, or why it does not apply.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde::Deserialize;

use crate::sources;

/// How many rows each clause has: their names are `R-<clause>-1` and so on, and `P-1` and so on for the rows that come
/// from the brief of the system.
const CLAUSES: &[(&str, usize)] = &[
    ("1", 6),
    ("3.1.1", 2),
    ("3.1.2", 1),
    ("3.1.3", 1),
    ("3.1.4", 1),
    ("3.1.5", 2),
    ("3.1.6", 1),
    ("3.1.7", 1),
    ("3.1.8", 1),
    ("3.1.9", 1),
    ("3.1.10", 1),
    ("3.1.11", 1),
    ("3.1.12", 1),
    ("6", 10),
    ("7", 10),
    ("8", 5),
    ("8.1", 5),
    ("8.2.1", 5),
    ("8.2.2", 23),
    ("8.3", 10),
    ("9.1", 2),
    ("9.2", 4),
    ("9.3", 17),
    ("9.4", 5),
    ("9.5", 4),
    ("9.6.1", 1),
    ("9.6.2", 4),
    ("10", 1),
    ("10.1", 1),
    ("10.1.1", 10),
    ("10.1.2", 11),
    ("10.1.3", 3),
    ("10.1.4", 9),
    ("10.1.5", 6),
    ("10.1.6", 10),
    ("10.2", 1),
    ("10.2.1", 16),
    ("10.2.2", 2),
    ("10.2.3", 7),
    ("10.2.4", 6),
    ("10.2.5", 10),
    ("10.2.6", 7),
    ("10.2.7", 3),
    ("10.2.8", 2),
    ("10.2.9", 1),
    ("10.2.10", 6),
    ("11.1", 6),
    ("11.2", 3),
    ("P", 12),
];

/// All rows of the matrix.
const ROWS: usize = 258;

/// The fewest words that can be a reason.
const REASON_WORDS_MIN: usize = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    clause: String,
    title: String,
    /// `open`, or absent.
    status: Option<String>,
    test: Option<String>,
    #[serde(default)]
    tests: Vec<String>,
    na: Option<String>,
}

#[test]
fn every_row_is_there_and_says_something_true() {
    let text = fs::read_to_string(sources::root().join("tests/rows.toml")).unwrap();
    let existing: BTreeSet<String> = sources::all().iter().flat_map(sources::Source::tests).collect();
    assert!(
        existing.contains("tests::rows::every_row_is_there_and_says_something_true"),
        "the tree's tests were not found"
    );
    let breaches = breaches(&text, &expected(), &existing);
    assert!(breaches.is_empty(), "tests/rows.toml:\n{}", breaches.join("\n"));
}

#[test]
fn the_readme_shows_what_the_script_counts() {
    let script = sources::root().join("scripts/conformance");
    let output = Command::new("sh").arg(script).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "scripts/conformance: {}", String::from_utf8_lossy(&output.stderr));
    assert!(table.lines().last().is_some_and(|line| line.ends_with(&format!("| {ROWS} |"))), "{table}");
    let readme = fs::read_to_string(sources::root().join("README.md")).unwrap();
    assert!(
        readme.contains(&table),
        "README.md shows other counts; `scripts/conformance --write` corrects it:\n{table}"
    );
}

/// The name of every row with its clause.
fn expected() -> BTreeMap<String, &'static str> {
    let rows = CLAUSES.iter().flat_map(|(clause, count)| {
        let prefix = if *clause == "P" { "P".to_owned() } else { format!("R-{clause}") };
        (1..=*count).map(move |number| (format!("{prefix}-{number}"), *clause))
    });
    let rows: BTreeMap<_, _> = rows.collect();
    assert_eq!(rows.len(), ROWS);
    rows
}

/// What is wrong with the text of a `rows.toml`.
fn breaches(text: &str, expected: &BTreeMap<String, &str>, existing: &BTreeSet<String>) -> Vec<String> {
    let rows: BTreeMap<String, Row> = match toml::from_str(text) {
        Ok(rows) => rows,
        Err(error) => return vec![error.to_string()],
    };
    let mut breaches = Vec::new();
    for id in expected.keys().filter(|id| !rows.contains_key(*id)) {
        breaches.push(format!("{id}: missing"));
    }
    for (id, row) in &rows {
        match expected.get(id) {
            None => breaches.push(format!("{id}: no such row in the matrix")),
            Some(clause) if *clause != row.clause => breaches.push(format!("{id}: is of clause {clause}")),
            Some(_) => {}
        }
        breaches.extend(row.breaches(existing).into_iter().map(|breach| format!("{id}: {breach}")));
    }
    breaches
}

impl Row {
    fn breaches(&self, existing: &BTreeSet<String>) -> Vec<String> {
        let mut breaches = Vec::new();
        let answers = [self.status.is_some(), self.test.is_some(), !self.tests.is_empty(), self.na.is_some()];
        if answers.iter().filter(|given| **given).count() != 1 {
            breaches.push("needs one of status, test, tests, na".to_owned());
        }
        if self.title.trim().is_empty() {
            breaches.push("has no title".to_owned());
        }
        if self.status.as_ref().is_some_and(|status| status != "open") {
            breaches.push("the only status is \"open\"".to_owned());
        }
        if self.na.as_ref().is_some_and(|reason| reason.split_whitespace().count() < REASON_WORDS_MIN) {
            breaches.push("does not apply, but why?".to_owned());
        }
        let absent = self.test.iter().chain(&self.tests).filter(|test| !existing.contains(*test));
        breaches.extend(absent.map(|test| format!("no test is called {test}")));
        breaches
    }
}

/// The checker itself, on small made-up rows: it must be able to fail.
mod checks {
    use super::*;

    /// One row `R-1-1` with this answer must give `count` breaches.
    fn check(answer: &str, count: usize) {
        let text = format!("[\"R-1-1\"]\nclause = \"1\"\ntitle = \"both directions\"\n{answer}\n");
        let expected = BTreeMap::from([("R-1-1".to_owned(), "1")]);
        let existing = BTreeSet::from(["node::engine::tests::both".to_owned(), "node::engine::tests::back".to_owned()]);
        let found = breaches(&text, &expected, &existing);
        assert_eq!(found.len(), count, "{answer}: {found:?}");
    }

    #[test]
    fn each_answer_is_taken() {
        check("status = \"open\"", 0);
        check("test = \"node::engine::tests::both\"", 0);
        check("tests = [\"node::engine::tests::both\", \"node::engine::tests::back\"]", 0);
        check("na = \"only a browser shows pages\"", 0);
    }

    #[test]
    fn each_fault_is_found() {
        check("", 1);
        check("status = \"done\"", 1);
        check("status = \"open\"\ntest = \"node::engine::tests::both\"", 1);
        check("test = \"node::engine::both\"", 1);
        check("tests = [\"node::engine::tests::both\", \"node::engine::tests::forth\"]", 1);
        check("na = \"not applicable\"", 1);
        check("note = \"x\"", 1);
        check("status = \"open\"\n[\"R-1-2\"]\nclause = \"1\"\ntitle = \"x\"\nstatus = \"open\"", 1);
    }

    #[test]
    fn a_missing_row_and_a_wrong_clause_are_found() {
        let expected = BTreeMap::from([("R-1-1".to_owned(), "1"), ("R-1-2".to_owned(), "1")]);
        let text = "[\"R-1-1\"]\nclause = \"2\"\ntitle = \"x\"\nstatus = \"open\"";
        assert_eq!(breaches(text, &expected, &BTreeSet::new()).len(), 2);
    }
}
