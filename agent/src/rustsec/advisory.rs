//! One advisory: Markdown whose first block is TOML.

use semver::VersionReq;
use serde::Deserialize;
use toml::Spanned;
use topology::cvss::Cvss3;
use topology::ranges::Ranges;

use super::requirement;
use crate::inventory::{is_carried, line_of};

/// A document that can be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisory {
    /// Where it stands in its source, such as `crates/NAME/RUSTSEC-2024-0001.md`.
    pub path: String,
    /// `RUSTSEC-2024-0001`; `RUSTSEC-0000-0000` until it gets a number; a CVE name for parts of the toolchain.
    pub id: String,
    /// The crate, or `rust/std` and the like for a part of the toolchain, which is no crate of that name.
    pub package: String,
    /// Date of publication, `YYYY-MM-DD`.
    pub date: String,
    /// Where to read more.
    pub url: Option<String>,
    /// Names of the same problem elsewhere.
    pub aliases: Vec<String>,
    /// A vector of CVSS 3, or of another version as text.
    pub cvss: Option<String>,
    /// `unmaintained`, `unsound`, `notice`; a vulnerability if absent.
    pub informational: Option<String>,
    /// Whether it was taken back.
    pub is_withdrawn: bool,
    /// If it is not the database's own.
    pub license: Option<String>,
    /// Requirements that versions without the problem meet, as written.
    pub patched: Vec<String>,
    /// The versions with the problem.
    pub affected: Ranges,
    /// The heading.
    pub title: String,
    /// First paragraph below it, in one line, unbounded.
    pub summary: String,
}

/// Why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {reason}")]
pub struct Error {
    /// The document.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

#[derive(Deserialize)]
struct FrontMatter {
    advisory: Metadata,
    versions: Versions,
}

#[derive(Deserialize)]
struct Metadata {
    id: Spanned<String>,
    package: Spanned<String>,
    date: Spanned<String>,
    url: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    cvss: Option<Spanned<String>>,
    informational: Option<Spanned<String>>,
    withdrawn: Option<Spanned<String>>,
    license: Option<String>,
    /// Old documents state it here instead of in a heading.
    title: Option<String>,
}

#[derive(Deserialize)]
struct Versions {
    patched: Vec<Spanned<String>>,
    #[serde(default)]
    unaffected: Vec<Spanned<String>>,
}

/// Byte in the document, and what is wrong there.
type Fault = (usize, String);

/// The part of the database that is not about crates.
pub(super) const TOOLCHAIN: &str = "rust/";

const FENCE: &str = "```toml";

/// Reads one document. `path` is kept and named in errors.
pub fn parse(path: &str, text: &str) -> Result<Advisory, Error> {
    read(path, text).map_err(|(at, reason)| Error { path: path.to_owned(), line: line_of(text, at), reason })
}

fn read(path: &str, text: &str) -> Result<Advisory, Fault> {
    let (from, to) = front_matter(text)?;
    let front: FrontMatter = toml::from_str(&text[from..to])
        .map_err(|error| (from + error.span().map_or(0, |span| span.start), error.message().trim().to_owned()))?;
    let inside = |(at, reason): Fault| (from + at, reason);
    let FrontMatter { advisory, versions } = front;
    check(&advisory).map_err(inside)?;
    let affected = requirement::affected(&requirements(&versions).map_err(inside)?).map_err(inside)?;
    let (heading, summary) = heading_and_summary(&text[to..]);
    Ok(Advisory {
        path: path.to_owned(),
        id: advisory.id.into_inner(),
        package: if path.starts_with(TOOLCHAIN) {
            format!("{TOOLCHAIN}{}", advisory.package.get_ref())
        } else {
            advisory.package.into_inner()
        },
        date: advisory.date.into_inner(),
        url: advisory.url.filter(|url| !url.trim().is_empty() && is_carried(url)),
        aliases: advisory.aliases,
        cvss: advisory.cvss.map(Spanned::into_inner),
        informational: advisory.informational.map(Spanned::into_inner),
        is_withdrawn: advisory.withdrawn.is_some(),
        license: advisory.license,
        patched: versions.patched.into_iter().map(Spanned::into_inner).collect(),
        affected,
        title: heading.or(advisory.title).unwrap_or_default(),
        summary,
    })
}

/// The TOML between the fences.
fn front_matter(text: &str) -> Result<(usize, usize), Fault> {
    let start = text.len() - text.trim_start().len();
    let rest = text[start..].strip_prefix(FENCE).ok_or((start, format!("does not begin with {FENCE}")))?;
    let from = start + FENCE.len();
    let length = rest.find("\n```").ok_or((start, "the front matter does not end".to_owned()))?;
    // With its line end, which may be of two characters.
    Ok((from, from + length + 1))
}

fn check(advisory: &Metadata) -> Result<(), Fault> {
    let fault =
        |field: &Spanned<String>, reason: &str| Err((field.span().start, format!("{reason}: {:?}", field.get_ref())));
    if !is_id(advisory.id.get_ref()) {
        return fault(&advisory.id, "no RustSec or CVE identifier");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let package = advisory.package.get_ref();
    if package.is_empty() || !package.bytes().all(plain) {
        return fault(&advisory.package, "no name of a crate");
    }
    for date in [Some(&advisory.date), advisory.withdrawn.as_ref()].into_iter().flatten() {
        if date.get_ref().parse::<jiff::civil::Date>().is_err() {
            return fault(date, "no date");
        }
    }
    if let Some(vector) = advisory.cvss.as_ref().filter(|vector| vector.get_ref().starts_with("CVSS:3"))
        && let Err(error) = vector.get_ref().parse::<Cvss3>()
    {
        return fault(vector, &error.to_string());
    }
    let texts = advisory.aliases.iter().chain(&advisory.license).chain(advisory.cvss.as_ref().map(Spanned::get_ref));
    if let Some(text) = texts.chain(advisory.informational.as_ref().map(Spanned::get_ref)).find(|text| !is_word(text)) {
        return Err((advisory.id.span().start, format!("empty, or with blanks or control characters: {text:?}")));
    }
    Ok(())
}

fn is_id(id: &str) -> bool {
    let mut parts = id.split('-');
    let number =
        |part: Option<&str>| part.is_some_and(|part| part.len() >= 4 && part.bytes().all(|byte| byte.is_ascii_digit()));
    matches!(parts.next(), Some("RUSTSEC" | "CVE"))
        && number(parts.next())
        && number(parts.next())
        && parts.next().is_none()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && is_carried(text) && !text.contains(char::is_whitespace)
}

/// What versions without the problem meet, each with its byte.
fn requirements(versions: &Versions) -> Result<Vec<(usize, VersionReq)>, Fault> {
    let all = versions.patched.iter().chain(&versions.unaffected);
    all.map(|text| match VersionReq::parse(text.get_ref()) {
        Ok(requirement) => Ok((text.span().start, requirement)),
        Err(error) => Err((text.span().start, format!("no requirement: {:?}: {error}", text.get_ref()))),
    })
    .collect()
}

/// The first heading, and the first paragraph below it.
fn heading_and_summary(body: &str) -> (Option<String>, String) {
    let one_line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    // Past the closing fence, and past blank lines.
    let mut lines = body.trim_start().lines().map(str::trim).skip_while(|line| *line == "```").peekable();
    let mut heading = None;
    while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with("# ")) {
        heading = heading.or_else(|| line.strip_prefix("# ").map(one_line));
    }
    let paragraph: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    (heading, one_line(&paragraph.join(" ")))
}

#[cfg(test)]
pub(crate) mod tests;
