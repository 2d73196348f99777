//! One synthetic client: it registers, asks for what it wants, and answers whatever is pushed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use bytes::{Bytes, BytesMut};
use link::connection::Link;
use link::frame::FrameHeader;
use link::lane::{LaneReceiver, ReplySender};
use link::short::ShortReply;
use schemas::class::Class;
use schemas::core::{Document, MessageCoreReply, Part, Payload, ReplyPayload, ReplyStatus, Root};
use schemas::digest::Digest;
use schemas::guid::MessageId;
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::version::{Container, Info, Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, Kind, MessageDraft, ReplyDraft, ReplyForm};
use tokio::time::Instant;

use crate::items;
use crate::ledger::{Held, Ledger};
use crate::plan::{Clients, Habit};

/// A place in the server's log: everything up to there has been answered.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Of the log.
    pub incarnation: u128,
    /// In it.
    pub position: u64,
    /// Of the item there.
    pub digest: Digest,
}

impl Place {
    /// Where a link's lane begins.
    pub fn start(link: &Link) -> Option<Self> {
        let hello = link.peer_hello();
        let resume = hello.resume_of(Class::Normal)?;
        Some(Self { incarnation: hello.incarnation?, position: resume.position, digest: resume.digest })
    }
}

/// A client on its link.
pub struct Client {
    link: Link,
    replies: ReplySender,
    /// Whether replies are documents although the server takes them shorter.
    plain: bool,
    group: usize,
    ledger: Arc<Ledger>,
}

impl Client {
    /// Takes a link.
    ///
    /// # Errors
    /// Its reply lane is somebody else's already.
    pub fn new(link: Link, group: usize, plain: bool, ledger: Arc<Ledger>) -> anyhow::Result<Self> {
        let replies = link.replies().context("the reply lane is taken")?;
        Ok(Self { link, replies, plain, group, ledger })
    }

    /// Registers an inventory, asks for what is wanted, and takes what is there.
    ///
    /// # Errors
    /// The server refuses, or the link ends.
    pub async fn ask(&self, clients: &Clients, number: usize, held: &mut Held) -> anyhow::Result<()> {
        let inventory = [inventory(clients, number)];
        let wanted: Vec<VersionInfo> = clients.wants.iter().map(|want| items::product(want)).collect();
        let register = MessageDraft { major: Major::Register, minor: None, data: Some(&inventory) };
        let data = (!wanted.is_empty()).then_some(&wanted[..]);
        let request = MessageDraft { major: Major::Request, minor: Some(Minor::Full), data };
        for draft in [register, request] {
            self.exchange(&draft, held).await?;
        }
        Ok(())
    }

    async fn exchange(&self, draft: &MessageDraft<'_>, held: &mut Held) -> anyhow::Result<()> {
        let message_id = Some(MessageId(u128::from(self.ledger.elapsed().as_nanos() as u64)));
        let header = HeaderFields { message_id, ..HeaderFields::default() };
        let document = write::message(Spelling::default(), &header, std::slice::from_ref(draft));
        let mut exchange = self.link.open_exchange(&[document]).await?;
        let reply = exchange.recv().await?.context("no reply")?;
        succeeded(&reply.body).with_context(|| draft.major.as_str().to_owned())?;
        while let Some(frame) = exchange.recv().await? {
            parts(&frame.body)?.into_iter().for_each(|digest| self.ledger.receive(self.group, held, digest));
        }
        Ok(())
    }

    /// Reads what is pushed until the link ends.
    ///
    /// # Errors
    /// How it ended.
    pub async fn live(mut self, habit: Habit, held: &mut Held, place: &mut Option<Place>) -> anyhow::Result<()> {
        let mut lane = self.link.accept_lane().await?;
        if habit == Habit::Stalled {
            bail!("{}", self.link.closed().await);
        }
        let mut answers = Answers::default();
        let (begin, mut read) = (Instant::now(), 0);
        loop {
            let (header, body) = next(&mut lane).await?;
            let digests = parts(&body)?;
            let (items, last) = (digests.len(), digests.last().copied());
            digests.into_iter().for_each(|digest| self.ledger.receive(self.group, held, digest));
            // Before it is answered: what has been received is held, whatever becomes of the answer.
            if let (Some(place), Some(digest)) = (place.as_mut(), last) {
                (place.position, place.digest) = (header.position, digest);
            }
            if let Habit::Slow(rate) = habit {
                read += body.len();
                tokio::time::sleep_until(begin + Duration::from_secs_f64(read as f64 / f64::from(rate))).await;
            }
            drop(body);
            self.answer(&header, items, &mut answers).await?;
        }
    }

    async fn answer(&mut self, delivery: &FrameHeader, items: usize, answers: &mut Answers) -> anyhow::Result<()> {
        if self.plain || !self.replies.takes_short() {
            return Ok(self.replies.reply(delivery, &[answers.to(items)]).await?);
        }
        let number = MessageId(u128::from(self.ledger.elapsed().as_nanos() as u64));
        let reply = ShortReply { items: u16::try_from(items)?, message_id: number, sent_time: delivery.freshness };
        Ok(self.replies.succeed(delivery, reply).await?)
    }
}

async fn next(lane: &mut LaneReceiver) -> anyhow::Result<(FrameHeader, Bytes)> {
    let frame = lane.recv().await?.context("the server ended the lane")?;
    Ok((frame.header, frame.body))
}

/// An asset like a program of so many libraries, of which no two clients have the same.
fn inventory(clients: &Clients, number: usize) -> VersionInfo {
    let component = |index: usize| Info {
        container: Container {
            package: Some("cargo".into()),
            version: format!("1.{}.{}", number % 17, index % 9).into(),
            file_name: Some(format!("pkg:cargo/library-{}", (number * 7 + index) % 5000).into()),
            ..Container::default()
        },
        ..Info::default()
    };
    let contained = VersionInfo { info: (0..clients.components).map(component).collect(), ..VersionInfo::default() };
    let container = Container {
        version: "1.0.0".into(),
        file_name: Some(format!("program-{number}").into()),
        contained_versions: vec![contained],
        ..Container::default()
    };
    let product_name = Some(format!("program {} {number}", clients.name).into());
    VersionInfo { product_name, info: vec![Info { container, ..Info::default() }], ..VersionInfo::default() }
}

/// Whether each message of a document was answered Succeeded.
///
/// # Errors
/// What one was answered otherwise, and why.
pub fn succeeded(reply: &Bytes) -> anyhow::Result<()> {
    match read(reply)?.root {
        Root::Reply(core) => all_succeeded(&core),
        Root::Message(_) => bail!("a message where a reply belongs"),
    }
}

fn all_succeeded(core: &MessageCoreReply) -> anyhow::Result<()> {
    match &core.payload {
        ReplyPayload::Bundle(parts) => parts.iter().try_for_each(all_succeeded),
        ReplyPayload::Replies(replies) => replies.iter().try_for_each(|reply| {
            let (status, why) = (reply.status.as_str(), reply.description.as_ref());
            let why = why.and_then(|why| why.text.as_deref()).filter(|why| !why.is_empty());
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            ensure!(reply.status == ReplyStatus::Succeeded, "the server answered {status}{why}");
            Ok(())
        }),
    }
}

fn read(document: &Bytes) -> anyhow::Result<Document> {
    schemas::read::document(document, &Limits::default()).map_err(|refused| anyhow!("{}", refused.error))
}

/// The digests of the items in a delivery.
fn parts(document: &Bytes) -> anyhow::Result<Vec<Digest>> {
    let Root::Message(core) = read(document)?.root else { bail!("a reply where a delivery belongs") };
    match core.payload {
        Payload::Messages(_) => Ok(vec![Digest::of(document)]),
        Payload::Bundle(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Good(part) => Ok(Digest::of(&document[part.span.range()])),
                Part::Bad(part) => bail!("a delivery with a bad part: {}", part.error),
            })
            .collect(),
    }
}

/// Answers to bundles: those of one length are alike.
#[derive(Default)]
struct Answers(HashMap<usize, Bytes>);

impl Answers {
    fn to(&mut self, items: usize) -> Bytes {
        self.0.entry(items).or_insert_with(|| answer(items)).clone()
    }
}

fn answer(items: usize) -> Bytes {
    let (spelling, header) = (Spelling::default(), HeaderFields::default());
    let status = ReplyStatus::Succeeded;
    let form = ReplyForm::Version;
    let draft = ReplyDraft { cid: "#h02", uuid: None, reply_id: None, status, description: None, form, data: None };
    let (envelope, part) = (write::envelope(spelling, Kind::Reply, &header), write::reply(spelling, &header, &draft));
    let mut document = BytesMut::from(&envelope.head[..]);
    (0..items).for_each(|_| document.extend_from_slice(&part));
    document.extend_from_slice(&envelope.tail);
    document.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: &ReplyStatus) -> Bytes {
        let (spelling, header) = (Spelling::default(), HeaderFields::default());
        let (status, form) = (status.clone(), ReplyForm::Version);
        let draft = ReplyDraft { cid: "#h02", uuid: None, reply_id: None, status, description: None, form, data: None };
        write::reply(spelling, &header, &draft)
    }

    #[test]
    fn one_answer_that_is_not_succeeded_is_enough() {
        succeeded(&answer(3)).unwrap();
        let envelope = write::envelope(Spelling::default(), Kind::Reply, &HeaderFields::default());
        for status in [ReplyStatus::Failed, ReplyStatus::MinorNotSupported] {
            let parts = [envelope.head.clone(), reply(&ReplyStatus::Succeeded), reply(&status), envelope.tail.clone()];
            let error = succeeded(&parts.concat().into()).expect_err("refused").to_string();
            assert!(error.contains(status.as_str()), "{error}");
        }
    }
}
