use super::*;

pub(crate) const DOCUMENT: &str = r#"```toml
[advisory]
id = "RUSTSEC-2024-0001"
package = "demo"
date = "2024-01-02"
url = "https://example.org/1"
cvss = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
aliases = ["CVE-2024-1", "GHSA-aaaa-bbbb-cccc"]
keywords = ["x"]

[affected.functions]
"demo::f" = ["< 1.2.3"]

[versions]
patched = [">= 1.2.3"]
unaffected = ["< 1.0.0"]
```

# A  fault in `demo`

First paragraph,
two lines.

Second paragraph.
"#;

#[test]
fn document_is_read() {
    let read = parse("crates/demo/RUSTSEC-2024-0001.md", DOCUMENT).unwrap();
    assert_eq!(
        (read.id.as_str(), read.package.as_str(), read.date.as_str()),
        ("RUSTSEC-2024-0001", "demo", "2024-01-02")
    );
    assert_eq!((read.title.as_str(), read.summary.as_str()), ("A fault in `demo`", "First paragraph, two lines."));
    assert_eq!(topology::vers::Vers::of(read.affected).to_string(), "vers:cargo/>=1.0.0|<1.2.3");
    assert!(!read.is_withdrawn);
}

#[test]
fn line_ends_of_either_kind_read_alike() {
    assert_eq!(parse("p", &DOCUMENT.replace('\n', "\r\n")), parse("p", DOCUMENT));
}

#[test]
fn malformed_field_is_refused_with_place_and_reason() {
    for (good, bad, line, reason) in [
        ("\"https://example.org/1\"", "[\"https://example.org/1\"]", 6, "invalid type: sequence, expected a string"),
        ("RUSTSEC-2024-0001", "RUSTSEC-24", 3, "no RustSec or CVE identifier: \"RUSTSEC-24\""),
        ("\"demo\"", "\"../demo\"", 4, "no name of a crate: \"../demo\""),
        ("2024-01-02", "2024-13-02", 5, "no date: \"2024-13-02\""),
        ("/A:H", "/A:Q", 7, "\"A:Q\" is no metric with its value: \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:Q\""),
        (">= 1.2.3", ">= 1.2.3 or so", 15, "no requirement"),
        ("< 1.0.0", "1.*", 16, "not supported"),
        ("< 1.0.0", "> 2.0.0, < 1.0.0", 16, "no version meets"),
        ("package = \"demo\"", "", 2, "missing field `package`"),
        ("\n```\n", "\n", 1, "the front matter does not end"),
        ("```toml", "```", 1, "does not begin with ```toml"),
    ] {
        let error = parse("p", &DOCUMENT.replacen(good, bad, 1)).unwrap_err();
        assert!(error.line == line && error.reason.contains(reason), "{error}");
    }
}
