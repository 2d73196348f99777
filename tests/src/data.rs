//! Where the large public test data lies: advisories, lock files, XML suites. It is too big to ship.
//!
//! A test that needs it begins with `let Some(data) = data::dir() else { return };`.

use std::collections::BTreeSet;
use std::panic::Location;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The variable that names the folder.
pub const VARIABLE: &str = "DISTRIBUTARY_TEST_DATA";

/// The folder of the test data, or `None` after saying on stderr which test did not run.
///
/// # Panics
///
/// Where data must be there and is not: `CI` is set, or the variable names no folder.
#[track_caller]
#[expect(clippy::print_stderr, reason = "what a test run left out is for whoever reads its output")]
pub fn dir() -> Option<PathBuf> {
    let found = look(std::env::var_os(VARIABLE).map(PathBuf::from), std::env::var_os("CI").is_some());
    match found {
        Ok(Some(dir)) => Some(dir),
        Ok(None) => {
            let place = Location::caller();
            let thread = std::thread::current();
            eprintln!("NOT RUN: {} ({place}): {VARIABLE} is not set", thread.name().unwrap_or("a test"));
            None
        }
        Err(reason) => panic!("{reason}"),
    }
}

/// The names of the assets in the test data that have a `Cargo.lock`, sorted; see [`lock_file`].
///
/// # Panics
///
/// If the folder cannot be read.
pub fn locked_assets(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("assets/rust")).expect("the folder of Rust assets");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| lock_file(data, name).exists()).collect();
    names.sort();
    names
}

/// Where an asset's `Cargo.lock` lies.
pub fn lock_file(data: &Path, asset: &str) -> PathBuf {
    data.join("assets/rust").join(asset).join("Cargo.lock")
}

/// Advisory, component, version.
pub type Finding = (String, String, String);

/// One of the 207 states of public projects in the test data.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its `Cargo.lock`.
    pub lock: String,
    /// What cargo-audit says of it.
    pub expected: BTreeSet<Finding>,
}

/// A line of `fleet-inventories.jsonl`: name, version and kind of source of each component.
#[derive(Deserialize)]
struct Inventory {
    commit: String,
    components: Vec<(String, String, String)>,
}

/// A line of `fleet-truth.jsonl`.
#[derive(Deserialize)]
struct Truth {
    commit: String,
    vulnerable: Vec<Finding>,
    /// The last says of which kind it is.
    informational: Vec<(String, String, String, String)>,
}

/// The fleet of the test data.
///
/// # Panics
///
/// If it cannot be read.
pub fn fleet(data: &Path) -> Vec<Member> {
    let read = |file: &str| std::fs::read_to_string(data.join("assets/rust").join(file)).expect("a file of the fleet");
    let (inventories, truths) = (read("fleet-inventories.jsonl"), read("fleet-truth.jsonl"));
    let member = |(inventory, truth): (&str, &str)| {
        let inventory: Inventory = serde_json::from_str(inventory).expect("an inventory");
        let truth: Truth = serde_json::from_str(truth).expect("a truth");
        assert_eq!(inventory.commit, truth.commit, "the lines of both files go together");
        let informational = truth.informational.into_iter().map(|(id, name, version, _)| (id, name, version));
        let expected = truth.vulnerable.into_iter().chain(informational).collect();
        Member { lock: inventory.components.iter().map(package).collect(), expected }
    };
    inventories.lines().zip(truths.lines()).map(member).collect()
}

/// As cargo would have written it.
fn package((name, version, source): &(String, String, String)) -> String {
    let source = match source.as_str() {
        "crates.io" => "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
        "git" => "source = \"git+https://git.example/a#0123\"\n",
        _ => "",
    };
    format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{source}")
}

/// What `dir` does with the values of the two variables.
fn look(named: Option<PathBuf>, ci: bool) -> Result<Option<PathBuf>, String> {
    match named {
        Some(dir) if dir.is_dir() => Ok(Some(dir)),
        Some(dir) => Err(format!("{VARIABLE} names {}, which is no folder", dir.display())),
        None if ci => Err(format!("{VARIABLE} is not set, and under CI no test may be left out")),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_data_is_a_failure_under_ci_only() {
        assert!(look(None, true).is_err());
        assert_eq!(look(None, false), Ok(None));
    }

    #[test]
    fn a_name_of_nothing_is_always_a_failure() {
        let nowhere = Some(PathBuf::from("no/such/folder"));
        assert!(look(nowhere.clone(), false).is_err());
        assert!(look(nowhere, true).is_err());
    }

    #[test]
    fn a_folder_is_taken_as_it_is() {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(look(Some(here.clone()), true), Ok(Some(here)));
    }
}
