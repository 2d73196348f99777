//! `verify`: what is signed, by which key, and what is not.

mod advice;
mod authority;
mod content;
mod outline;
mod report;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use dialler::trust::{Settings, Unsigned};
use schemas::facts::{SignatureFact, SignatureState, Validated};
use schemas::limits::Limits;
use schemas::signature::{self, KeyId, PublicKey, Refusal, Verified};

use self::report::Report;
use super::{complain, keys, say, sign};

/// What to verify, and whose signatures count.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Documents of X.1206; - reads standard input
    #[arg(required = true)]
    documents: Vec<PathBuf>,
    /// Public key or certificate in PEM; with one or more of them, no other key's signature counts
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Trust file (docs/trust.md): who may speak for whom; without it nothing is checked about authority
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What is known of one signature.
enum Found {
    /// Valid, and by one of the keys that were given, if any were.
    Valid(Verified),
    /// Valid, and by another key than those.
    Stranger(Verified),
    /// Nothing.
    Refused(Refusal),
}

impl Found {
    fn verified(&self) -> Option<&Verified> {
        match self {
            Self::Valid(verified) | Self::Stranger(verified) => Some(verified),
            Self::Refused(_) => None,
        }
    }

    fn is_good(&self) -> bool {
        matches!(self, Self::Valid(_))
    }
}

/// The keys that were given.
struct Keys(Vec<PublicKey>);

impl Keys {
    /// Judges a signature; which of the keys a name means is found by trying, so that the name proves nothing.
    fn find(&self, document: &Validated, fact: &SignatureFact) -> Found {
        match &fact.state {
            SignatureState::Valid(verified) if self.0.is_empty() || self.has(verified.key) => {
                Found::Valid(verified.clone())
            }
            SignatureState::Valid(verified) => Found::Stranger(verified.clone()),
            SignatureState::Refused(refusal) => Found::Refused(refusal.clone()),
            SignatureState::KeyUnknown(name) => self.try_each(document, fact, name),
        }
    }

    fn has(&self, key: KeyId) -> bool {
        self.0.iter().any(|known| known.fingerprint() == key)
    }

    fn try_each(&self, document: &Validated, fact: &SignatureFact, name: &str) -> Found {
        let text = std::str::from_utf8(document.bytes()).unwrap_or_default();
        let mut last = Refusal::KeyUnknown(name.to_owned());
        for key in &self.0 {
            let named = |_: &str| Some(key.clone());
            match signature::verify(text, fact.covers, fact.span, &named, &Limits::default()) {
                Ok(verified) => return Found::Valid(verified),
                // Under the right key the value is right, so that what is wrong then says more.
                Err(Refusal::SignatureMismatch | Refusal::KeyMethod) => {}
                Err(refusal) => last = refusal,
            }
        }
        Found::Refused(last)
    }
}

/// Verifies documents; success only if each is signed, no signature of it is refused and none of its content stands beside
/// what is signed, and under a trust file if each item is authorised.
pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let given = args.key.iter().map(|path| keys::public(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let given = Keys(given);
    let load = |path: &PathBuf| Settings { file: Some(path.clone()), unsigned: Unsigned::Pass }.load();
    let trust = args.trust.as_ref().map(load).transpose()?;
    let (mut all_good, mut reports) = (true, Vec::new());
    for path in &args.documents {
        match sign::read(path) {
            Ok(document) => {
                let report = Report::of(path.display().to_string(), &document, &given, trust.as_ref());
                all_good &= report.is_good();
                match args.json {
                    true => reports.push(report.json()),
                    false => say(report.text().trim_end()),
                }
            }
            Err(error) => {
                all_good = false;
                let error = error.to_string();
                complain(&schemas::shown::shown_lines(error.trim_end()));
                reports.push(serde_json::json!({ "document": path.display().to_string(), "error": error }));
            }
        }
    }
    if args.json {
        say(&serde_json::to_string_pretty(&serde_json::json!({ "good": all_good, "documents": reports }))?);
    }
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
