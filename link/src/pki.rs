//! A small private CA, for a company or a trial: one P-256 key that signs certificates with a GUID in them.
//!
//! A larger site brings certificates of its own CA; all that matters is the `urn:uuid:` name ([`crate::identity`]).

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// The CA's certificate in its directory.
pub const CA_CERTIFICATE: &str = "ca.pem";
/// The CA's key in its directory. Who has it can be anybody.
pub const CA_KEY: &str = "ca.key";
/// How long a CA's certificate holds: 10 years.
pub const CA_VALIDITY: Duration = Duration::days(3653);
/// How long a node's certificate holds: 2 years.
pub const VALIDITY: Duration = Duration::days(731);
/// Clocks differ: a certificate holds from this long before it was made.
const CLOCK_SKEW: Duration = Duration::hours(1);

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file could not be read or written. `AlreadyExists`: nothing is ever overwritten.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A label becomes a file name and a subject.
    #[error("label {0:?}: use 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first")]
    Label(String),
    /// Certificates could not be made or read.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// What a certificate is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Listens, and dials as a client of others: servers and local servers.
    Server,
    /// Only dials: devices and providers. A stolen device key cannot pose as a server.
    Client,
}

/// For whom a certificate is made.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The GUID that it proves.
    pub guid: u128,
    /// What it is good for.
    pub role: Role,
    /// Name of the files and common name of the subject; means nothing to a program.
    pub label: &'a str,
}

/// Where a certificate and its key were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// PEM certificate.
    pub certificate: PathBuf,
    /// PEM key (PKCS #8), readable by its owner only.
    pub key: PathBuf,
}

/// Makes a CA in a directory, which is created if need be.
///
/// # Errors
///
/// A file cannot be written, or is already there.
pub fn init(dir: &Path, label: &str) -> Result<Files, PkiError> {
    check_label(label)?;
    make_dir(dir)?;
    let mut params = params(label, CA_VALIDITY);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    let files = Files { certificate: dir.join(CA_CERTIFICATE), key: dir.join(CA_KEY) };
    files.write(&certificate.pem(), &key.serialize_pem())?;
    Ok(files)
}

/// Issues a certificate from the CA in `ca_dir` and writes `LABEL.pem` and `LABEL.key` into `out_dir`, which is created
/// if need be.
///
/// # Errors
///
/// A bad label, no CA there, a file cannot be written, or is already there.
pub fn issue(ca_dir: &Path, subject: &Subject<'_>, out_dir: &Path) -> Result<Files, PkiError> {
    check_label(subject.label)?;
    let ca_key = KeyPair::from_pem(&read(&ca_dir.join(CA_KEY))?)?;
    let issuer = Issuer::from_ca_cert_pem(&read(&ca_dir.join(CA_CERTIFICATE))?, ca_key)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = leaf(subject)?.signed_by(&key, &issuer)?;
    make_dir(out_dir)?;
    let file = |extension| out_dir.join(format!("{}.{extension}", subject.label));
    let files = Files { certificate: file("pem"), key: file("key") };
    files.write(&certificate.pem(), &key.serialize_pem())?;
    Ok(files)
}

fn leaf(subject: &Subject<'_>) -> Result<CertificateParams, PkiError> {
    let mut params = params(subject.label, VALIDITY);
    let urn = Uuid::from_u128(subject.guid).urn().to_string();
    params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(urn)?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match subject.role {
        Role::Server => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        Role::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// What every certificate has: a name and a validity (the library's default ends in the year 4096).
fn params(label: &str, validity: Duration) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, label);
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + validity;
    params
}

fn check_label(label: &str) -> Result<(), PkiError> {
    let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let first = label.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if plain && first && label.len() <= 64 { Ok(()) } else { Err(PkiError::Label(label.chars().take(80).collect())) }
}

impl Files {
    fn write(&self, certificate: &str, key: &str) -> Result<(), PkiError> {
        write_new(&self.key, key, 0o600)?;
        write_new(&self.certificate, certificate, 0o644).inspect_err(|_| {
            // A key without its certificate would only stand in the way of the next attempt.
            let _ = fs::remove_file(&self.key);
        })
    }
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), PkiError> {
    let fault = |error| PkiError::File { path: path.to_owned(), error };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(fault)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)
}

fn read(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(|error| PkiError::File { path: path.to_owned(), error })
}

fn make_dir(path: &Path) -> Result<(), PkiError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| PkiError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests;
