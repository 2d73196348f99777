//! Validation: what a document costs before anybody acts on it, and what its layers cost by themselves.

use std::hint::black_box;

use bench::documents;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use schemas::core::{Part, Payload, Root};
use schemas::facts::Validated;
use schemas::limits::Limits;
use schemas::signature::{KeyKind, Options, PrivateKey, sign, signable};
use schemas::{base64, part, wellformed};

fn documents() -> [(&'static str, Bytes); 4] {
    [
        ("advisory of 2 KiB", documents::advisory(2 << 10)),
        ("update of 50 MB", documents::update(50_000_000)),
        ("bundle of 64 parts", documents::bundle(64)),
        ("register of 500 components", documents::register(500)),
    ]
}

fn validate(c: &mut Criterion) {
    let limits = Limits::default();
    let mut group = c.benchmark_group("validate");
    for (name, document) in documents() {
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_function(name, |b| b.iter(|| Validated::new(black_box(document.clone()), &limits)));
    }
    group.finish();
}

/// The same with one signature over all of it, which is verified on the way.
fn signed(c: &mut Criterion) {
    let limits = Limits::default();
    let mut group = c.benchmark_group("validate-signed");
    for (name, document) in &documents()[..3] {
        for (key_name, kind) in [("P-256", KeyKind::P256), ("Ed25519", KeyKind::Ed25519), ("RSA-2048", KeyKind::Rsa)] {
            let key = PrivateKey::generate(kind).expect("a key");
            let plain = Validated::new(document.clone(), &limits).expect("the documents of this package are valid");
            let scope = signable(&plain)[0];
            let signed = sign(&plain, scope, &key, &Options::default(), &limits).expect("a document to be signed");
            let bytes = signed.bytes().clone();
            assert!(signed.signatures()[0].verified().is_some());
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(format!("{name}, {key_name}"), |b| {
                b.iter(|| Validated::new(black_box(bytes.clone()), &limits));
            });
        }
    }
    group.finish();
}

fn well_formed(c: &mut Criterion) {
    let limits = Limits::default();
    let mut group = c.benchmark_group("well-formed");
    for (name, document) in documents() {
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_function(name, |b| b.iter(|| wellformed::check(black_box(&document), &limits)));
    }
    group.finish();
}

fn self_contained(c: &mut Criterion) {
    let document = documents::bundle(64);
    let mut group = c.benchmark_group("self-contained");
    group.throughput(Throughput::Bytes(document.len() as u64));
    let validated = Validated::new(document, &Limits::default()).expect("the documents of this package are valid");
    let Root::Message(core) = &validated.document().root else { return };
    let Payload::Bundle(parts) = &core.payload else { return };
    group.bench_function("each of 64 parts", |b| {
        b.iter(|| {
            for part in parts {
                if let Part::Good(core) = part {
                    black_box(part::self_contained(&validated, core));
                }
            }
        });
    });
    group.finish();
}

fn decode_base64(c: &mut Criterion) {
    let plain = base64::encode(&documents::bytes(50_000_000));
    let wrapped = documents::wrapped(&plain, 76);
    let mut group = c.benchmark_group("base64");
    for (name, text) in [("in one line", &plain), ("in lines of 76", &wrapped)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| base64::decode(black_box(text), &mut |piece| _ = black_box(piece))));
    }
    group.finish();
}

criterion_group!(benches, validate, signed, well_formed, self_contained, decode_base64);
criterion_main!(benches);
