//! When the agent last stood with its server: `contact.json` in the state directory, for those who read beside it.
//!
//! The journal cannot tell: an agent that hears nothing new writes nothing, and neither does one that is cut off. The
//! file is a courtesy and no part of the state: nothing is decided by it, it is not synced, and without it nothing is
//! claimed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dialler::clock;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The file, in the state directory.
const CONTACT: &str = "contact.json";
/// How often the time in it is renewed while the agent is synchronised.
const EVERY: Duration = Duration::from_secs(30);

/// What was known at a time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// When, RFC 3339 in UTC: while it was synchronised, or when it ceased to be.
    pub at: String,
    /// Whether everything that the server had for this device was here.
    pub synchronised: bool,
}

impl Contact {
    /// The last one of a state directory; `None` if there was none, or none that can be read.
    pub fn read(directory: &Path) -> Option<Self> {
        let contact: Self = serde_json::from_slice(&std::fs::read(directory.join(CONTACT)).ok()?).ok()?;
        clock::parse(&contact.at).is_some().then_some(contact)
    }

    /// Puts this in the place of the last one, as a whole.
    fn write(&self, directory: &Path) -> io::Result<()> {
        let new = directory.join("contact.json.new");
        std::fs::write(&new, serde_json::to_vec(self)?)?;
        std::fs::rename(new, directory.join(CONTACT))
    }
}

/// Writes down what `synchronised` says until its sender is gone; then, that it does no more.
pub(crate) async fn keep(directory: PathBuf, mut synchronised: watch::Receiver<bool>) {
    let mut was = false;
    loop {
        let changed = tokio::select! {
            changed = synchronised.changed() => changed.is_ok(),
            () = tokio::time::sleep(EVERY), if was => true,
        };
        let is = changed && *synchronised.borrow_and_update();
        // An agent that never got so far leaves what an earlier one has said.
        if is || was {
            note(directory.clone(), is).await;
        }
        if !changed {
            return;
        }
        was = is;
    }
}

async fn note(directory: PathBuf, synchronised: bool) {
    let contact = Contact { at: clock::text(clock::wall()), synchronised };
    match tokio::task::spawn_blocking(move || contact.write(&directory)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "cannot write {CONTACT}: lists will look older than they are"),
        // The runtime is stopping.
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_says_when_it_was_synchronised_and_when_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, receiver) = watch::channel(false);
        let keeping = tokio::spawn(keep(dir.path().to_owned(), receiver));
        sender.send_replace(true);
        while Contact::read(dir.path()).is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(Contact::read(dir.path()).unwrap().synchronised);
        drop(sender);
        keeping.await.unwrap();
        assert!(!Contact::read(dir.path()).unwrap().synchronised);
    }

    #[tokio::test]
    async fn an_agent_that_never_got_there_leaves_what_was_said() {
        let dir = tempfile::tempdir().unwrap();
        let before = Contact { at: "2026-01-15T09:30:00Z".into(), synchronised: false };
        before.write(dir.path()).unwrap();
        let (sender, receiver) = watch::channel(false);
        drop(sender);
        keep(dir.path().to_owned(), receiver).await;
        assert_eq!(Contact::read(dir.path()), Some(before));
        std::fs::write(dir.path().join(CONTACT), "{").unwrap();
        assert_eq!(Contact::read(dir.path()), None);
    }
}
