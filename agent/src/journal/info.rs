//! An asset as it was registered, as text in a line: the Register message in X.1206.

use bytes::Bytes;
use schemas::core::{Message, Payload, Root};
use schemas::facts::Validated;
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::version::{Major, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};

/// The message that registers this asset.
pub(super) fn write(info: &VersionInfo) -> Result<String, String> {
    let draft = MessageDraft { major: Major::Register, minor: None, data: Some(std::slice::from_ref(info)) };
    let document = write::message(Spelling::Double, &HeaderFields::default(), &[draft]);
    let text = std::str::from_utf8(&document).map_err(|error| error.to_string())?.to_owned();
    // What cannot be read again must not be written.
    read(&text).map(|_| text)
}

/// The asset in a message that [`write`] wrote.
pub(super) fn read(text: &str) -> Result<VersionInfo, String> {
    let document = Bytes::copy_from_slice(text.as_bytes());
    let facts = Validated::new(document, &Limits::default()).map_err(|refused| refused.to_string())?;
    let Root::Message(core) = &facts.document().root else { return Err("a reply".to_owned()) };
    let Payload::Messages(messages) = &core.payload else { return Err("a bundle".to_owned()) };
    match &messages[..] {
        [Message::Version(message)] => match message.data.infos() {
            [info] => Ok(info.clone()),
            infos => Err(format!("{} descriptions where one is needed", infos.len())),
        },
        _ => Err("not one version message".to_owned()),
    }
}
