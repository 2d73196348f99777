//! The commands of `distributary`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dialler::clock;
use link::pki::{self, Role};

use crate::config::{Config, Overrides};
use crate::control::{AskMajor, AskMinor, Question};
use crate::run::{self, Running, Stopped};
use crate::{demo, logging, operator, store, tree};

/// X.1206 server: vendors publish once, every device that it concerns is told within a second.
#[derive(Parser)]
#[command(name = "distributary", version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  distributary demo                                  see it work, on this machine, in under a minute
  distributary tree up deploy/scenarios/two-isps.toml
                                                     see a tree of servers, and what it does when some of them end
  distributary pki init --dir pki                    make a small private certificate authority
  distributary pki issue --dir pki --role server --label isp --out pki/isp
  distributary check-config --config distributary.toml
  distributary run --config distributary.toml";

const INVENTORY_EXAMPLES: &str = "Examples:
  distributary inventory --config distributary.toml
  distributary inventory --config distributary.toml --json | jq '.clients[] | select(.stale) | .client'";

const ASK_EXAMPLES: &str = "Examples:
  distributary ask 5f0c7a52-6a3e-4d0b-9a55-0d1f6f7b2c21 --config distributary.toml            what it runs, now
  distributary ask 5f0c7a52-6a3e-4d0b-9a55-0d1f6f7b2c21 --config distributary.toml --json
  distributary ask 5f0c7a52-6a3e-4d0b-9a55-0d1f6f7b2c21 --config distributary.toml --major register";

const PKI_EXAMPLES: &str = "Examples:
  distributary pki init --dir pki                                              writes pki/ca.pem and pki/ca.key
  distributary pki issue --dir pki --out pki --role server --label server      writes pki/server.pem and pki/server.key
  distributary pki issue --dir pki --out pki --role client --label agent       prints the GUID that it stands for";

#[derive(Subcommand)]
enum Command {
    /// Run a server until SIGTERM; SIGHUP reads policy and upstreams again
    Run {
        /// Configuration file; deploy/distributary.toml is a commented one
        #[arg(long, env = "DISTRIBUTARY_CONFIG", value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Check a configuration and the files it names, and print what would be in force
    CheckConfig {
        /// Configuration file
        #[arg(long, env = "DISTRIBUTARY_CONFIG", value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        overrides: Overrides,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// A small private certificate authority
    #[command(subcommand, after_help = PKI_EXAMPLES)]
    Pki(PkiCommand),
    /// List the clients below a running server: what they run, and when they were last heard of
    #[command(after_help = INVENTORY_EXAMPLES)]
    Inventory {
        #[command(flatten)]
        server: ServerArgs,
        /// As JSON, with every component
        #[arg(long)]
        json: bool,
    },
    /// Ask a client below a running server, whatever stands between, and print what it answers
    #[command(after_help = ASK_EXAMPLES)]
    Ask {
        /// GUID of the client; see `distributary inventory`
        guid: String,
        #[command(flatten)]
        server: ServerArgs,
        /// What to ask
        #[arg(long, value_enum, default_value = "request")]
        major: AskMajor,
        /// In which mode
        #[arg(long, value_enum)]
        minor: Option<AskMinor>,
        /// As JSON, with the documents
        #[arg(long)]
        json: bool,
    },
    /// After restoring a data directory from a backup: begin a new life of the log, so that clients ask again
    RenewLog {
        /// Data directory of a server that is not running
        #[arg(long, value_name = "DIR")]
        directory: PathBuf,
    },
    /// Show it all on this machine: a server, a provider, agents with real lock files, and a crash
    Demo(demo::Options),
    /// Trees of servers, providers and agents on this machine, from a scenario file
    #[command(subcommand)]
    Tree(tree::Command),
    /// An agent or provider inside this program, for the demo and for trees
    #[command(hide = true, disable_help_flag = true)]
    Agent {
        /// As for `distributary-agent`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Many agents inside this program, for large trees
    #[command(hide = true)]
    Agents {
        /// The paths of their configurations, one a line
        list: PathBuf,
    },
}

/// Which server is meant: the one that runs with this configuration.
#[derive(clap::Args)]
struct ServerArgs {
    /// Its configuration file
    #[arg(long, env = "DISTRIBUTARY_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// Its data directory, if it is not the file's
    #[arg(long, env = "DISTRIBUTARY_STORE_DIRECTORY", value_name = "DIR")]
    store_directory: Option<PathBuf>,
}

impl ServerArgs {
    fn directory(self) -> anyhow::Result<PathBuf> {
        let overrides = Overrides { store_directory: self.store_directory, ..Overrides::default() };
        Ok(Config::load(&self.config, &overrides)?.store.directory)
    }
}

#[derive(Subcommand)]
enum PkiCommand {
    /// Make an authority: ca.pem and ca.key
    Init {
        /// Where; made if it is not there
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Its name in certificates
        #[arg(long, default_value = "distributary-ca")]
        label: String,
    },
    /// Issue a certificate with a GUID: writes LABEL.pem and LABEL.key
    Issue {
        /// Where the authority is
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// For what
        #[arg(long, value_enum)]
        role: PkiRole,
        /// Name of the holder, for people
        #[arg(long)]
        label: String,
        /// GUID of the holder; a random one if it is left out
        #[arg(long)]
        guid: Option<String>,
        /// Where certificate and key go; made if it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum PkiRole {
    /// A server or local server
    Server,
    /// An agent or provider
    Client,
}

/// Runs one command; errors go to standard error with a next step.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let outcome = match Cli::parse_from(args).command {
        Command::Run { config, overrides } => serve(&config, &overrides),
        Command::CheckConfig { config, overrides, json } => check(&config, &overrides, json),
        Command::Pki(command) => issue(command),
        Command::Inventory { server, json } => {
            server.directory().and_then(|directory| operator::inventory(&directory, json))
        }
        Command::Ask { guid, server, major, minor, json } => {
            let question = Question { client: guid, major, minor };
            server.directory().and_then(|directory| operator::ask(&directory, &question, json))
        }
        Command::RenewLog { directory } => renew(&directory),
        Command::Demo(options) => demo::main(&options),
        Command::Tree(command) => tree::main(command),
        Command::Agent { args } => Ok(tree::agent(args)),
        Command::Agents { list } => tree::agents(&list),
    };
    outcome.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}

#[allow(clippy::print_stderr, reason = "errors of a command belong on standard error, also when logging is off")]
fn complain(error: &anyhow::Error) {
    let mut text = error.to_string();
    // Some errors say their cause themselves.
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    eprintln!("distributary: {text}");
}

#[allow(clippy::print_stdout, reason = "the output of a command")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

fn serve(path: &Path, overrides: &Overrides) -> anyhow::Result<ExitCode> {
    let config = Config::load(path, overrides)?;
    logging::start(&config.log);
    runtime()?.block_on(async {
        let mut running = run::start(&config).await?;
        let signal = serve_until_signal(&mut running, path, overrides).await?;
        tracing::info!(signal, "stopping");
        match running.stop().await {
            Stopped::Drained => tracing::info!("everything under way was finished"),
            Stopped::Cut => tracing::warn!("the grace time ended first; what was under way will be sent again"),
        }
        anyhow::ensure!(signal.is_some(), "a part of this server ended, as its log says: start it again");
        Ok(ExitCode::SUCCESS)
    })
}

/// A runtime for one server: links on all cores.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// The signal that ends it, or nothing if a part of the server has ended. SIGHUP puts the file's policy in force, and this
/// server under its upstreams; what else is in it waits for a restart.
async fn serve_until_signal(
    running: &mut Running,
    path: &Path,
    overrides: &Overrides,
) -> std::io::Result<Option<&'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(Some("SIGTERM")),
            _ = interrupt.recv() => return Ok(Some("SIGINT")),
            () = running.lost() => return Ok(None),
            _ = reload.recv() => match Config::load(path, overrides) {
                Ok(config) => match running.reload(&config).await {
                    Ok(()) => {
                        let (providers, upstreams) = (config.policy.providers.len(), config.upstream.len());
                        tracing::info!(providers, upstreams, "the policy was read again");
                    }
                    Err(error) => tracing::error!(%error, "policy, trust and upstreams stay as they were"),
                },
                Err(error) => tracing::error!(%error, "policy, trust and upstreams stay as they were"),
            },
        }
    }
}

fn check(path: &Path, overrides: &Overrides, json: bool) -> anyhow::Result<ExitCode> {
    let config = Config::load(path, overrides)?;
    let identity = run::identity(&config)?;
    run::policy(&config)?;
    let guid = schemas::guid::ServerGuid(identity.guid());
    if json {
        let report = serde_json::json!({ "server_guid": guid.to_string(), "config": config });
        say(&serde_json::to_string_pretty(&report)?);
    } else {
        say(&format!("# {} is good; this server's GUID is {guid}\n{}", path.display(), toml::to_string(&config)?));
    }
    Ok(ExitCode::SUCCESS)
}

fn issue(command: PkiCommand) -> anyhow::Result<ExitCode> {
    match command {
        PkiCommand::Init { dir, label } => {
            let files = pki::init(&dir, &label)?;
            say(&format!("authority: {}\nkey (keep it safe): {}", files.certificate.display(), files.key.display()));
        }
        PkiCommand::Issue { dir, role, label, guid, out } => {
            let guid = match guid {
                Some(text) => schemas::guid::parse_128(&text)?,
                None => clock::random_128(),
            };
            let role = match role {
                PkiRole::Server => Role::Server,
                PkiRole::Client => Role::Client,
            };
            let files = pki::issue(&dir, &pki::Subject { guid, label: &label, role }, &out)?;
            let guid = schemas::guid::ClientGuid(guid);
            say(&format!("GUID: {guid}\ncertificate: {}\nkey: {}", files.certificate.display(), files.key.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn renew(directory: &Path) -> anyhow::Result<ExitCode> {
    store::renew_incarnation(directory, clock::random_128())?;
    say("the log has a new life: clients that connect are told to ask again for everything");
    Ok(ExitCode::SUCCESS)
}
