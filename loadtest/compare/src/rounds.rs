//! All runs in order: in each round every workload, in each workload every relay in turn, so that what the machine does
//! meanwhile falls on all of them.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
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
        let mut failed = BTreeSet::new();
        let (begin, all) = (Instant::now(), self.rounds * self.workloads.len() * self.peers.len());
        let mut done = 0;
        for round in 1..=self.rounds {
            for (place, workload) in self.workloads.iter().enumerate() {
                for turn in 0..self.peers.len() {
                    // Nobody is always the first.
                    let peer = self.peers[(turn + round + place) % self.peers.len()];
                    done += 1;
                    if failed.contains(&(workload.name, peer)) || !peer.takes(workload) {
                        continue;
                    }
                    eprint!("[{done}/{all}, {} s] {}, {}: ", begin.elapsed().as_secs(), workload.name, peer.label());
                    match self.once(workload, peer) {
                        Ok(figures) => {
                            eprintln!("{}", told(workload, &figures));
                            results.runs.push(Run { round, workload: workload.name.to_owned(), peer, figures });
                        }
                        Err(error) => {
                            let why = format!("{error:#}");
                            eprintln!("failed, and is left out from now on: {why}");
                            failed.insert((workload.name, peer));
                            results.failures.push(Failure { workload: workload.name.to_owned(), peer, why });
                        }
                    }
                    // After each run: what has been seen is not lost if the next is broken off.
                    std::fs::write(file, serde_json::to_vec_pretty(results)?)?;
                }
            }
        }
        Ok(())
    }

    fn once(&self, workload: &Workload, peer: Name) -> anyhow::Result<Figures> {
        let mut site = self.site.clone();
        site.folder = site.folder.join(format!("{}-{}", workload.name, peer.label()));
        if site.folder.exists() {
            std::fs::remove_dir_all(&site.folder)?;
        }
        std::fs::create_dir_all(&site.folder)?;
        Files::make(&site.folder, &site.address.to_string())?;
        let log = site.folder.join("relay.log");
        let relay = Relay::start(&peer.command(&site, workload)?, peer, &self.namespaces[0], &log)?;
        site.pid = Some(relay.pid());
        let figures = self.drive(&site, workload, peer);
        drop(relay);
        let figures = figures.with_context(|| format!("the relay wrote {:?}", last_line(&log)))?;
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
