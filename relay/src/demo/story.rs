//! The order of events of the demo.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dialler::clock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use node::ids::Time;

use super::checks::{self, Check};
use super::edges::{self, Edge};
use super::journals::{self, Journal};
use super::world::{ISPS, PROVIDER, VENDOR, World};
use super::{Options, say, table};
use crate::tree::builtin::{self, Reason};
use crate::tree::process::{Process, wait_for};
use crate::tree::scenario::Party;
use crate::tree::scrape::metric;

/// The whole demo; true if every check held.
pub(super) fn tell(options: &Options) -> anyhow::Result<bool> {
    let mut stage = Stage::set(options)?;
    let held = stage.play();
    if !matches!(held, Ok(true)) {
        let kept = stage.world.cast.world.folder.keep();
        say_error(&format!("everything that was written is kept in {}", kept.display()));
    }
    held
}

#[allow(clippy::print_stderr, reason = "where to look when something went wrong")]
fn say_error(text: &str) {
    eprintln!("{text}");
}

impl Stage {
    fn play(&mut self) -> anyhow::Result<bool> {
        let begun = Instant::now();
        let stage = self;
        stage.start()?;
        let first = stage.publish(0)?;
        stage.say(&format!(
            "publication 1: {} advisories, {} deliveries, {} ms from the start of publishing to the last agent's journal",
            stage.advisories(0)?,
            first.items,
            first.took.as_millis()
        ));
        stage.come_to_rest(first.items)?;
        let edges = edges::measure(&stage.world)?;
        stage.tell_edges(&edges)?;
        let (mut second, mut held) = stage.publish_and_kill()?;
        second.journals = journals::verify_all(&stage.world)?;
        stage.say(&table::agents(&stage.world, &second.journals));
        held.extend(checks::journals(&stage.world, &second.journals, &stage.expected));
        stage.report(&first, &second, &edges, &held, begun.elapsed())
    }
}

struct Stage {
    world: World,
    expected: BTreeMap<String, Vec<Reason>>,
    json: bool,
}

/// What a publication came to.
struct Outcome {
    journals: Vec<Journal>,
    /// Deliveries of this publication.
    items: usize,
    /// From its start to the last agent's journal.
    took: Duration,
}

impl Stage {
    fn set(options: &Options) -> anyhow::Result<Self> {
        let world = World::make(options)?;
        Ok(Self { world, expected: builtin::expected()?, json: options.json })
    }

    fn say(&self, text: &str) {
        if !self.json {
            say(text);
        }
    }

    fn start(&mut self) -> anyhow::Result<()> {
        self.say(
            "Distributary: who runs what is registered once; what is published reaches exactly whom it concerns.\n",
        );
        for (server, name) in std::iter::once((VENDOR, "vendor")).chain(ISPS) {
            self.start_server(server)?;
            let world = &self.world.cast.world;
            let (quic, admin) = (world.quic(server), world.admin(server));
            self.say(&format!("{name:<10} X.1206 over QUIC on {quic}, metrics on http://{admin}/metrics"));
        }
        let (count, products) = (self.world.devices.len(), self.world.products.len());
        (0..count).try_for_each(|group| self.world.cast.start_group(group))?;
        self.say(&format!(
            "agents     {count}, for {products} lock files; each registers every component that it finds, with its ISP"
        ));
        self.say(&format!("provider   signs each item with a key made for this run: {}", self.world.signer));
        self.check_processes()?;
        wait_for("every agent to be registered", || {
            self.check_processes()?;
            Ok(journals::read_all(&self.world)?.iter().all(Journal::is_synchronised))
        })?;
        wait_for("the ISPs to count them", || {
            let counted = ISPS.map(|(server, _)| self.metric(server, "distributary_registered_clients").unwrap_or(0));
            Ok(counted.iter().sum::<u64>() == count as u64)
        })?;
        wait_for("the ISPs to be clients of the vendor", || {
            Ok(ISPS.iter().all(|(server, _)| self.metric(*server, "distributary_uplinks_synchronised") == Some(1)))
        })?;
        self.say(&format!("registered {count} clients at the ISPs; the vendor knows of the ISPs alone\n"));
        Ok(())
    }

    fn start_server(&mut self, server: usize) -> anyhow::Result<()> {
        self.world.cast.start_server(server)?;
        wait_for("a server", || {
            self.check_processes()?;
            Ok(self.world.cast.is_ready(server))
        })
    }

    /// Waits until the ISPs have counted so many items, and no server waits for an answer: what they say of themselves is
    /// a quarter of a second old at most.
    fn come_to_rest(&self, items: usize) -> anyhow::Result<()> {
        wait_for("the servers to have every answer", || {
            let servers = std::iter::once(VENDOR).chain(ISPS.map(|(server, _)| server));
            let unanswered = servers.map(|server| self.metric(server, "distributary_items_unanswered"));
            let (_, from_isps) = edges::items(&self.world)?;
            Ok(unanswered.into_iter().all(|left| left == Some(0)) && from_isps >= items as u64)
        })
    }

    /// What crossed each edge until now, with its arithmetic.
    fn tell_edges(&self, edges: &[Edge]) -> anyhow::Result<()> {
        self.say(&table::edges(edges));
        let (from_vendor, from_isps) = edges::items(&self.world)?;
        self.say(&format!(
            "carried: UDP payload on the ISP's link to the vendor, both ways. Without the tree: the same on the links of\n\
             the agents, which would all end at the vendor. {from_vendor} items left the vendor, {from_isps} the ISPs. The\n\
             more agents an ISP has, the more it saves: what it carries stays as it is.\n"
        ));
        Ok(())
    }

    fn check_processes(&mut self) -> anyhow::Result<()> {
        self.world.cast.check()
    }

    fn metric(&self, server: usize, name: &str) -> Option<u64> {
        metric(self.world.cast.world.admin(server), name)
    }

    /// Reasons and items of an agent that a publication must bring; both publications together bring everything.
    fn wanted(&self, through: usize) -> anyhow::Result<usize> {
        let mut published = String::new();
        for index in 0..=through {
            published.push_str(&std::fs::read_to_string(&self.world.publications[index])?);
        }
        let items = |product: &str| {
            let reasons = self.expected.get(product).map(Vec::as_slice).unwrap_or_default();
            let mut ids: Vec<&str> = reasons.iter().map(|(_, _, id)| id.as_str()).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.into_iter().filter(|id| published.contains(&format!("{id}.md"))).count()
        };
        Ok(self.world.devices.iter().map(|device| items(self.world.product(device).name)).sum())
    }

    fn advisories(&self, index: usize) -> anyhow::Result<usize> {
        Ok(std::fs::read_to_string(&self.world.publications[index])?.lines().count())
    }

    fn provider(&self, index: usize) -> anyhow::Result<Process> {
        let key = self.world.key.to_string_lossy();
        self.world.cast.publish_with(PROVIDER, &self.world.publications[index], &["--sign", &key])
    }

    fn publish(&mut self, index: usize) -> anyhow::Result<Outcome> {
        let (before, wanted) = (journals::items(&self.world)?, self.wanted(index)?);
        let counts: Vec<usize> = journals::read_all(&self.world)?.iter().map(Journal::items).collect();
        let bar = self.bar(wanted - before);
        let begun = clock::wall();
        let mut provider = self.provider(index)?;
        self.wait_for_items(&bar, before, wanted)?;
        self.succeed(&mut provider)?;
        bar.finish_and_clear();
        self.outcome(begun, &counts)
    }

    /// The second publication goes in two parts, so that the kill after the first deliveries is in its middle.
    fn publish_and_kill(&mut self) -> anyhow::Result<(Outcome, Vec<Check>)> {
        let (before, wanted) = (journals::items(&self.world)?, self.wanted(2)?);
        let counts: Vec<usize> = journals::read_all(&self.world)?.iter().map(Journal::items).collect();
        let bar = self.bar(wanted - before);
        let begun = clock::wall();
        let mut provider = self.provider(1)?;
        wait_for("the second publication to be under way", || Ok(journals::items(&self.world)? > before))?;
        let (isp, name) = ISPS[0];
        self.world.cast.kill(Party::Server(isp))?;
        let reached = journals::items(&self.world)?;
        bar.set_position((reached - before) as u64);
        let (made, all) = (reached - before, wanted - before);
        let killed = format!("publication 2: {made} of {all} deliveries made when {name} was killed");
        self.say(&format!("{killed} with SIGKILL; starting it again"));
        self.start_server(isp)?;
        self.succeed(&mut provider)?;
        let mut provider = self.provider(2)?;
        self.wait_for_items(&bar, before, wanted)?;
        self.succeed(&mut provider)?;
        bar.finish_and_clear();
        // What is too much would come now: the server has nothing left to push.
        self.come_to_rest(0)?;
        let outcome = self.outcome(begun, &counts)?;
        let took = outcome.took.as_millis();
        self.say(&format!("publication 2: complete {took} ms after it began, the crash included"));
        self.say("               (an agent that is idle notices a lost server within 8 s)\n");
        Ok((outcome, vec![Check::new(killed, reached < wanted)]))
    }

    fn succeed(&self, provider: &mut Process) -> anyhow::Result<()> {
        anyhow::ensure!(
            provider.wait()?,
            "the provider failed: see {}",
            self.world.cast.world.folder.log("provider").display()
        );
        Ok(())
    }

    fn wait_for_items(&mut self, bar: &ProgressBar, before: usize, wanted: usize) -> anyhow::Result<()> {
        wait_for("the last agent", || {
            self.check_processes()?;
            let items = journals::items(&self.world)?;
            bar.set_position(items.saturating_sub(before) as u64);
            Ok(items >= wanted)
        })
    }

    fn outcome(&self, begun: Time, counts: &[usize]) -> anyhow::Result<Outcome> {
        let journals = journals::read_all(&self.world)?;
        let last = journals.iter().zip(counts).filter_map(|(journal, count)| journal.last_since(*count)).max();
        let items = journals.iter().map(Journal::items).sum::<usize>() - counts.iter().sum::<usize>();
        Ok(Outcome { journals, items, took: last.map_or(Duration::ZERO, |last| last.since(begun)) })
    }

    fn bar(&self, length: usize) -> ProgressBar {
        let target = if self.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(length as u64), target);
        let style = ProgressStyle::with_template("publishing {bar:40} {pos}/{len} deliveries").ok();
        style.map_or(bar.clone(), |style| bar.with_style(style))
    }

    fn report(
        &self,
        first: &Outcome,
        second: &Outcome,
        edges: &[Edge],
        held: &[Check],
        took: Duration,
    ) -> anyhow::Result<bool> {
        let all = held.iter().all(|check| check.held);
        if self.json {
            let checks: Vec<_> =
                held.iter().map(|check| serde_json::json!({ "what": check.what, "held": check.held })).collect();
            let agents: BTreeMap<_, _> = self
                .world
                .devices
                .iter()
                .zip(&second.journals)
                .map(|(device, journal)| (&device.name, journal.reasons()))
                .collect();
            let edge = |edge: &Edge| {
                serde_json::json!({
                    "edge": edge.name, "agents": edge.agents, "bytes": edge.carried, "bytes_without_tree": edge.direct,
                })
            };
            let report = serde_json::json!({
                "held": all,
                "checks": checks,
                "agents": agents,
                "edges": edges.iter().map(edge).collect::<Vec<_>>(),
                "publish_to_last_agent_ms": first.took.as_millis() as u64,
                "with_crash_ms": second.took.as_millis() as u64,
                "seconds": took.as_secs_f64(),
            });
            say(&serde_json::to_string_pretty(&report)?);
            return Ok(all);
        }
        for check in held {
            self.say(&format!("{} {}", if check.held { "ok  " } else { "FAIL" }, check.what));
        }
        self.say(&format!(
            "\n{} in {:.1} s",
            if all { "every check held" } else { "not every check held" },
            took.as_secs_f64()
        ));
        Ok(all)
    }
}
