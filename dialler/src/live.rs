//! What passes between a dialler and its owner.

use bytes::Bytes;
use node::answer::Answer;
use node::client::Draft;
use node::ids::{ExchangeId, Position, Push, Resume};
use node::intake::Intake;
use schemas::core::ReplyStatus;
use schemas::guid::ClientGuid;
use schemas::mark::Mark;
use schemas::names::Spelling;
use tokio::sync::{mpsc, oneshot};

/// What a dialler tells its owner.
#[derive(Debug)]
pub enum Told {
    /// A link stands.
    Up(Box<Live>),
    /// It is gone, and every exchange with it.
    Down,
}

/// The owner's end of a link.
#[derive(Debug)]
pub struct Live {
    /// Whether the server says that everything must be asked for again.
    pub behind: bool,
    /// Where its lanes begin.
    pub start: Resume,
    /// What the server takes of the version messages, as `Major:Minor` texts, if it says so (R-8.2.2-6).
    pub policy: Option<Vec<String>>,
    /// The server's mark, then those of what stands above it.
    pub path: Vec<Mark>,
    /// Deliveries of the lanes. Holds one; the rest waits in the server's windows.
    pub pushes: mpsc::Receiver<(Push, Box<Intake>)>,
    /// Everything else that the server says.
    pub said: mpsc::Receiver<Said>,
    /// Answers to pushes. There is room for as many as a server may leave unanswered. Dropped, the link closes when the
    /// last one is written.
    pub answers: mpsc::Sender<Answered>,
    /// Exchanges to be opened, in order. Four are under way at once, four more may wait their turn.
    pub asks: mpsc::Sender<Outgoing>,
}

/// What a server says beside its lanes.
#[derive(Debug)]
pub enum Said {
    /// An exchange's reply: of each message, in document order.
    Replied(ExchangeId, Vec<Outcome>),
    /// A delivery of its answer.
    Delivered(ExchangeId, Box<Intake>),
    /// The client that the nearest header around the answer to each message names; for ready-made parts, before their
    /// reply.
    Named(ExchangeId, Vec<Option<ClientGuid>>),
    /// A reply by which the server calls this client otherwise from now on (R-9.3-7) comes next.
    Assigned(ClientGuid),
    /// Its end.
    Ended(ExchangeId),
    /// Its document is longer than the server takes; it was not sent, and nothing else comes of it.
    TooLong(ExchangeId, String),
    /// Items up to here may be missing.
    Behind(Position),
    /// What stands above the server has changed: its mark, then theirs.
    Path(Vec<Mark>),
    /// The server opened an exchange.
    Incoming(Incoming),
}

/// What one message was answered; and why, if not Succeeded.
pub type Outcome = (ReplyStatus, Option<String>);

/// An answer to a push.
#[derive(Debug)]
pub struct Answered {
    /// Which.
    pub push: Push,
    /// Of who delivered.
    pub spelling: Spelling,
    /// What is said.
    pub answer: Answer,
}

/// An exchange to be opened.
#[derive(Debug)]
pub struct Outgoing {
    /// The owner's name for it, never used twice on a link.
    pub exchange: ExchangeId,
    /// What it says.
    pub content: Content,
}

/// What an exchange says.
#[derive(Debug)]
pub enum Content {
    /// Messages of one fate, in one Payload. There is one outcome for each, or one for all if they were refused as a
    /// whole.
    Drafts(Vec<Draft>),
    /// Parts in this spelling, each a `Message_Core` of its own, which are wrapped in a header of this hop. There is one
    /// outcome for each message in them, in document order, as far as the server answered in their shape.
    Parts(Spelling, Vec<Bytes>),
}

/// An exchange that the server opened.
#[derive(Debug)]
pub struct Incoming {
    /// What it says.
    pub intake: Box<Intake>,
    /// Its outermost parts as documents of their own, their Headers as they stand, in the order of the intake's; empty
    /// bytes stand for one that breaks the grammar. None if the document carries messages.
    pub parts: Vec<Bytes>,
    /// Where the answer goes. Dropped without one, the exchange is given up as by a node that stops.
    pub answer: oneshot::Sender<Answering>,
}

/// The answer to an exchange of the server, in the spelling of the question.
#[derive(Debug)]
pub struct Answering {
    /// What is said of each message.
    pub answer: Answer,
    /// Documents that follow it, each in slices.
    pub deliveries: Vec<Vec<Bytes>>,
}
