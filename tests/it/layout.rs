//! Who may import whom, and what is absent where: design decisions that no compiler holds.
//!
//! Read from manifests and sources. A breach is reported with its reason, so that whoever meets it knows what to do.

use std::collections::BTreeSet;

use crate::sources::{self, Source};

/// Which members each member may use, in any kind of dependency. Never back, never sideways.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("schemas", &[]),
    ("topology", &["schemas"]),
    ("node", &["schemas", "topology"]),
    ("link", &["schemas"]),
    ("dialler", &["schemas", "node", "link"]),
    ("agent", &["schemas", "topology", "node", "link", "dialler"]),
    ("relay", &["schemas", "topology", "node", "link", "dialler", "agent"]),
    ("loadtest", &["schemas", "link"]),
    ("fuzz", &["schemas", "link"]),
    ("bench", &["schemas", "topology", "node", "link", "relay", "agent"]),
    ("tests", &["schemas", "topology", "node", "link", "dialler", "relay", "agent", "loadtest"]),
];

/// The members that are plain functions and state machines.
const PURE: [&str; 3] = ["schemas", "topology", "node"];

/// What a pure member may not name, and what it is.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "a runtime"),
    ("tokio_util", "a runtime"),
    ("futures", "a runtime"),
    ("async_std", "a runtime"),
    ("std::thread", "a thread"),
    ("thread::spawn", "a thread"),
    ("std::net", "a socket"),
    ("std::os", "the operating system"),
    ("quinn", "a socket"),
    ("socket2", "a socket"),
    ("UdpSocket", "a socket"),
    ("TcpStream", "a socket"),
    ("Instant::now", "a clock"),
    ("SystemTime", "a clock"),
    ("Utc::now", "a clock"),
    ("Timestamp::now", "a clock"),
    ("Zoned::now", "a clock"),
    ("OffsetDateTime::now_utc", "a clock"),
    ("std::fs", "a disk"),
    ("File::open", "a disk"),
    ("OpenOptions", "a disk"),
    ("memmap2", "a disk"),
    ("redb", "a disk"),
    ("tempfile", "a disk"),
    ("rand", "a random source"),
    ("getrandom", "a random source"),
    ("fastrand", "a random source"),
    ("RandomState", "a random source"),
    ("Uuid::new_v4", "a random source"),
    ("Uuid::now_v7", "a random source"),
    ("std::env", "the environment"),
    ("std::process", "the environment"),
];

/// Production lines of one file, comments included. A longer file answers a second question.
const LINES_MAX: usize = 450;

#[test]
fn members_import_only_downwards() {
    report(sources::members().iter().flat_map(|(folder, manifest)| manifest_breaches(folder, manifest)));
}

#[test]
fn every_member_has_a_place_in_the_order() {
    let members: BTreeSet<String> = sources::members().into_iter().map(|(folder, _)| folder).collect();
    assert!(members.len() >= 8, "the tree was not found: {members:?}");
    let ordered: BTreeSet<String> = MAY_IMPORT.iter().map(|(member, _)| (*member).to_owned()).collect();
    let strangers: Vec<&String> = members.difference(&ordered).collect();
    assert!(
        strangers.is_empty(),
        "{strangers:?}: say in `MAY_IMPORT` and in ARCHITECTURE.md what a new member may use"
    );
}

#[test]
fn sources_keep_to_their_place() {
    let sources = sources::all();
    assert!(sources.len() >= 20, "the tree was not found: {} sources", sources.len());
    report(sources.iter().flat_map(|source| source_breaches(source).into_iter().chain(length_breach(source))));
}

fn report(breaches: impl Iterator<Item = String>) {
    let breaches: Vec<String> = breaches.collect();
    assert!(breaches.is_empty(), "the layout is broken:\n{}", breaches.join("\n"));
}

/// What a member's manifest does that it may not.
fn manifest_breaches(folder: &str, text: &str) -> Vec<String> {
    let manifest: toml::Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("{folder}/Cargo.toml: {error}")],
    };
    let mut breaches = Vec::new();
    let mut breach = |what: String| breaches.push(format!("{folder}/Cargo.toml: {what}"));
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    if name != Some(folder) {
        breach(format!(
            "the package is called {name:?}: a folder has its crate's name, so that a path says which crate it is"
        ));
    }
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
    if lints != Some(true) {
        breach("needs `[lints] workspace = true`: one set of lints for the whole tree".to_owned());
    }
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(member, _)| *member == folder) else { return breaches };
    for (kind, name) in dependencies(&manifest) {
        let is_member = MAY_IMPORT.iter().any(|(member, _)| *member == name);
        if is_member && !allowed.contains(&name.as_str()) {
            breach(format!(
                "imports `{name}`, but may import only {allowed:?}: the type that both need belongs in the lower one"
            ));
        }
        let impure = IMPURE.iter().find(|(path, _)| *path == name.replace('-', "_"));
        if let Some((_, what)) = impure.filter(|_| PURE.contains(&folder) && kind == "dependencies") {
            breach(format!(
                "depends on `{name}`, {what}: this crate is pure, so that a whole tree runs in virtual time"
            ));
        }
    }
    breaches
}

/// Each dependency of a manifest with its kind, those of single targets included.
fn dependencies(manifest: &toml::Table) -> Vec<(&'static str, String)> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table);
    let mut found = Vec::new();
    for table in std::iter::once(manifest).chain(targets) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(entries) = table.get(kind).and_then(toml::Value::as_table) else { continue };
            for (name, entry) in entries {
                // `alias = { package = "name" }`
                let package = entry.get("package").and_then(toml::Value::as_str);
                found.push((kind, package.unwrap_or(name).to_owned()));
            }
        }
    }
    found
}

/// What a source file names that its place forbids.
fn source_breaches(source: &Source) -> Vec<String> {
    let place = format!("{}/{}", source.package, source.path);
    let mut breaches = Vec::new();
    let code = source.production();
    if PURE.contains(&source.package.as_str()) {
        for (path, what) in IMPURE.iter().filter(|(path, _)| names(&code, path)) {
            breaches.push(format!(
                "{place}: names `{path}`, {what}: this crate is pure; let `now`, bytes and random values come in as arguments"
            ));
        }
    }
    let devices = ["demo", "tree"].iter().any(|folder| source.path.starts_with(&format!("src/{folder}/")));
    if source.package == "relay" && !devices && names(&code, "agent::") {
        breaches.push(format!(
            "{place}: uses `agent`: only relay/src/demo and relay/src/tree may, which play the devices' side; a server never does"
        ));
    }
    breaches
}

fn length_breach(source: &Source) -> Option<String> {
    let lines = source.production().lines().count();
    (lines > LINES_MAX).then(|| {
        let place = format!("{}/{}", source.package, source.path);
        format!(
            "{place}: {lines} lines of production code, {LINES_MAX} at most: split it by the questions that it answers"
        )
    })
}

/// Whether code names a path: written out, or through a `use` with braces.
fn names(code: &str, path: &str) -> bool {
    written_out(code, path) || imports(code).iter().any(|import| written_out(&format!("{import}::"), path))
}

/// Whether a path stands in the code as whole words, and not as the tail of a longer path of another crate.
fn written_out(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + path.len()..].chars().next();
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        // A crate's own name stands at the start of a path; `x::rand` is somebody's module.
        let inner = before == Some(':') && path.chars().next().is_some_and(char::is_lowercase);
        // A bare crate name must be used as one: a local variable may be called `rand`.
        let crate_only = !path.contains("::") && path.chars().next().is_some_and(char::is_lowercase);
        let used = !crate_only || code[at + path.len()..].starts_with("::") || code[..at].trim_end().ends_with("use");
        !word(before) && !inner && (path.ends_with("::") || !word(after)) && used
    })
}

/// The paths of all `use` declarations, braces multiplied out.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in
        code.match_indices("use ").filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    {
        let declaration = code[at + 4..].split(';').next().unwrap_or("");
        // What it is called here does not matter: `a::b as c` names `a::b`.
        let tree: String = declaration.replace(" as ", "::").chars().filter(|c| !c.is_whitespace()).collect();
        multiply("", &tree, &mut found);
    }
    found
}

fn multiply(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let Some((head, body)) = tree.split_once('{') else {
        found.push(format!("{prefix}{tree}"));
        return;
    };
    let body = body.strip_suffix('}').unwrap_or(body);
    let mut depth = 0_usize;
    let mut begin = 0;
    for (at, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                multiply(&format!("{prefix}{head}"), &body[begin..at], found);
                begin = at + 1;
            }
            _ => {}
        }
    }
    multiply(&format!("{prefix}{head}"), &body[begin..], found);
}

/// The checker itself, on small made-up trees: it must be able to fail.
mod checks {
    use super::*;

    const SOUND: &str =
        "[package]\nname = \"node\"\n[dependencies]\nschemas.workspace = true\n[lints]\nworkspace = true\n";

    /// A manifest must give one breach whose text holds `expected`, or none.
    fn check_manifest(manifest: &str, expected: Option<&str>) {
        let breaches = manifest_breaches("node", manifest);
        assert_eq!(breaches.len(), usize::from(expected.is_some()), "{breaches:?}");
        assert!(expected.is_none_or(|expected| breaches[0].contains(expected)), "{breaches:?}");
    }

    #[test]
    fn manifests_are_judged() {
        check_manifest(SOUND, None);
        check_manifest(&SOUND.replace("schemas", "link"), Some("imports `link`"));
        check_manifest(
            &SOUND.replace("schemas.workspace = true", "x = { package = \"relay\", path = \"\" }"),
            Some("imports `relay`"),
        );
        check_manifest(
            &SOUND.replace("[dependencies]", "[dev-dependencies]").replace("schemas", "agent"),
            Some("imports `agent`"),
        );
        check_manifest(
            &SOUND.replace("[dependencies]", "[target.'cfg(unix)'.dependencies]").replace("schemas", "link"),
            Some("link"),
        );
        check_manifest(&SOUND.replace("schemas", "tokio"), Some("a runtime"));
        check_manifest(&SOUND.replace("[dependencies]", "[dev-dependencies]").replace("schemas", "tokio"), None);
        check_manifest(&SOUND.replace("\"node\"", "\"nodes\""), Some("folder has its crate's name"));
        check_manifest(&SOUND.replace("[lints]", "[lints.rust]"), Some("one set of lints"));
        check_manifest("[package", Some("Cargo.toml"));
    }

    /// A source must give as many breaches as stated.
    fn check_source(package: &str, path: &str, text: &str, expected: usize) {
        let breaches = source_breaches(&Source::new(package, path, text));
        assert_eq!(breaches.len(), expected, "{package}/{path}: {text:?}: {breaches:?}");
    }

    #[test]
    fn impure_names_are_found() {
        for text in [
            "use std::fs;",
            "use std::{collections::BTreeMap, fs::{self, File}};",
            "use std::{\n    io,\n    net::IpAddr,\n};",
            "let now = std::time::Instant::now();",
            "use tokio::sync;",
            "use std::{fs as disk, io};",
            "use rand;",
            "fn f(t: SystemTime) {}",
            "let id = Uuid::new_v4();",
        ] {
            check_source("node", "src/engine.rs", text, 1);
            check_source("link", "src/endpoint.rs", text, 0);
        }
    }

    #[test]
    fn innocent_names_are_not() {
        for text in [
            "//! No `std::fs`, no tokio, no `Instant::now`.",
            "let text = \"std::fs\";",
            "let rand = 1; strand::f(rand);",
            "use std::time::{Duration, Instant};",
            "use crate::redb::X;",
            "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
        ] {
            check_source("node", "src/engine.rs", text, 0);
        }
        check_source("node", "src/engine/tests.rs", "use std::fs;", 0);
    }

    #[test]
    fn only_demo_and_tree_may_use_the_agent() {
        for text in ["use agent::journal::Journal;", "use {agent::inventory, std::io};", "agent::run();"] {
            check_source("relay", "src/serve.rs", text, 1);
            check_source("relay", "src/demo/cast.rs", text, 0);
            check_source("relay", "src/tree/cast.rs", text, 0);
            check_source("relay", "src/trees.rs", text, 1);
        }
        check_source("relay", "src/serve.rs", "use crate::useragent::X; let agent = 1;", 0);
    }

    #[test]
    fn long_files_are_found() {
        let long = "fn a() {}\n".repeat(LINES_MAX);
        assert_eq!(length_breach(&Source::new("link", "src/a.rs", &long)), None);
        let tested = format!("{long}#[cfg(test)]\nmod tests {{\n    fn a() {{}}\n{}}}\n", "\n".repeat(LINES_MAX));
        assert_eq!(length_breach(&Source::new("link", "src/a.rs", &tested)), None);
        let longer = format!("{long}fn b() {{}}\n");
        assert!(
            length_breach(&Source::new("link", "src/a.rs", &longer)).is_some_and(|breach| breach.contains("451 lines"))
        );
    }
}
