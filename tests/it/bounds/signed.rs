//! The same for signed documents: verification streams, and signatures around and beside each other are bounded.
//!
//! The library of the keys takes some memory of its own, which does not grow either and is not counted here.

use schemas::facts::SignatureState;
use schemas::signature::canon::Kind;
use schemas::signature::{KeyKind, Options, PrivateKey, Refusal, SignError, sign, signable, verify};
use tests::xmlsec::text;

use super::*;

/// What verification adds for each signature, as stated.
const SIGNATURE_BYTES: usize = 512;

/// Without the bound on passes, so that more can be signed than is verified.
fn boundless() -> Limits {
    Limits { signature_passes: usize::MAX, ..Limits::default() }
}

fn signed_at(document: &Validated, index: usize, key: &PrivateKey) -> Validated {
    sign(document, signable(document)[index], key, &Options::default(), &boundless()).unwrap()
}

/// A Deliver with this much code, in lines as others write it or in one, signed as a whole or as a message.
fn signed_update(bytes: usize, line: &str, index: usize) -> Validated {
    let code = line.repeat(bytes / line.len());
    let update = with_container(&format!("<v:Version/><v:Code><v:Binary>{code}</v:Binary></v:Code>"));
    let plain = Validated::new(update.into(), &Limits::default()).unwrap();
    signed_at(&plain, index, &PrivateKey::generate(KeyKind::P256).unwrap())
}

// P-6 (memory): the input and a fixed part, however much is signed.
#[test]
fn p_6_a_large_signed_document_takes_itself_and_a_fixed_part() {
    const LINES: [&str; 2] =
        ["QUJD", "QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD\r\n"];
    for (line, index) in LINES.iter().flat_map(|line| [0, 1].map(|index| (*line, index))) {
        for size in [256 << 10, 4 << 20, 16 << 20] {
            let document = signed_update(size, line, index);
            let fact = document.signatures()[0].clone();
            assert!(fact.verified().is_some());
            let limits = Limits::default();
            let meter = Meter::start();
            verify(text(&document), fact.covers, fact.span, &|_| None, &limits).unwrap();
            let verified = meter.taken().peak_bytes;
            let read = read(document.bytes().clone()).peak_bytes;
            println!("{size} bytes in pieces of {}: {verified} to verify, {read} to read", line.len());
            assert!(verified <= CONSTANT_BYTES, "{size}: {verified}");
            assert!(read <= CONSTANT_BYTES, "{size}: {read}");
        }
    }
}

fn allowed_signed(document: &Validated) -> usize {
    allowed(text(document), false) + document.signatures().len() * SIGNATURE_BYTES
}

fn valid(document: &Validated) -> usize {
    document.signatures().iter().filter(|fact| fact.verified().is_some()).count()
}

/// How many were refused by this limit.
fn over(document: &Validated, limit: &str) -> usize {
    let is_over = |state: &SignatureState| matches!(state, SignatureState::Refused(Refusal::Limit { name, .. }) if *name == limit);
    document.signatures().iter().filter(|fact| is_over(&fact.state)).count()
}

/// The same signed message so many times: wherever it stands it is signed.
fn repeated(count: usize) -> Validated {
    let data = "<v:Version_Info><v:Info><v:Container><v:Version/></v:Container></v:Info></v:Version_Info>";
    let one = Validated::new(with_data(data).into(), &Limits::default()).unwrap();
    let one = signed_at(&one, 1, &PrivateKey::generate(KeyKind::Ed25519).unwrap());
    let message = &text(&one)[one.signatures()[0].covers.range()];
    Validated::new(with_payload(&message.repeat(count)).into(), &Limits::default()).unwrap()
}

// P-6: beside each other, each is verified up to the limit, and what they take is as stated.
#[test]
fn p_6_many_signatures_beside_each_other_are_bounded() {
    let mut before = None;
    for count in [512, 1024, 2048, 4096] {
        let document = repeated(count);
        assert_eq!((valid(&document), document.signatures().len()), (count, count));
        let taken = read(document.bytes().clone());
        assert!(taken.peak_bytes <= allowed_signed(&document), "{count}: {taken:?}");
        // Twice as many, twice the work.
        let few: usize = before.replace(taken.allocations).unwrap_or(taken.allocations);
        assert!(taken.allocations <= 2 * few + few / 8 + 64, "{count}: {few} allocations, then {taken:?}");
    }
    let limits = Limits { signatures: 100, ..Limits::default() };
    let document = Validated::new(repeated(150).bytes().clone(), &limits).unwrap();
    assert_eq!((valid(&document), over(&document, "signatures")), (100, 50));
}

/// Components in each other, everything signed, inner before outer.
fn nested(depth: usize) -> Validated {
    let open = "<v:Contained_Versions><v:Info><v:Container><v:Version/>";
    let close = "</v:Container></v:Info></v:Contained_Versions>";
    let tree = with_container(&format!("<v:Version/>{}{}", open.repeat(depth), close.repeat(depth)));
    let mut document = Validated::new(tree.into(), &Limits::default()).unwrap();
    let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    for index in (0..signable(&document).len()).rev() {
        document = match sign(&document, signable(&document)[index], &key, &Options::default(), &boundless()) {
            Err(SignError::Empty) => document,
            done => done.unwrap(),
        };
    }
    Validated::new(document.bytes().clone(), &Limits::default()).unwrap()
}

// P-6: around each other they read the same bytes again; together no more often than stated, and what is over proves
// nothing.
#[test]
fn p_6_many_signatures_around_each_other_are_bounded() {
    for depth in [1, 8, 24, 48] {
        let document = nested(depth);
        let (valid, over) = (valid(&document), over(&document, "signature_passes"));
        let covered = |fact: &schemas::facts::SignatureFact| fact.covers.end - fact.covers.start;
        let read_bytes: usize =
            document.signatures().iter().filter(|fact| fact.verified().is_some()).map(covered).sum();
        println!("{depth} levels, {} bytes: {valid} valid, {over} over the limit", document.bytes().len());
        assert_eq!(valid + over, document.signatures().len());
        assert_eq!(over > 0, depth > 8, "{depth}");
        assert!(read_bytes <= Limits::default().signature_passes * document.bytes().len());
        let taken = read(document.bytes().clone());
        assert!(taken.peak_bytes <= allowed_signed(&document), "{depth}: {taken:?}");
    }
}

// P-6: a signature over trees as deep as they may be, one after the other, takes no more for many than for one.
#[test]
fn p_6_a_signature_over_deep_trees_takes_a_fixed_part() {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let mut taken = Vec::new();
    for count in [1, 64, 1024] {
        let tree = format!("{}{}", "<a>".repeat(180), "</a>".repeat(180));
        let document = Validated::new(opaque(&tree.repeat(count)).into(), &Limits::default()).unwrap();
        let document = signed_at(&document, 0, &key);
        let fact = document.signatures()[0].clone();
        let limits = Limits::default();
        let meter = Meter::start();
        verify(text(&document), fact.covers, fact.span, &|_| None, &limits).unwrap();
        taken.push(meter.taken().peak_bytes);
    }
    println!("{taken:?} bytes");
    assert!(taken.iter().all(|bytes| *bytes <= CONSTANT_BYTES && *bytes == taken[0]), "{taken:?}");
}

/// Signatures that are none, each of which asks for all that is declared around it.
fn false_signatures(count: usize) -> String {
    let declared = numbered(60 * 8000, |number| format!(" xmlns:n{number}='urn:&amp;{}'", "n".repeat(8000)));
    let one =
        Validated::new(with_data("<v:Version_Info><v:Company>C</v:Company></v:Version_Info>").into(), &boundless());
    let (one, options) = (one.unwrap(), Options { canonicalization: Kind::Inclusive10, ..Options::default() });
    let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    let one = sign(&one, signable(&one)[2], &key, &options, &boundless()).unwrap();
    let info = text(&one)[one.signatures()[0].covers.range()].replace(">C<", ">D<");
    with_data(&info.repeat(count)).replacen(" xmlns:m", &format!("{declared} xmlns:m"), 1)
}

// P-6: large declarations around many signatures are no more to hold than the document.
#[test]
fn p_6_large_declarations_around_many_signatures_are_bounded() {
    for count in [64, 256] {
        let document = Validated::new(false_signatures(count).into(), &Limits::default()).unwrap();
        assert_eq!((valid(&document), document.signatures().len()), (0, count));
        let taken = read(document.bytes().clone());
        assert!(taken.peak_bytes <= allowed_signed(&document), "{count}: {taken:?}");
    }
}
