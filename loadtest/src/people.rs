//! Who takes part: certificates for clients and providers, of an authority that the server trusts.

use std::path::{Path, PathBuf};

use anyhow::Context;
use link::identity::Identity;
use link::pki::{self, Role, Subject};
use schemas::digest::Digest;

/// An authority and the folder into which it issues.
#[derive(Clone, Debug)]
pub struct Authority {
    pki: PathBuf,
    out: PathBuf,
}

impl Authority {
    /// The one in `pki`, which is made if it is not there.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn open(pki: &Path, out: &Path) -> anyhow::Result<Self> {
        if !pki.join(pki::CA_CERTIFICATE).exists() {
            pki::init(pki, "load-test-ca")?;
        }
        Ok(Self { pki: pki.to_owned(), out: out.to_owned() })
    }

    /// Its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.pki.join(pki::CA_CERTIFICATE)
    }

    /// A new certificate and key.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn issue(&self, guid: u128, role: Role, label: &str) -> anyhow::Result<pki::Files> {
        Ok(pki::issue(&self.pki, &Subject { guid, role, label }, &self.out)?)
    }

    /// The same as an identity.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn identity(&self, guid: u128, label: &str) -> anyhow::Result<Identity> {
        let files = self.issue(guid, Role::Client, label)?;
        let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
        let [chain, key, ca] = [read(&files.certificate)?, read(&files.key)?, read(&self.certificate())?];
        Ok(Identity::load(&chain, &key, &ca)?)
    }
}

/// The GUID of somebody in a plan: the same each time, so that a server's policy can name it.
pub fn guid(plan: &str, role: &str, number: usize) -> u128 {
    let digest = Digest::of(format!("distributary load test\n{plan}\n{role}\n{number}").as_bytes());
    let value = u128::from_be_bytes(digest.0.first_chunk().copied().unwrap_or_default());
    // Version 8 and the variant of RFC 9562.
    (value & !(0xf << 76) & !(0x3 << 62)) | (0x8 << 76) | (0x2 << 62)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_the_same_each_time_and_nobody_elses() {
        assert_eq!(guid("p", "provider", 0), guid("p", "provider", 0));
        assert_ne!(guid("p", "provider", 0), guid("p", "provider", 1));
        assert_ne!(guid("p", "provider", 0), guid("p", "client", 0));
    }
}
