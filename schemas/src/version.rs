//! The version message set (clause 10.2), down to `Update_Path`.

use bytestring::ByteString;

use crate::core::{Description, Identifier, Signature, Span};
use crate::guid::{Cid, ModuleUuid};

/// `version:Message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionMessage {
    /// The element.
    pub span: Span,
    /// `#h02`; another value is answered Handler not available (R-10.2.1-2).
    pub cid: Identifier<Cid>,
    /// The module that shall process it.
    pub uuid: Option<Identifier<ModuleUuid>>,
    /// What to do.
    pub major: Major,
    /// In which mode. `null` and an empty element are read as absent (S10).
    pub minor: Option<Minor>,
    /// On what.
    pub data: MessageData,
    /// Enveloped signature of the message.
    pub signature: Option<Signature>,
}

/// `Major_Message` (10.2.1). "Analyze" is read as `Analyse` (S29).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Major {
    /// In use here; send what becomes available.
    Register,
    /// Send what is available.
    Request,
    /// Here is information or an update.
    Deliver,
    /// Look into this.
    Analyse,
    /// Unknown to the version set.
    Other(ByteString),
}

impl Major {
    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Register => "Register",
            Self::Request => "Request",
            Self::Deliver => "Deliver",
            Self::Analyse => "Analyse",
            Self::Other(text) => text,
        }
    }
}

/// `Minor_Message` (10.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Minor {
    /// Content.
    Full,
    /// The list.
    Catalog,
    /// Stop.
    End,
    /// Unknown to the version set.
    Other(ByteString),
}

impl Minor {
    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Full => "Full",
            Self::Catalog => "Catalog",
            Self::End => "End",
            Self::Other(text) => text,
        }
    }
}

/// `Message_Data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageData {
    /// Not there.
    Absent,
    /// Of the version set: zero or more `Version_Info`.
    Version {
        /// The element.
        span: Span,
        /// Its content.
        infos: Vec<VersionInfo>,
    },
    /// Data of another set inside a version message (S20): carried, refused by an end point.
    Foreign(Span),
}

impl MessageData {
    /// The `Version_Info` elements, none if there are none.
    pub fn infos(&self) -> &[VersionInfo] {
        match self {
            Self::Version { infos, .. } => infos,
            Self::Absent | Self::Foreign(_) => &[],
        }
    }
}

/// `Version_InfoType` (10.2.3): in Message_Data, Contained_Versions, Supersedes, Update_Path and Reply_Data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionInfo {
    /// The element.
    pub span: Span,
    /// The product at the top, also when a part of it is described.
    pub product_name: Option<ByteString>,
    /// Its version.
    pub product_version: Option<ByteString>,
    /// Its vendor.
    pub company: Option<ByteString>,
    /// Identification and content.
    pub info: Vec<Info>,
    /// Enveloped signature of this element.
    pub signature: Option<Signature>,
}

/// `Info` (10.2.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The element.
    pub span: Span,
    /// Who speaks.
    pub source: Option<ByteString>,
    /// The identifier, such as an advisory's or a CVE name.
    pub id: Option<ByteString>,
    /// Any text; ordered only if it is a date.
    pub date: Option<ByteString>,
    /// Text or a reference to it.
    pub description: Option<Description>,
    /// What it is about.
    pub container: Container,
    /// Enveloped signature of this element.
    pub signature: Option<Signature>,
}

/// `Container` (10.2.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The element.
    pub span: Span,
    /// Packaging method, and with it the version notation.
    pub package: Option<ByteString>,
    /// File format, or notation of the version.
    pub format: Option<ByteString>,
    /// A version, a range in VERS notation, or empty for any.
    pub version: ByteString,
    /// `Contained_Versions`, several concatenated (S13).
    pub contained_versions: Vec<VersionInfo>,
    /// The component's name. Data, never a path.
    pub file_name: Option<ByteString>,
    /// Language of the version.
    pub language: Option<ByteString>,
    /// Free text; lines such as `CVSS3:` and `Revision:` carry facts (`mapping.md`).
    pub author_comments: Option<ByteString>,
    /// Of the version in Code, or of the vulnerability.
    pub description: Option<Description>,
    /// The update itself.
    pub code: Option<Code>,
    /// Enveloped signature of this element.
    pub signature: Option<Signature>,
}

/// `Code` (10.2.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// The element.
    pub span: Span,
    /// Exactly one; absent only beside a lone Version_Control (S14).
    pub content: Option<CodeContent>,
    /// Relations of successive versions.
    pub version_control: Option<VersionControl>,
}

/// `Script`, `Binary` or `Byte`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeContent {
    /// The element.
    pub span: Span,
    /// Which of the three.
    pub kind: CodeKind,
    /// The `ref` attribute.
    pub reference: Option<ByteString>,
    /// Character data: script text, or base64 with blanks as it stood (decode with [`crate::base64`]).
    pub text: ByteString,
}

/// The three kinds of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeKind {
    /// Code in script form.
    Script,
    /// Compiled code, base64.
    Binary,
    /// Data for analysis, base64; never offered for installation.
    Byte,
}

/// `Version_Control` (10.2.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionControl {
    /// The element.
    pub span: Span,
    /// Versions replaced, in order (10.2.8).
    pub supersedes: Vec<VersionInfo>,
    /// Versions to which this one may be applied (10.2.9); `None` states no restriction.
    pub update_path: Option<Vec<VersionInfo>>,
}
