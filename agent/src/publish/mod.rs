//! Publishing: items up, each answered once, over as many links as it takes.
//!
//! Items go in bundles, a few exchanges at a time. What was not answered when a link is lost is sent again on the next:
//! an item has the same bytes and the same `Message_ID` each time, so the server knows it (row R-10.1.2-6).

mod answer;
mod pace;
pub mod state;

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use dialler::{Hop, documents};
use link::backoff::Backoff;
use link::close::CloseCode;
use link::connection::Link;
use link::endpoint::{Client as Endpoint, ConnectError};
use link::hello::Hello;
use link::limits::LinkLimits;
use link::tls;
use node::bundle;
use schemas::core::Root;
use schemas::guid::{ClientGuid, MessageId};
use schemas::names::Spelling;
use schemas::signature::{Options, PrivateKey, SignError};
use schemas::version::VersionInfo;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::pace::Pace;
use crate::config::Config;
use crate::run::{self, RunError};

/// Exchanges under way at once: enough to keep the server's disk busy, few enough that its first window holds them.
const EXCHANGES_MAX: usize = 4;
/// Items in one exchange.
const ITEMS_MAX: usize = 64;
/// How long nothing may be answered before [`publish`] gives up.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How long the server may take to hear that the link is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// An item that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    label: String,
    message_id: MessageId,
    bytes: Bytes,
}

impl Part {
    /// A Deliver:Full of these. The label is for people, such as the path that the item came from.
    pub fn new(label: impl Into<String>, infos: &[VersionInfo]) -> Self {
        let (message_id, bytes) = documents::item(infos);
        Self { label: label.into(), message_id, bytes }
    }

    /// The same with its message signed.
    ///
    /// # Errors
    /// If the key does not sign, or the item is no document.
    pub fn signed(
        label: impl Into<String>,
        infos: &[VersionInfo],
        key: &PrivateKey,
        options: &Options<'_>,
    ) -> Result<Self, SignError> {
        let (message_id, bytes) = documents::signed_item(infos, key, options)?;
        Ok(Self { label: label.into(), message_id, bytes })
    }

    /// For people.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The item as a document of its own: what agents get, byte for byte.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Taken from the content.
    pub fn message_id(&self) -> MessageId {
        self.message_id
    }
}

/// What a publication tells while it runs.
#[derive(Clone, Debug)]
pub enum Told<'a> {
    /// A link stands.
    Up,
    /// There is none; the next dial comes after this wait.
    Down {
        /// Why.
        why: String,
        /// How long.
        wait: Duration,
    },
    /// A part was answered: `Err` says how it was refused.
    Answered {
        /// Its index.
        part: usize,
        /// How.
        outcome: &'a Result<(), String>,
    },
}

/// How to go about it.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How long nothing may be answered before it gives up, also if there never was a link.
    pub patience: Duration,
    /// Items a second; as fast as they are answered if there is none.
    pub rate: Option<NonZeroU32>,
}

impl Default for Manner {
    fn default() -> Self {
        Self { patience: PATIENCE, rate: None }
    }
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Published {
    /// Of each part, in order.
    pub outcomes: Vec<Result<(), String>>,
    /// Bytes of the parts.
    pub bytes: u64,
    /// Links that it took.
    pub links: u32,
    /// From the first dial to the last answer.
    pub took: Duration,
}

impl Published {
    /// Indices of the refused parts, and why.
    pub fn refused(&self) -> impl Iterator<Item = (usize, &str)> {
        let each = self.outcomes.iter().enumerate();
        each.filter_map(|(index, outcome)| outcome.as_ref().err().map(|why| (index, why.as_str())))
    }
}

/// Why not everything was answered.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The identity, the state directory or the socket.
    #[error(transparent)]
    Start(#[from] RunError),
    /// No link, and waiting would not help.
    #[error("no link to {addr}: {error}")]
    Hopeless {
        /// To whom.
        addr: std::net::SocketAddr,
        /// Why.
        error: ConnectError,
    },
    /// Nothing was answered for a long time.
    #[error("nothing was answered for {} s, {unanswered} items are left: {last}; run the same command again", patience.as_secs())]
    Patience {
        /// How long was waited.
        patience: Duration,
        /// Items that were not answered.
        unanswered: usize,
        /// What went wrong last.
        last: String,
    },
}

/// Sends parts to the configured server until each is answered, with [`PATIENCE`].
///
/// # Errors
/// See [`PublishError`]; what was answered before was told.
pub async fn publish(config: &Config, parts: &[Part], told: impl FnMut(Told<'_>)) -> Result<Published, PublishError> {
    publish_in(config, parts, Manner::default(), told).await
}

/// The same in another manner.
///
/// # Errors
/// See [`PublishError`]; what was answered before was told.
pub async fn publish_in(
    config: &Config,
    parts: &[Part],
    manner: Manner,
    told: impl FnMut(Told<'_>),
) -> Result<Published, PublishError> {
    let identity = run::identity(config)?;
    let hop = Hop { client: ClientGuid(identity.guid()), server: config.server.guid.0 };
    // Only replies come down, but whole publications go up.
    let limits = LinkLimits { send_window: LinkLimits::trunk().send_window, ..LinkLimits::device() };
    let endpoint = run::endpoint(&identity, config.server.address, limits).map_err(RunError::from)?;
    let pace = Pace::new(manner.rate);
    let publication = Publication {
        addr: config.server.address,
        hop,
        parts,
        told,
        waiting: bundles(parts, pace.items_max(ITEMS_MAX)),
        outcomes: vec![None; parts.len()],
        progress: Instant::now(),
        patience: manner.patience,
        pace,
    };
    let outcome = publication.run(&endpoint).await;
    endpoint.close(CloseCode::Done, "everything is published");
    // The server's acknowledgement of the close is a courtesy.
    drop(tokio::time::timeout(FAREWELL, endpoint.wait_idle()).await);
    outcome
}

/// Indices of parts, in the order in which they are sent, as many together as make one exchange.
fn bundles(parts: &[Part], items_max: usize) -> VecDeque<Vec<usize>> {
    let limits = bundle::Limits { bundle_items_max: items_max, ..bundle::Limits::default() };
    let mut bundles = VecDeque::new();
    let mut from = 0;
    while from < parts.len() {
        let sizes = parts[from..].iter().map(|part| (part.bytes.len() as u64, Spelling::Double));
        let to = from + limits.first(sizes);
        bundles.push_back((from..to).collect());
        from = to;
    }
    bundles
}

struct Publication<'a, F> {
    addr: std::net::SocketAddr,
    hop: Hop,
    parts: &'a [Part],
    told: F,
    waiting: VecDeque<Vec<usize>>,
    outcomes: Vec<Option<Result<(), String>>>,
    /// When something was answered last.
    progress: Instant,
    patience: Duration,
    pace: Pace,
}

/// A bundle, and what became of its exchange.
type Exchanged = (Vec<usize>, Result<Vec<Result<(), String>>, String>);

impl<F: FnMut(Told<'_>)> Publication<'_, F> {
    async fn run(mut self, endpoint: &Endpoint) -> Result<Published, PublishError> {
        let (begin, mut links) = (Instant::now(), 0);
        let mut backoff = Backoff::default();
        while !self.waiting.is_empty() {
            let why = match endpoint.connect(self.addr, self.hop.server, Hello::default()).await {
                Ok(link) => {
                    links += 1;
                    (self.told)(Told::Up);
                    let before = self.unanswered();
                    let broken = self.over(link).await;
                    if self.unanswered() < before {
                        backoff.reset();
                    }
                    broken
                }
                Err(error) if is_hopeless(&error) => return Err(PublishError::Hopeless { addr: self.addr, error }),
                Err(error) => Some(error.to_string()),
            };
            let Some(why) = why else { break };
            let left = self.patience.saturating_sub(self.progress.elapsed());
            if left.is_zero() {
                let patience = self.patience;
                return Err(PublishError::Patience { patience, unanswered: self.unanswered(), last: why });
            }
            let wait = backoff.next(tls::random_u64()).min(left);
            (self.told)(Told::Down { why, wait });
            tokio::time::sleep(wait).await;
        }
        let bytes = self.parts.iter().map(|part| part.bytes.len() as u64).sum();
        let unanswered = || Err("it was never answered".to_owned());
        let outcomes = self.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unanswered)).collect();
        Ok(Published { outcomes, bytes, links, took: begin.elapsed() })
    }

    /// Sends what waits over one link; says why if something is left.
    async fn over(&mut self, link: Link) -> Option<String> {
        let mut exchanges: JoinSet<Exchanged> = JoinSet::new();
        let mut broken = None;
        loop {
            let has_room = broken.is_none() && exchanges.len() < EXCHANGES_MAX && !self.waiting.is_empty();
            if has_room
                && self.pace.is_due()
                && let Some(bundle) = self.waiting.pop_front()
            {
                let parts = bundle.iter().map(|index| self.parts[*index].clone()).collect();
                let (link, hop) = (link.clone(), self.hop);
                self.pace.sent(bundle.len());
                exchanges.spawn(async move { (bundle, exchange(&link, hop, parts).await) });
                continue;
            }
            let answered = tokio::select! {
                Some(answered) = exchanges.join_next() => answered,
                () = tokio::time::sleep_until(self.pace.due()), if has_room => continue,
                else => break,
            };
            // The tasks neither panic nor are aborted.
            let Ok((bundle, answer)) = answered else { break };
            match answer {
                Ok(outcomes) => self.answered(&bundle, outcomes),
                Err(why) => {
                    tracing::debug!(why, "an exchange broke: its items are sent again");
                    // The others on this link get their answers or break too.
                    link.close(CloseCode::Done, "an exchange broke");
                    self.waiting.push_front(bundle);
                    broken.get_or_insert(why);
                }
            }
        }
        link.close(CloseCode::Done, "everything is published");
        broken
    }

    fn answered(&mut self, bundle: &[usize], outcomes: Vec<Result<(), String>>) {
        self.progress = Instant::now();
        for (part, outcome) in bundle.iter().zip(outcomes) {
            (self.told)(Told::Answered { part: *part, outcome: &outcome });
            self.outcomes[*part] = Some(outcome);
        }
    }

    fn unanswered(&self) -> usize {
        self.waiting.iter().map(Vec::len).sum()
    }
}

/// What no waiting mends.
fn is_hopeless(error: &ConnectError) -> bool {
    match error {
        ConnectError::Address { .. }
        | ConnectError::Tls(_)
        | ConnectError::NotTheServer(_)
        | ConnectError::CertificateRefused(_)
        | ConnectError::Version => true,
        ConnectError::Refused(reason) => reason.code == CloseCode::Refused,
        ConnectError::Timeout(_)
        | ConnectError::Failed(_)
        | ConnectError::Frame(_)
        | ConnectError::Hello(_)
        | ConnectError::Busy => false,
    }
}

/// One bundle up, its reply down.
async fn exchange(link: &Link, hop: Hop, parts: Vec<Part>) -> Result<Vec<Result<(), String>>, String> {
    let document = documents::bundle(hop, Spelling::Double, parts.iter().map(|part| part.bytes.clone()));
    let mut outgoing = match link.open_exchange(&document).await {
        Ok(outgoing) => outgoing,
        // To send it again would not help, and a bundle of several is far below what any server takes.
        Err(error @ link::error::SendError::TooLong { .. }) => {
            return Ok(parts.iter().map(|_| Err(error.to_string())).collect());
        }
        Err(error) => return Err(error.to_string()),
    };
    let reply = outgoing.recv().await.map_err(|error| error.to_string())?.ok_or("no reply before the end")?;
    let (facts, _) = documents::read(reply.body).await.map_err(|refused| format!("an unreadable reply: {refused}"))?;
    let Root::Reply(reply) = &facts.document().root else { return Err("a message where a reply belongs".to_owned()) };
    let ids: Vec<MessageId> = parts.iter().map(|part| part.message_id).collect();
    let outcomes = answer::outcomes(reply, &ids)?;
    match outgoing.recv().await {
        Ok(None) => Ok(outcomes),
        Ok(Some(_)) => Err("a delivery where none was asked for".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use schemas::version::{Container, Info};

    use super::*;

    fn part(size: usize) -> Part {
        let container =
            Container { version: "1".into(), author_comments: Some("x".repeat(size).into()), ..Container::default() };
        Part::new("p", &[VersionInfo { info: vec![Info { container, ..Info::default() }], ..VersionInfo::default() }])
    }

    #[test]
    fn bundles_keep_their_bounds_and_the_order() {
        let small = vec![part(10); 2 * ITEMS_MAX + 1];
        let counts: Vec<usize> = bundles(&small, ITEMS_MAX).iter().map(Vec::len).collect();
        assert_eq!(counts, [ITEMS_MAX, ITEMS_MAX, 1]);
        let large = [part(10), part(70 << 10), part(10)];
        assert_eq!(bundles(&large, ITEMS_MAX), [vec![0], vec![1], vec![2]]);
        assert!(bundles(&[], ITEMS_MAX).is_empty());
    }

    #[test]
    fn a_parts_bytes_are_stable() {
        assert_eq!(part(10), part(10));
        assert_ne!(part(10).message_id(), part(11).message_id());
    }
}
