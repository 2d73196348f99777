//! What is installed here: assets with their components, written as Register and Request want them.
//!
//! [`cargo_lock`] reads what a machine wrote, [`list`] what a person wrote; the difference is kept (R-7-9).

use std::collections::BTreeMap;

use bytestring::ByteString;
use schemas::version::VersionInfo;

pub mod cargo_lock;
pub mod list;

/// Who stated that an asset is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Read by this program from what a machine wrote.
    Agent,
    /// Entered by a person.
    Manual,
}

impl Origin {
    /// The word for lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Manual => "manual",
        }
    }
}

/// One asset of the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Product, own Info and components, as they go into a Register.
    pub info: VersionInfo,
    /// Who stated it.
    pub origin: Origin,
}

/// Everything that one agent speaks for, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    assets: BTreeMap<String, Asset>,
}

/// An asset with this name is there already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two assets are named {0:?}")]
pub struct NameTaken(pub String);

impl Inventory {
    /// Adds an asset under a name of its own.
    pub fn add(&mut self, name: String, asset: Asset) -> Result<(), NameTaken> {
        if self.assets.contains_key(&name) {
            return Err(NameTaken(name));
        }
        self.assets.insert(name, asset);
        Ok(())
    }

    /// The asset of this name.
    pub fn get(&self, name: &str) -> Option<&Asset> {
        self.assets.get(name)
    }

    /// Every asset with its name, in the order of names.
    pub fn assets(&self) -> impl Iterator<Item = (&str, &Asset)> {
        self.assets.iter().map(|(name, asset)| (name.as_str(), asset))
    }

    /// The number of assets.
    pub fn len(&self) -> usize {
        self.assets.len()
    }

    /// Whether there is no asset.
    pub fn is_empty(&self) -> bool {
        self.assets.is_empty()
    }
}

/// A name for an asset that was given none: its product, else its File_name.
pub fn name_of(info: &VersionInfo) -> String {
    let file_name = || info.info.first().and_then(|info| info.container.file_name.as_ref());
    info.product_name.as_ref().or_else(file_name).map(ToString::to_string).unwrap_or_default()
}

/// Line of a byte, counted from 1.
pub(crate) fn line_of(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|byte| *byte == b'\n').count()
}

/// Whether XML 1.0 can carry the text.
pub(crate) fn is_carried(text: &str) -> bool {
    text.chars().all(|c| (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}')) || matches!(c, '\t' | '\n' | '\r'))
}

fn text(value: impl Into<String>) -> Option<ByteString> {
    Some(value.into().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    // R-7-9: what a machine collected is told from what a person entered.
    #[test]
    fn c7_inventory_shows_who_stated_each_asset() {
        let lock = "[[package]]\nname = \"app\"\nversion = \"1.0.0\"\n";
        let list = "[[asset]]\nname = \"Quill Editor\"\nversion = \"4.1.0\"\n";
        let mut inventory = Inventory::default();
        let app = Asset { info: cargo_lock::read(lock, None).unwrap(), origin: Origin::Agent };
        inventory.add(name_of(&app.info), app.clone()).unwrap();
        for info in list::read(list).unwrap() {
            inventory.add(name_of(&info), Asset { info, origin: Origin::Manual }).unwrap();
        }
        let shown: Vec<_> = inventory.assets().map(|(name, asset)| (name, asset.origin.as_str())).collect();
        assert_eq!(shown, [("Quill Editor", "manual"), ("app", "agent")]);
        assert_eq!(inventory.add("app".to_owned(), app), Err(NameTaken("app".to_owned())));
    }
}
