//! This project's own relay with its full duty: durable before it is confirmed, what is signed verified at intake, every
//! receipt answered, certificates on both sides. Driven by `distributary-loadtest`'s clients and provider.

use std::process::Command;

use anyhow::{Context, ensure};
use link::pki::Role;
use loadtest::people::{Authority, guid};
use loadtest::plan::Plan;
use loadtest::report::Report;
use loadtest::run::{self, Options, Progress};
use loadtest::server;
use schemas::guid::ServerGuid;

use super::{PORT, Site, quoted, write};
use crate::drive::{Figures, IDLE, PATIENCE, received_on_wire};
use crate::relay::CLIENT_CORE;
use crate::workload::{Content, Pace, Workload};

/// The folder of the authority, which both sides use.
const PKI: &str = "pki";

/// With a configuration that differs from the default only where it has to.
pub fn command(site: &Site, workload: &Workload) -> anyhow::Result<Command> {
    let plan = plan(site, workload)?;
    let authority = Authority::open(&site.folder.join(PKI), &site.folder)?;
    let files = authority.issue(guid(&plan.name, "server", 0), Role::Server, "server")?;
    let (certificate, key, ca) = (quoted(&files.certificate), quoted(&files.key), quoted(&authority.certificate()));
    let store = quoted(&site.folder.join("store"));
    let trust = site.data.join("trust.toml");
    let trust = if trust.exists() { format!("[trust]\nfile = {}\n", quoted(&trust)) } else { String::new() };
    let text = format!(
        "[listen]\nquic = \"0.0.0.0:{PORT}\"\n\
         [identity]\ncertificate = {certificate}\nkey = {key}\nca = {ca}\n\
         [store]\ndirectory = {store}\n{trust}\
         [policy]\nproviders = {:?}\n[log]\nfilter = \"warn\"\n",
        server::providers(&plan)
    );
    let mut command = Command::new(site.own.join("distributary"));
    command.arg("run").arg("--config").arg(write(site, "server.toml", &text)?);
    Ok(command)
}

/// As a plan file would say it.
fn plan(site: &Site, workload: &Workload) -> anyhow::Result<Plan> {
    let content = match workload.content {
        Content::Random(bytes) => format!("random = {bytes}"),
        Content::Folder(folder) if folder == "updates" => format!("files = {}", quoted(&site.data.join(folder))),
        Content::Folder(folder) => format!("documents = {}", quoted(&site.data.join(folder))),
    };
    let pace = match workload.pace {
        Pace::Window(window) => format!("window = {window}"),
        Pace::Rate(rate) => format!("rate = {rate:?}"),
    };
    let text = format!(
        "name = {:?}\ncores = [{CLIENT_CORE}]\npatience_seconds = {}\nidle_seconds = {}\n\
         [server]\naddress = \"{}\"\nguid = \"{}\"\npki = {}\n{}\n\
         [[clients]]\nname = \"all\"\ncount = {}\n\
         [[publish]]\nname = \"updates\"\ncontent = {{ {content} }}\ncount = {}\n{pace}\n",
        workload.name,
        PATIENCE.as_secs_f64(),
        IDLE.as_secs_f64(),
        site.socket(),
        ServerGuid(guid(workload.name, "server", 0)),
        quoted(&site.folder.join(PKI)),
        site.pid.map(|pid| format!("pid = {pid}")).unwrap_or_default(),
        workload.clients,
        workload.payloads(&site.data)?.len(),
    );
    Plan::read(&write(site, "plan.toml", &text)?)
}

/// Looks at the wire when publication begins.
#[derive(Default)]
struct Wire(u64);

impl Progress for Wire {
    fn begin(&mut self, _: &str, _: u64) {
        self.0 = received_on_wire().unwrap_or_default();
    }

    fn at(&mut self, _: u64) {}
}

/// One run.
///
/// # Errors
/// Something is missing or came twice.
pub fn drive(site: &Site, workload: &Workload) -> anyhow::Result<Figures> {
    let options = Options { folder: site.folder.join("clients"), program: None };
    std::fs::create_dir(&options.folder)?;
    let mut wire = Wire::default();
    let report = run::run(&plan(site, workload)?, &options, &mut wire)?;
    let Report { receipts, expected, faults, .. } = &report;
    ensure!(report.good && report.strangers == 0, "{receipts} receipts of {expected}; {}", faults.join("; "));
    let relay = report.server.context("the relay has ended")?;
    let latency = report.groups.first().context("no clients")?.latency;
    Ok(Figures {
        receipts: report.receipts,
        content_bytes: report.content_bytes,
        seconds: report.seconds,
        cpu_seconds: relay.cpu_seconds,
        p50_ms: latency.p50,
        p99_ms: latency.p99,
        resident_bytes_max: relay.resident_bytes_max,
        idle_kib: report.idle.kib_each.context("the relay has ended")?,
        wire_bytes: received_on_wire()? - wire.0,
    })
}
