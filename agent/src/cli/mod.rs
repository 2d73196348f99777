//! The commands of `distributary-agent`.

mod import;
mod keys;
mod publish;
mod show;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Overrides};
use crate::{logging, run};

/// X.1206 agent: knows what this device runs, and is told of everything that concerns it. Also the provider's side.
#[derive(Debug, Parser)]
#[command(name = "distributary-agent", version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  distributary-agent check-config --config agent.toml
  distributary-agent run --config agent.toml
  distributary-agent list --config agent.toml
  distributary-agent explain RUSTSEC-2021-0003 --config agent.toml
  distributary-agent import rustsec advisory-db
  distributary-agent publish advisory-db --config provider.toml
  distributary-agent keygen --out vendor.key
  distributary-agent publish advisory-db --config provider.toml --sign vendor.key
  distributary-agent verify --key vendor.pub.pem documents/*";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent until SIGTERM; SIGHUP makes it look at inventory and trust file at once
    #[command(after_help = "Example:\n  distributary-agent run --config agent.toml --log-format json")]
    Run(Configured),
    /// Check a configuration and the files it names, and print what would be in force
    CheckConfig {
        #[command(flatten)]
        configured: Configured,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the inventory as it is found now
    #[command(after_help = "Example:\n  distributary-agent assets --config agent.toml --json")]
    Assets {
        #[command(flatten)]
        configured: Configured,
        /// As JSON, with every component
        #[arg(long)]
        json: bool,
    },
    /// Show what applies to this device now, and why; an agent may be running
    #[command(after_help = "Examples:
  distributary-agent list --config agent.toml
  distributary-agent list --state /var/lib/distributary-agent --json
  distributary-agent list --config agent.toml --journal")]
    List {
        #[command(flatten)]
        at: StateAt,
        /// Every event of the journal instead
        #[arg(long)]
        journal: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show everything about one advisory: why it applies, what mends it, its history here
    #[command(after_help = "Example:\n  distributary-agent explain CVE-2021-25900 --config agent.toml")]
    Explain {
        /// An identifier or alias, such as RUSTSEC-2021-0003 or CVE-2021-25900
        id: String,
        #[command(flatten)]
        at: StateAt,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Read advisories without sending them
    #[command(subcommand)]
    Import(ImportCommand),
    /// Deliver what is new in a source to the server, and remember what it took
    #[command(after_help = "Examples:
  distributary-agent publish advisory-db --config provider.toml
  distributary-agent publish changes.jsonl --config provider.toml --json
  distributary-agent publish advisory-db --config provider.toml --sign vendor.key
  distributary-agent publish advisory-db --config provider.toml --withdraw-missing")]
    Publish {
        /// An advisory tree, or JSON lines with path and text
        source: PathBuf,
        #[command(flatten)]
        configured: Configured,
        /// Withdraw what a whole source lacks, also if that is more than five items and more than a tenth of all
        #[arg(long)]
        withdraw_missing: bool,
        /// Sign each item with this private key; one that was published before is signed when it changes
        #[arg(long, value_name = "FILE")]
        sign: Option<PathBuf>,
        /// Give up when nothing was answered for so long, also while there is no server yet
        #[arg(long, value_name = "SECONDS", default_value_t = crate::publish::PATIENCE.as_secs())]
        patience: u64,
        /// Send no more than so many items a second, evenly; else as fast as they are answered
        #[arg(long, value_name = "ITEMS")]
        rate: Option<std::num::NonZeroU32>,
        /// The summary as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a key pair that signs documents
    #[command(after_help = "Writes the private key for you alone, and the public key beside it as NAME.pub.pem. Its
fingerprint is the SHA-256 of the SubjectPublicKeyInfo, as verify shows it.

Examples:
  distributary-agent keygen --out vendor.key
  distributary-agent keygen --type p256 --out vendor-2.key")]
    Keygen {
        /// Of which kind
        #[arg(long = "type", value_enum, value_name = "TYPE", default_value = "ed25519")]
        kind: keys::KeyType,
        /// File for the private key, unencrypted PKCS#8 in PEM
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Replace what is there
        #[arg(long)]
        force: bool,
    },
    /// Sign elements of a document; no other byte of it is touched
    #[command(after_help = "Inner elements are signed before outer ones, whatever the order of --place. What is signed
already stays so. docs/signatures.md says what each place covers.

Examples:
  distributary-agent sign --key vendor.key item.xml -o signed.xml
  distributary-agent sign --key vendor.key --place version-info,message bundle.xml -o signed.xml
  distributary-agent sign --key isp.key --certificate isp.pem --place header message.xml -o signed.xml
  distributary-agent sign --key vendor.key --form inclusive item.xml -o signed.xml")]
    Sign(sign::SignArgs),
    /// Explain what is signed in documents, by which key, and what is not
    #[command(
        after_help = "Ends with 0 only if each document is signed, none of its signatures is refused, and all content is
covered: each message as a whole, or each Version_Info in it; else it says which elements are not, and in which lines.
Headers and envelopes are no content, nor is what a message says of Version_Infos that are signed by themselves: that
is named as not covered, and does not fail. Which key may speak for whom is checked only with --trust: then each part
must be an item that is authorised.
With --key only the keys that are named count; without both every key does.

Examples:
  distributary-agent verify --trust trust.toml signed.xml
  distributary-agent verify --key vendor.pub.pem signed.xml other.xml
  distributary-agent verify --key vendor.pub.pem --key isp.pem --json signed.xml"
    )]
    Verify(verify::VerifyArgs),
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// RustSec's advisory database
    #[command(after_help = "Examples:
  distributary-agent import rustsec advisory-db
  distributary-agent import rustsec advisories.jsonl --out documents --strict")]
    Rustsec {
        /// An advisory tree, or JSON lines with path and text
        source: PathBuf,
        /// Write one X.1206 document for each advisory here
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Fail if any document is refused
        #[arg(long)]
        strict: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// A configuration file, and what stands above it.
#[derive(Debug, Args)]
struct Configured {
    /// Configuration file; deploy/agent.toml is a commented one, for publish deploy/provider.toml
    #[arg(long, env = "DISTRIBUTARY_AGENT_CONFIG", value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

impl Configured {
    fn load(&self) -> anyhow::Result<Config> {
        Ok(Config::load(&self.config, &self.overrides)?)
    }
}

/// Where a journal is. No group of the two: a variable in somebody's profile would forbid `--state`.
#[derive(Debug, Args)]
struct StateAt {
    /// Configuration file that names the state directory
    #[arg(long, env = "DISTRIBUTARY_AGENT_CONFIG", value_name = "FILE", required_unless_present = "state")]
    config: Option<PathBuf>,
    /// State directory; stands above the one that a configuration names
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl StateAt {
    fn directory(self) -> anyhow::Result<PathBuf> {
        match (self.state, self.config) {
            (Some(state), _) => Ok(state),
            (None, Some(config)) => Ok(Config::load(&config, &Overrides::default())?.state.directory),
            // Clap asks for one of them.
            (None, None) => anyhow::bail!("give --config or --state"),
        }
    }
}

/// Runs one command; errors go to standard error with a next step. The first of `args` is the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match Cli::try_parse_from(args) {
        Ok(cli) => cli.command,
        // Help and version are no faults; clap knows, and says so by stream and code.
        Err(error) => {
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    carry_out(command).unwrap_or_else(|error| {
        // Each error tells its cause itself.
        complain(schemas::shown::shown_lines(error.to_string().trim_end()).as_str());
        ExitCode::FAILURE
    })
}

fn carry_out(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(configured) => serve(&configured.load()?),
        Command::CheckConfig { configured, json } => check(&configured.config, &configured.load()?, json),
        Command::Assets { configured, json } => show::inventory(&configured.load()?, json),
        Command::List { at, journal, json } => show::list(&at.directory()?, journal, json),
        Command::Explain { id, at, json } => show::explain(&at.directory()?, &id, json),
        Command::Import(ImportCommand::Rustsec { source, out, strict, json }) => {
            import::rustsec(&source, out.as_deref(), strict, json)
        }
        Command::Keygen { kind, out, force } => keys::keygen(kind, &out, force),
        Command::Sign(args) => sign::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Publish { source, configured, withdraw_missing, sign, patience, rate, json } => {
            let config = configured.load()?;
            logging::start(&config.log);
            let patience = std::time::Duration::from_secs(patience);
            let sending = crate::publish::Manner { patience, rate };
            let key = sign.map(|file| keys::private(&file)).transpose()?;
            publish::run(&source, &config, key.as_ref(), publish::Manner { withdraw_missing, sending, json })
        }
    }
}

#[allow(clippy::print_stderr, reason = "what a command has to say beside its output, also when logging is off")]
fn complain(text: &str) {
    eprintln!("distributary-agent: {text}");
}

/// The output of a command. Whoever closes the pipe, such as `head`, has read enough.
fn say(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

fn serve(config: &Config) -> anyhow::Result<ExitCode> {
    logging::start(&config.log);
    if let Some(warning) = config.without_assets() {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let signals = stop_on_signal(stop.clone())?;
        let ended = run::run(config, stop).await;
        signals.abort();
        ended?;
        tracing::info!("stopped; everything acknowledged is in the journal");
        Ok(ExitCode::SUCCESS)
    })
}

fn stop_on_signal(stop: CancellationToken) -> std::io::Result<tokio::task::JoinHandle<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::spawn(async move {
        let signal = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal, "stopping");
        stop.cancel();
    }))
}

fn check(path: &Path, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let identity = run::identity(config)?;
    let inventory = crate::assets::find(&config.assets)?;
    config.trust.load()?;
    let guid = schemas::guid::ClientGuid(identity.guid());
    let warning = config.without_assets();
    if json {
        let report = serde_json::json!({
            "client_guid": guid.to_string(),
            "assets": inventory.len(),
            "warning": warning,
            "config": config,
        });
        say(&serde_json::to_string_pretty(&report)?);
    } else {
        let (path, assets) = (path.display(), inventory.len());
        if let Some(warning) = warning {
            complain(warning);
        }
        say(&format!(
            "# {path} is good; this client's GUID is {guid}, {assets} assets are found\n{}",
            toml::to_string(config)?
        ));
    }
    Ok(ExitCode::SUCCESS)
}
