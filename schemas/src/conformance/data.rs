//! Where tests find documents: the examples beside the crate, and the large data that is not in the repository.

use std::path::{Path, PathBuf};

/// The folder of example documents.
pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/examples")
}

/// A folder of the large data, which `DISTRIBUTARY_TEST_DATA` names. Without it a test cannot run: that is said, and
/// under CI it is a failure.
pub(crate) fn large(folder: &str, test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("DISTRIBUTARY_TEST_DATA").map(|root| Path::new(&root).join(folder));
    let found = path.filter(|path| path.is_dir());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{test}: no {folder} below DISTRIBUTARY_TEST_DATA");
        eprintln!("NOT RUN: {test}, for want of {folder} below DISTRIBUTARY_TEST_DATA");
    }
    found
}

/// Every file below a folder whose name ends so, in order.
pub(crate) fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    found
}
