//! The trust file: which keys and authorities may speak for whom. One form for servers and agents.

mod file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use node::trust::{self, Trust};
use serde::{Deserialize, Serialize};

/// The table `[trust]` of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The trust file; none: nobody is named, and what is signed is passed on unchecked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// What becomes of items that carry no signature.
    pub unsigned: Unsigned,
}

/// What becomes of items that carry no signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unsigned {
    /// They are passed on, and shown as unsigned.
    #[default]
    Pass,
    /// They are refused.
    Refuse,
}

/// Why a trust file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; docs/trust.md says what a trust file looks like")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: {source}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// What, and where.
        source: Box<toml::de::Error>,
    },
    /// A signer that makes no sense.
    #[error("{path}: signer {name:?}: {what}")]
    Signer {
        /// Which file.
        path: PathBuf,
        /// Whose table.
        name: String,
        /// What is wrong, and what would be right.
        what: String,
    },
}

impl Settings {
    /// The rights that it names, with all the files that the trust file names.
    ///
    /// # Errors
    /// Says which file is wrong, where, and what would be right.
    pub fn load(&self) -> Result<Trust, TrustError> {
        let unsigned = match self.unsigned {
            Unsigned::Pass => trust::Unsigned::Pass,
            Unsigned::Refuse => trust::Unsigned::Refuse,
        };
        let signers = self.file.as_deref().map(file::load).transpose()?;
        Ok(Trust { signers, unsigned })
    }
}

fn read(path: &Path) -> Result<String, TrustError> {
    std::fs::read_to_string(path).map_err(|source| TrustError::Read { path: path.to_owned(), source })
}
