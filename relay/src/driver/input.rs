//! What reaches the driver, and what it holds of each link.

use std::sync::Arc;

use node::catalogue::Stretch;
use node::engine::{ReplyTo, Welcome};
use node::ids::{ExchangeId, LinkId, Position, Resume};
use node::intake::Intake;
use node::policy::Policy;
use node::uplink;
use schemas::class::Class;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::mark::Mark;
use tokio::sync::{mpsc, oneshot, watch};
use topology::subscriptions::Subscription;

use crate::control::Listed;
use crate::links::lane::Lanes;
use crate::links::notes::Notes;
use crate::links::outgoing::Opening;
use crate::{reach, uplinks};

/// What reaches the driver from links.
pub(crate) enum Input {
    /// A client said Hello.
    Hello(Newcomer),
    /// A link is gone.
    LinkDown(LinkId),
    /// A document to be answered.
    Document {
        /// On this link.
        link: LinkId,
        /// Unique on it.
        exchange: ExchangeId,
        /// What it says.
        intake: Box<Intake>,
        /// Where the answer goes; closed without one if the link is not live.
        answer: oneshot::Sender<Box<ReplyTo>>,
    },
    /// An exchange has room for more of its answer.
    Stretch {
        /// What was asked for.
        asks: Arc<[Subscription]>,
        /// It has everything up to here.
        after: Position,
        /// And gets everything up to here.
        snapshot: Position,
        /// Where the answer goes.
        answer: oneshot::Sender<Stretch>,
    },
    /// The items of an answer are all out.
    AnswerEnded(LinkId, ExchangeId),
    /// The operator changed the policy.
    Policy(Policy),
    /// The link to an upstream stands.
    UplinkUp(ServerGuid, uplinks::Life, uplinks::Ends, uplink::Event),
    /// Something happened on it.
    Uplink(ServerGuid, uplinks::Life, uplink::Event),
    /// The operator puts this server under an upstream.
    Attach(Box<uplink::Config>, uplinks::Handle),
    /// And takes it away from there.
    Detach(ServerGuid),
    /// The operator lists the clients, those after one of them.
    Inventory { after: Option<ClientGuid>, answer: oneshot::Sender<Vec<Listed>> },
    /// Clients below are asked, or have answered.
    Reach(reach::Input),
    /// These items in the log are not what was stored.
    Damaged(Vec<Position>),
    /// A client got bytes that are not what their digest says: what is sent again is looked at again.
    DigestRefused,
    /// The lane of this class took its bundle.
    Ready(LinkId, Class),
    /// A bundle was answered.
    Answered {
        /// On this link.
        link: LinkId,
        /// On the lane of this class.
        class: Class,
        /// The bundle's position.
        position: Position,
        /// Whether each item was taken.
        outcomes: Vec<bool>,
    },
}

/// A link that wants to live.
pub(crate) struct Newcomer {
    /// Never used before.
    pub(crate) link: LinkId,
    /// By its certificate.
    pub(crate) client: ClientGuid,
    /// By its Hello.
    pub(crate) resume: Option<Resume>,
    /// By its Hello, if it is a local server.
    pub(crate) mark: Option<Mark>,
    /// Where the answer goes.
    pub(crate) welcome: oneshot::Sender<Welcome>,
    /// What the driver tells the link later.
    pub(crate) handle: Handle,
}

/// The driver's end of a link.
pub(crate) struct Handle {
    /// Bundles of each class; the shard never has more than one on the way.
    pub(crate) lanes: Arc<Lanes>,
    /// Exchanges to be opened; what finds no room is refused as busy.
    pub(crate) openings: mpsc::Sender<Box<Opening>>,
    /// What the client is told beside its lanes.
    pub(crate) notes: watch::Sender<Notes>,
    /// Why the link must close.
    pub(crate) close: oneshot::Sender<Closing>,
}

/// Why the driver closes a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// A newer link of the same client took its place.
    Replaced,
    /// The client broke the protocol.
    Breach(String),
}
