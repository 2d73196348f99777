//! `import`: what a source says, without sending it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use schemas::shown::shown;

use super::{complain, say};
use crate::publish::Part;
use crate::rustsec::publication::{Plan, State};
use crate::rustsec::{self, Refusal};

/// Reads an advisory tree or JSON lines.
pub(super) fn rustsec(source: &Path, out: Option<&Path>, strict: bool, json: bool) -> anyhow::Result<ExitCode> {
    let source = rustsec::read_source(source)?;
    let is_complete = source.is_complete();
    let plan = State::default().plan(source, is_complete);
    let written = out.map(|out| write(out, &plan)).transpose()?;
    if json {
        let refused: Vec<_> = plan.refusals.iter().map(refusal_json).collect();
        let report = serde_json::json!({ "read": plan.publish.len(), "refused": refused, "written": written });
        say(&serde_json::to_string_pretty(&report)?);
    } else {
        refusals(&plan.refusals);
        let written = written.map(|count| format!(", {count} documents written")).unwrap_or_default();
        say(&format!("{} advisories read, {} refused{written}", plan.publish.len(), plan.refusals.len()));
    }
    if plan.publish.is_empty() {
        bail!("nothing could be read: is this an advisory tree, or JSON lines with path and text?");
    }
    Ok(if strict && !plan.refusals.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn refusal_json(refusal: &Refusal) -> serde_json::Value {
    serde_json::json!({ "path": refusal.path(), "reason": refusal.to_string() })
}

/// One line for each document that was not taken.
pub(super) fn refusals(refusals: &[Refusal]) {
    for refusal in refusals {
        complain(&format!("refused: {}", shown(&refusal.to_string())));
    }
}

/// One X.1206 document for each item, named after its source's path.
fn write(out: &Path, plan: &Plan) -> anyhow::Result<usize> {
    fs::create_dir_all(out).map_err(|error| anyhow!("cannot make {}: {error}", out.display()))?;
    let mut names = BTreeSet::new();
    for (path, info) in &plan.publish {
        let mut name = file_name(path);
        // Changes can say several things of one document.
        while !names.insert(name.clone()) {
            name.push('+');
        }
        let file = out.join(format!("{name}.xml"));
        let part = Part::new(path, std::slice::from_ref(info));
        fs::write(&file, part.bytes()).map_err(|error| anyhow!("cannot write {}: {error}", file.display()))?;
    }
    Ok(names.len())
}

/// A source's path is data: nothing of it may lead out of the directory.
fn file_name(path: &str) -> String {
    let path = path.strip_suffix(".md").unwrap_or(path);
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '.' };
    let name: String = path.chars().map(safe).collect();
    name.trim_start_matches('.').chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_name_that_stays_where_it_belongs() {
        assert_eq!(file_name("crates/a/RUSTSEC-2024-0001.md"), "crates.a.RUSTSEC-2024-0001");
        assert_eq!(file_name("../../etc/passwd"), "etc.passwd");
        assert_eq!(file_name(&"x/".repeat(500)).len(), 200);
    }
}
