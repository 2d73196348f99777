//! Inventories drawn from 5,000 names with a falling frequency, as crates are: a few are in nearly every asset, most in
//! few. The numbers come from a fixed seed, so runs compare.

use schemas::guid::ClientGuid;
use schemas::version::{Container, Info, VersionInfo};
use topology::interest::Interest;
use topology::subscriptions::{Mode, Origin, Subscription, Subscriptions};

/// Names that there are.
pub const NAMES: u64 = 5_000;
/// Registered inventories.
pub const INVENTORIES: u128 = 10_000;
/// Components of each.
const COMPONENTS: u64 = 100;

/// A small generator; quality does not matter here.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number below a bound.
    pub fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    /// The same, but small ones are frequent.
    pub fn skewed(&mut self, below: u64) -> u64 {
        let bound = self.next(below) + 1;
        self.next(bound)
    }
}

fn info(name: u64, version: String) -> Info {
    let container = Container {
        package: Some("cargo".into()),
        file_name: Some(format!("pkg:cargo/crate-{name}").into()),
        version: version.into(),
        ..Container::default()
    };
    Info { container, ..Info::default() }
}

/// An asset of so many components.
pub fn inventory(numbers: &mut Numbers, product: u128, components: u64) -> Interest {
    let parts = (0..components).map(|_| info(numbers.skewed(NAMES), format!("1.{}.0", numbers.next(20)))).collect();
    let mut own = info(NAMES, "1.0.0".to_owned());
    own.container.file_name = Some(format!("pkg:cargo/app-{product}?repository_url=local").into());
    own.container.contained_versions = vec![VersionInfo { info: parts, ..VersionInfo::default() }];
    Interest::from_version_info(&VersionInfo {
        product_name: Some(format!("app-{product}").into()),
        info: vec![own],
        ..VersionInfo::default()
    })
}

/// An item about one name.
pub fn item(name: u64, range: &str) -> VersionInfo {
    let mut own = info(name, range.to_owned());
    own.source = Some("RustSec".into());
    own.id = Some(format!("RUSTSEC-2026-{name:04}").into());
    VersionInfo { info: vec![own], ..VersionInfo::default() }
}

/// A table of so many inventories.
pub fn registered(inventories: u128) -> Subscriptions {
    let mut numbers = Numbers(1);
    let mut table = Subscriptions::default();
    for client in 0..inventories {
        let interest = inventory(&mut numbers, client, COMPONENTS);
        let subscription = Subscription { interest, mode: Mode::Full, origin: Origin::Register, since: 0 };
        table.subscribe(ClientGuid(client), subscription);
    }
    table
}
