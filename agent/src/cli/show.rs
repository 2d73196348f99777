//! `assets`, `list` and `explain`: what is found, what applies, and why.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use comfy_table::presets::{NOTHING, UTF8_HORIZONTAL_ONLY};
use comfy_table::{ContentArrangement, Table};
use schemas::shown::shown;
use topology::interest::Interest;
use topology::name::Name;

use super::say;
use crate::assets;
use crate::config::Config;
use crate::inventory::Inventory;
use crate::journal::Line;
use crate::view::{Because, Item, Standing, View};

/// The inventory as the files state it now.
pub(super) fn inventory(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let inventory = assets::find(&config.assets)?;
    if json {
        say(&serde_json::to_string_pretty(&inventory_json(&inventory))?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(["asset", "product", "version", "origin", "components"]);
    for (name, asset) in inventory.assets() {
        let info = &asset.info;
        let text = |text: &Option<_>| text.as_ref().map(ToString::to_string).unwrap_or_default();
        let components = components(&asset.info).len().to_string();
        let version = text(&info.product_version);
        let product = text(&info.product_name);
        table.add_row([shown(name), shown(&product), shown(&version), asset.origin.as_str().into(), components.into()]);
    }
    say(&table.to_string());
    Ok(ExitCode::SUCCESS)
}

fn inventory_json(inventory: &Inventory) -> serde_json::Value {
    let assets = inventory.assets().map(|(name, asset)| {
        serde_json::json!({
            "asset": name,
            "origin": asset.origin.as_str(),
            "product": asset.info.product_name.as_deref(),
            "version": asset.info.product_version.as_deref(),
            "company": asset.info.company.as_deref(),
            "components": components(&asset.info),
        })
    });
    assets.collect()
}

/// Everything that has a name, the asset's own first.
fn components(info: &schemas::version::VersionInfo) -> Vec<serde_json::Value> {
    let interest = Interest::from_version_info(info);
    let named = interest.nodes().filter_map(|node| Some((node.name()?, node)));
    let one = |(name, node): (&Name, &topology::interest::Node)| {
        serde_json::json!({
            "name": name.shown(),
            "file_name": name.to_string(),
            "version": node.versions().as_str(),
            "package": node.packaging(),
        })
    };
    named.map(one).collect()
}

/// What applies now, or every event.
pub(super) fn list(state: &Path, journal: bool, json: bool) -> anyhow::Result<ExitCode> {
    let view = View::load(state)?;
    match (journal, json) {
        (true, true) => say(&serde_json::to_string_pretty(&view.lines)?),
        (true, false) => say(&events(&view.lines).to_string()),
        (false, true) => say(&serde_json::to_string_pretty(&view.now())?),
        (false, false) => say(&listed(&view)),
    }
    Ok(ExitCode::SUCCESS)
}

/// What applies, and how old that answer is: "nothing" of an agent that never reached its server says nothing.
fn listed(view: &View) -> String {
    let as_of = as_of(&view.standing);
    if view.items.is_empty() {
        return format!("Nothing that is known here applies to this device.\n{as_of}");
    }
    let reasons: usize = view.items.iter().map(|item| item.reasons.len()).sum();
    let authorised = view.items.iter().filter(|item| item.signature.starts_with("authorised")).count();
    format!(
        "{}\n{} items for {reasons} reasons, {authorised} of them authorised by their signature. More: \
         distributary-agent explain ID\n{as_of}",
        items(&view.items),
        view.items.len()
    )
}

fn as_of(standing: &Standing) -> String {
    match (&standing.as_of, standing.position) {
        (Some(at), Some(position)) => {
            let state = if standing.synchronised { "synchronised" } else { "not synchronised" };
            format!("As of {at}, log position {position}, {state} with the server.")
        }
        _ => "Never synchronised with the server: what is published may not have come here yet.".to_owned(),
    }
}

fn items(items: &[Item]) -> Table {
    let mut table = table(["severity", "ID", "title", "asset", "component", "since", "source"]);
    for item in items {
        let ids = std::iter::once(&item.id).chain(&item.aliases);
        let ids = ids.map(|id| shown(id)).collect::<Vec<_>>().join("\n");
        for (index, because) in item.reasons.iter().enumerate() {
            // What several reasons share stands once.
            let once = |text: &str| if index == 0 { text.to_owned() } else { String::new() };
            table.add_row([
                once(&shown(&severity(item))),
                once(&ids),
                once(&shown(&item.title)),
                shown(&because.asset).into_owned(),
                shown(&component(because)).into_owned(),
                once(item.since.get(..10).unwrap_or(&item.since)),
                once(&format!("{}\n{}", shown(&item.source), shown(&item.signature))),
            ]);
        }
    }
    table
}

fn severity(item: &Item) -> String {
    match (item.severity, &item.score) {
        (Some(severity), Some(score)) => format!("{severity} {score}"),
        // A notice has no score, and its kind says more than its absence.
        _ => item.kind.clone().filter(|kind| kind != "vulnerability").unwrap_or_else(|| "not rated".to_owned()),
    }
}

fn component(because: &Because) -> String {
    let own = format!("{} {}", because.component, because.version);
    match because.path.as_slice() {
        [] | [_] => own,
        // The first is the asset, which stands beside it.
        [_, inner @ ..] => format!("{own} (in {})", inner.join(" > ")),
    }
}

fn events(lines: &[Line]) -> Table {
    let mut table = table(["n", "at", "event", "what", "title", "position"]);
    // Many short rows: lines between them would hide them.
    table.load_preset(NOTHING);
    for line in lines {
        let what = line.id.clone().or_else(|| line.asset.clone());
        let what = what.or_else(|| line.item.as_ref().map(|item| item.chars().take(12).collect()));
        let position = line.resume.as_ref().map(|resume| resume.position.to_string());
        table.add_row([
            line.n.to_string(),
            line.at.clone(),
            line.event.as_str().to_owned(),
            shown(&what.unwrap_or_default()).into_owned(),
            shown(line.title.as_deref().unwrap_or_default()).into_owned(),
            position.unwrap_or_default(),
        ]);
    }
    table
}

/// Everything about one identifier.
pub(super) fn explain(state: &Path, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    let view = View::load(state)?;
    let items = view.named(id);
    let history = view.history(id);
    if items.is_empty() && history.is_empty() {
        bail!("{} never concerned this device; distributary-agent list shows what does", shown(id));
    }
    if json {
        let report = serde_json::json!({ "id": id, "items": items, "history": history });
        say(&serde_json::to_string_pretty(&report)?);
        return Ok(ExitCode::SUCCESS);
    }
    if items.is_empty() {
        say(&format!("{} does not apply here any more.", shown(id)));
    }
    for item in items {
        say(&explained(item));
    }
    say("History:");
    for line in history {
        let trust = line.trust.as_deref().map(|trust| format!(": {}", shown(trust))).unwrap_or_default();
        say(&format!("  {}  #{} {}{trust}", line.at, line.n, line.event.as_str()));
    }
    Ok(ExitCode::SUCCESS)
}

fn explained(item: &Item) -> String {
    let mut text = format!("{}  {}\n", shown(&item.id), shown(&item.title));
    let mut fact = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text.push_str(&format!("  {:<11} {}\n", format!("{name}:"), shown(value)));
        }
    };
    fact("severity", Some(&severity(item)));
    fact("CVSS", item.cvss.as_deref());
    fact("kind", item.kind.as_deref());
    fact("aliases", Some(&item.aliases.join(", ")));
    fact("source", Some(&item.source));
    fact("signature", Some(&item.signature));
    fact("carries", (item.signatures > 0).then(|| format!("{} signatures", item.signatures)).as_deref());
    fact("published", item.date.as_deref());
    fact("revision", Some(&item.revision.to_string()));
    fact("patched", item.patched.as_deref());
    fact("reference", item.reference.as_deref());
    fact("since", Some(&item.since));
    fact("digest", Some(&item.digest));
    text.push_str("Why it applies here:\n");
    for because in &item.reasons {
        let path = if because.path.is_empty() { String::new() } else { format!(", in {}", because.path.join(" > ")) };
        let what = format!("{}: {} {}{path}", because.asset, because.component, because.version);
        text.push_str(&format!("  {}\n    affected: {}\n", shown(&what), shown(&because.affected)));
    }
    text
}

/// A table that fits the terminal; as wide as it needs where there is none.
fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    table
}

#[cfg(test)]
mod tests;
