//! The client above: what a local server asks one of its upstreams for, and how far it has heard it.
//!
//! The engine says what is wanted below (`Uplink::want`) and takes what comes; this machine decides what goes over the
//! link and when: one exchange at a time, so that what is gathered while one is under way goes together in the next; and
//! beside it one that tells of those below.
//! What an upstream was asked for is durable, and counts only when its answer was stored.

mod answers;
mod asking;
mod reports;
mod rows;
mod step;
mod telling;
mod waiting;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::mark::Mark;
use schemas::names::Spelling;
use topology::want::{Granularity, Want};

use crate::answer::Answer;
use crate::client::{Draft, Via};
use crate::ids::{ExchangeId, Position, Push, Resume, Time};
use crate::intake::Intake;
use crate::store::Write;

pub(crate) use self::reports::{Detail, Due, Gone, Part, Renamed, Reports};
pub(crate) use self::rows::server_of;
pub(crate) use self::telling::Assigned;
pub(crate) use self::waiting::{Kind, ParkedId};

use self::step::{Running, Step};
use self::telling::Telling;
use self::waiting::Waiting;
use self::words::Words;

/// Whose realm an upstream is of (design decision 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Realm {
    /// The same administrator's: what is registered below is told upwards as it is.
    Same,
    /// Another's: it sees names of its own catalogue, and nobody below.
    Foreign,
}

/// What an upstream is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Everything, in full: a mirror (R-8.2.2-2).
    Everything,
    /// What somebody below waits for, by name.
    Names,
    /// The list of everything, then single elements of it (R-8.2.2-3).
    Elements,
}

/// One upstream, as the operator configured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who it is, by its certificate.
    pub server: ServerGuid,
    /// Who this node is there.
    pub client: ClientGuid,
    /// Whose it is.
    pub realm: Realm,
    /// What it is asked for.
    pub ask: Ask,
    /// How exactly names are asked for in a foreign realm.
    pub granularity: Granularity,
    /// Clients below that run a version before it is named, at [`Granularity::Version`].
    pub registrants_min: usize,
    /// In a foreign realm a new name waits for a random time up to this, and all that are new by then go together.
    pub delay_max: Duration,
    /// How long an interest outlives the last client that had it; at least [`HOLD_MIN`].
    pub hold: Duration,
}

/// A client that changes its inventory ends and registers within this.
pub const HOLD_MIN: Duration = Duration::from_secs(1);
/// Pushed documents that wait for the end of an answer, and what they may hold: the windows of an upstream's three lanes,
/// and a document.
const HELD_BACK_MAX: usize = 3 * 256;
const HELD_BACK_BYTES_MAX: usize = 128 << 20;
/// After a refused Request the next one waits for this, doubled each time, up to the other.
const ASK_PAUSE: Duration = Duration::from_secs(1);
const ASK_PAUSE_MAX: Duration = Duration::from_secs(3600);
/// Refused by the upstream in every form: asked again after this.
const HALT: Duration = Duration::from_secs(24 * 3600);

/// What happens on the link to an upstream.
#[derive(Clone, Debug)]
pub enum Event {
    /// The upstream accepted the Hello.
    Connected {
        /// Whether everything must be asked for again.
        behind: bool,
        /// Where the lanes begin.
        start: Resume,
        /// What may be asked of it, if it says so (R-8.2.2-6): texts such as `Request:Full`.
        policy: Option<Vec<String>>,
        /// Its own mark and those of what stands above it.
        path: Vec<Mark>,
    },
    /// The link is gone, and every exchange with it.
    Disconnected,
    /// The upstream says that items up to here may have been missed.
    Behind(Position),
    /// What stands above the upstream has changed.
    Path(Vec<Mark>),
    /// A Delivery came.
    Delivery {
        /// On a lane or as an answer.
        via: Via,
        /// What it says.
        intake: Box<Intake>,
    },
    /// The reply of an exchange came.
    Replied {
        /// Which exchange.
        exchange: ExchangeId,
        /// What each message of it was answered, and why.
        outcomes: Vec<(ReplyStatus, Option<String>)>,
    },
    /// Whom the answer to each message of an exchange names; comes before `Replied`.
    Named {
        /// Which exchange.
        exchange: ExchangeId,
        /// The client in the nearest header of each answer.
        clients: Vec<Option<ClientGuid>>,
    },
    /// The upstream calls this node otherwise from now on (R-9.3-7).
    Assigned(ClientGuid),
    /// An exchange ended after its reply and all its deliveries.
    Ended(ExchangeId),
    /// What was to be said in this exchange is longer than the upstream takes: nothing of it was sent.
    TooLong(ExchangeId, String),
}

/// What a shell is to do on the link to an upstream.
#[derive(Clone, Debug)]
pub enum Action {
    /// Open an exchange with these messages in one Payload.
    Open(ExchangeId, Vec<Draft>),
    /// Open an exchange with these parts of one spelling, each a `Message_Core` of its own, in one document.
    Report(ExchangeId, Spelling, Vec<Bytes>),
    /// Answer a pushed Delivery on the reply lane.
    Answer {
        /// Which.
        push: Push,
        /// In the spelling of who delivered.
        spelling: Spelling,
        /// What is said.
        answer: Answer,
    },
    /// For the operator: the upstream refused what it was asked for, and says why. The link stays.
    Refused(String),
    /// Close the link, say why, and dial again after a pause, which grows while links do not last.
    Hangup(String),
    /// This node has left the upstream: do not dial again.
    Left,
}

/// What an uplink wants done after a change: [`crate::engine`] carries it out.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) actions: Vec<Action>,
    /// To be made durable.
    pub(crate) writes: Vec<Write>,
    /// The exchange that may go out when the writes are durable.
    pub(crate) opens: Option<ExchangeId>,
    /// Requests that waited for what was settled; they are looked at when the writes are durable.
    pub(crate) ready: Vec<ParkedId>,
    /// How this upstream is asked has changed: what is wanted of it is to be told anew.
    pub(crate) tell_again: bool,
    /// The upstream may not know any more what it was told of those below.
    pub(crate) report_again: bool,
    /// Clients below that it calls otherwise.
    pub(crate) renamed: Vec<Renamed>,
    /// What it calls this node, when the writes are durable.
    pub(crate) assigned: Option<Assigned>,
}

/// See the module.
#[derive(Debug)]
pub struct Uplink {
    config: Config,
    /// As configured, or less after the upstream refused it.
    ask: Ask,
    /// Durable: everything up to here that concerns `asked` is stored here.
    resume: Option<Resume>,
    /// Durable: what the upstream has, with its answer stored.
    asked: BTreeSet<Want>,
    /// Durable: what the upstream may have: it was told, and has not answered.
    unsure: BTreeSet<Want>,
    /// Durable: whether it has the standing Request:Catalog.
    has_catalog: bool,
    /// Whether some of its list was trimmed here since.
    list_cut: bool,
    /// Whether somebody below waits for the list.
    lists: bool,
    /// The upstream refused in every form.
    halted: Option<(Time, String)>,
    /// The upstream refused the last Request for single wants, though not their kind.
    refused: Option<Refused>,
    connected: bool,
    lane: Option<Resume>,
    synchronised: bool,
    again: bool,
    /// What the upstream has of this node is to be ended first.
    clearing: bool,
    running: Option<Running>,
    next_exchange: u64,
    /// Pushed while an answer was under way: at most what the upstream's window allows.
    held_back: VecDeque<(Push, Box<Intake>)>,
    /// What is wanted below: for each word of it, as it is asked for.
    told: BTreeMap<Want, BTreeSet<Want>>,
    /// How many words come to a want.
    counts: BTreeMap<Want, u32>,
    /// Wanted and not asked: when it is to be.
    due: BTreeMap<Want, Time>,
    /// Asked and not wanted: when it ends.
    ending: BTreeMap<Want, Time>,
    /// When the names gathered now are asked for.
    batch: Option<Time>,
    /// Durable: to be fetched once more, as it was trimmed here.
    refetch: BTreeSet<Want>,
    /// Those of it that are to be fetched again after the fetch that is under way.
    refetch_again: BTreeSet<Want>,
    waiting: Waiting,
    words: Words,
    reports: Reports,
    telling: Option<Telling>,
    /// Durable.
    assigned: Option<Assigned>,
    /// What is durable was asked for while the upstream was of another realm.
    other_realm: bool,
    path: Vec<Mark>,
    leaving: bool,
    /// State of the generator of delays.
    entropy: u64,
}

/// How often in a row Requests were refused.
#[derive(Debug)]
struct Refused {
    times: u32,
    /// Nothing more is asked for before.
    until: Time,
    /// Wants in the next one.
    most: usize,
    /// What the upstream said last.
    why: String,
}

impl Uplink {
    pub(crate) fn new(config: Config, entropy: u64) -> Self {
        Self {
            ask: config.ask,
            config,
            resume: None,
            asked: BTreeSet::new(),
            unsure: BTreeSet::new(),
            has_catalog: false,
            list_cut: false,
            lists: false,
            halted: None,
            refused: None,
            connected: false,
            lane: None,
            synchronised: false,
            again: false,
            clearing: false,
            running: None,
            next_exchange: 1,
            held_back: VecDeque::new(),
            told: BTreeMap::new(),
            counts: BTreeMap::new(),
            due: BTreeMap::new(),
            ending: BTreeMap::new(),
            batch: None,
            refetch: BTreeSet::new(),
            refetch_again: BTreeSet::new(),
            waiting: Waiting::default(),
            words: Words::default(),
            reports: Reports::default(),
            telling: None,
            assigned: None,
            other_realm: false,
            path: Vec::new(),
            leaving: false,
            entropy,
        }
    }

    /// As configured.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// For the Hello: everything up to here is durable here.
    pub fn resume(&self) -> Option<Resume> {
        self.resume
    }

    /// Whether the link stands.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether everything that was asked for since the link came up has arrived.
    pub fn is_synchronised(&self) -> bool {
        self.connected && self.synchronised && self.running.is_none()
    }

    /// Why nothing is asked any more, if the upstream refused it in every form.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_ref().map(|(_, why)| why.as_str())
    }

    /// What the upstream said when it refused the last Request, if it did: some of what is wanted is asked for later.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_ref().map(|refused| refused.why.as_str())
    }

    /// How it is asked now.
    pub fn asks(&self) -> Ask {
        self.ask
    }

    /// Wants that the upstream has.
    pub fn asked(&self) -> usize {
        self.asked.len()
    }

    /// The marks of what stands above this node by this upstream.
    pub(crate) fn path(&self) -> &[Mark] {
        if self.connected { &self.path } else { &[] }
    }

    /// Whether what it is asked for is taken from its catalogue.
    pub(crate) fn uses_words(&self) -> bool {
        match self.ask {
            Ask::Everything => false,
            Ask::Names => self.config.realm == Realm::Foreign,
            Ask::Elements => true,
        }
    }

    /// How exactly an entry of its catalogue is asked for.
    pub(crate) fn granularity(&self) -> Granularity {
        if self.ask == Ask::Elements { Granularity::Element } else { self.config.granularity }
    }

    /// What its catalogue names.
    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    pub(crate) fn words_mut(&mut self) -> &mut Words {
        &mut self.words
    }

    /// Whether its list is asked for: to choose from, or because somebody below waits for it. A mirror makes its own.
    pub(crate) fn takes_list(&self) -> bool {
        self.uses_words() || (self.lists && self.ask != Ask::Everything)
    }

    /// Whether the list that somebody below waits for is here, or not to be had.
    pub(crate) fn has_list(&self) -> bool {
        (self.has_catalog && !self.list_cut) || self.ask == Ask::Everything
    }

    /// Some of its list was trimmed here.
    pub(crate) fn cut_list(&mut self) {
        self.list_cut = true;
    }

    /// Asks for its list once more if some of it was trimmed here.
    pub(crate) fn relist(&mut self, writes: &mut Vec<Write>) {
        if self.has_catalog && self.list_cut {
            self.has_catalog = false;
            writes.push(self.delete_catalog());
        }
    }

    /// Says whether somebody below waits for the list.
    pub(crate) fn list(&mut self, lists: bool) {
        self.lists = lists;
    }

    /// Whether the upstream pushes what this want names, and has answered for the past.
    pub(crate) fn has(&self, want: &Want) -> bool {
        self.asked.contains(want) || self.asked.contains(&Want::Everything)
    }

    /// When to call [`Self::handle_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        if !self.connected || self.running.is_some() {
            return None;
        }
        if let Some((until, _)) = &self.halted {
            return Some(*until);
        }
        let due = self.due.values().min().map(|at| self.refused.as_ref().map_or(*at, |refused| refused.until.max(*at)));
        self.ending.values().copied().chain(due).min()
    }

    /// The next value of the generator of delays (SplitMix64).
    fn roll(&mut self) -> u64 {
        self.entropy = self.entropy.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.entropy;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
