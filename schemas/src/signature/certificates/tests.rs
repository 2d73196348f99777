//! Which authorities are found, and which are not.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use time::OffsetDateTime;

use super::*;

type Certified = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str, is_ca: bool, years: std::ops::Range<i32>) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
    (params.not_before, params.not_after) =
        (rcgen::date_time_ymd(years.start, 1, 1), rcgen::date_time_ymd(years.end, 1, 1));
    params
}

fn root() -> Certified {
    CertifiedIssuer::self_signed(params("root", true, 2020..2040), KeyPair::generate().unwrap()).unwrap()
}

fn below(name: &str, is_ca: bool, years: std::ops::Range<i32>, authority: &Certified) -> Certified {
    CertifiedIssuer::signed_by(params(name, is_ca, years), KeyPair::generate().unwrap(), authority).unwrap()
}

fn der(certificates: &[&Certified]) -> Vec<Bytes> {
    certificates.iter().map(|one| Bytes::copy_from_slice(one.der())).collect()
}

fn key(authority: &Certified) -> KeyId {
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
    let issuer = |key, between| Issuer { key, from: seconds(2022), until: seconds(2030), between };
    let found = issuers(&der(&[&leaf, &middle, &root]));
    assert_eq!(found, [issuer(key(&middle), 0), issuer(key(&root), 1)]);
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
    let own = Authority::from_pem(&root.pem()).unwrap();
    assert_eq!((own.key, own.from, own.between_max), (key(&root), seconds(2020), None));
    let leaf = below("leaf", false, 2022..2030, &root).pem();
    assert_eq!(Authority::from_pem(&leaf), Err(AuthorityError::NoAuthority));
    assert_eq!(Authority::from_pem("nothing"), Err(AuthorityError::Unreadable));
}

// RFC 5280, 4.2.1.3 and 4.2.1.9.
#[test]
fn c8_3_an_authority_may_do_what_its_certificate_says() {
    let made = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = params("root", true, 2020..2040);
        change(&mut params);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let short = made(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    assert_eq!(Authority::from_pem(&short.pem()).unwrap().between_max, Some(0));
    let certifies = made(&|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]);
    assert!(Authority::from_pem(&certifies.pem()).is_ok());
    let signs = made(&|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert_eq!(Authority::from_pem(&signs.pem()), Err(AuthorityError::NoCertSign));
}

#[test]
fn c8_3_who_may_not_sign_certificates_stands_between_nobody() {
    let root = root();
    let chain = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = params("middle", true, 2021..2035);
        change(&mut params);
        let middle = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &root).unwrap();
        let inner = below("inner", true, 2021..2035, &middle);
        let leaf = below("leaf", false, 2022..2030, &inner);
        issuers(&der(&[&leaf, &inner, &middle, &root])).iter().any(|issuer| issuer.key == key(&root))
    };
    assert!(chain(&|_| {}));
    assert!(chain(&|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]));
    assert!(!chain(&|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]));
    assert!(!chain(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))), "one more than it allows");
}

// Whoever holds the key, or has seen the certificate, can write another one around it.
#[test]
fn c8_3_the_dates_of_a_copy_of_the_authority_count_for_nothing() {
    let root_key = KeyPair::generate().unwrap();
    let copy_key = KeyPair::from_pem(&root_key.serialize_pem()).unwrap();
    let root = CertifiedIssuer::self_signed(params("root", true, 2020..2040), root_key).unwrap();
    let copy = CertifiedIssuer::self_signed(params("root", true, 2000..2001), copy_key).unwrap();
    let leaf = below("leaf", false, 2022..2030, &root);
    assert_eq!(issuers(&der(&[&leaf, &copy])), issuers(&der(&[&leaf, &root])));
    assert_eq!(issuers(&der(&[&leaf, &copy])).len(), 1);
}
