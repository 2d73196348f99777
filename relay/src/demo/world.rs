//! The world of the demo: a scenario with a vendor, two ISPs and their devices, and the publications that the story
//! tells of.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use schemas::signature::{KeyId, PublicKey};

use super::Options;
use super::data;
use crate::tree::builtin::{self, Product};
use crate::tree::cast::Cast;
use crate::tree::folder::Folder;
use crate::tree::process::Process;
use crate::tree::scenario::Scenario;

/// The vendor's server, by its index; behind it come the ISPs'.
pub(super) const VENDOR: usize = 0;
/// The local servers.
pub(super) const ISPS: [(usize, &str); 2] = [(1, "isp-1"), (2, "isp-2")];
/// The index of the only provider.
pub(super) const PROVIDER: usize = 0;
/// Devices that run each product.
const DEVICES_EACH: usize = 3;

/// A device, with the agent of its name.
pub(super) struct Device {
    pub(super) name: String,
    /// What it runs, by its place among the products.
    pub(super) product: usize,
    /// Where it is a client, by its place among the ISPs.
    pub(super) isp: usize,
}

/// See the module.
pub(super) struct World {
    pub(super) cast: Cast,
    pub(super) products: Vec<Product>,
    /// By ISP, then by product.
    pub(super) devices: Vec<Device>,
    /// What is published, in parts.
    pub(super) publications: Vec<PathBuf>,
    /// What the provider signs with.
    pub(super) key: PathBuf,
    /// The name of that key.
    pub(super) signer: KeyId,
}

impl World {
    /// Writes all of it.
    pub(super) fn make(options: &Options) -> anyhow::Result<Self> {
        let products = builtin::products()?;
        let devices = devices(&products);
        let scenario = Scenario::parse(&scenario(&products, &devices))?;
        let world = crate::tree::world::World::make(scenario, Path::new(""), options.keep.as_deref())?;
        let parts = data::publications()?;
        let parts = parts.iter().zip(1..);
        let publications = parts.map(|(text, number)| world.folder.write(&format!("publication-{number}.jsonl"), text));
        let publications = publications.collect::<anyhow::Result<_>>()?;
        let (key, signer) = signing_key(&world.folder)?;
        Ok(Self { cast: Cast::new(world)?, products, devices, publications, key, signer })
    }

    pub(super) fn product(&self, device: &Device) -> &Product {
        &self.products[device.product]
    }
}

/// Has a key made, as a provider would.
fn signing_key(folder: &Folder) -> anyhow::Result<(PathBuf, KeyId)> {
    let key = folder.path("provider-signing.key");
    let args = ["agent".as_ref(), "keygen".as_ref(), "--out".as_ref(), key.as_os_str()];
    let made = Process::start("keygen", args, &folder.log("keygen"))?.wait()?;
    ensure!(made, "no key could be made: see {}", folder.log("keygen").display());
    let public = std::fs::read_to_string(key.with_extension("pub.pem"))?;
    Ok((key, PublicKey::from_pem(&public)?.fingerprint()))
}

/// Devices of one product are clients of the ISPs in turn.
fn devices(products: &[Product]) -> Vec<Device> {
    let of = |product: usize| {
        let name = products[product].name;
        (0..DEVICES_EACH).map(move |number| {
            let isp = (product + number) % ISPS.len();
            Device { name: format!("{name}-{}", ["a", "b", "c"][number]), product, isp }
        })
    };
    let mut devices: Vec<Device> = (0..products.len()).flat_map(of).collect();
    devices.sort_by_key(|device| (device.isp, device.product));
    devices
}

/// The story says when; so the file says only who. The feed is small: the ISPs take all of it, and say nothing of who is
/// below them.
fn scenario(products: &[Product], devices: &[Device]) -> String {
    let mut text = "[scenario]\nname = \"the demo\"\nseconds = 60\n[[server]]\nname = \"vendor\"\n\
                    [[server]]\nname = \"isp-{n}\"\ncount = 2\nupstreams = [\"vendor\"]\nrealm = \"foreign\"\n\
                    ask = \"everything\"\n\
                    [[provider]]\nname = \"provider\"\nserver = \"vendor\"\npublish = \"builtin:rustsec\"\n"
        .to_owned();
    for Device { name, product, isp } in devices {
        let (product, isp) = (products[*product].name, ISPS[*isp].1);
        text.push_str(&format!(
            "[[agents]]\nname = \"{name}\"\nserver = \"{isp}\"\nassets = \"builtin:demo/{product}\"\n"
        ));
    }
    text
}
