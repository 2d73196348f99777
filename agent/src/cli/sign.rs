//! `sign`: puts signatures into a document, and touches nothing else.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use schemas::core::Span;
use schemas::facts::Validated;
use schemas::limits::Limits;
use schemas::signature::canon::Kind;
use schemas::signature::{Options, PrivateKey, SignError, sign, signable};

use super::{complain, keys};

/// What to sign, and how.
#[derive(Debug, Args)]
pub(super) struct SignArgs {
    /// A document of X.1206; - reads standard input
    document: PathBuf,
    /// Private key: PKCS#8 in PEM, as keygen makes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Certificates in PEM to go along instead of the bare key, the signer's first
    #[arg(long, value_name = "FILE")]
    certificate: Vec<PathBuf>,
    /// Which elements; each outermost one of its kind gets a signature of its own
    #[arg(long, value_enum, value_delimiter = ',', default_value = "message")]
    place: Vec<Place>,
    /// How the signed bytes are canonicalised; exclusive is what everybody reads
    #[arg(long, value_enum, default_value = "exclusive")]
    form: Form,
    /// Write it here instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The elements that the schemas allow to be signed, inner before outer: so they are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Place {
    /// Container
    Container,
    /// Info: what one identifier stands for
    Info,
    /// Version_Info: an asset, with all that is in it
    VersionInfo,
    /// Message, or Reply: each item of a bundle by itself, as publish does
    #[value(alias = "all-items")]
    Message,
    /// Header, whose signature is for the whole Message_Core: for one hop only
    Header,
}

impl Place {
    /// Whether an element of this name is of this kind.
    fn is(self, name: &str) -> bool {
        match self {
            Self::Container => name == "Container",
            Self::Info => name == "Info",
            // One spelling or the other, and the same type in a reply.
            Self::VersionInfo => matches!(name, "Version_Info" | "Version_info" | "Reply_Data"),
            Self::Message => matches!(name, "Message" | "Reply" | "AbstractReplyStatus" | "AbstractReplyString"),
            Self::Header => matches!(name, "Message_Core" | "Message_Core_Reply"),
        }
    }
}

/// A canonicalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Exclusive Canonical XML 1.0
    Exclusive,
    /// Canonical XML 1.0
    Inclusive,
}

/// Signs a document.
pub(super) fn run(args: &SignArgs) -> anyhow::Result<ExitCode> {
    let key = keys::private(&args.key)?;
    let certificates = keys::certificates(&args.certificate)?;
    let canonicalization = match args.form {
        Form::Exclusive => Kind::Exclusive,
        Form::Inclusive => Kind::Inclusive10,
    };
    let options = Options { canonicalization, certificates: &certificates, ..Options::default() };
    let document = read(&args.document)?;
    let mut places = args.place.clone();
    places.sort_unstable();
    places.dedup();
    let (mut signed, mut count) = (document, 0);
    for place in places {
        let (next, more) = everywhere(signed, place, &key, &options)?;
        (signed, count) = (next, count + more);
    }
    if count == 0 {
        bail!("nothing is there to be signed; --place says which elements");
    }
    match &args.out {
        Some(out) => fs::write(out, signed.bytes()).map_err(|error| anyhow!("cannot write {}: {error}", out.display())),
        None => Ok(std::io::stdout().lock().write_all(signed.bytes())?),
    }?;
    complain(&format!("{count} signed with {}", key.public().fingerprint()));
    Ok(ExitCode::SUCCESS)
}

/// Reads a document through the one door.
pub(super) fn read(path: &Path) -> anyhow::Result<Validated> {
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(|error| anyhow!("cannot read {}: {error}", path.display()))?;
    Validated::new(bytes.into(), &Limits::default()).map_err(|refused| anyhow!("{}: {refused}", path.display()))
}

/// Signs each outermost element of a kind that is not signed yet; says how many.
fn everywhere(
    mut document: Validated,
    place: Place,
    key: &PrivateKey,
    options: &Options<'_>,
) -> anyhow::Result<(Validated, usize)> {
    let (scopes, mut count) = (outermost(&document, place), 0);
    // From the last on, so that the others stay where they are.
    for scope in scopes.into_iter().rev() {
        match sign(&document, scope, key, options, &Limits::default()) {
            Ok(signed) => (document, count) = (signed, count + 1),
            Err(SignError::Signed) => {}
            Err(error) => {
                bail!("{} in line {}: {error}", name(&document, scope), document.line_of(scope.start));
            }
        }
    }
    Ok((document, count))
}

fn outermost(document: &Validated, place: Place) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    for scope in signable(document) {
        let is_inside = found.last().is_some_and(|last| scope.start < last.end);
        if !is_inside && place.is(name(document, scope)) {
            found.push(scope);
        }
    }
    found
}

/// The local name of the element there.
pub(super) fn name(document: &Validated, element: Span) -> &str {
    let text = std::str::from_utf8(document.bytes()).unwrap_or_default();
    let tag = text.get(element.range()).and_then(|text| text.strip_prefix('<')).unwrap_or_default();
    let tag = tag.split([' ', '\t', '\r', '\n', '/', '>']).next().unwrap_or_default();
    tag.rsplit(':').next().unwrap_or_default()
}
