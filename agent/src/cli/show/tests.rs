//! What people and programs see.

use super::*;
use crate::config::{AssetSource, Config};

fn because() -> Because {
    Because {
        asset: "billing".into(),
        component: "serde\nitem-2".into(),
        version: "1.0.0".into(),
        path: vec!["app".into(), "lib\u{202e}".into()],
        affected: "vers:cargo/<1\u{9b}2J".into(),
    }
}

/// An item of somebody who would like to be taken for this program.
fn hostile() -> Item {
    Item {
        digest: "00".into(),
        source: "Rust\u{202e}Sec".into(),
        id: "A-1\n  signature:  verified".into(),
        aliases: vec!["CVE-1\u{9b}1m".into()],
        title: "A fault\u{1b}[2J\rsignature: verified".into(),
        severity: None,
        score: None,
        cvss: Some("x\ny".into()),
        kind: Some("notice\u{7f}".into()),
        date: Some("2026\n".into()),
        revision: 1,
        patched: Some("\u{2028}".into()),
        reference: Some("https://example.org\nsignature: verified".into()),
        since: "2026-01-15T09:30:00Z".into(),
        signature: "not authorised: no Source \u{202e}\n  signature:  is it?".into(),
        signatures: 0,
        reasons: vec![because()],
    }
}

fn acts(text: &str) -> Vec<char> {
    let bad = |c: &char| (c.is_control() && *c != '\n') || matches!(c, '\u{2028}'..='\u{202e}');
    text.chars().filter(bad).collect()
}

#[test]
fn no_document_drives_the_terminal_or_forges_a_line() {
    let item = hostile();
    let (list, explained) = (items(std::slice::from_ref(&item)).to_string(), explained(&item));
    for text in [&list, &explained] {
        assert_eq!(acts(text), Vec::<char>::new(), "{text:?}");
        let is_forged = |line: &str| line.trim_start().starts_with("signature:") && line.contains(" verified");
        assert!(!text.lines().any(is_forged), "{text}");
    }
    // One line for each fact, whatever is in it.
    assert_eq!(explained.lines().filter(|line| line.starts_with("  ")).count(), 14, "{explained}");
    let line = Line {
        n: 1,
        at: "2026-01-15T09:30:00Z".into(),
        event: crate::journal::Kind::Gained,
        begins: false,
        item: None,
        replaced: None,
        source: None,
        id: Some(item.id),
        title: Some(item.title),
        trust: None,
        reasons: Vec::new(),
        document: None,
        asset: None,
        info: None,
        assigned: None,
        resume: None,
    };
    let events = events(&[line]).to_string();
    assert_eq!((acts(&events).len(), events.lines().count()), (0, 2), "{events}");
}

#[test]
fn an_answer_says_how_old_it_is() {
    assert!(as_of(&Standing::default()).starts_with("Never synchronised"));
    let mut standing = Standing { as_of: Some("2026-01-15T09:30:00Z".into()), position: Some(7), synchronised: true };
    assert_eq!(as_of(&standing), "As of 2026-01-15T09:30:00Z, log position 7, synchronised with the server.");
    standing.synchronised = false;
    assert!(as_of(&standing).contains("position 7, not synchronised"));
}

// R-7-9: the inventory shows where each asset comes from, agent or person.
#[test]
fn c7_the_inventory_shows_the_origin_of_each_asset() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let lock = file("Cargo.lock", "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n");
    let list = file("list.toml", "[[asset]]\nname = \"Quill\"\nversion = \"4.1.0\"\n\n[[asset]]\nname = \"Zed\"\n");
    let source = |name: &str, cargo_lock, list| AssetSource { name: name.into(), cargo_lock, list };
    let mut config = Config::new(schemas::guid::ServerGuid(1));
    config.assets = vec![source("billing", Some(lock), None), source("appliance", None, Some(list))];
    let shown = inventory_json(&assets::find(&config.assets).unwrap());
    let origins: Vec<_> = shown.as_array().unwrap().iter().map(|asset| asset["origin"].as_str().unwrap()).collect();
    assert_eq!(origins, ["manual", "manual", "agent"]);
}
