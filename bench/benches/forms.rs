//! Wire forms: what a document's segments cost whoever makes them, once for all links, and each receiver.

use std::hint::black_box;

use bench::documents;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use link::segments::{Dictionary, PRELUDE_BYTES, Prelude, Restoring, make};

/// What only text is made of, and code that does not compress: the dictionary's case, and the packed one.
fn documents() -> [(&'static str, Bytes); 2] {
    [("advisory of 2 KiB", documents::advisory(2 << 10)), ("update of 1 MiB", documents::update(1 << 20))]
}

fn making(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("make-segments");
    for (name, document) in documents() {
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| make(black_box(&document), Some(Dictionary::advisories())));
        });
    }
    group.finish();
}

fn restoring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("restore-segments");
    for (name, document) in documents() {
        let dictionary = Some(Dictionary::advisories());
        let coded = make(&document, dictionary).concat();
        let prelude = Prelude { document_bytes: document.len() as u32, dictionary };
        assert_eq!(restored(prelude, &coded), document, "what is timed is right");
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| restored(prelude, black_box(&coded))));
    }
    group.finish();
}

/// As a link does it: so many bytes as are wanted, a piece as soon as its segment is there.
fn restored(prelude: Prelude, mut coded: &[u8]) -> Vec<u8> {
    let body_bytes = (PRELUDE_BYTES + coded.len()) as u32;
    let mut restoring = Restoring::new(prelude, body_bytes).expect("a body with its prelude");
    let mut document = Vec::with_capacity(prelude.document_bytes as usize);
    loop {
        let (came, rest) = coded.split_at(restoring.wants());
        restoring.waiting_mut().extend_from_slice(came);
        restoring.came(came.len());
        coded = rest;
        if restoring.next_piece().expect("segments that were made").is_none() {
            return document;
        }
        restoring.restore(&mut document).expect("segments that were made");
    }
}

criterion_group!(forms, making, restoring);
criterion_main!(forms);
