//! The world of the demo: a scenario with one server, and the publications that the story tells of.

use std::path::{Path, PathBuf};

use super::Options;
use super::data;
use crate::tree::builtin::{self, Product};
use crate::tree::cast::Cast;
use crate::tree::scenario::Scenario;

/// The index of the only server, and of the only provider.
pub(super) const ONLY: usize = 0;

/// See the module.
pub(super) struct World {
    pub(super) cast: Cast,
    /// Each has an agent of its name.
    pub(super) products: Vec<Product>,
    /// What is published, in parts.
    pub(super) publications: Vec<PathBuf>,
}

impl World {
    /// Writes all of it.
    pub(super) fn make(options: &Options) -> anyhow::Result<Self> {
        let products = builtin::products()?;
        let scenario = Scenario::parse(&scenario(&products))?;
        let world = crate::tree::world::World::make(scenario, Path::new(""), options.keep.as_deref())?;
        let parts = data::publications()?;
        let parts = parts.iter().zip(1..);
        let publications = parts.map(|(text, number)| world.folder.write(&format!("publication-{number}.jsonl"), text));
        let publications = publications.collect::<anyhow::Result<_>>()?;
        Ok(Self { cast: Cast::new(world)?, products, publications })
    }
}

/// The story says when; so the file says only who.
fn scenario(products: &[Product]) -> String {
    let mut text = "[scenario]\nname = \"the demo\"\nseconds = 60\n[[server]]\nname = \"server\"\n\
                    [[provider]]\nname = \"provider\"\nserver = \"server\"\npublish = \"builtin:rustsec\"\n"
        .to_owned();
    for Product { name, .. } in products {
        text.push_str(&format!(
            "[[agents]]\nname = \"{name}\"\nserver = \"server\"\nassets = \"builtin:demo/{name}\"\n"
        ));
    }
    text
}
