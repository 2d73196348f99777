//! The folder of one run: keys, configurations, logs, state. Removed at the end, unless somebody wants to look at it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use link::pki::{self, Role, Subject};
use serde::Serialize;

use dialler::clock;

/// See the module.
pub(crate) struct Folder {
    root: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

/// Where somebody's certificate, key and authority are.
pub(crate) struct Pem {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) ca: PathBuf,
}

impl Folder {
    /// A new one: `keep`, which must not exist, or a temporary one whose name begins so. With a certificate authority
    /// in it.
    pub(crate) fn make(prefix: &str, keep: Option<&Path>) -> anyhow::Result<Self> {
        let folder = match keep {
            Some(keep) => {
                std::fs::create_dir(keep).with_context(|| format!("--keep {}", keep.display()))?;
                Self { root: keep.to_owned(), temporary: None }
            }
            None => {
                let temporary = tempfile::Builder::new().prefix(prefix).tempdir()?;
                Self { root: temporary.path().to_owned(), temporary: Some(temporary) }
            }
        };
        pki::init(&folder.pki(), "private-ca")?;
        Ok(folder)
    }

    /// Leaves everything where it is, and says where.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.temporary.take().map_or_else(|| self.root.clone(), tempfile::TempDir::keep)
    }

    /// A file or folder in it. Absolute, because processes may stand elsewhere.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        std::path::absolute(&self.root).unwrap_or_else(|_| self.root.clone()).join(name)
    }

    /// What a process writes about itself.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.path(format!("{name}.log"))
    }

    /// A configuration.
    pub(crate) fn config(&self, name: &str) -> PathBuf {
        self.path(format!("{name}.toml"))
    }

    /// Writes a configuration.
    pub(crate) fn write_config(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        self.write(&format!("{name}.toml"), &toml::to_string(value)?).map(|_| ())
    }

    /// Writes a file, and says where it is.
    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Issues a certificate; answers the GUID in it.
    pub(crate) fn issue(&self, label: &str, role: Role) -> anyhow::Result<u128> {
        let guid = clock::random_128();
        pki::issue(&self.pki(), &Subject { guid, role, label }, &self.certificates())?;
        Ok(guid)
    }

    /// Where a certificate was written.
    pub(crate) fn pem(&self, label: &str) -> Pem {
        let file = |extension| self.certificates().join(format!("{label}.{extension}"));
        Pem { certificate: file("pem"), key: file("key"), ca: self.pki().join(pki::CA_CERTIFICATE) }
    }

    /// Apart from the authority, whose files have names of their own.
    fn certificates(&self) -> PathBuf {
        self.path("certificates")
    }

    fn pki(&self) -> PathBuf {
        self.path("pki")
    }
}
