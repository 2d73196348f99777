//! What is published: documents that any server takes, and the digests by which clients know them again.

use std::path::Path;

use anyhow::{Context, ensure};
use bytes::Bytes;
use schemas::base64;
use schemas::digest::Digest;
use schemas::guid::MessageId;
use schemas::names::Spelling;
use schemas::version::{Code, CodeContent, CodeKind, Container, Info, Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};

use crate::plan::{Content, Publish};

/// One item.
#[derive(Clone, Debug)]
pub struct Item {
    /// A `Deliver:Full` of its own.
    pub document: Bytes,
    /// Of the document.
    pub digest: Digest,
    /// Bytes that mean something to the receiver: code before base64, or the document if there is none.
    pub content_bytes: u64,
}

/// The product that stands for a publication: clients ask for it by this name.
pub fn product(publication: &str) -> VersionInfo {
    VersionInfo { product_name: Some(format!("load test {publication}").into()), ..VersionInfo::default() }
}

/// All items of a publication.
///
/// # Errors
/// A folder cannot be read, or has nothing in it.
pub fn make(publish: &Publish, run: u64) -> anyhow::Result<Vec<Item>> {
    let mut random = Random(run | 1);
    match &publish.content {
        Content::Random(bytes) => {
            Ok((0..publish.count).map(|number| code(publish, run, number, &random.bytes(*bytes))).collect())
        }
        Content::Text(bytes) => Ok((0..publish.count).map(|number| text(publish, run, number, *bytes)).collect()),
        Content::Files(folder) => {
            let files = read(folder, |_| true)?;
            Ok((0..publish.count).zip(files.iter().cycle()).map(|(n, file)| code(publish, run, n, file)).collect())
        }
        Content::Documents(folder) => {
            let documents = read(folder, |path| path.extension().is_some_and(|extension| extension == "xml"))?;
            ensure!(documents.len() >= publish.count, "{} has {} documents only", folder.display(), documents.len());
            Ok(documents.into_iter().take(publish.count).map(|document| item(document.into(), None)).collect())
        }
    }
}

fn item(document: Bytes, content_bytes: Option<usize>) -> Item {
    let content_bytes = content_bytes.unwrap_or(document.len()) as u64;
    Item { digest: Digest::of(&document), content_bytes, document }
}

fn read(folder: &Path, takes: impl Fn(&Path) -> bool) -> anyhow::Result<Vec<Vec<u8>>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths: Vec<_> = paths?.into_iter().filter(|path| path.is_file() && takes(path)).collect();
    paths.sort();
    ensure!(!paths.is_empty(), "{} has no file to publish", folder.display());
    paths.iter().map(|path| std::fs::read(path).with_context(|| path.display().to_string())).collect()
}

fn code(publish: &Publish, run: u64, number: usize, content: &[u8]) -> Item {
    let text = base64::encode(content).into();
    let content_of = CodeContent { span: Default::default(), kind: CodeKind::Binary, reference: None, text };
    let code = Some(Code { content: Some(content_of), ..Code::default() });
    let container = Container { version: "1.0.0".into(), code, ..Container::default() };
    item(document(publish, run, number, container), Some(content.len()))
}

/// The line of an advisory that says how bad it is: 9.8 of 10.
const CRITICAL: &str = "\nCVSS3: CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

/// English-like words: such text compresses as advisories do.
fn text(publish: &Publish, run: u64, number: usize, bytes: usize) -> Item {
    const WORDS: [&str; 16] = [
        "the ",
        "of ",
        "a ",
        "memory ",
        "attacker ",
        "may ",
        "cause ",
        "remote ",
        "crafted ",
        "input ",
        "before ",
        "version ",
        "patched ",
        "in ",
        "is ",
        "vulnerable ",
    ];
    let mut random = Random(run ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut comments = String::with_capacity(bytes + 16);
    while comments.len() < bytes {
        comments.push_str(WORDS[random.next() as usize % WORDS.len()]);
    }
    comments.truncate(bytes);
    let severity = if publish.critical { CRITICAL } else { "" };
    let comments = Some(format!("{}{severity}", comments.trim_end()).into());
    let container = Container { version: "1.0.0".into(), author_comments: comments, ..Container::default() };
    item(document(publish, run, number, container), None)
}

fn document(publish: &Publish, run: u64, number: usize, container: Container) -> Bytes {
    let id = Some(format!("{}-{run:x}-{number}", publish.name).into());
    let info = Info { source: Some("load test".into()), id, container, ..Info::default() };
    let infos = [VersionInfo { info: vec![info], ..product(&publish.name) }];
    let name = Digest::of(format!("{}-{run:x}-{number}", publish.name).as_bytes());
    let message_id = u128::from_be_bytes(name.0.first_chunk().copied().unwrap_or_default());
    let header = HeaderFields { message_id: Some(MessageId(message_id)), ..HeaderFields::default() };
    let draft = MessageDraft { major: Major::Deliver, minor: Some(Minor::Full), data: Some(&infos) };
    write::message(Spelling::default(), &header, &[draft])
}

/// Bytes that do not compress, the same for the same seed (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next().to_le_bytes()).take(count.div_ceil(8));
        let mut bytes: Vec<u8> = words.flatten().collect();
        bytes.truncate(count);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(content: Content) -> Publish {
        let (name, window) = ("news".to_owned(), Some(1));
        Publish { name, content, critical: false, count: 4, window, rate: None, burst: 1, start: 0.0 }
    }

    #[test]
    fn items_differ_and_are_of_the_size_that_is_asked_for() {
        for (content, bytes) in [(Content::Random(1000), 1000), (Content::Text(1000), 1000)] {
            let items = make(&publish(content), 7).unwrap();
            let digests: std::collections::BTreeSet<_> = items.iter().map(|item| item.digest).collect();
            assert_eq!((items.len(), digests.len()), (4, 4));
            assert!(items.iter().all(|item| item.document.len() >= bytes), "{items:?}");
        }
        let [random, text] =
            [Content::Random(1000), Content::Text(1000)].map(|content| make(&publish(content), 7).unwrap());
        assert_eq!(random[0].content_bytes, 1000, "before base64");
        assert_eq!(text[0].content_bytes, text[0].document.len() as u64);
    }

    #[test]
    fn another_run_publishes_other_items() {
        let [one, two] = [1, 2].map(|run| make(&publish(Content::Text(50)), run).unwrap());
        assert!(one.iter().all(|item| two.iter().all(|other| other.digest != item.digest)));
    }

    #[test]
    fn files_are_published_again_until_there_are_enough() {
        let folder = tempfile::tempdir().unwrap();
        ["a", "b"].iter().for_each(|name| std::fs::write(folder.path().join(name), name.repeat(50)).unwrap());
        let items = make(&publish(Content::Files(folder.path().to_owned())), 1).unwrap();
        assert_eq!(items.iter().map(|item| item.content_bytes).collect::<Vec<_>>(), [50; 4]);
        assert!(make(&publish(Content::Documents(folder.path().to_owned())), 1).is_err());
    }
}
