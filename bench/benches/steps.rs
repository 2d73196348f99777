//! Each step of an item's way.

use bench::steps::STEPS;
use criterion::{Criterion, criterion_group, criterion_main};

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step");
    for (name, ready) in STEPS {
        let mut step = ready();
        group.bench_function(name, |bencher| bencher.iter(&mut step));
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
