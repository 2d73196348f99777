//! Signed documents in every way in which a provider may write them.

use bytes::Bytes;
use schemas::core::{Part, Payload, Root};
use schemas::facts::Validated;
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::signature::canon::Kind;
use schemas::signature::{KeyKind, Options, PrivateKey, SignError, sign, signable};
use tests::xmlsec::{extracted, text};

/// What the documents say of their Source.
pub(super) const SOURCE: &str = "A Provider";
/// The last is none of those that `xmlsec1` knows.
pub(super) const KINDS: [KeyKind; 4] = [KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::Ed25519];

const SPELLINGS: [Spelling; 2] = [Spelling::Double, Spelling::Single];
const FORMS: [Kind; 3] = [Kind::Exclusive, Kind::Inclusive10, Kind::Inclusive11];
/// Prefixes of core and version elements: prefixed, each of the two the default namespace, and prefixes that mean
/// something else elsewhere.
const STYLES: [[&str; 2]; 4] = [["m", "v"], ["core", ""], ["", "ver"], ["ds", "m"]];

/// A `Message_Core`, with everything that canonicalisation changes and a relay must not.
const MESSAGE: &str = "<m:Message_Core{declared} ><!-- on the hop -->\r\n<m:Header>\n<m:PID>#h00000001</m:PID>{guids}\
    <m:Message_ID b='2' a=\"1\">#h{number}</m:Message_ID>\t</m:Header><?on the  hop?><m:Payload >\n<v:Message\n><v:CID>\
    #h02</v:CID><!-- in the scope --><v:UUID>0b0d8a6e-3f6c-4e7b-8f53-9d2a3f6f0001</v:UUID><v:Major_Message>Deliver\
    </v:Major_Message ><v:Minor_Message>Full</v:Minor_Message><?in the  scope ?><v:Message_Data><v:Version_Info>\
    <v:Product_Name><![CDATA[P]]></v:Product_Name><v:Info>\r\n\t<v:Source>A&#x20;Provider</v:Source><v:ID>item {number}\
    </v:ID><v:Description ref='https://quill.example/a?b&#9;\u{e9}'/><v:Container><v:Package><![CDATA[<&>\r\n]]>\u{2163} \
    &amp;&#13;</v:Package><v:Version/></v:Container></v:Info></v:Version_Info></v:Message_Data></v:Message></m:Payload>\
    \n</m:Message_Core\n>";

/// A document, and the items that are in it as they must come to an agent.
pub(super) struct Sent {
    pub(super) bytes: Bytes,
    pub(super) items: Vec<Bytes>,
}

#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

impl Encoding {
    const ALL: [Self; 3] = [Self::Utf8, Self::Utf16Le, Self::Utf16Be];

    /// With what may stand before a document.
    fn write(self, document: &str) -> Bytes {
        let declared =
            |name| format!("\u{feff}<?xml version=\"1.0\" encoding=\"{name}\"?>\r\n{document}\n<!-- end -->");
        match self {
            Self::Utf8 => declared("utf-8").into(),
            Self::Utf16Le => declared("UTF-16").encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Self::Utf16Be => declared("UTF-16").encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }
}

/// Every document: each with one item, and bundles whose envelopes declare the names. `guids` name the first hop.
pub(super) fn all(keys: &[PrivateKey; 4], guids: &str) -> Vec<Sent> {
    let mut all = Vec::new();
    let mut number = 0;
    for (spelling, style) in SPELLINGS.iter().flat_map(|spelling| STYLES.iter().map(|style| (*spelling, style))) {
        for (form, encoding) in FORMS.iter().flat_map(|form| Encoding::ALL.map(|encoding| (*form, encoding))) {
            let key = &keys[number % 3];
            all.push(match number % 8 {
                7 => signed_everywhere(&write(spelling, style, number, ""), key, form, encoding),
                _ => single(&write(spelling, style, number, guids), guids, key, form, encoding),
            });
            number += 1;
        }
        all.push(bundle(spelling, style, number, keys));
        number += FORMS.len();
    }
    all
}

/// A message in one way of writing the names.
fn write(spelling: Spelling, style: &[&str; 2], number: usize, guids: &str) -> String {
    let message = MESSAGE.replace("{declared}", &declared(spelling, style)).replace("{guids}", guids);
    styled(&message.replace("{number}", &format!("{number:04}")), style)
}

fn declared(spelling: Spelling, [m, v]: &[&str; 2]) -> String {
    let xmlns = |prefix: &str| if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
    format!(" {} = \"{}\" {}='{}'", xmlns(v), spelling.version(), xmlns(m), spelling.core())
}

fn styled(text: &str, [m, v]: &[&str; 2]) -> String {
    let colon = |prefix: &str| if prefix.is_empty() { String::new() } else { format!("{prefix}:") };
    // The names of one may be those of the other.
    let apart =
        text.replace("<m:", "<\u{1}").replace("</m:", "</\u{1}").replace("<v:", "<\u{2}").replace("</v:", "</\u{2}");
    apart.replace('\u{1}', &colon(m)).replace('\u{2}', &colon(v))
}

fn validated(text: &str) -> Validated {
    Validated::new(text.to_owned().into(), &Limits::default()).unwrap_or_else(|refused| panic!("{refused}\n{text}"))
}

/// The message alone is signed: its Header is what the hops write.
fn single(document: &str, guids: &str, key: &PrivateKey, form: Kind, encoding: Encoding) -> Sent {
    let guids = styled_like(document, guids);
    let signed = sign_messages(validated(document), &[key], form);
    Sent { bytes: encoding.write(text(&signed)), items: vec![text(&signed).replace(&guids, "").into()] }
}

/// The same fields with the prefix of this document's root.
fn styled_like(document: &str, fields: &str) -> String {
    let name = document[1..].split([' ', '>']).next().unwrap();
    let prefix = name.rsplit_once(':').map_or("", |(prefix, _)| prefix);
    styled(fields, &[prefix, ""])
}

/// Header, message and all that is in it.
fn signed_everywhere(document: &str, key: &PrivateKey, canonicalization: Kind, encoding: Encoding) -> Sent {
    let mut signed = validated(document);
    for index in (0..signable(&signed).len()).rev() {
        let options = Options { canonicalization, ..Options::default() };
        signed = match sign(&signed, signable(&signed)[index], key, &options, &Limits::default()) {
            Err(SignError::Empty) => signed,
            done => done.unwrap(),
        };
    }
    Sent { bytes: encoding.write(text(&signed)), items: vec![signed.bytes().clone()] }
}

/// Each message of a document signed where it stands, with these keys in turn.
fn sign_messages(mut document: Validated, keys: &[&PrivateKey], first: Kind) -> Validated {
    let at = FORMS.iter().position(|form| *form == first).unwrap();
    let messages = |document: &Validated| -> Vec<_> {
        let is_message = |scope: &schemas::core::Span| {
            let tag = text(document)[scope.start + 1..].split(['\n', ' ', '>']).next().unwrap();
            tag.rsplit(':').next() == Some("Message")
        };
        signable(document).into_iter().filter(is_message).collect()
    };
    for index in 0..messages(&document).len() {
        let options = Options { canonicalization: FORMS[(at + index) % FORMS.len()], ..Options::default() };
        let (scope, key) = (messages(&document)[index], keys[index % keys.len()]);
        document = sign(&document, scope, key, &options, &Limits::default()).unwrap();
    }
    document
}

/// A part for each form, none of which declares its names; one of them signed by the key that `xmlsec1` does not know.
fn bundle(spelling: Spelling, style: &[&str; 2], first: usize, keys: &[PrivateKey; 4]) -> Sent {
    let part = MESSAGE.replace("{declared}", "").replace("{guids}", "");
    let parts: String = (0..FORMS.len()).map(|at| part.replace("{number}", &format!("{:04}", first + at))).collect();
    let envelope = format!(
        "<m:Message_Core{}><m:Header><m:PID>#h00000001</m:PID></m:Header><m:Payload>{parts}</m:Payload></m:Message_Core>",
        declared(spelling, style)
    );
    let which = [&keys[first % 3], &keys[3], &keys[(first + 1) % 3]];
    let signed = sign_messages(validated(&styled(&envelope, style)), &which, FORMS[first % 3]);
    let Root::Message(core) = &signed.document().root else { panic!("a reply") };
    let Payload::Bundle(parts) = &core.payload else { panic!("no bundle") };
    let item = |part: &Part| match part {
        Part::Good(core) => Bytes::from(extracted(text(&signed), core.span)),
        Part::Bad(bad) => panic!("{}", bad.error),
    };
    Sent { bytes: Encoding::ALL[first % 3].write(text(&signed)), items: parts.iter().map(item).collect() }
}
