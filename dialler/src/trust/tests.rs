//! What a trust file says, and what is said of one that cannot be used.

use node::trust::{Names, Proof};
use schemas::signature::{KeyKind, PrivateKey};

use super::*;

/// Settings for a file with this text, in a folder of its own with these files beside it.
fn settings(text: &str, beside: &[(&str, &str)]) -> (tempfile::TempDir, Settings) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("trust.toml", text)].iter().chain(beside) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let file = Some(folder.path().join("trust.toml"));
    (folder, Settings { file, unsigned: Unsigned::Pass })
}

#[track_caller]
fn refused(text: &str, beside: &[(&str, &str)], says: &[&str]) {
    let (_folder, settings) = settings(text, beside);
    let error = settings.load().expect_err("refused").to_string();
    assert!(error.contains(".toml") || error.contains(".pem"), "{error} does not say where");
    says.iter().for_each(|part| assert!(error.contains(part), "{error:?} does not say {part:?}"));
}

#[test]
fn without_a_file_nobody_is_named() {
    assert_eq!(Settings::default().load().unwrap(), Trust::default());
}

#[test]
fn a_signer_is_known_by_its_key_or_by_its_authority() {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let (id, pem) = (key.public().fingerprint(), key.public().to_pem());
    let pki = tempfile::tempdir().unwrap();
    let authority = std::fs::read_to_string(link::pki::init(pki.path(), "test-ca").unwrap().certificate).unwrap();
    let text = format!(
        "[[signer]]\nname = \"a\"\nkey = \"sha256:{id}\"\nsources = [\"RustSec\", \" Debian \"]\n\
         [[signer]]\nname = \"b\"\nkey_file = \"key.pem\"\ncompanies = [\"*\"]\nproducts = []\n\
         [[signer]]\nname = \"c\"\nca_file = \"ca.pem\"\ndeliver = false\n"
    );
    let (_folder, settings) = settings(&text, &[("key.pem", &pem), ("ca.pem", &authority)]);
    let signers = settings.load().unwrap().signers.unwrap();
    let only = |names: &[&str]| Names::Only(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(signers.iter().map(|signer| signer.proof == Proof::Key(id)).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!((&signers[0].sources, &signers[0].companies), (&only(&["RustSec", "Debian"]), &only(&[])));
    assert_eq!((&signers[0].products, &signers[1].products), (&Names::Any, &only(&[])));
    assert_eq!(signers[1].companies, Names::Any);
    assert!(matches!(signers[2].proof, Proof::Authority(_)) && !signers[2].deliver);
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_would_be_right() {
    refused("[[signer]]\nname = \"a\"\nkeys = \"x\"\n", &[], &["line 3", "keys"]);
    refused("[[signer]]\nname = \"a\"\nsources = [\"x\"]\n", &[], &["\"a\"", "exactly one of key"]);
    refused("[[signer]]\nname = \"a\"\nkey = \"sha256:12\"\nsources = [\"x\"]\n", &[], &["64 hexadecimal digits"]);
    refused("[[signer]]\nname = \"a\"\nkey_file = \"no.pem\"\nsources = [\"x\"]\n", &[], &["cannot read", "no.pem"]);
    let bad = [("bad.pem", "nothing")];
    refused("[[signer]]\nname = \"a\"\nkey_file = \"bad.pem\"\nsources = [\"x\"]\n", &bad, &["bad.pem"]);
    refused("[[signer]]\nname = \"a\"\nca_file = \"bad.pem\"\nsources = [\"x\"]\n", &bad, &["bad.pem"]);
    let key = format!("[[signer]]\nname = \"a\"\nkey = \"sha256:{}\"\n", "ab".repeat(32));
    refused(&key, &[], &["deliver = false"]);
    refused(&format!("{key}sources = [\"\"]\n"), &[], &["\"*\""]);
}

#[test]
fn a_device_s_certificate_is_no_authority() {
    let pki = tempfile::tempdir().unwrap();
    link::pki::init(pki.path(), "test-ca").unwrap();
    let subject = link::pki::Subject { guid: 7, role: link::pki::Role::Client, label: "vendor" };
    let leaf = link::pki::issue(pki.path(), &subject, pki.path()).unwrap().certificate;
    let leaf = std::fs::read_to_string(leaf).unwrap();
    let text = "[[signer]]\nname = \"a\"\nca_file = \"leaf.pem\"\nsources = [\"x\"]\n";
    refused(text, &[("leaf.pem", &leaf)], &["\"a\"", "leaf.pem", "CA:TRUE"]);
}
