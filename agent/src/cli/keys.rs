//! `keygen`, and the files of keys and certificates that commands name.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::ValueEnum;
use schemas::signature::{self, KeyKind, PrivateKey, PublicKey};

use super::say;

/// What `keygen` makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum KeyType {
    /// Ed25519: small, fast, and the same signature each time
    #[default]
    Ed25519,
    /// ECDSA on P-256
    P256,
    /// ECDSA on P-384
    P384,
    /// RSA of 2048 bits
    Rsa2048,
    /// RSA of 3072 bits
    Rsa3072,
    /// RSA of 4096 bits
    Rsa4096,
}

impl KeyType {
    fn generate(self) -> Result<PrivateKey, signature::PrivateKeyError> {
        match self {
            Self::Ed25519 => PrivateKey::generate(KeyKind::Ed25519),
            Self::P256 => PrivateKey::generate(KeyKind::P256),
            Self::P384 => PrivateKey::generate(KeyKind::P384),
            Self::Rsa2048 => PrivateKey::generate_rsa(2048),
            Self::Rsa3072 => PrivateKey::generate_rsa(3072),
            Self::Rsa4096 => PrivateKey::generate_rsa(4096),
        }
    }
}

/// Makes a key pair: the private key for its owner alone, the public key beside it.
pub(super) fn keygen(kind: KeyType, out: &Path, force: bool) -> anyhow::Result<ExitCode> {
    let public_file = beside(out);
    if !force {
        for file in [out, &public_file] {
            // A link that leads nowhere is in the way too.
            if fs::symlink_metadata(file).is_ok() {
                bail!("{} is there already; give another name, or --force to lose that key", file.display());
            }
        }
    }
    let key = kind.generate()?;
    write(out, &key.to_pem()?, 0o600, force)?;
    write(&public_file, &key.public().to_pem(), 0o644, force)?;
    say(&format!("private key: {}\npublic key:  {}", out.display(), public_file.display()));
    say(&format!("fingerprint: {}", key.public().fingerprint()));
    Ok(ExitCode::SUCCESS)
}

/// `vendor.pem`, `vendor.key` and `vendor` have `vendor.pub.pem` beside them.
fn beside(private: &Path) -> PathBuf {
    let stem = match private.extension().and_then(|extension| extension.to_str()) {
        Some("pem" | "key") => private.with_extension(""),
        _ => private.to_owned(),
    };
    with_ending(&stem, ".pub.pem")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A whole file or none: another one is only replaced once the new one is on the disk.
fn write(path: &Path, text: &str, mode: u32, force: bool) -> anyhow::Result<()> {
    let fault = |error: std::io::Error| anyhow!("cannot write {}: {error}", path.display());
    let new = if force { with_ending(path, &format!(".{}.new", std::process::id())) } else { path.to_owned() };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).map_err(fault)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)?;
    if force { fs::rename(&new, path).map_err(fault) } else { Ok(()) }
}

/// Reads the key that signs.
pub(super) fn private(path: &Path) -> anyhow::Result<PrivateKey> {
    let text = read(path)?;
    let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode()).unwrap_or_default();
    if mode & 0o077 != 0 {
        super::complain(&format!("{} can be read by others: chmod 600 {0}", path.display()));
    }
    PrivateKey::from_pem(&text)
        .map_err(|error| anyhow!("{}: {error}; distributary-agent keygen makes one", path.display()))
}

/// Reads a key that verifies: its own file, or a certificate's.
pub(super) fn public(path: &Path) -> anyhow::Result<PublicKey> {
    let refused = |error| anyhow!("{}: {error}; a public key or a certificate in PEM is needed", path.display());
    PublicKey::from_pem(&read(path)?).map_err(refused)
}

/// Reads certificates, the signer's first.
pub(super) fn certificates(paths: &[PathBuf]) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for path in paths {
        let found = signature::certificates(&read(path)?);
        all.extend(found.map_err(|error| anyhow!("{}: {error}", path.display()))?);
    }
    Ok(all)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).map_err(|error| anyhow!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_for_its_owner_alone_and_never_replaces_another_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let (file, beside) = (dir.path().join("vendor.key"), dir.path().join("vendor.pub.pem"));
        keygen(KeyType::P256, &file, false).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let (before, known) = (fs::read(&file).unwrap(), public(&beside).unwrap());
        assert_eq!(private(&file).unwrap().public(), &known);
        for file in [&file, &dir.path().join("vendor.pem")] {
            // Also where only the public key is in the way.
            let error = keygen(KeyType::Ed25519, file, false).unwrap_err().to_string();
            assert!(error.contains("--force"), "{error}");
        }
        assert_eq!(fs::read(&file).unwrap(), before);
        keygen(KeyType::Ed25519, &file, true).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(private(&file).unwrap().public(), &public(&beside).unwrap());
        assert_ne!(public(&beside).unwrap(), known);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn a_public_key_has_the_name_of_its_private_one() {
        for (private, public) in [("a.key", "a.pub.pem"), ("d/a.pem", "d/a.pub.pem"), ("a.2026", "a.2026.pub.pem")] {
            assert_eq!(beside(Path::new(private)), Path::new(public));
        }
    }

    #[test]
    fn every_type_is_made() {
        for kind in KeyType::value_variants() {
            let key = kind.generate().unwrap();
            let read = PrivateKey::from_pem(&key.to_pem().unwrap()).unwrap();
            assert_eq!(read.public(), key.public());
            // Of RSA, the modulus has the most part of the key.
            let bytes = key.public().spki().len();
            let expected = match kind {
                KeyType::Ed25519 => 44,
                KeyType::P256 => 91,
                KeyType::P384 => 120,
                KeyType::Rsa2048 => 294,
                KeyType::Rsa3072 => 422,
                KeyType::Rsa4096 => 550,
            };
            assert_eq!(bytes, expected, "{kind:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.pem");
        fs::write(&file, "nothing").unwrap();
        assert!(private(&file).unwrap_err().to_string().contains("x.pem"));
        assert!(public(&file).unwrap_err().to_string().contains("x.pem"));
        assert!(certificates(std::slice::from_ref(&file)).unwrap_err().to_string().contains("x.pem"));
    }
}
