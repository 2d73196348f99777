//! What was measured, as Markdown.

use super::Measurement;
use super::cases::{ALL_READ, CONTROLLERS, LINKS, ONE_STALLED, Pace, SCALE, far};
use super::results::{Circumstances, Figures, Measured};
use crate::figures::number;
use crate::plan::CLIENTS_MAX;
use crate::report::{Publication, Quantiles};

/// The table of a measurement, what stands around it, and what failed.
pub(super) fn text(what: Measurement, measured: &Measured) -> String {
    let table = match what {
        Measurement::Stalled => stalled(measured),
        Measurement::Scale => scale(measured),
        Measurement::Bottleneck => bottleneck(measured),
        Measurement::Idle => idle(measured),
        Measurement::Receivers => receivers(measured),
        Measurement::Congestion => congestion(measured),
    };
    let failures = measured.failures.iter().map(|failure| {
        format!("\nFailed in round {}: {}: {}.\n", failure.round, failure.case, failure.why.replace('\n', " "))
    });
    format!("{}\n\n{table}{}", circumstances(measured), failures.collect::<String>())
}

fn circumstances(measured: &Measured) -> String {
    let Circumstances { time, commit, machine, quick } = &measured.circumstances;
    let fourth = if *quick { " Loads were a fourth: for a look only." } else { "" };
    format!("{time}, commit {commit}, {machine}. Medians of {} interleaved rounds.{fourth}", measured.rounds)
}

fn stalled(measured: &Measured) -> String {
    let mut table = Table::new(&["200 clients", "µs a delivery to the others", "p50 ms", "p99 ms"]);
    for case in [ALL_READ, ONE_STALLED] {
        let of = |of: fn(&Figures) -> f64| measured.median(case, of);
        table.row(case, &[of(cost), of(|figures| first(figures).p50), of(|figures| first(figures).p99)]);
    }
    let costs = [ONE_STALLED, ALL_READ].map(|case| measured.median(case, cost));
    let [with, without] = costs;
    let ratio = with.zip(without).map(|(with, without)| with / without);
    let late = measured.ratio(ONE_STALLED, ALL_READ, |figures| first(figures).p99);
    format!(
        "{}\nWith the stalled one to without: processor time of the server for a delivery to the others {}, ratio of medians; \
         p99 of the others {}, median of the ratios of each round.\n",
        table.0,
        shown(ratio),
        shown(late)
    )
}

fn scale(measured: &Measured) -> String {
    let to = format!("to {} clients", SCALE[0]);
    let mut table = Table::new(&["text of 1 KiB", "µs a delivery", &to, "p50 ms", "p99 ms"]);
    for (pace, clients) in Pace::ALL.into_iter().flat_map(|pace| SCALE.map(|clients| (pace, clients))) {
        let case = pace.case(clients);
        let of = |of: fn(&Figures) -> f64| measured.median(&case, of);
        let least = measured.median(&pace.case(SCALE[0]), cost);
        let ratio = of(cost).zip(least).map(|(own, least)| own / least);
        let latency = [of(|figures| first(figures).p50), of(|figures| first(figures).p99)];
        table.row(&case, &[of(cost), ratio, latency[0], latency[1]]);
    }
    table.0
}

fn bottleneck(measured: &Measured) -> String {
    let heads = ["critical receipts", "p50 ms", "p99 ms", "max ms", "bulk, MB/s", "server, s"];
    rounds(measured, heads, |figures| {
        let [bulk, critical] = figures.publications.as_slice() else { return [0.0; 6] };
        let Quantiles { p50, p99, max, .. } = critical.latency;
        [critical.receipts as f64, p50, p99, max, rate(bulk), figures.server.cpu_seconds]
    })
}

fn idle(measured: &Measured) -> String {
    rounds(measured, ["KiB a link", "ms of the server to connect", "s until all were connected"], |figures| {
        let idle = &figures.idle;
        [idle.kib_each.unwrap_or_default(), idle.cpu_milliseconds_each.unwrap_or_default(), idle.connecting_seconds]
    })
}

fn receivers(measured: &Measured) -> String {
    let heads = ["MB more than with idle links", "MB sent meanwhile", "the same, KB a link", "received whole"];
    rounds(measured, heads, |figures| {
        let sent = figures.wire.unwrap_or_default().0 as f64;
        let grown = figures.server.resident_bytes_grown as f64;
        [grown / 1e6, sent / 1e6, sent / 1e3 / CLIENTS_MAX as f64, figures.receipts as f64]
    })
}

/// The figures of each round of a measurement that has one case, and their medians.
fn rounds<const N: usize>(measured: &Measured, heads: [&str; N], row: impl Fn(&Figures) -> [f64; N]) -> String {
    let mut table = Table::new(&[&["round"], &heads[..]].concat());
    for run in &measured.runs {
        table.row(&run.round.to_string(), &row(&run.figures).map(Some));
    }
    let Some(case) = measured.runs.first().map(|run| run.case.as_str()) else { return table.0 };
    let medians: Vec<_> = (0..N).map(|column| measured.median(case, |figures| row(figures)[column])).collect();
    table.row("median", &medians);
    table.0
}

/// For each link, and each controller on it: how fast updates come, and how late news beside them.
fn congestion(measured: &Measured) -> String {
    let heads = ["MB/s", "news p99 ms", "server s/GB"].map(|what| CONTROLLERS.map(|name| format!("{what}, {name}")));
    let heads: Vec<&str> =
        std::iter::once("there and back, lost").chain(heads.iter().flatten().map(String::as_str)).collect();
    let mut table = Table::new(&heads);
    for link in LINKS {
        let of = |of: fn(&Figures) -> f64| CONTROLLERS.map(|name| measured.median(&far(name, link), of));
        let speed = of(|figures| figures.publications.first().map_or(0.0, rate));
        let late = of(|figures| figures.publications.last().map_or(0.0, |news| news.latency.p99));
        let cost = of(|figures| figures.server.cpu_seconds_per_gb);
        let (milliseconds, lost) = link;
        table.row(&format!("{milliseconds} ms, {} %", lost * 100.0), &[speed, late, cost].concat());
    }
    table.0
}

/// Microseconds of the server's processor time for a delivery.
fn cost(figures: &Figures) -> f64 {
    figures.server.cpu_seconds_per_million
}

/// Latencies of the only publication.
fn first(figures: &Figures) -> Quantiles {
    figures.publications.first().map(|publication| publication.latency).unwrap_or_default()
}

/// MB (10^6 bytes) of content a second, from the first item to the last receipt.
fn rate(publication: &Publication) -> f64 {
    publication.content_bytes as f64 / 1e6 / (publication.end - publication.begin).max(1e-9)
}

fn shown(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), number)
}

/// Markdown, with numbers at the right.
struct Table(String);

impl Table {
    fn new(head: &[&str]) -> Self {
        Self(format!("| {} |\n|---|{}\n", head.join(" | "), "---:|".repeat(head.len().saturating_sub(1))))
    }

    fn row(&mut self, name: &str, values: &[Option<f64>]) {
        let cells: Vec<String> = values.iter().copied().map(shown).collect();
        self.0.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::measured;
    use super::*;

    #[test]
    fn what_is_stalled_costs_the_others_a_ratio() {
        let text = text(
            Measurement::Stalled,
            &measured(&[(1, ALL_READ, 2.0, 10.0), (1, ONE_STALLED, 3.0, 11.0), (2, ONE_STALLED, 3.0, 9.0)]),
        );
        assert!(text.contains("| all read | 2.00 | 0.00 | 10.0 |\n| one reads nothing | 3.00 |"), "{text}");
        assert!(text.contains("others 1.50, ratio") && text.contains("others 1.10, median"), "{text}");
    }

    #[test]
    fn a_case_of_scale_that_never_held_has_no_figures() {
        let few = Pace::Saturated.case(100);
        let many = Pace::Saturated.case(1000);
        let text = text(Measurement::Scale, &measured(&[(1, &few, 2.0, 1.0), (1, &many, 5.0, 1.0)]));
        assert!(text.contains("| 64 in flight, 1000 clients | 5.00 | 2.50 |"), "{text}");
        assert!(text.contains("| 64 in flight, 10000 clients | - | - | - | - |"), "{text}");
    }

    #[test]
    fn each_round_of_a_bottleneck_stands_above_the_median() {
        let rounds = [(1, "a", 5.0, 10.0), (2, "a", 7.0, 20.0), (3, "a", 6.0, 40.0)];
        let text = text(Measurement::Bottleneck, &measured(&rounds));
        assert!(text.contains("| 2 | 7.00 | 0.00 | 20.0 | 40.0 | 0.12 | 7.00 |"), "{text}");
        assert!(text.contains("| median | 7.00 | 0.00 | 20.0 | 40.0 | 0.12 | 6.00 |"), "{text}");
    }

    #[test]
    fn idle_links_and_what_failed_are_told() {
        let mut idle = measured(&[(1, "a", 5.0, 90.0)]);
        idle.failures.push(super::super::results::Failure { round: 2, case: "a".into(), why: "no\nroom".into() });
        let text = text(Measurement::Idle, &idle);
        assert!(text.contains("| 1 | 90.0 | 2.00 | 1.00 |\n| median | 90.0 |"), "{text}");
        assert!(text.ends_with("Failed in round 2: a: no room.\n"), "{text}");
    }

    #[test]
    fn receivers_are_told_by_memory_and_by_what_they_were_sent() {
        let text = text(Measurement::Receivers, &measured(&[(1, "a", 5.0, 90.0)]));
        assert!(text.contains("| 1 | 90.0 | 50.0 | 5.00 | 1000000 |\n| median | 90.0 | 50.0 |"), "{text}");
    }

    #[test]
    fn each_link_has_the_controllers_side_by_side() {
        let text = text(
            Measurement::Congestion,
            &measured(&[
                (1, "cubic, 50 ms, 0.5 % lost", 5.0, 70.0),
                (1, "bbr, 50 ms, 0.5 % lost", 5.0, 30.0),
                (2, "bbr, 50 ms, 0.5 % lost", 5.0, 40.0),
            ]),
        );
        assert!(text.contains("| 50 ms, 0.5 % | 0.12 | - | 0.12 | 70.0 | - | 35.0 | 0.00 | - | 0.00 |"), "{text}");
    }
}
