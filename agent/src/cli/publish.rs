//! `publish`: imports a source, delivers what is news, and keeps what was taken.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use indicatif::{ProgressBar, ProgressStyle};
use schemas::shown::shown;
use schemas::signature::{Options, PrivateKey};
use schemas::version::VersionInfo;
use topology::subject::{Status, Subject};

use super::import::refusals;
use super::{complain, say};
use crate::config::Config;
use crate::publish::state::{KeepError, Keeper};
use crate::publish::{self, Part, Published, Told};
use crate::rustsec;
use crate::rustsec::publication::{Doubt, Plan, State};

/// How often the state is kept while a publication runs.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// How often a line says how far it is, where there is no terminal.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// How to publish.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Also much of what stands, if a whole source lacks it.
    pub(super) withdraw_missing: bool,
    /// How long nothing may be answered, and how fast it goes.
    pub(super) sending: publish::Manner,
    /// The summary as JSON.
    pub(super) json: bool,
}

/// Publishes an advisory tree or JSON lines.
pub(super) fn run(
    source: &Path,
    config: &Config,
    key: Option<&PrivateKey>,
    manner: Manner,
) -> anyhow::Result<ExitCode> {
    let (keeper, before) = Keeper::open(&config.state.directory)?;
    let source = rustsec::read_source(source)?;
    let is_complete = source.is_complete();
    let mut planned = before.clone();
    let plan = planned.plan(source, is_complete);
    refusals(&plan.refusals);
    look_twice(&plan, manner.withdraw_missing)?;
    let parts = plan.publish.iter().map(|(path, info)| part(path, info, key)).collect::<Result<Vec<Part>, _>>()?;
    let mut taking = Taking::begin(keeper, before, planned, plan)?;
    let mut shown = Shown::new(parts.len() as u64);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let published = runtime.block_on(publish::publish_in(config, &parts, manner.sending, |told| {
        if let Told::Answered { part, outcome: Ok(()) } = &told {
            taking.take(*part);
        }
        shown.told(&told);
    }));
    shown.bar.finish_and_clear();
    // Also what was answered before a failure was taken.
    taking.finish(published.as_ref().is_ok_and(|published| published.refused().next().is_none()))?;
    let published = published?;
    report(&published, &parts, &taking.plan, manner.json)?;
    let refused = published.refused().next().is_some();
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The item, signed if there is a key for it.
fn part(path: &str, info: &VersionInfo, key: Option<&PrivateKey>) -> anyhow::Result<Part> {
    let infos = std::slice::from_ref(info);
    let Some(key) = key else { return Ok(Part::new(path, infos)) };
    Part::signed(path, infos, key, &Options::default()).map_err(|error| anyhow!("{path}: {error}"))
}

/// Lets no plan pass that looks like a mistake, unless this very thing was asked for.
fn look_twice(plan: &Plan, withdraw_missing: bool) -> Result<(), Doubt> {
    if plan.is_partial {
        complain("this source could not be read whole, so nothing that it lacks is withdrawn");
    }
    match plan.doubt() {
        Some(Doubt::Missing { .. }) if withdraw_missing => Ok(()),
        Some(doubt) => Err(doubt),
        None => Ok(()),
    }
}

/// What the server took, and the state that says so.
struct Taking {
    keeper: Keeper,
    state: State,
    planned: State,
    plan: Plan,
    kept: Instant,
    failed: Option<KeepError>,
}

impl Taking {
    /// Keeps what is going to be sent, before anything is.
    fn begin(keeper: Keeper, mut state: State, planned: State, plan: Plan) -> Result<Self, KeepError> {
        state.offer(&planned);
        keeper.keep(&state)?;
        Ok(Self { keeper, state, planned, plan, kept: Instant::now(), failed: None })
    }

    fn take(&mut self, part: usize) {
        self.state.adopt(&self.planned, &self.plan.publish[part].1);
        if self.failed.is_none() && self.kept.elapsed() >= KEEP_EVERY {
            self.failed = self.keeper.keep(&self.state).err();
            self.kept = Instant::now();
        }
    }

    /// `is_all` if everything planned was taken: then also what needed no publishing counts, such as a moved document.
    fn finish(&mut self, is_all: bool) -> Result<(), KeepError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.keeper.keep(if is_all { &self.planned } else { &self.state })
    }
}

/// Progress, for people.
struct Shown {
    bar: ProgressBar,
    answered: u64,
    said: Instant,
}

impl Shown {
    fn new(total: u64) -> Self {
        // Hidden by itself where standard error is no terminal.
        let bar = ProgressBar::new(total);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} items, {per_sec}, {eta} left {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, answered: 0, said: Instant::now() }
    }

    fn told(&mut self, told: &Told<'_>) {
        match told {
            Told::Up => self.bar.set_message(""),
            Told::Down { why, wait } => {
                let text = format!("no link ({}); trying again in {:.1} s", shown(why), wait.as_secs_f64());
                if self.bar.is_hidden() { complain(&text) } else { self.bar.set_message(text) }
            }
            Told::Answered { .. } => {
                self.answered += 1;
                self.bar.set_position(self.answered);
                if self.bar.is_hidden() && self.said.elapsed() >= SAY_EVERY {
                    self.said = Instant::now();
                    complain(&format!("{} of {} items answered", self.answered, self.bar.length().unwrap_or(0)));
                }
            }
        }
    }
}

/// What was taken, counted.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    published: usize,
    withdrawn: usize,
}

impl Taken {
    fn count(outcomes: &[Result<(), String>], plan: &Plan) -> Self {
        let taken = outcomes.iter().zip(&plan.publish).filter(|(outcome, _)| outcome.is_ok());
        let (withdrawn, published): (Vec<_>, Vec<_>) = taken.partition(|(_, (_, item))| {
            Subject::from_version_infos(std::slice::from_ref(item)).status == Status::Withdrawn
        });
        Self { published: published.len(), withdrawn: withdrawn.len() }
    }
}

fn report(published: &Published, parts: &[Part], plan: &Plan, json: bool) -> anyhow::Result<()> {
    let refused: Vec<(&str, &str)> = published.refused().map(|(index, why)| (parts[index].label(), why)).collect();
    let taken = Taken::count(&published.outcomes, plan);
    let seconds = published.took.as_secs_f64();
    if json {
        let refused: Vec<_> =
            refused.iter().map(|(path, why)| serde_json::json!({ "path": path, "reason": why })).collect();
        let report = serde_json::json!({
            "published": taken.published,
            "withdrawn": taken.withdrawn,
            "refused": refused,
            "unchanged": plan.unchanged,
            "not_read": plan.refusals.len(),
            "partial": plan.is_partial,
            "bytes": published.bytes,
            "links": published.links,
            "seconds": seconds,
        });
        say(&serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    for (path, why) in &refused {
        complain(&format!("the server refused {}: {}", shown(path), shown(why)));
    }
    say(&format!(
        "{} items published and {} withdrawn in {seconds:.2} s ({} bytes, {} links), {} refused by the server, {} \
         unchanged, {} not read",
        taken.published,
        taken.withdrawn,
        published.bytes,
        published.links,
        refused.len(),
        plan.unchanged,
        plan.refusals.len()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use link::pki::{self, Files, Role};

    use super::*;

    const SENDING: publish::Manner = publish::Manner { patience: Duration::from_secs(1), rate: None };
    const MANNER: Manner = Manner { withdraw_missing: false, sending: SENDING, json: true };

    fn line(n: usize) -> String {
        let text = crate::rustsec::DOCUMENT.replace("RUSTSEC-2024-0001", &format!("RUSTSEC-2024-{n:04}"));
        format!("{}\n", serde_json::json!({ "path": format!("p{n}"), "text": text }))
    }

    /// A provider that has published some advisories; nobody listens where its server should be.
    fn provider(published: usize) -> (tempfile::TempDir, Config) {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::new(schemas::guid::ServerGuid(1));
        config.state.directory = dir.path().join("state");
        fs::write(dir.path().join("all.jsonl"), (0..published).map(line).collect::<String>()).unwrap();
        let (keeper, mut state) = Keeper::open(&config.state.directory).unwrap();
        let source = rustsec::read_source(&dir.path().join("all.jsonl")).unwrap();
        assert_eq!(state.plan(source, true).publish.len(), published);
        keeper.keep(&state).unwrap();
        (dir, config)
    }

    #[test]
    fn an_empty_or_wrong_source_withdraws_nothing() {
        let (dir, config) = provider(20);
        let kept = || fs::read(config.state.directory.join(crate::publish::state::PUBLISHED)).unwrap();
        let before = kept();
        let empty = dir.path().join("empty");
        fs::create_dir(&empty).unwrap();
        for withdraw_missing in [false, true] {
            let error = run(&empty, &config, None, Manner { withdraw_missing, ..MANNER }).unwrap_err().to_string();
            assert!(error.contains("nothing could be read"), "{error}");
        }
        let part = dir.path().join("part.jsonl");
        fs::write(&part, line(0)).unwrap();
        let error = run(&part, &config, None, MANNER).unwrap_err().to_string();
        assert!(error.contains("19 of the 20") && error.contains("--withdraw-missing"), "{error}");
        assert_eq!(kept(), before);
    }

    #[test]
    fn what_is_sent_is_kept_before_it_is_sent() {
        let (dir, config) = provider(1);
        let plan = |text: &str| {
            let file = dir.path().join("all.jsonl");
            fs::write(&file, text).unwrap();
            let (keeper, before) = Keeper::open(&config.state.directory).unwrap();
            let mut planned = before.clone();
            let plan = planned.plan(rustsec::read_source(&file).unwrap(), true);
            let items: Vec<_> = plan.publish.iter().map(|(_, item)| item.clone()).collect();
            let revision = Subject::from_version_infos(&items).revision;
            // Answered or not: the process ends before it can keep that.
            drop(Taking::begin(keeper, before, planned, plan).unwrap());
            revision
        };
        let changed = |to| line(0).replace("A  fault", to);
        assert_eq!(["B", "C", "C", "B"].map(|to| plan(&changed(to))), [2, 3, 3, 4]);
    }

    #[test]
    fn patience_with_a_server_that_is_not_there_is_bounded() {
        let (dir, mut config) = provider(0);
        let subject = pki::Subject { guid: 7, role: Role::Client, label: "provider" };
        let ca = pki::init(dir.path(), "test").unwrap().certificate;
        let Files { certificate, key, .. } = pki::issue(dir.path(), &subject, dir.path()).unwrap();
        config.identity = crate::config::Identity { certificate, key, ca };
        // It takes datagrams, and says nothing.
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        config.server.address = server.local_addr().unwrap();
        let begun = Instant::now();
        fs::write(dir.path().join("one.jsonl"), line(0)).unwrap();
        let error = run(&dir.path().join("one.jsonl"), &config, None, MANNER).unwrap_err().to_string();
        assert!(error.contains("nothing was answered for 1 s, 1 items are left"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(60));
        // Whether or not it came across: its number is taken.
        let (_, mut state) = Keeper::open(&config.state.directory).unwrap();
        fs::write(dir.path().join("one.jsonl"), line(0).replace("A  fault", "B")).unwrap();
        let plan = state.plan(rustsec::read_source(&dir.path().join("one.jsonl")).unwrap(), true);
        assert_eq!(Subject::from_version_infos(std::slice::from_ref(&plan.publish[0].1)).revision, 2);
    }

    #[test]
    fn withdrawals_are_counted_apart() {
        let (dir, config) = provider(3);
        let (_, mut state) = Keeper::open(&config.state.directory).unwrap();
        let changed = line(0).replace("A  fault", "A worse fault");
        fs::write(dir.path().join("all.jsonl"), changed + &line(1)).unwrap();
        let plan = state.plan(rustsec::read_source(&dir.path().join("all.jsonl")).unwrap(), true);
        assert_eq!(Taken::count(&[Ok(()), Ok(())], &plan), Taken { published: 1, withdrawn: 1 });
        assert_eq!(Taken::count(&[Ok(()), Err("no".into())], &plan), Taken { published: 1, withdrawn: 0 });
        look_twice(&plan, false).unwrap();
    }

    #[test]
    fn what_was_asked_for_is_done() {
        let plan = Plan { read: 1, missing: 19, standing: 20, ..Plan::default() };
        assert!(look_twice(&plan, false).is_err());
        look_twice(&plan, true).unwrap();
    }
}
