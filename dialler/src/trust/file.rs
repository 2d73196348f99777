//! A trust file's tables, and the signers that they name.

use std::path::{Path, PathBuf};

use node::trust::{Names, Proof, Signer};
use schemas::signature::{Authority, KeyId, PublicKey};
use serde::Deserialize;

use super::{TrustError, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    signer: Vec<Table>,
}

/// One `[[signer]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    key: Option<String>,
    key_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    sources: Vec<String>,
    #[serde(default)]
    companies: Vec<String>,
    products: Option<Vec<String>>,
    #[serde(default = "may")]
    deliver: bool,
}

fn may() -> bool {
    true
}

/// Every name.
const ANY: &str = "*";

pub(super) fn load(path: &Path) -> Result<Vec<Signer>, TrustError> {
    let parsed: File = toml::from_str(&read(path)?)
        .map_err(|source| TrustError::Parse { path: path.to_owned(), source: Box::new(source) })?;
    parsed.signer.into_iter().map(|table| table.signer(path)).collect()
}

impl Table {
    fn signer(self, path: &Path) -> Result<Signer, TrustError> {
        let proof = self.proof(path)?;
        let wrong = |what: &str| self.wrong(path, what.to_owned());
        if self.name.trim().is_empty() {
            return Err(wrong("it needs a name, for people"));
        }
        let named = [Some(&self.sources), Some(&self.companies), self.products.as_ref()];
        if named.into_iter().flatten().flatten().any(|name| name.trim().is_empty()) {
            return Err(wrong("an empty name stands for nobody; \"*\" stands for any"));
        }
        if self.deliver && self.sources.is_empty() && self.companies.is_empty() {
            return Err(wrong(
                "it may speak for nobody: name sources or companies (\"*\" for any), or say deliver = false",
            ));
        }
        Ok(Signer {
            proof,
            sources: names(&self.sources),
            companies: names(&self.companies),
            products: self.products.as_deref().map_or(Names::Any, names),
            deliver: self.deliver,
            name: self.name.into(),
        })
    }

    fn proof(&self, path: &Path) -> Result<Proof, TrustError> {
        let wrong = |what: String| self.wrong(path, what);
        // A trust file is moved together with what it names.
        let beside = |file: &Path| path.parent().unwrap_or(Path::new("")).join(file);
        match (&self.key, &self.key_file, &self.ca_file) {
            (Some(key), None, None) => {
                let id = key.strip_prefix("sha256:").and_then(KeyId::parse);
                let what = "key must be sha256: and the 64 hexadecimal digits of the key's fingerprint";
                id.map(Proof::Key).ok_or_else(|| wrong(format!("{what}, not {key:?}")))
            }
            (None, Some(file), None) => {
                let file = beside(file);
                let key = PublicKey::from_pem(&read(&file)?);
                key.map(|key| Proof::Key(key.fingerprint())).map_err(|why| wrong(format!("{}: {why}", file.display())))
            }
            (None, None, Some(file)) => {
                let file = beside(file);
                let authority = Authority::from_pem(&read(&file)?);
                authority.map(Proof::Authority).map_err(|why| wrong(format!("{}: {why}", file.display())))
            }
            _ => Err(wrong("it needs exactly one of key, key_file and ca_file".to_owned())),
        }
    }

    fn wrong(&self, path: &Path, what: String) -> TrustError {
        TrustError::Signer { path: path.to_owned(), name: self.name.clone(), what }
    }
}

fn names(names: &[String]) -> Names {
    if names.iter().any(|name| name == ANY) {
        return Names::Any;
    }
    Names::Only(names.iter().map(|name| name.trim().to_owned()).collect())
}
