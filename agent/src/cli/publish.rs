//! `publish`: imports a source, delivers what is news, and keeps what was taken.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::import::refusals;
use super::{complain, say};
use crate::config::Config;
use crate::publish::state::{KeepError, Keeper};
use crate::publish::{self, Part, Published, Told};
use crate::rustsec;
use crate::rustsec::publication::{Plan, State};

/// How often the state is kept while a publication runs.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// How often a line says how far it is, where there is no terminal.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// Publishes an advisory tree or JSON lines.
pub(super) fn run(source: &Path, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let (keeper, before) = Keeper::open(&config.state.directory)?;
    let source = rustsec::read_source(source)?;
    let is_complete = source.is_complete();
    let mut planned = before.clone();
    let plan = planned.plan(source, is_complete);
    refusals(&plan.refusals);
    let parts: Vec<Part> =
        plan.publish.iter().map(|(path, info)| Part::new(path, std::slice::from_ref(info))).collect();
    let mut taking = Taking { keeper, state: before, planned, plan, kept: Instant::now(), failed: None };
    let mut shown = Shown::new(parts.len() as u64);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let published = runtime.block_on(publish::publish(config, &parts, |told| {
        if let Told::Answered { part, outcome: Ok(()) } = &told {
            taking.take(*part);
        }
        shown.told(&told);
    }));
    shown.bar.finish_and_clear();
    // Also what was answered before a failure was taken.
    taking.finish(published.as_ref().is_ok_and(|published| published.refused().next().is_none()))?;
    let published = published?;
    report(&published, &parts, &taking.plan, json)?;
    let refused = published.refused().next().is_some();
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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
                let text = format!("no link ({why}); trying again in {:.1} s", wait.as_secs_f64());
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

fn report(published: &Published, parts: &[Part], plan: &Plan, json: bool) -> anyhow::Result<()> {
    let refused: Vec<(&str, &str)> = published.refused().map(|(index, why)| (parts[index].label(), why)).collect();
    let taken = published.outcomes.len() - refused.len();
    let seconds = published.took.as_secs_f64();
    if json {
        let refused: Vec<_> =
            refused.iter().map(|(path, why)| serde_json::json!({ "path": path, "reason": why })).collect();
        let report = serde_json::json!({
            "published": taken,
            "refused": refused,
            "unchanged": plan.unchanged,
            "not_read": plan.refusals.len(),
            "bytes": published.bytes,
            "links": published.links,
            "seconds": seconds,
        });
        say(&serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    for (path, why) in &refused {
        complain(&format!("the server refused {path}: {why}"));
    }
    say(&format!(
        "{taken} items published in {seconds:.2} s ({} bytes, {} links), {} refused by the server, {} unchanged, {} not \
         read",
        published.bytes,
        published.links,
        refused.len(),
        plan.unchanged,
        plan.refusals.len()
    ));
    Ok(())
}
