//! Which authorities are found, and which are not.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use time::OffsetDateTime;

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str, is_ca: bool, years: std::ops::Range<i32>) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
    (params.not_before, params.not_after) =
        (rcgen::date_time_ymd(years.start, 1, 1), rcgen::date_time_ymd(years.end, 1, 1));
    params
}

fn root() -> Authority {
    CertifiedIssuer::self_signed(params("root", true, 2020..2040), KeyPair::generate().unwrap()).unwrap()
}

fn below(name: &str, is_ca: bool, years: std::ops::Range<i32>, authority: &Authority) -> Authority {
    CertifiedIssuer::signed_by(params(name, is_ca, years), KeyPair::generate().unwrap(), authority).unwrap()
}

fn der(certificates: &[&Authority]) -> Vec<Bytes> {
    certificates.iter().map(|one| Bytes::copy_from_slice(one.der())).collect()
}

fn key(authority: &Authority) -> KeyId {
    PublicKey::from_certificate(authority.der()).unwrap().fingerprint()
}

fn seconds(year: i32) -> u64 {
    let date: OffsetDateTime = rcgen::date_time_ymd(year, 1, 1);
    u64::try_from(date.unix_timestamp()).unwrap()
}

#[test]
fn every_authority_above_is_found_with_the_dates_of_what_is_below_it() {
    let root = root();
    let middle = below("middle", true, 2021..2035, &root);
    let leaf = below("leaf", false, 2022..2030, &middle);
    let issuer = |key, until| Issuer { key, from: seconds(2022), until: seconds(until) };
    let found = issuers(&der(&[&leaf, &middle, &root]));
    assert_eq!(found, [issuer(key(&middle), 2030), issuer(key(&root), 2030)]);
    assert_eq!(issuers(&der(&[&leaf])), [], "who certified it is not there");
}

#[test]
fn who_is_no_authority_certifies_nobody() {
    let root = root();
    let device = below("device", false, 2021..2035, &root);
    let forged = below("forged", false, 2022..2030, &device);
    let found = issuers(&der(&[&forged, &device, &root]));
    assert!(!found.iter().any(|issuer| issuer.key == key(&root)), "{found:?}");
}

#[test]
fn another_chain_beside_a_certificate_is_none_of_its_own() {
    let (one, other) = (root(), root());
    let leaf = below("leaf", false, 2022..2030, &one);
    assert_eq!(issuers(&der(&[&leaf, &other])), []);
}

#[test]
fn what_never_held_together_proves_nothing() {
    let root = root();
    let middle = below("middle", true, 2021..2022, &root);
    let leaf = below("leaf", false, 2025..2030, &middle);
    let found = issuers(&der(&[&leaf, &middle, &root]));
    assert!(!found.iter().any(|issuer| issuer.key == key(&root)), "{found:?}");
}

#[test]
fn an_authority_is_read_from_its_certificate_only() {
    let root = root();
    let own = Issuer::from_pem(&root.pem()).unwrap();
    assert_eq!((own.key, own.from), (key(&root), seconds(2020)));
    assert!(Issuer::from_pem(&below("leaf", false, 2022..2030, &root).pem()).is_err());
    assert!(Issuer::from_pem("nothing").is_err());
}
