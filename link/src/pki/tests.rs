use std::os::unix::fs::PermissionsExt;

use x509_parser::pem::parse_x509_pem;

use super::*;
use crate::identity::Identity;

const GUID: u128 = 0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c21;

fn subject(label: &str) -> Subject<'_> {
    Subject { guid: GUID, role: Role::Client, label }
}

fn load(files: &Files, ca: &Files) -> Identity {
    let read = |path| fs::read(path).unwrap();
    Identity::load(&read(&files.certificate), &read(&files.key), &read(&ca.certificate)).unwrap()
}

#[test]
fn an_issued_certificate_is_an_identity_with_its_guid() {
    let dir = tempfile::tempdir().unwrap();
    let ca = init(dir.path(), "test-ca").unwrap();
    let files = issue(dir.path(), &subject("device"), &dir.path().join("out")).unwrap();
    assert_eq!(files.certificate, dir.path().join("out/device.pem"));
    let identity = load(&files, &ca);
    assert_eq!(identity.guid(), GUID);
    let shown = format!("{identity:?}");
    assert!(!shown.contains("key"), "{shown}");
}

#[test]
fn keys_are_for_their_owner_and_certificates_have_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let ca = init(&dir.path().join("ca"), "test-ca").unwrap();
    let files = issue(&dir.path().join("ca"), &subject("device"), dir.path()).unwrap();
    for (pair, validity) in [(&ca, CA_VALIDITY), (&files, VALIDITY)] {
        assert_eq!(fs::metadata(&pair.key).unwrap().permissions().mode() & 0o777, 0o600);
        let (_, pem) = parse_x509_pem(&fs::read(&pair.certificate).unwrap()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        let end = certificate.validity().not_after.timestamp();
        let expected = (OffsetDateTime::now_utc() + validity).unix_timestamp();
        assert!((expected - end).abs() < 60, "{end}");
        assert!(certificate.validity().is_valid());
    }
}

#[test]
fn nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let exists = |result: Result<Files, PkiError>| matches!(result, Err(PkiError::File { error, .. }) if error.kind() == io::ErrorKind::AlreadyExists);
    let ca = init(dir.path(), "test-ca").unwrap();
    let before = fs::read(&ca.key).unwrap();
    assert!(exists(init(dir.path(), "test-ca")));
    assert_eq!(fs::read(&ca.key).unwrap(), before);
    issue(dir.path(), &subject("device"), dir.path()).unwrap();
    assert!(exists(issue(dir.path(), &subject("device"), dir.path())));
    fs::write(dir.path().join("half.pem"), "").unwrap();
    assert!(exists(issue(dir.path(), &subject("half"), dir.path())));
    assert!(!dir.path().join("half.key").exists(), "no key is left without its certificate");
}

#[test]
fn a_label_is_a_plain_name() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), "test-ca").unwrap();
    for label in ["", "../x", ".hidden", "a/b", "a b", &"x".repeat(65)] {
        assert!(matches!(issue(dir.path(), &subject(label), dir.path()), Err(PkiError::Label(_))), "{label:?}");
    }
}

#[test]
fn an_identity_needs_its_own_key_and_one_guid() {
    use crate::identity::IdentityError;
    let dir = tempfile::tempdir().unwrap();
    let ca = init(dir.path(), "test-ca").unwrap();
    let (one, two) = (subject("one"), subject("two"));
    let (one, two) = (issue(dir.path(), &one, dir.path()).unwrap(), issue(dir.path(), &two, dir.path()).unwrap());
    let read = |path: &PathBuf| fs::read(path).unwrap();
    let (certificate, key, root) = (read(&one.certificate), read(&one.key), read(&ca.certificate));
    assert!(matches!(Identity::load(&certificate, &read(&two.key), &root), Err(IdentityError::Key(_))));
    assert!(matches!(Identity::load(&root, &read(&ca.key), &root), Err(IdentityError::Guids(0))));
    assert!(matches!(Identity::load(b"", &key, &root), Err(IdentityError::Empty(_))));
    assert!(matches!(Identity::load(&certificate, b"", &root), Err(IdentityError::Pem { .. })));
    assert!(matches!(Identity::load(&certificate, &key, b"no pem"), Err(IdentityError::Empty(_))));
}

#[test]
fn a_certificate_with_two_guids_is_none() {
    use crate::identity::{IdentityError, PeerIdentity};
    let mut params = leaf(&subject("two")).unwrap();
    let second = Ia5String::try_from(Uuid::from_u128(1).urn().to_string()).unwrap();
    params.subject_alt_names.push(SanType::URI(second));
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    assert!(matches!(PeerIdentity::of(certificate.der()), Err(IdentityError::Guids(2))));
}
