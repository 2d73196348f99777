//! One synthetic client: it registers, asks for what it wants, and answers whatever is pushed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use bytes::{Bytes, BytesMut};
use link::connection::Link;
use link::error::RecvError;
use link::frame::{Frame, FrameHeader};
use link::hello::Resume;
use link::lane::{LaneReceiver, ReplySender};
use link::short::ShortReply;
use schemas::class::PerClass;
use schemas::core::{Document, MessageCoreReply, ReplyPayload, ReplyStatus, Root};
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
#[derive(Clone, Debug)]
pub struct Place {
    /// Of the log.
    pub incarnation: u128,
    /// In it, for each class.
    pub resume: Vec<Resume>,
}

impl Place {
    /// Where a link's lanes begin.
    pub fn start(link: &Link) -> Option<Self> {
        let hello = link.peer_hello();
        Some(Self { incarnation: hello.incarnation?, resume: hello.resume.clone() })
    }

    /// A Delivery was taken, whose last item has this digest.
    fn advance(&mut self, delivery: &FrameHeader, last: Digest) {
        for resume in &mut self.resume {
            let is_own = resume.class == delivery.class;
            if (is_own || delivery.settled[resume.class]) && delivery.position > resume.position {
                resume.position = delivery.position;
                resume.digest = if is_own { last } else { Digest::default() };
            }
        }
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
            let parts = self.ledger.readings.parts(&frame.header, &frame.body)?;
            parts.iter().for_each(|digest| self.ledger.receive(self.group, held, *digest));
        }
        Ok(())
    }

    /// Reads what is pushed until the link ends.
    ///
    /// # Errors
    /// How it ended.
    pub async fn live(self, habit: Habit, held: &mut Held, place: &mut Option<Place>) -> anyhow::Result<()> {
        let Self { link, mut replies, group, plain, ledger } = self;
        if habit == Habit::Stalled {
            bail!("{}", link.closed().await);
        }
        let mut answers = Answers { plain, ..Answers::default() };
        let (begin, mut read) = (Instant::now(), 0);
        let mut lanes = Lanes::default();
        let accepting = link.accept_lane();
        tokio::pin!(accepting);
        loop {
            let (header, body) = tokio::select! {
                lane = &mut accepting => {
                    lanes.add(lane?);
                    accepting.set(link.accept_lane());
                    continue;
                }
                frame = lanes.next() => frame?,
            };
            let digests = ledger.readings.parts(&header, &body)?;
            let (items, last) = (digests.len(), digests.last().copied());
            digests.iter().for_each(|digest| ledger.receive(group, held, *digest));
            // Before it is answered: what has been received is held, whatever becomes of the answer.
            if let (Some(place), Some(last)) = (place.as_mut(), last) {
                place.advance(&header, last);
            }
            if let Habit::Slow(rate) = habit {
                read += body.len();
                tokio::time::sleep_until(begin + Duration::from_secs_f64(read as f64 / f64::from(rate))).await;
            }
            drop(body);
            answers.answer(&mut replies, &header, items).await?;
        }
    }
}

/// The lanes that the server has opened so far.
#[derive(Default)]
struct Lanes(PerClass<Option<LaneReceiver>>);

impl Lanes {
    fn add(&mut self, lane: LaneReceiver) {
        let class = lane.class();
        self.0[class] = Some(lane);
    }

    /// The next Delivery of any of them. Safe to cancel.
    async fn next(&mut self) -> anyhow::Result<(FrameHeader, Bytes)> {
        let [critical, normal, bulk] = self.0.each_mut();
        let frame = tokio::select! {
            frame = next(critical) => frame,
            frame = next(normal) => frame,
            frame = next(bulk) => frame,
        };
        let frame = frame?.context("the server ended a lane")?;
        Ok((frame.header, frame.body))
    }
}

async fn next(lane: &mut Option<LaneReceiver>) -> Result<Option<Frame>, RecvError> {
    match lane {
        Some(lane) => lane.recv().await,
        None => std::future::pending().await,
    }
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

pub(crate) fn read(document: &Bytes) -> anyhow::Result<Document> {
    schemas::read::document(document, &Limits::default()).map_err(|refused| anyhow!("{}", refused.error))
}

/// Answers to bundles.
#[derive(Default)]
struct Answers {
    /// Always as documents.
    plain: bool,
    given: u64,
    /// Those of one length are alike.
    documents: HashMap<usize, Bytes>,
}

impl Answers {
    async fn answer(&mut self, replies: &mut ReplySender, delivery: &FrameHeader, items: usize) -> anyhow::Result<()> {
        self.given += 1;
        if self.plain || !replies.takes_short() {
            let document = self.documents.entry(items).or_insert_with(|| answer(items)).clone();
            return Ok(replies.reply(delivery, &[document]).await?);
        }
        let message_id = MessageId(self.given.into());
        let reply = ShortReply { items: u16::try_from(items)?, message_id, sent_time: delivery.freshness };
        Ok(replies.succeed(delivery, reply).await?)
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
