//! The one private CA of a test run.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use link::identity::Identity;
use link::pki::{self, Files, Role, Subject};
use tempfile::TempDir;

/// A CA in a temporary folder, and the certificates that it has issued.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issued: Mutex<u32>,
}

impl Authority {
    /// The CA that all servers and clients of a run belong to.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Authority> = OnceLock::new();
        SHARED.get_or_init(Self::new)
    }

    /// Another CA, whose certificates nobody trusts.
    ///
    /// # Panics
    ///
    /// If the folder cannot be written.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        pki::init(folder.path(), "test-ca").expect("a CA");
        Self { folder, issued: Mutex::new(0) }
    }

    /// The PEM file of the CA's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join(pki::CA_CERTIFICATE)
    }

    /// A new certificate for a GUID.
    ///
    /// # Panics
    ///
    /// If the folder cannot be written.
    pub fn issue(&self, guid: u128, role: Role) -> Files {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        *issued += 1;
        let label = format!("node-{issued}");
        let subject = Subject { guid, role, label: &label };
        pki::issue(self.folder.path(), &subject, self.folder.path()).expect("a certificate")
    }

    /// The same as a loaded identity, which trusts the CA of `trusts`.
    ///
    /// # Panics
    ///
    /// If the folder cannot be written.
    pub fn identity(&self, guid: u128, role: Role, trusts: &Self) -> Identity {
        let files = self.issue(guid, role);
        let read = |path: &PathBuf| std::fs::read(path).expect("a PEM file");
        Identity::load(&read(&files.certificate), &read(&files.key), &read(&trusts.certificate())).expect("an identity")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
