//! What can be wrong with a scenario: where it stands, and what to do.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Why a scenario cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read it: {0}; examples are in deploy/scenarios")]
    Read(#[from] std::io::Error),
    /// Not TOML, an unknown key, a value of the wrong kind.
    #[error(transparent)]
    Form(#[from] toml::de::Error),
    /// A value that makes no sense.
    #[error("{place}: {key} = {value}: {why}")]
    Value {
        /// The block.
        place: String,
        /// The key in it.
        key: &'static str,
        /// What it says.
        value: String,
        /// What it should say.
        why: String,
    },
    /// One of the above, in a file.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        error: Box<Self>,
    },
}

impl ScenarioError {
    pub(super) fn in_file(self, path: &Path) -> Self {
        Self::File { path: path.to_owned(), error: Box::new(self) }
    }
}

/// A block of the file, for what is wrong in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Such as `[[server]]`.
    pub(super) block: &'a str,
    /// What tells it from others of its kind; may be empty.
    pub(super) which: &'a str,
}

impl Place<'_> {
    pub(super) fn bad<T>(
        self,
        key: &'static str,
        value: impl Display,
        why: impl Into<String>,
    ) -> Result<T, ScenarioError> {
        let place =
            if self.which.is_empty() { self.block.to_owned() } else { format!("{} {}", self.block, self.which) };
        Err(ScenarioError::Value { place, key, value: value.to_string(), why: why.into() })
    }
}
