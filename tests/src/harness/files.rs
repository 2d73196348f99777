//! How many files and sockets a test may have open: many nodes in one process need more than a login gives.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process' limit to at least this many.
///
/// # Panics
///
/// If the system does not let it.
pub fn open_files(least: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < least) {
        let raised = Rlimit { current: Some(least), ..limit };
        setrlimit(Resource::Nofile, raised)
            .unwrap_or_else(|error| panic!("{least} open files, where `ulimit -Hn` is {:?}: {error}", limit.maximum));
    }
}
