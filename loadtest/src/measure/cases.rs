//! The loads of each measurement, made of plans that are shipped.

use anyhow::{Context, ensure};

use super::Measurement;
use crate::network::Network;
use crate::plan::{Habit, Plan};

const STALLED: &str = include_str!("../../plans/stalled.toml");
const SATURATED: &str = include_str!("../../plans/fan-out-1k.toml");
const PACED: &str = include_str!("../../plans/paced.toml");
const BOTTLENECK: &str = include_str!("../../plans/bottleneck.toml");
const IDLE: &str = include_str!("../../plans/idle-10000.toml");
const RECEIVERS: &str = include_str!("../../plans/receivers-10000.toml");
const LOSSY: &str = include_str!("../../plans/lossy.toml");

/// Clients of the cases of `scale`.
pub(super) const SCALE: [usize; 3] = [100, 1000, 10_000];
/// Clients that share a socket there, so that the cases differ in the number of clients alone.
const SCALE_SHARE: usize = 20;
/// Receipts of a case of `scale`: the same for each number of clients, as what is cheap needs many to be seen.
const SATURATED_RECEIPTS: usize = 2_000_000;
const PACED_RECEIPTS: usize = 200_000;
/// Receipts a second of all clients together, where a clock says when: a third of what one core does.
const PACED_RATE: f64 = 10_000.0;

/// What a server can take for congestion.
pub(super) const CONTROLLERS: [&str; 3] = ["cubic", "newreno", "bbr"];
/// Links of `congestion`: milliseconds there and back, and the share of packets that is lost on each way.
pub(super) const LINKS: [(f64, f64); 9] = [
    (10.0, 0.0),
    (10.0, 0.005),
    (10.0, 0.02),
    (50.0, 0.0),
    (50.0, 0.005),
    (50.0, 0.02),
    (200.0, 0.0),
    (200.0, 0.005),
    (200.0, 0.02),
];
/// Clients on each such link, and updates for each: the slowest takes a minute or so.
const FAR_CLIENTS: usize = 20;
const FAR_UPDATES: usize = 6;

/// Cases of `stalled`.
pub(super) const ALL_READ: &str = "all read";
pub(super) const ONE_STALLED: &str = "one reads nothing";

/// One load of a measurement.
pub(super) struct Case {
    /// For people, and by which its runs are found.
    pub(super) name: String,
    pub(super) plan: Plan,
}

/// How items are published in a case of `scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Saturated,
    Paced,
}

impl Pace {
    pub(super) const ALL: [Self; 2] = [Self::Saturated, Self::Paced];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Saturated => "64 in flight",
            Self::Paced => "by the clock",
        }
    }

    /// The name of its case with so many clients.
    pub(super) fn case(self, clients: usize) -> String {
        format!("{}, {clients} clients", self.label())
    }
}

impl Measurement {
    /// All its cases, or a fourth of each.
    ///
    /// # Errors
    /// A shipped plan is none.
    pub(super) fn cases(self, quick: bool) -> anyhow::Result<Vec<Case>> {
        let mut cases = match self {
            Self::Stalled => stalled()?,
            Self::Scale => scale()?,
            Self::Bottleneck => vec![Case { name: "critical beside bulk".to_owned(), plan: plan(BOTTLENECK)? }],
            Self::Idle => vec![Case { name: "10,000 idle".to_owned(), plan: plan(IDLE)? }],
            Self::Receivers => vec![Case { name: "10 MB to 10,000".to_owned(), plan: plan(RECEIVERS)? }],
            Self::Congestion => congestion()?,
        };
        if quick {
            cases.iter_mut().for_each(|case| self.fourth(&mut case.plan));
        }
        Ok(cases)
    }

    fn fourth(self, plan: &mut Plan) {
        if matches!(self, Self::Idle | Self::Receivers) {
            plan.clients.iter_mut().for_each(|group| group.count = group.count.div_ceil(4));
            plan.idle_seconds /= 4.0;
            plan.seconds_max = plan.seconds_max.map(|seconds| seconds / 4.0);
        }
        for publish in &mut plan.publish {
            publish.count = publish.count.div_ceil(4);
            publish.start /= 4.0;
        }
    }
}

fn plan(text: &str) -> anyhow::Result<Plan> {
    Ok(toml::from_str(text)?)
}

/// The same load on the same others, with one that reads nothing and without.
fn stalled() -> anyhow::Result<Vec<Case>> {
    let (with, mut without) = (plan(STALLED)?, plan(STALLED)?);
    without.clients.retain(|group| group.habit != Habit::Stalled);
    ensure!(without.clients.len() < with.clients.len(), "nobody is stalled in stalled.toml");
    let cases = [(ALL_READ, without), (ONE_STALLED, with)];
    Ok(cases.into_iter().map(|(name, plan)| Case { name: name.to_owned(), plan }).collect())
}

fn scale() -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (pace, text, receipts) in
        [(Pace::Saturated, SATURATED, SATURATED_RECEIPTS), (Pace::Paced, PACED, PACED_RECEIPTS)]
    {
        for clients in SCALE {
            let mut plan = plan(text)?;
            plan.clients.iter_mut().for_each(|group| group.count = clients);
            plan.clients_of_a_socket = Some(SCALE_SHARE);
            for publish in &mut plan.publish {
                publish.count = receipts / clients;
                publish.rate = publish.rate.map(|_| PACED_RATE / clients as f64);
            }
            cases.push(Case { name: pace.case(clients), plan });
        }
    }
    Ok(cases)
}

/// The name of the case of `congestion` with this controller on this link.
pub(super) fn far(controller: &str, (milliseconds, lost): (f64, f64)) -> String {
    format!("{controller}, {milliseconds} ms, {} % lost", lost * 100.0)
}

/// Everywhere updates, and news beside them. Packets overtake each other here and there.
fn congestion() -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (link, controller) in LINKS.into_iter().flat_map(|link| CONTROLLERS.map(|controller| (link, controller))) {
        let mut plan = plan(LOSSY)?;
        let (milliseconds, lost) = link;
        let network = plan.network.context("lossy.toml has no network")?;
        plan.network = Some(Network { delay: milliseconds / 2.0, loss: lost, ..network });
        plan.server.congestion = Some(controller.to_owned());
        plan.clients.iter_mut().for_each(|group| group.count = FAR_CLIENTS);
        for publish in plan.publish.iter_mut().filter(|publish| publish.window.is_some()) {
            publish.count = FAR_UPDATES;
        }
        cases.push(Case { name: far(controller, link), plan });
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_case_is_a_plan_that_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        for (measurement, quick) in
            Measurement::value_variants().iter().flat_map(|what| [(*what, true), (*what, false)])
        {
            for case in measurement.cases(quick).unwrap() {
                let path = folder.path().join("plan.toml");
                std::fs::write(&path, toml::to_string(&case.plan).unwrap()).unwrap();
                let read = Plan::read(&path).unwrap_or_else(|error| panic!("{}: {error:#}", case.name));
                assert_eq!(read, case.plan, "{}", case.name);
            }
        }
    }

    #[test]
    fn clients_that_read_are_as_many_with_a_stalled_one_as_without() {
        let reading = |case: &Case| -> usize {
            let groups = case.plan.clients.iter().filter(|group| group.habit != Habit::Stalled);
            groups.map(|group| group.count).sum()
        };
        let cases = Measurement::Stalled.cases(false).unwrap();
        assert_eq!(cases.iter().map(reading).collect::<Vec<_>>(), [199, 199]);
        assert_eq!(cases.iter().map(|case| case.plan.clients.len()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_case_of_scale_has_as_many_receipts_however_many_clients_there_are() {
        let receipts = |case: &Case| case.plan.clients[0].count * case.plan.publish[0].count;
        let receipts: Vec<usize> = Measurement::Scale.cases(false).unwrap().iter().map(receipts).collect();
        assert_eq!(receipts, [2_000_000, 2_000_000, 2_000_000, 200_000, 200_000, 200_000]);
    }
}
