//! Documents to be signed: every place for a Signature, in every way of writing the names.

use std::sync::LazyLock;

use crate::core::Span;
use crate::facts::Validated;
use crate::limits::Limits;
use crate::names::{Spelling, XSI};
pub(super) use crate::signature::signable as scopes;
use crate::signature::{KeyKind, Options, PrivateKey, sign, slots};

/// How names are written: prefixes of core and version elements, declarations of both, prefix of the type.
pub(super) struct Style {
    m: &'static str,
    v: &'static str,
    xmlns_m: &'static str,
    xmlns_v: &'static str,
}

pub(super) const PREFIXED: Style = Style { m: "m:", v: "v:", xmlns_m: "xmlns:m", xmlns_v: "xmlns:v" };
/// The version namespace is the default one.
pub(super) const DEFAULT_VERSION: Style = Style { m: "core:", v: "", xmlns_m: "xmlns:core", xmlns_v: "xmlns" };
/// The core namespace is the default one.
pub(super) const DEFAULT_CORE: Style = Style { m: "", v: "ver:", xmlns_m: "xmlns", xmlns_v: "xmlns:ver" };
/// The prefixes that signatures like to use mean something else.
pub(super) const CROSSED: Style = Style { m: "ds:", v: "m:", xmlns_m: "xmlns:ds", xmlns_v: "xmlns:m" };
pub(super) const STYLES: [Style; 4] = [PREFIXED, DEFAULT_VERSION, DEFAULT_CORE, CROSSED];

impl Style {
    fn write(&self, spelling: Spelling, template: &str) -> String {
        let declared = format!("{}=\"{}\" {}='{}'", self.xmlns_m, spelling.core(), self.xmlns_v, spelling.version());
        template
            .replace("{declared}", &declared)
            .replace("{XSI}", XSI)
            .replace("<!", "\u{1}")
            .replace("</m:", &format!("</{}", self.m))
            .replace("<m:", &format!("<{}", self.m))
            .replace("</v:", &format!("</{}", self.v))
            .replace("<v:", &format!("<{}", self.v))
            .replace("'v:", &format!("'{}", self.v))
            .replace('\u{1}', "<!")
    }

    /// A Deliver with everything that may be signed, and everything that canonicalisation changes.
    pub(super) fn message(&self, spelling: Spelling) -> String {
        self.write(spelling, MESSAGE)
    }

    /// The same inside an envelope, which declares the names for it.
    pub(super) fn nested(&self, spelling: Spelling) -> String {
        let inner = MESSAGE.replace(" {declared}", "");
        self.write(spelling, &format!("{ENVELOPE}{inner}</m:Payload></m:Message_Core>"))
    }

    /// A reply with data.
    pub(super) fn reply(&self, spelling: Spelling) -> String {
        self.write(spelling, REPLY)
    }
}

const MESSAGE: &str = "<m:Message_Core {declared}><!-- hop --><m:Header>\r\n<m:PID>#h00000001</m:PID>\
    <m:Message_ID a='2' b=\"1\">#h0116</m:Message_ID></m:Header><m:Payload>\n<v:Message ><v:CID>#h02</v:CID>\
    <v:UUID>0b0d8a6e-3f6c-4e7b-8f53-9d2a3f6f0001</v:UUID><v:Major_Message>Deliver</v:Major_Message>\
    <v:Minor_Message>Full</v:Minor_Message><v:Message_Data><v:Version_Info><v:Product_Name>Quill &amp; Söhne &#x2163;\
    </v:Product_Name><v:Company><![CDATA[<Quill>\r\n& ]]></v:Company><v:Info><v:Source>Quill</v:Source>\
    <v:ID>QSA-2026-003</v:ID><v:Description ref='https://quill.example/a?b&#9;c'/><v:Container><v:Package/>\
    <v:Version>4.1.1</v:Version><v:Contained_Versions><v:Info><v:Container><v:Version>1.0</v:Version></v:Container>\
    </v:Info></v:Contained_Versions><v:Code><v:Binary>QUJD</v:Binary><v:Version_Control><v:Supersedes><v:Version_info>\
    <v:Info><v:Container><v:Version>4.1.0</v:Version></v:Container></v:Info></v:Version_info></v:Supersedes>\
    <v:Update_Path><v:Version_Info><v:Company>Quill</v:Company></v:Version_Info></v:Update_Path></v:Version_Control>\
    </v:Code></v:Container></v:Info></v:Version_Info></v:Message_Data></v:Message></m:Payload>\n</m:Message_Core>";

const ENVELOPE: &str = "<m:Message_Core {declared}><m:Header><m:PID>#h00000001</m:PID></m:Header><m:Payload>";

const REPLY: &str = "<m:Message_Core_Reply {declared}><m:Header><m:PID>#h00000001</m:PID></m:Header><m:Payload>\
    <v:Reply><m:CID>#h02</m:CID><m:Reply_ID>#h1</m:Reply_ID><v:ReplyStatus>Succeeded</v:ReplyStatus>\
    <v:Reply_Data xmlns:i='{XSI}' i:type='v:Version_InfoType'><v:Company>Quill</v:Company><v:Info><v:Container>\
    <v:Version>1</v:Version></v:Container></v:Info></v:Reply_Data></v:Reply></m:Payload></m:Message_Core_Reply>";

/// One key of each kind, made once: RSA keys take their time.
pub(super) fn key(kind: KeyKind) -> &'static PrivateKey {
    static KEYS: LazyLock<[PrivateKey; 4]> =
        LazyLock::new(|| KINDS.map(|kind| PrivateKey::generate(kind).expect("a key")));
    let at = KINDS.iter().position(|known| *known == kind).expect("a kind");
    &KEYS[at]
}

pub(super) const KINDS: [KeyKind; 4] = [KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::Ed25519];

pub(super) fn validated(text: impl Into<String>) -> Validated {
    let text = text.into();
    Validated::new(text.clone().into(), &Limits::default()).unwrap_or_else(|refused| panic!("{refused}\n{text}"))
}

pub(super) fn text(document: &Validated) -> &str {
    std::str::from_utf8(document.bytes()).unwrap()
}

/// Signs one scope as usual.
pub(super) fn signed(document: &Validated, scope: Span, kind: KeyKind) -> Validated {
    sign(document, scope, key(kind), &Options::default(), &Limits::default())
        .unwrap_or_else(|error| panic!("{error}\n{}", text(document)))
}

/// Signs all that may be signed, inner before outer, with all kinds of keys in turn.
pub(super) fn signed_everywhere(document: &Validated) -> Validated {
    let mut document = document.clone();
    for round in 0.. {
        let slots = slots::of(document.document());
        let Some(slot) = slots.iter().rev().find(|slot| slot.signature.is_none()) else { break };
        document = signed(&document, slot.scope, KINDS[round % KINDS.len()]);
    }
    document
}
