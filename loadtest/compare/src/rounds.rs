//! All runs in order: in each round every workload, in each workload every relay in turn, so that what the machine does
//! meanwhile falls on all of them.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::drive::Figures;
use crate::peers::{Name, Site};
use crate::relay::{CLIENT_CORE, Relay, placed};
use crate::results::{Failure, Results, Run};
use crate::tls::Files;
use crate::workload::Workload;

/// Longer than any run takes.
const RUN_MAX: Duration = Duration::from_secs(300);

/// What is asked for.
pub struct Rounds {
    /// How many.
    pub rounds: usize,
    /// Which loads.
    pub workloads: Vec<Workload>,
    /// Which relays.
    pub peers: Vec<Name>,
    /// A fourth of each load.
    pub quick: bool,
    /// Of the relay, and of the clients.
    pub namespaces: [String; 2],
    /// Where everything is; each run gets a folder of its own in this one's.
    pub site: Site,
}

impl Rounds {
    /// Carries everything out, says how it goes, and keeps what was seen in a file.
    ///
    /// # Errors
    /// The machine is at fault; what a relay does wrong stands in the results.
    pub fn run(&self, results: &mut Results, file: &Path) -> anyhow::Result<()> {
        let (begin, turns, mut failed) = (Instant::now(), self.turns(), BTreeSet::new());
        for (number, (round, workload, peer)) in turns.iter().enumerate() {
            if failed.contains(&(workload.name, *peer)) {
                continue;
            }
            let (number, all, seconds) = (number + 1, turns.len(), begin.elapsed().as_secs());
            eprint!("[{number}/{all}, {seconds} s] {}, {}: ", workload.name, peer.label());
            let (name, peer) = (workload.name.to_owned(), *peer);
            match self.once(workload, peer) {
                Ok(figures) => {
                    eprintln!("{}", told(workload, &figures));
                    results.runs.push(Run { round: *round, workload: name, peer, figures });
                }
                Err(error) => {
                    eprintln!(
                        "failed, and is left out from now on: {error:#} (its files: {})",
                        self.folder(workload, peer).display()
                    );
                    failed.insert((workload.name, peer));
                    results.failures.push(Failure { workload: name, peer, why: format!("{error:#}") });
                }
            }
            // After each run: what has been seen is not lost if the next is broken off.
            std::fs::write(file, serde_json::to_vec_pretty(results)?)?;
        }
        Ok(())
    }

    /// Round by round, load by load, who is on. Nobody is always the first.
    fn turns(&self) -> Vec<(usize, Workload, Name)> {
        let loads = |round| self.workloads.iter().enumerate().map(move |(place, load)| (round, round + place, *load));
        let turns = (1..=self.rounds).flat_map(loads).flat_map(|(round, first, load)| {
            let peers = self.peers.iter().cycle().skip(first % self.peers.len()).take(self.peers.len());
            peers.map(move |peer| (round, load, *peer))
        });
        turns.filter(|(_, load, peer)| peer.takes(load)).collect()
    }

    fn folder(&self, workload: &Workload, peer: Name) -> PathBuf {
        self.site.folder.join(format!("{}-{}", workload.name, peer.label()))
    }

    fn once(&self, workload: &Workload, peer: Name) -> anyhow::Result<Figures> {
        let mut site = self.site.clone();
        site.folder = self.folder(workload, peer);
        if site.folder.exists() {
            std::fs::remove_dir_all(&site.folder)?;
        }
        std::fs::create_dir_all(&site.folder)?;
        Files::make(&site.folder, &site.address.to_string())?;
        let log = site.folder.join("relay.log");
        let relay = Relay::start(&peer.command(&site, workload)?, peer, &self.namespaces[0], &log)?;
        site.pid = Some(relay.pid());
        let figures = self.drive(&site, workload, peer)?;
        drop(relay);
        std::fs::remove_dir_all(&site.folder)?;
        Ok(figures)
    }

    fn drive(&self, site: &Site, workload: &Workload, peer: Name) -> anyhow::Result<Figures> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["drive", "--peer", peer.label(), "--workload", workload.name]);
        command.args(self.quick.then_some("--quick")).args(site.args());
        let [said, complained] = ["figures.json", "clients.log"].map(|name| site.folder.join(name));
        let mut clients = placed(&command, &self.namespaces[1], CLIENT_CORE)
            .stdin(Stdio::null())
            .stdout(File::create(&said)?)
            .stderr(File::create(&complained)?)
            .spawn()?;
        let until = Instant::now() + RUN_MAX;
        let status = loop {
            if let Some(status) = clients.try_wait()? {
                break status;
            }
            if Instant::now() > until {
                clients.kill()?;
                clients.wait()?;
                bail!("not done after {} s", RUN_MAX.as_secs());
            }
            std::thread::park_timeout(Duration::from_millis(50));
        };
        ensure!(status.success(), "{}", last_line(&complained));
        serde_json::from_slice(&std::fs::read(said)?).context("the clients did not say what they saw")
    }
}

fn told(workload: &Workload, figures: &Figures) -> String {
    let (cost, unit) = (workload.key.of(figures), workload.key.unit());
    format!("{cost:.2} {unit}, p99 {:.1} ms, {:.1} s", figures.p99_ms, figures.seconds)
}

fn last_line(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}
