//! Hello: what each side says first, as tag, length and value.
//!
//! Every field is `u16` tag, `u32` length, value, big-endian. An unknown tag is skipped, so that a later version can
//! add one; a known tag stands at most once, except [`RequestPolicy`], of which there is one for each CID.

use schemas::class::Class;
use schemas::digest::Digest;

use crate::frame::{Form, class_from_wire, class_to_wire};
use schemas::mark::Mark;

use crate::path;
use crate::segments::Dictionary;

/// Bytes of a whole Hello.
pub const HELLO_BYTES_MAX: u32 = 64 << 10;
/// Version 1, the only one.
pub const VERSION_1: u16 = 1;
/// The largest document that a node takes, unless it says otherwise.
pub const DOCUMENT_BYTES_MAX: u64 = 64 << 20;
/// CIDs with a request policy.
pub const POLICIES_MAX: usize = 64;

/// The tags.
mod tag {
    pub(super) const VERSIONS: u16 = 1;
    pub(super) const FORMS: u16 = 2;
    pub(super) const DOCUMENT_BYTES_MAX: u16 = 3;
    pub(super) const DICTIONARIES: u16 = 4;
    pub(super) const INCARNATION: u16 = 5;
    pub(super) const RESUME: u16 = 6;
    pub(super) const PARTIALS: u16 = 7;
    pub(super) const POLICY: u16 = 8;
    pub(super) const BEHIND: u16 = 9;
    pub(super) const GENERATION: u16 = 10;
    pub(super) const IMPLEMENTATION: u16 = 11;
    pub(super) const PATH: u16 = 12;
}

/// What one side says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Versions of this protocol that it speaks; the highest common one is spoken.
    pub versions: Vec<u16>,
    /// Wire forms that it reads ([`Form`]); plain always, whether it says so or not.
    pub forms: Vec<u8>,
    /// Bytes of the largest document that it takes.
    pub document_bytes_max: u64,
    /// Compression dictionaries that it holds, by digest.
    pub dictionaries: Vec<Digest>,
    /// A server: its log's incarnation. A client: the incarnation that its resume positions belong to; `None` if it
    /// holds nothing.
    pub incarnation: Option<u128>,
    /// A client: up to where it holds everything durably, for each class. A server: from where it will push.
    pub resume: Vec<Resume>,
    /// Client only: it takes items on streams of their own ([`crate::apart`]), and holds these in part.
    pub partials: Option<Vec<Partial>>,
    /// What may be asked of it (row R-8.2.2-6).
    pub policy: Vec<RequestPolicy>,
    /// Server only: the client may have missed items and must ask again before it relies on the push.
    pub behind: bool,
    /// Server only: the generation of this link among those of the client's GUID.
    pub generation: Option<u64>,
    /// Name and version of the program, for people.
    pub implementation: String,
    /// A server: its own mark, then those of the servers above it. A client: its own mark if it is a server too. `None`
    /// says nothing, and that a Path frame would not be understood.
    pub path: Option<Vec<Mark>>,
}

impl Default for Hello {
    fn default() -> Self {
        Self {
            versions: vec![VERSION_1],
            forms: vec![Form::Plain as u8],
            document_bytes_max: DOCUMENT_BYTES_MAX,
            dictionaries: Vec::new(),
            incarnation: None,
            resume: Vec::new(),
            partials: None,
            policy: Vec::new(),
            behind: false,
            generation: None,
            implementation: concat!("distributary/", env!("CARGO_PKG_VERSION")).to_owned(),
            path: Some(Vec::new()),
        }
    }
}

/// A place in the other side's log, for one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The class.
    pub class: Class,
    /// Everything at or below it is held.
    pub position: u64,
    /// Of the item at the position; all zero at position 0.
    pub digest: Digest,
}

/// An item that arrived in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Of the whole item.
    pub digest: Digest,
    /// Bytes held from its beginning.
    pub offset: u64,
}

/// What a node takes of one message set, as `Major:Minor` texts such as `Request:Catalog`; `Register:` has no Minor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPolicy {
    /// The message set.
    pub cid: u128,
    /// What it takes.
    pub accepts: Vec<String>,
}

/// Why a Hello cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// More than [`HELLO_BYTES_MAX`].
    #[error("Hello of {0} bytes")]
    TooLong(usize),
    /// A field that runs over the end.
    #[error("Hello ends within field {tag} at byte {at}")]
    Cut {
        /// The field, 0 if its tag was cut.
        tag: u16,
        /// Where the field begins.
        at: usize,
    },
    /// A field that may stand once stands twice.
    #[error("Hello repeats field {0}")]
    Repeated(u16),
    /// A field whose value is none of its kind.
    #[error("Hello field {tag}: {fault}")]
    Value {
        /// The field.
        tag: u16,
        /// What is wrong.
        fault: &'static str,
    },
}

impl Hello {
    /// The same of an end that reads every form that this crate does.
    #[must_use]
    pub fn reading_all_forms(self) -> Self {
        Self { forms: Form::all(), dictionaries: vec![Dictionary::advisories().digest()], ..self }
    }

    /// The highest version that both speak.
    pub fn common_version(&self, other: &Self) -> Option<u16> {
        self.versions.iter().filter(|version| other.versions.contains(version)).max().copied()
    }

    /// What it says of a class.
    pub fn resume_of(&self, class: Class) -> Option<&Resume> {
        self.resume.iter().find(|resume| resume.class == class)
    }

    /// The body of a Hello frame.
    ///
    /// # Errors
    ///
    /// More than [`HELLO_BYTES_MAX`] bytes: too many dictionaries, partial items or policies. A path longer than
    /// [`path::PATH_MARKS_MAX`].
    pub fn encode(&self) -> Result<Vec<u8>, HelloError> {
        let mut out = Writer(Vec::with_capacity(256));
        out.field(tag::VERSIONS, self.versions.iter().flat_map(|version| version.to_be_bytes()));
        out.field(tag::FORMS, self.forms.iter().copied());
        out.field(tag::DOCUMENT_BYTES_MAX, self.document_bytes_max.to_be_bytes());
        out.list(tag::DICTIONARIES, &self.dictionaries, |digest| digest.0);
        if let Some(incarnation) = self.incarnation {
            out.field(tag::INCARNATION, incarnation.to_be_bytes());
        }
        out.list(tag::RESUME, &self.resume, |resume| resume.to_wire());
        if let Some(partials) = &self.partials {
            out.field(tag::PARTIALS, partials.iter().flat_map(|partial| partial.to_wire()));
        }
        for policy in &self.policy {
            out.field(tag::POLICY, policy.to_wire()?);
        }
        if self.behind {
            out.field(tag::BEHIND, [1]);
        }
        if let Some(generation) = self.generation {
            out.field(tag::GENERATION, generation.to_be_bytes());
        }
        out.field(tag::IMPLEMENTATION, self.implementation.bytes());
        if let Some(path) = &self.path {
            let fault = |fault| HelloError::Value { tag: tag::PATH, fault };
            out.field(tag::PATH, path::to_wire(path).map_err(fault)?);
        }
        if out.0.len() > HELLO_BYTES_MAX as usize { Err(HelloError::TooLong(out.0.len())) } else { Ok(out.0) }
    }

    /// Reads the body of a Hello frame. What is not said has its default; the program's name is then empty,
    /// and there is no path.
    ///
    /// # Errors
    ///
    /// Anything that is not a Hello; never for an unknown tag.
    pub fn decode(bytes: &[u8]) -> Result<Self, HelloError> {
        if bytes.len() > HELLO_BYTES_MAX as usize {
            return Err(HelloError::TooLong(bytes.len()));
        }
        let mut hello = Self { implementation: String::new(), path: None, ..Self::default() };
        let mut seen = 0u16;
        for field in (Fields { bytes, at: 0 }) {
            let (tag, value) = field?;
            if (tag::VERSIONS..=tag::PATH).contains(&tag) && tag != tag::POLICY {
                if seen & (1 << tag) != 0 {
                    return Err(HelloError::Repeated(tag));
                }
                seen |= 1 << tag;
            }
            hello.take(tag, value).map_err(|fault| HelloError::Value { tag, fault })?;
        }
        Ok(hello)
    }

    fn take(&mut self, tag: u16, value: &[u8]) -> Result<(), &'static str> {
        match tag {
            tag::VERSIONS => self.versions = list(value, |bytes: [u8; 2]| Some(u16::from_be_bytes(bytes)))?,
            tag::FORMS => self.forms = value.to_vec(),
            tag::DOCUMENT_BYTES_MAX => self.document_bytes_max = u64::from_be_bytes(exact(value)?),
            tag::DICTIONARIES => self.dictionaries = list(value, |bytes: [u8; 32]| Some(Digest(bytes)))?,
            tag::INCARNATION => self.incarnation = Some(u128::from_be_bytes(exact(value)?)),
            tag::RESUME => self.resume = distinct(list(value, Resume::from_wire)?)?,
            tag::PARTIALS => self.partials = Some(list(value, |bytes| Some(Partial::from_wire(&bytes)))?),
            tag::POLICY => self.add_policy(RequestPolicy::from_wire(value)?)?,
            tag::BEHIND => {
                self.behind = match exact::<1>(value)? {
                    [0] => false,
                    [1] => true,
                    _ => return Err("neither 0 nor 1"),
                }
            }
            tag::GENERATION => self.generation = Some(u64::from_be_bytes(exact(value)?)),
            tag::IMPLEMENTATION => self.implementation = text(value)?,
            tag::PATH => self.path = Some(path::from_wire(value)?),
            _ => {}
        }
        Ok(())
    }

    fn add_policy(&mut self, policy: RequestPolicy) -> Result<(), &'static str> {
        if self.policy.len() >= POLICIES_MAX {
            return Err("too many message sets");
        }
        if self.policy.iter().any(|known| known.cid == policy.cid) {
            return Err("a message set twice");
        }
        self.policy.push(policy);
        Ok(())
    }
}

impl Resume {
    const BYTES: usize = 1 + 8 + 32;

    fn to_wire(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = class_to_wire(self.class);
        bytes[1..9].copy_from_slice(&self.position.to_be_bytes());
        bytes[9..].copy_from_slice(&self.digest.0);
        bytes
    }

    fn from_wire(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let (position, digest) = (sub(&bytes, 1), sub(&bytes, 9));
        let class = class_from_wire(bytes[0])?;
        Some(Self { class, position: u64::from_be_bytes(position), digest: Digest(digest) })
    }
}

impl Partial {
    const BYTES: usize = 32 + 8;

    fn to_wire(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(&self.digest.0);
        bytes[32..].copy_from_slice(&self.offset.to_be_bytes());
        bytes
    }

    fn from_wire(bytes: &[u8; Self::BYTES]) -> Self {
        Self { digest: Digest(sub(bytes, 0)), offset: u64::from_be_bytes(sub(bytes, 32)) }
    }
}

impl RequestPolicy {
    fn to_wire(&self) -> Result<Vec<u8>, HelloError> {
        let mut bytes = self.cid.to_be_bytes().to_vec();
        for accepts in &self.accepts {
            let long = HelloError::Value { tag: tag::POLICY, fault: "a text longer than 255 bytes" };
            bytes.push(u8::try_from(accepts.len()).map_err(|_| long)?);
            bytes.extend_from_slice(accepts.as_bytes());
        }
        Ok(bytes)
    }

    fn from_wire(value: &[u8]) -> Result<Self, &'static str> {
        let (cid, mut rest) = value.split_first_chunk::<16>().ok_or("no CID")?;
        let mut accepts = Vec::new();
        while let Some((length, after)) = rest.split_first() {
            let (accepted, after) = after.split_at_checked(usize::from(*length)).ok_or("a text over the end")?;
            accepts.push(text(accepted)?);
            rest = after;
        }
        Ok(Self { cid: u128::from_be_bytes(*cid), accepts })
    }
}

/// Appends fields.
struct Writer(Vec<u8>);

impl Writer {
    fn field(&mut self, tag: u16, value: impl IntoIterator<Item = u8>) {
        self.0.extend_from_slice(&tag.to_be_bytes());
        let length_at = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        self.0.extend(value);
        // A value over 4 GiB cannot be built from a Hello that the length check below it would let pass.
        let length = u32::try_from(self.0.len() - length_at - 4).unwrap_or(u32::MAX);
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// A field of records; left out if there are none.
    fn list<T, const N: usize>(&mut self, tag: u16, items: &[T], to_wire: impl Fn(&T) -> [u8; N]) {
        if !items.is_empty() {
            self.field(tag, items.iter().flat_map(to_wire));
        }
    }
}

/// Walks over fields.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u16, &'a [u8]), HelloError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let rest = self.bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let whole = rest.split_first_chunk::<2>().and_then(|(tag, rest)| {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            Some((u16::from_be_bytes(*tag), rest.get(..length)?))
        });
        let Some((tag, value)) = whole else {
            self.at = self.bytes.len();
            let tag = rest.first_chunk::<2>().map_or(0, |tag| u16::from_be_bytes(*tag));
            return Some(Err(HelloError::Cut { tag, at }));
        };
        self.at = at + 6 + value.len();
        Some(Ok((tag, value)))
    }
}

fn exact<const N: usize>(value: &[u8]) -> Result<[u8; N], &'static str> {
    value.try_into().map_err(|_| "wrong length")
}

fn list<T, const N: usize>(value: &[u8], read: impl Fn([u8; N]) -> Option<T>) -> Result<Vec<T>, &'static str> {
    let (records, rest) = value.as_chunks::<N>();
    if !rest.is_empty() {
        return Err("not a whole number of records");
    }
    records.iter().map(|record| read(*record).ok_or("a record with an unknown class")).collect()
}

fn distinct(resume: Vec<Resume>) -> Result<Vec<Resume>, &'static str> {
    let twice = resume.iter().enumerate().any(|(i, one)| resume[..i].iter().any(|other| other.class == one.class));
    if twice || resume.len() > 3 { Err("a class twice") } else { Ok(resume) }
}

fn text(value: &[u8]) -> Result<String, &'static str> {
    if value.len() > 255 {
        return Err("a text longer than 255 bytes");
    }
    let text = std::str::from_utf8(value).map_err(|_| "a text that is not UTF-8")?;
    if text.chars().any(char::is_control) { Err("a text with control characters") } else { Ok(text.to_owned()) }
}

/// A part of a record at a constant place within it.
fn sub<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at..at + N]);
    value
}

#[cfg(test)]
mod tests;
