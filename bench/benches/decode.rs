//! Reading: from bytes to types.

use std::hint::black_box;

use bench::documents;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use schemas::limits::Limits;
use schemas::read;

fn decode(c: &mut Criterion) {
    let limits = Limits::default();
    let mut group = c.benchmark_group("decode");
    for (name, document) in [
        ("advisory of 2 KiB", documents::advisory(2 << 10)),
        ("update of 50 MB", documents::update(50_000_000)),
        ("bundle of 64 parts", documents::bundle(64)),
        ("register of 500 components", documents::register(500)),
    ] {
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_function(name, |b| b.iter(|| read::document(black_box(&document), &limits)));
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
