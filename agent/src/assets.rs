//! The inventory that a configuration describes: reading its files, and noticing that they changed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use node::client;

use crate::config::AssetSource;
use crate::inventory::{self, Asset, Inventory, NameTaken, Origin, cargo_lock, list};

/// Bytes of an inventory file; the largest real lock files have less than one mebibyte.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why the inventory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AssetsError {
    /// The file cannot be read.
    #[error("asset {asset:?}: cannot read {path}: {source}")]
    Read {
        /// Which asset.
        asset: String,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is none of its kind.
    #[error("asset {asset:?}: {path}: {fault}")]
    Parse {
        /// Which asset.
        asset: String,
        /// Which file.
        path: PathBuf,
        /// Where, and what is wrong there.
        fault: String,
    },
    /// Two assets of one name.
    #[error(transparent)]
    Name(#[from] NameTaken),
}

/// Reads every asset. One in a lock file has the configured name; those of a list that holds several have that name, a
/// slash and their own.
///
/// # Errors
/// The first file that cannot be read, with its asset.
pub fn find(sources: &[AssetSource]) -> Result<Inventory, AssetsError> {
    let mut inventory = Inventory::default();
    for source in sources {
        for (name, asset) in read(source)? {
            inventory.add(name, asset)?;
        }
    }
    Ok(inventory)
}

/// The same as a client takes it.
pub fn for_client(inventory: &Inventory) -> Vec<client::Asset> {
    inventory.assets().map(|(name, asset)| client::Asset::new(name, asset.info.clone())).collect()
}

fn read(source: &AssetSource) -> Result<Vec<(String, Asset)>, AssetsError> {
    let path = file(source);
    let text = read_text(path).map_err(|error| AssetsError::Read {
        asset: source.name.clone(),
        path: path.to_owned(),
        source: error,
    })?;
    let fault = |fault: String| AssetsError::Parse { asset: source.name.clone(), path: path.to_owned(), fault };
    match source.cargo_lock {
        Some(_) => of_lock(&source.name, &text).map_err(|error| fault(error.to_string())),
        None => of_list(&source.name, &text).map_err(|error| fault(error.to_string())),
    }
}

/// The asset of this name, from the text of its lock file.
///
/// # Errors
/// Says where, and what is wrong there.
pub fn of_lock(name: &str, text: &str) -> Result<Vec<(String, Asset)>, cargo_lock::Error> {
    let info = cargo_lock::read(text, Some(name))?;
    Ok(vec![(name.to_owned(), Asset { info, origin: Origin::Agent })])
}

/// Assets from the text of a list: of several, each has a name of its own after this one.
///
/// # Errors
/// Says where, and what is wrong there.
pub fn of_list(name: &str, text: &str) -> Result<Vec<(String, Asset)>, list::Error> {
    let infos = list::read(text)?;
    let is_one = infos.len() == 1;
    let named = infos.into_iter().map(|info| {
        let name = if is_one { name.to_owned() } else { format!("{name}/{}", inventory::name_of(&info)) };
        (name, Asset { info, origin: Origin::Manual })
    });
    Ok(named.collect())
}

fn read_text(path: &Path) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    if length > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("{length} bytes where {FILE_BYTES_MAX} are allowed")));
    }
    fs::read_to_string(path)
}

fn file(source: &AssetSource) -> &Path {
    // `Config::load` has seen to it that exactly one is there.
    source.cargo_lock.as_deref().or(source.list.as_deref()).unwrap_or(Path::new(""))
}

/// What tells cheaply that files are as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Vec<Option<(SystemTime, u64, u64)>>);

impl Stamp {
    /// How the files stand now.
    pub fn of(sources: &[AssetSource]) -> Self {
        let stamp = |source: &AssetSource| {
            let metadata = fs::metadata(file(source)).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
        };
        Self(sources.iter().map(stamp).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, lock: Option<&Path>, list: Option<&Path>) -> AssetSource {
        AssetSource { name: name.into(), cargo_lock: lock.map(Path::to_owned), list: list.map(Path::to_owned) }
    }

    #[test]
    fn c7_each_asset_says_who_stated_it() {
        let dir = tempfile::tempdir().unwrap();
        let (lock, list) = (dir.path().join("Cargo.lock"), dir.path().join("list.toml"));
        fs::write(&lock, "version = 3\n[[package]]\nname = \"app\"\nversion = \"1.0.0\"\n").unwrap();
        fs::write(&list, "[[asset]]\nname = \"one\"\n[[asset]]\nname = \"two\"\n").unwrap();
        let sources = [source("billing", Some(&lock), None), source("by hand", None, Some(&list))];
        let found = find(&sources).unwrap();
        let shown: Vec<_> = found.assets().map(|(name, asset)| (name, asset.origin.as_str())).collect();
        assert_eq!(shown, [("billing", "agent"), ("by hand/one", "manual"), ("by hand/two", "manual")]);
        assert_eq!(for_client(&found).len(), 3);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_its_asset() {
        let error = find(&[source("gone", Some(Path::new("/nonexistent/Cargo.lock")), None)]).unwrap_err();
        assert!(error.to_string().contains("\"gone\": cannot read /nonexistent/Cargo.lock"), "{error}");
    }

    #[test]
    fn a_stamp_changes_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("Cargo.lock");
        let sources = [source("a", Some(&lock), None)];
        let before = Stamp::of(&sources);
        fs::write(&lock, "one").unwrap();
        let after = Stamp::of(&sources);
        assert_ne!(before, after);
        assert_eq!(after, Stamp::of(&sources));
    }
}
