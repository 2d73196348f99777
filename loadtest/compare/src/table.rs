//! Results as tables for people, in Markdown.

use std::fmt::Write;

use loadtest::figures::number;

use crate::drive::Figures;
use crate::peers::Name;
use crate::results::Results;
use crate::workload::{Key, Pace, WORKLOADS, Workload};

/// A relay that is better by less than this is as good: what the same relay differs by from round to round.
const SAME: f64 = 1.03;

/// The circumstances, in a sentence or two.
pub fn circumstances(results: &Results) -> String {
    let versions: Vec<_> = results.versions.iter().map(|(peer, is)| format!("{} ({is})", peer.label())).collect();
    let quick = if results.quick { " Loads were a fourth: for a look only." } else { "" };
    format!(
        "{}, commit {}, {}. Medians of {} interleaved rounds.{quick} Relays: {}.",
        results.time,
        results.commit,
        results.machine,
        results.rounds,
        versions.join(", ")
    )
}

/// One row for each workload, one column for each relay.
pub fn short(results: &Results) -> String {
    let peers: Vec<Name> = results.versions.keys().copied().filter(|peer| !peer.is_limit()).collect();
    let mut text = String::from("| load | unit |");
    peers.iter().for_each(|peer| _ = write!(text, " {} |", peer.label()));
    text.push_str(" ahead of ours, and ours to it |\n|---|---|");
    peers.iter().for_each(|_| text.push_str("---:|"));
    text.push_str("---|\n");
    for (workload, medians) in shown(results) {
        _ = write!(text, "| {}; {} | {} |", workload.what, workload.how, workload.key.unit());
        for peer in &peers {
            let cost = of(&medians, *peer).map(|figures| number(workload.key.of(figures)));
            _ = write!(text, " {} |", cost.unwrap_or_else(|| "-".to_owned()));
        }
        _ = writeln!(text, " {} |", cheaper(&workload, &medians));
    }
    text
}

/// A table for each workload, with all figures.
pub fn long(results: &Results) -> String {
    let mut text = String::new();
    for (workload, medians) in shown(results) {
        let ours = of(&medians, Name::Distributary).map(|figures| workload.key.of(figures));
        _ = writeln!(
            text,
            "### {}\n\n{}; {}. {} messages.\n\n\
             | relay | s/GB | s/million | ours to it | p50 ms | p99 ms | wall s | peak MiB | idle KiB | wire |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
            workload.name,
            workload.what,
            workload.how,
            medians.first().map_or(0, |(_, figures)| figures.receipts / workload.clients as u64),
        );
        for (peer, figures) in &medians {
            let ratio = ours.map(|ours| format!("{:.2}", ours / workload.key.of(figures)));
            _ = writeln!(text, "{}", row(*peer, &ratio.unwrap_or_default(), figures));
        }
        let failures = results.failures.iter().filter(|failure| failure.workload == workload.name);
        failures.for_each(|failure| _ = writeln!(text, "\n{} is left out: {}.", failure.peer.label(), failure.why));
        _ = writeln!(text, "{}", distances(&medians));
    }
    text
}

fn row(peer: Name, ratio: &str, figures: &Figures) -> String {
    let cells = [
        peer.label().to_owned(),
        number(Key::Gigabyte.of(figures)),
        number(Key::Million.of(figures)),
        ratio.to_owned(),
        number(figures.p50_ms),
        number(figures.p99_ms),
        number(figures.seconds),
        format!("{:.0}", figures.resident_bytes_max as f64 / f64::from(1 << 20)),
        number(figures.idle_kib),
        format!("{:.3}", Key::Wire.of(figures)),
    ];
    format!("| {} |", cells.join(" | "))
}

/// Who costs less than ours, what ours is to it, and whether it is also sooner. Limits of the machine are nobody.
fn cheaper(workload: &Workload, medians: &[(Name, Figures)]) -> String {
    let Some(ours) = of(medians, Name::Distributary) else { return "ours has no figures".to_owned() };
    let ahead = medians.iter().filter(|(peer, _)| !peer.is_limit()).filter_map(|(peer, figures)| {
        let ratio = workload.key.of(ours) / workload.key.of(figures);
        let sooner = matches!(workload.pace, Pace::Rate(_)) && figures.p99_ms < ours.p99_ms;
        let sooner = if sooner { " (and p99)" } else { "" };
        (ratio > SAME).then(|| format!("{} {ratio:.2}{sooner}", peer.label()))
    });
    let ahead: Vec<_> = ahead.collect();
    if ahead.is_empty() { "nobody".to_owned() } else { ahead.join(", ") }
}

/// What ours takes for a byte on the wire, compared with the least that a sender over QUIC can.
fn distances(medians: &[(Name, Figures)]) -> String {
    let per_byte = |figures: &Figures| figures.cpu_seconds / figures.wire_bytes as f64;
    let Some(ours) = of(medians, Name::Distributary).map(per_byte) else { return String::new() };
    let limits = medians.iter().filter(|(peer, _)| peer.is_limit());
    let distance = |(peer, figures): &(Name, Figures)| {
        format!("\nFor a byte on the wire ours takes {:.2} of {}.\n", ours / per_byte(figures), peer.label())
    };
    limits.map(distance).collect()
}

/// The workloads that were run, and what came of them.
pub fn shown(results: &Results) -> Vec<(Workload, Vec<(Name, Figures)>)> {
    let all = WORKLOADS.into_iter().map(|workload| (workload, results.medians(&workload)));
    all.filter(|(_, medians)| !medians.is_empty()).collect()
}

fn of(medians: &[(Name, Figures)], peer: Name) -> Option<&Figures> {
    medians.iter().find(|(is, _)| *is == peer).map(|(_, figures)| figures)
}
