//! Who gets an item, and what of a publication concerns one asset.
//!
//! Inventories are drawn from 5,000 names with a falling frequency, as crates are: a few are in nearly every asset,
//! most in few. The numbers come from a fixed seed, so runs compare.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use schemas::guid::ClientGuid;
use schemas::version::{Container, Info, VersionInfo};
use topology::affected::Affected;
use topology::interest::Interest;
use topology::matching::applies;
use topology::subject::{Reach, Subject};
use topology::subscriptions::{Mode, Origin, Subscription, Subscriptions};

const NAMES: u64 = 5_000;
const INVENTORIES: u128 = 10_000;
/// Components of each registered inventory.
const COMPONENTS: u64 = 100;
/// The size of the RustSec database of May 2026.
const ADVISORIES: u64 = 1_099;

/// A small generator; quality does not matter here.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    /// Small numbers are frequent.
    fn skewed(&mut self, below: u64) -> u64 {
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

fn inventory(numbers: &mut Numbers, product: u128, components: u64) -> Interest {
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

fn item(name: u64, range: &str) -> VersionInfo {
    let mut own = info(name, range.to_owned());
    own.source = Some("RustSec".into());
    own.id = Some(format!("RUSTSEC-2026-{name:04}").into());
    VersionInfo { info: vec![own], ..VersionInfo::default() }
}

fn registered() -> Subscriptions {
    let mut numbers = Numbers(1);
    let mut table = Subscriptions::default();
    for client in 0..INVENTORIES {
        let interest = inventory(&mut numbers, client, COMPONENTS);
        let subscription = Subscription { interest, mode: Mode::Full, origin: Origin::Register, since: 0 };
        table.subscribe(ClientGuid(client), subscription);
    }
    table
}

/// One item against all registered inventories: through the index, verified.
fn one_item(criterion: &mut Criterion) {
    let table = registered();
    let mut group = criterion.benchmark_group("one item, 10,000 inventories");
    for (case, name, range) in [
        ("component of many", 0, "vers:cargo/<1.10.0"),
        ("component of few", NAMES - 500, "vers:cargo/<1.10.0"),
        ("component of none", NAMES + 1, "vers:cargo/<1.10.0"),
    ] {
        let reach = Reach::of(&Subject::from_version_infos(&[item(name, range)]));
        let case = format!("{case} ({} served)", table.clients_for(&reach, 1).len());
        group.bench_function(case, |bencher| bencher.iter(|| table.clients_for(black_box(&reach), 1)));
    }
    group.finish();
}

/// A whole publication against one asset, as an agent does after a change, with reasons.
fn whole_publication(criterion: &mut Criterion) {
    let mut numbers = Numbers(2);
    let interest = inventory(&mut numbers, 0, 500);
    let items: Vec<Vec<Affected>> = (0..ADVISORIES)
        .map(|_| {
            let range = format!("vers:cargo/>=1.2.0|<1.{}.0", 3 + numbers.next(20));
            Subject::from_version_infos(&[item(numbers.skewed(NAMES), &range)]).affected
        })
        .collect();
    criterion.bench_function("1,099 advisories, one inventory of 500 components", |bencher| {
        bencher.iter(|| items.iter().map(|affected| applies(black_box(&interest), affected).len()).sum::<usize>());
    });
}

criterion_group!(matching, one_item, whole_publication);
criterion_main!(matching);
