//! Who gets an item, and what of a publication concerns one asset.

use std::hint::black_box;

use bench::registered::{INVENTORIES, NAMES, Numbers, inventory, item, registered};
use criterion::{Criterion, criterion_group, criterion_main};
use topology::affected::Affected;
use topology::matching::applies;
use topology::subject::{Reach, Subject};

/// The size of the RustSec database of May 2026.
const ADVISORIES: u64 = 1_099;

/// One item against all registered inventories: through the index, verified.
fn one_item(criterion: &mut Criterion) {
    let table = registered(INVENTORIES);
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
