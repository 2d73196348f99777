//! The commands, as they are given: keys are made, documents signed, changed and explained.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::*;
use crate::publish::Part;
use crate::rustsec;
use crate::rustsec::publication::State;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/testdata/examples/valid");
const BUNDLE: &str = "08-nested-three-tiers.xml";

/// Whether a command ends with 0. Words that end in a dot and a name, without a slash, are files of `dir`.
fn ran(dir: &Path, line: &str) -> bool {
    let word = |word: &str| match word.contains('.') && !word.starts_with('/') {
        true => dir.join(word).into_os_string(),
        false => OsString::from(word),
    };
    let args = std::iter::once(OsString::from("distributary-agent")).chain(line.split_whitespace().map(word));
    format!("{:?}", crate::cli::main(args)) == format!("{:?}", ExitCode::SUCCESS)
}

fn report(file: &Path, keys: &[&Path]) -> Report {
    let keys = Keys(keys.iter().map(|path| keys::public(path).unwrap()).collect());
    Report::of("d.xml".to_owned(), &sign::read(file).unwrap(), &keys, None)
}

fn codes(json: &serde_json::Value) -> Vec<&str> {
    json["signatures"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
}

// R-8.3-2, R-8.3-3
#[test]
fn c8_3_what_the_commands_sign_they_verify_at_every_place() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (kind, name) in [("ed25519", "one"), ("p384", "other")] {
        assert!(ran(dir.path(), &format!("keygen --type {kind} --out {name}.key")));
    }
    // In the bundle: three messages, three descriptions of which one stands in code, two Infos, two Containers.
    for (place, count) in [("header", 1), ("message", 3), ("all-items", 3), ("version-info", 2), ("info", 2)] {
        for form in ["exclusive", "inclusive"] {
            let line = format!("sign --key one.key --place {place} --form {form} {EXAMPLES}/{BUNDLE} -o signed.xml");
            assert!(ran(dir.path(), &line), "{line}");
            let report = report(&at("signed.xml"), &[&at("one.pub.pem")]);
            assert_eq!(codes(&report.json()), vec!["valid"; count], "{place}");
            // The third message asks, and has no description that could be signed by itself.
            let is_all = !["version-info", "info"].contains(&place);
            assert_eq!(report.is_good(), is_all, "{place}");
            assert_eq!(ran(dir.path(), "verify --key one.pub.pem signed.xml"), is_all, "{place}");
        }
    }
    // Whoever signs a signed document around it signs last; the other key's signature is left as it is.
    let inner = format!("sign --key one.key --place container,info,version-info {EXAMPLES}/{BUNDLE} -o inner.xml");
    assert!(ran(dir.path(), &inner));
    assert!(ran(dir.path(), "sign --key other.key --place header,message inner.xml -o both.xml"));
    assert_eq!(codes(&report(&at("both.xml"), &[]).json()), vec!["valid"; 2 + 2 + 2 + 3 + 1]);
    assert!(ran(dir.path(), "verify --json --key one.pub.pem --key other.pub.pem both.xml"));
    let strangers = report(&at("both.xml"), &[&at("one.pub.pem")]).json();
    assert_eq!(codes(&strangers).iter().filter(|code| **code == "key-not-given").count(), 4);
    assert!(!ran(dir.path(), "verify --key one.pub.pem both.xml"));
    assert!(!ran(dir.path(), "sign --key one.key --place info both.xml -o again.xml"), "all are signed already");
    assert!(!ran(dir.path(), "verify missing.xml"));
}

#[test]
fn c8_3_what_is_not_signed_or_changed_is_refused_with_a_code_and_a_next_step() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!ran(dir.path(), &format!("verify {EXAMPLES}/{BUNDLE}")), "nothing is signed");
    let placeholders = report(&Path::new(EXAMPLES).join("16-signed-deliver.xml"), &[]);
    assert!(!placeholders.is_good());
    assert_eq!(codes(&placeholders.json()), vec!["key-unknown"; 5]);
    assert!(
        placeholders.text().contains("next:    give the signer's public key with --key"),
        "{}",
        placeholders.text()
    );
    assert!(ran(dir.path(), "keygen --out a.key"));
    assert!(ran(dir.path(), &format!("sign --key a.key {EXAMPLES}/{BUNDLE} -o signed.xml")));
    let signed = fs::read_to_string(dir.path().join("signed.xml")).unwrap();
    fs::write(dir.path().join("changed.xml"), signed.replace("4.1.1<", "4.1.2<")).unwrap();
    assert!(!ran(dir.path(), "verify changed.xml"));
    let changed = report(&dir.path().join("changed.xml"), &[]).json();
    assert_eq!(codes(&changed), ["digest-mismatch", "valid", "valid"]);
    assert!(changed["signatures"][0]["next_step"].as_str().unwrap().contains("unchanged"));
    assert!(changed["signatures"][0]["covered"].is_null(), "nothing of it is called covered");
}

#[test]
fn c8_3_what_is_covered_is_said_to_the_byte_and_what_is_not_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(ran(dir.path(), "keygen --out a.key"));
    let source = Path::new(EXAMPLES).join(BUNDLE);
    assert!(ran(dir.path(), &format!("sign --key a.key --place version-info {} -o signed.xml", source.display())));
    let report = report(&dir.path().join("signed.xml"), &[]);
    let (text, json) = (report.text(), report.json());
    let signed = fs::read(dir.path().join("signed.xml")).unwrap();
    let bytes = |range: &serde_json::Value| {
        let at = |index: usize| usize::try_from(range[index].as_u64().unwrap()).unwrap();
        String::from_utf8_lossy(&signed[at(0)..at(1)]).into_owned()
    };
    let first = &json["signatures"][0];
    let covered = first["covered"].as_array().unwrap().iter().map(bytes).collect::<String>();
    assert!(covered.starts_with("<v:Version_Info>") && covered.ends_with("</v:Version_Info>"), "{covered}");
    assert!(fs::read_to_string(source).unwrap().contains(&covered), "as it was before");
    assert!(bytes(&first["signature"]["bytes"]).starts_with("<v:Signature "));
    assert_eq!(first["contains"], serde_json::json!(["Product_Name", "Product_Version", "Company", "Info"]));
    let unchecked = "whether it may speak for whom it names was not checked: give --trust FILE";
    assert_eq!((&first["trust"], &json["authority"]), (&unchecked.into(), &serde_json::Value::Null));
    let uncovered = json["uncovered"].as_array().unwrap();
    let names: Vec<&str> = uncovered.iter().map(|one| one["element"].as_str().unwrap()).collect();
    assert_eq!(names[..4], ["Message_Core", "Header", "Payload", "Message_Core"]);
    assert!(
        names.contains(&"Major_Message") && !names.contains(&"Version_Info") && !names.contains(&"PID"),
        "{names:?}"
    );
    let left = json["uncovered_bytes"].as_u64().unwrap();
    let all: usize = json["signatures"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|one| one["covered"].as_array().unwrap())
        .map(|range| bytes(range).len())
        .sum();
    assert_eq!(left as usize + all, signed.len());
    for said in [
        "2 of 2 signatures valid",
        "Version_Info in lines 1",
        "authority: not checked",
        "give --trust FILE",
        "not covered, ",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
}

// A valid signature says nothing of who may speak: that is checked with a trust file, and said not to be without one.
#[test]
fn c8_3_authority_is_checked_with_a_trust_file_and_said_not_to_be_without() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    assert!(ran(dir.path(), "keygen --out a.key"));
    assert!(ran(dir.path(), &format!("sign --key a.key {EXAMPLES}/06-deliver-information-only.xml -o signed.xml")));
    let table = |names: &str| format!("[[signer]]\nname = \"Vendors\"\nkey_file = \"a.pub.pem\"\n{names}\n");
    write("all.toml", &table("sources = [\"*\"]\ncompanies = [\"*\"]"));
    write("none.toml", &table("sources = [\"Somebody\"]"));
    assert!(ran(dir.path(), "verify signed.xml") && ran(dir.path(), "verify --trust all.toml signed.xml"));
    assert!(!ran(dir.path(), "verify --trust none.toml signed.xml"));
    assert!(!ran(dir.path(), "verify --trust missing.toml signed.xml"));
    let under = |name: &str| {
        let settings = Settings { file: Some(dir.path().join(name)), unsigned: Unsigned::Pass };
        let document = sign::read(&dir.path().join("signed.xml")).unwrap();
        Report::of("d.xml".to_owned(), &document, &Keys(Vec::new()), Some(&settings.load().unwrap()))
    };
    // What delivers nothing has no authority either.
    assert!(ran(dir.path(), &format!("sign --key a.key {EXAMPLES}/01-register-null.xml -o asks.xml")));
    assert!(ran(dir.path(), "verify asks.xml") && !ran(dir.path(), "verify --trust all.toml asks.xml"));
    let (all, none) = (under("all.toml"), under("none.toml"));
    assert!(all.text().contains("authorised, by Vendors") && !all.text().contains("checked"), "{}", all.text());
    assert_eq!(all.json()["authority"][0]["signer"], "Vendors");
    assert!(none.text().contains("not authorised: Vendors may not speak for"), "{}", none.text());
    assert_eq!(none.json()["authority"][0]["authorised"], false);
    assert!(none.json()["signatures"][0]["trust"].is_null());
}

/// The elements of content that no signature covers, and the lines in which they begin.
fn unsigned(report: &Report) -> Vec<(String, u64)> {
    let json = report.json();
    let place =
        |one: &serde_json::Value| (one["element"].as_str().unwrap().to_owned(), one["lines"][0].as_u64().unwrap());
    json["unsigned_content"].as_array().unwrap().iter().map(place).collect()
}

/// One message, one Version_Info with Product_Name, Company and one Info.
const ADVICE: &str = "06-deliver-information-only.xml";
/// A reply with a description.
const REPLY: &str = "13-reply-data-xsi-type.xml";
const EVIL: &str = "<v:Info><v:ID>evil</v:ID><v:Container><v:Version>6.6.6</v:Version></v:Container></v:Info>";

// R-8.3-3: what stands beside signed content is not taken for signed.
#[test]
fn c8_3_unsigned_content_beside_signed_content_is_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let named = |elements: &[(&str, u64)]| elements.iter().map(|(name, line)| ((*name).to_owned(), *line)).collect();
    assert!(ran(dir.path(), "keygen --out a.key"));
    let check = |text: &str, expected: &[(&str, u64)]| {
        fs::write(at("d.xml"), text).unwrap();
        let report = report(&at("d.xml"), &[&at("a.pub.pem")]);
        let expected: Vec<(String, u64)> = named(expected);
        assert_eq!(unsigned(&report), expected, "{}", report.text());
        assert!(codes(&report.json()).iter().all(|code| *code == "valid"));
        for line in ["verify --key a.pub.pem d.xml", "verify d.xml", "verify --json d.xml"] {
            assert_eq!(ran(dir.path(), line), expected.is_empty(), "{line}");
        }
        if let Some((name, line)) = expected.first() {
            let said = format!("content that no signature covers: {name} (line");
            assert!(report.text().contains(&said) && report.text().contains(&format!(" {line}")), "{}", report.text());
        }
    };
    let signed_of = |file: &str, place: &str| {
        let line = format!("sign --key a.key --place {place} {EXAMPLES}/{file} -o signed.xml");
        assert!(ran(dir.path(), &line));
        fs::read_to_string(at("signed.xml")).unwrap()
    };
    let signed = |place: &str| signed_of(ADVICE, place);
    let beside = |text: &str, tag: &str, evil: &str| text.replacen(tag, &format!("{evil}{tag}"), 1);
    // Each as it is: what a message says of its descriptions is no content, what a description says of its Infos is.
    check(&signed("header"), &[]);
    check(&signed("message"), &[]);
    check(&signed("version-info"), &[]);
    check(&signed("info"), &[("Product_Name", 8), ("Company", 8)]);
    check(&signed("container"), &[("Product_Name", 8), ("Company", 8), ("Source", 9), ("ID", 9), ("Description", 9)]);
    let message = "<v:Message><v:CID>#h02</v:CID><v:Major_Message>Request</v:Major_Message></v:Message>";
    check(&beside(&signed("message"), "<v:Message>", message), &[("Message", 6)]);
    let description = format!("<v:Version_Info>{EVIL}</v:Version_Info>");
    check(&beside(&signed("version-info"), "<v:Version_Info>", &description), &[("Version_Info", 8)]);
    let only_infos = signed("info");
    let head = only_infos.find("<v:Product_Name>").unwrap();
    let tail = only_infos.find("</v:Company>").unwrap() + "</v:Company>".len();
    let only_infos = format!("{}{}", &only_infos[..head], &only_infos[tail..]);
    check(&only_infos, &[]);
    check(&beside(&only_infos, "<v:Info>", EVIL), &[("Info", 9)]);
    // What another message set says, and a part that is not as X.1206 says, nobody has signed either.
    let opaque = "<o:Message xmlns:o='urn:o'><o:CID>#h77</o:CID></o:Message>";
    check(&beside(&signed("message"), "<v:Message>", opaque), &[("Message", 6)]);
    let bundle = signed_of(BUNDLE, "message");
    let (head, tail) = bundle.split_at(bundle.find("<m:Payload>").unwrap() + "<m:Payload>".len());
    check(&format!("{head}<m:Message_Core><m:Payload/></m:Message_Core>{tail}"), &[("Message_Core", 5)]);
    let part = format!(
        "<m:Message_Core><m:Header><m:PID>#h1</m:PID></m:Header><m:Payload>{message}</m:Payload></m:Message_Core>"
    );
    check(&format!("{head}{part}{tail}"), &[("Message", 5)]);
    // How a reply says that it went is content, whatever comes along.
    check(&signed_of(REPLY, "message"), &[]);
    check(&signed_of(REPLY, "version-info"), &[("CID", 6), ("UUID", 6), ("Reply_ID", 6), ("ReplyStatus", 6)]);
}

// A part that does not read is not looked into; whoever verifies must not take its signature for a good one.
#[test]
fn c8_3_a_signature_that_nobody_looks_at_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    assert!(ran(dir.path(), "keygen --out a.key"));
    assert!(ran(dir.path(), &format!("sign --key a.key {EXAMPLES}/{BUNDLE} -o signed.xml")));
    let signed = fs::read_to_string(dir.path().join("signed.xml")).unwrap();
    // The second part lacks what a Message must have; the first is as it was.
    let at = signed.rfind("<v:Major_Message>").unwrap();
    write("bad.xml", &format!("{}{}", &signed[..at], signed[at..].replacen("v:Major_Message", "v:Other", 2)));
    let report = report(&dir.path().join("bad.xml"), &[]);
    assert!(!report.is_good());
    let json = report.json();
    assert!(codes(&json).iter().all(|code| *code == "valid") && !codes(&json).is_empty());
    assert_eq!(json["unread"].as_array().unwrap().len() + codes(&json).len(), 3);
    assert!(report.text().contains("that nobody looks at"), "{}", report.text());
    assert!(!ran(dir.path(), "verify bad.xml"));
}

#[test]
fn c8_3_a_certificate_is_shown_by_its_subject_and_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let subject = link::pki::Subject { guid: 7, role: link::pki::Role::Client, label: "vendor" };
    link::pki::init(dir.path(), "ca").unwrap();
    let files = link::pki::issue(dir.path(), &subject, dir.path()).unwrap();
    let (key, certificate) = (files.key.display().to_string(), files.certificate.display().to_string());
    let line = format!("sign --key {key} --certificate {certificate} {EXAMPLES}/{BUNDLE} -o signed.xml");
    assert!(ran(dir.path(), &line));
    assert!(ran(dir.path(), &format!("verify --key {certificate} signed.xml")));
    let text = report(&dir.path().join("signed.xml"), &[]).text();
    assert!(text.contains("CN=vendor, which its certificate says and nobody has checked"), "{text}");
    assert!(ran(dir.path(), "keygen --out other.key"));
    assert!(!ran(dir.path(), &format!("sign --key other.key --certificate {certificate} {EXAMPLES}/{BUNDLE}")));
}

/// What `publish --sign` sends of the real advisories: each verifies by itself.
#[test]
fn c8_3_every_real_advisory_that_is_published_signed_verifies_by_itself() {
    let Some(data) = std::env::var_os("DISTRIBUTARY_TEST_DATA") else {
        assert!(std::env::var_os("CI").is_none(), "DISTRIBUTARY_TEST_DATA is not set");
        eprintln!("not run: DISTRIBUTARY_TEST_DATA is not set");
        return;
    };
    let source = rustsec::read_source(&Path::new(&data).join("advisories/rustsec/advisory-db")).unwrap();
    let plan = State::default().plan(source, true);
    let key = signature::PrivateKey::generate(signature::KeyKind::Ed25519).unwrap();
    let keys = Keys(vec![key.public().clone()]);
    let proof = node::trust::Proof::Key(key.public().fingerprint());
    let sources = node::trust::Names::Only(["RustSec".to_owned()].into());
    let (nobody, any) = (node::trust::Names::Only([].into()), node::trust::Names::Any);
    let name = "RustSec".into();
    let signer = node::trust::Signer { name, proof, sources, companies: nobody, products: any, deliver: true };
    let trust = node::trust::Trust { signers: Some(vec![signer]), ..node::trust::Trust::default() };
    for (path, info) in &plan.publish {
        let part = Part::signed(path, std::slice::from_ref(info), &key, &signature::Options::default()).unwrap();
        let document = Validated::new(part.bytes().clone(), &Limits::default()).unwrap();
        let report = Report::of(path.clone(), &document, &keys, Some(&trust));
        assert!(report.is_good(), "{}", report.text());
        let json = report.json();
        assert_eq!(json["signatures"][0]["scope"]["element"], "Message");
        let names: Vec<&str> =
            json["uncovered"].as_array().unwrap().iter().map(|one| one["element"].as_str().unwrap()).collect();
        assert_eq!(names, ["Message_Core", "Header", "Payload"]);
    }
    assert_eq!(plan.publish.len(), 1_099);
}

#[test]
fn every_code_stands_in_the_documentation() {
    let documented = include_str!("../../../../docs/signatures.md");
    let source = include_str!("../../../../schemas/src/signature/refusal.rs");
    let (_, code) = source.split_once("fn code(").unwrap();
    let (code, _) = code.split_once("\n    }\n").unwrap();
    let codes: Vec<&str> = code.split('"').skip(1).step_by(2).collect();
    assert!(codes.len() > 25, "{codes:?}");
    for code in codes.iter().chain(&["key-not-given"]) {
        assert!(documented.contains(&format!("`{code}`")), "{code}");
    }
}
