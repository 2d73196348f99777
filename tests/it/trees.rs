//! Trees of ten thousand nodes that are rearranged all the time, against a plain model: who stands above whom is known
//! everywhere, and nobody comes to stand below himself.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use node::engine::{Action, Config, Engine, Event, ReplyTo};
use node::ids::{ExchangeId, LinkId, Time};
use node::intake::Intake;
use node::policy::Policy;
use node::store::Recovered;
use node::uplink::{self, Ask, Realm};
use schemas::core::ReplyStatus;
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::limits::Limits;
use schemas::mark::Mark;
use schemas::names::Spelling;
use schemas::version::Major;
use schemas::write::{self, HeaderFields, MessageDraft};
use tests::faults::Random;
use tests::harness::draft;
use topology::want::Granularity;

const NODES: usize = 10_000;
const MOVES: usize = 10_000;
/// Marks in a path.
const PATH_MAX: usize = 64;
const NOW: Time = Time(1_700_000_000_000);

fn server(node: usize) -> ServerGuid {
    ServerGuid(0x10_0000 + node as u128)
}

fn mark(node: usize) -> Mark {
    Mark::of(server(node).0)
}

/// Whom each node stands under.
struct Model(Vec<Option<usize>>);

impl Model {
    /// The node and what stands above it, as far as a path says it.
    fn path(&self, node: usize) -> Vec<Mark> {
        std::iter::successors(Some(node), |node| self.0[*node]).map(mark).take(PATH_MAX).collect()
    }

    fn is_under(&self, node: usize, top: usize) -> bool {
        std::iter::successors(Some(node), |node| self.0[*node]).any(|one| one == top)
    }
}

/// Engines, and the links between them.
struct Tree {
    engines: Vec<Engine>,
    /// Of each, those below it.
    links: Vec<BTreeMap<usize, LinkId>>,
    next_link: u64,
}

/// What a node has done that others do not hear of.
#[derive(Default)]
struct Done {
    welcome: Option<(node::ids::Resume, Vec<Mark>)>,
    hangup: Option<String>,
    reply: Option<Box<ReplyTo>>,
}

impl Tree {
    fn new() -> Self {
        let engine = |node| {
            let config = Config { mark: mark(node), ..Config::new(server(node)) };
            let kept = Recovered { incarnation: 1 + node as u128, ..Recovered::default() };
            Engine::recover(config, Policy::default(), kept, NOW).unwrap()
        };
        Self { engines: (0..NODES).map(engine).collect(), links: vec![BTreeMap::new(); NODES], next_link: 1 }
    }

    /// Something happens to a node; whatever its path becomes is told downwards.
    fn handle(&mut self, node: usize, event: Event) -> Done {
        let mut done = Done::default();
        let mut events = VecDeque::from([(node, event)]);
        while let Some((at, event)) = events.pop_front() {
            self.engines[at].handle(NOW, event);
            while let Some(action) = self.engines[at].poll_action() {
                match action {
                    Action::Store(ticket, _) => self.engines[at].handle(NOW, Event::Stored(ticket)),
                    Action::Path(path) => {
                        let told =
                            |below: &usize| (*below, Event::Uplink(server(at), uplink::Event::Path(path.clone())));
                        events.extend(self.links[at].keys().map(told));
                    }
                    Action::Welcome(_, welcome) => done.welcome = Some((welcome.start, welcome.path)),
                    Action::Uplink(_, uplink::Action::Hangup(why)) => done.hangup = Some(why),
                    Action::Reply(reply) => done.reply = Some(reply),
                    _ => {}
                }
            }
        }
        done
    }

    /// Puts a node under another; `Err` says why it hung up.
    fn attach(&mut self, node: usize, above: usize) -> Result<(), String> {
        let config = uplink::Config {
            server: server(above),
            client: ClientGuid(server(node).0),
            realm: Realm::Same,
            ask: Ask::Names,
            granularity: Granularity::Product,
            registrants_min: 1,
            delay_max: Duration::ZERO,
            hold: Duration::from_secs(1),
        };
        self.handle(node, Event::Attach(config));
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let (client, mark) = (ClientGuid(server(node).0), Some(mark(node)));
        let (start, path) =
            self.handle(above, Event::Hello { link, client, resume: None, mark }).welcome.expect("a welcome");
        let connected = uplink::Event::Connected { behind: false, start, policy: None, path };
        self.links[above].insert(node, link);
        self.handle(node, Event::Uplink(server(above), connected)).hangup.map_or(Ok(()), Err)
    }

    fn detach(&mut self, node: usize, above: usize) {
        if let Some(link) = self.links[above].remove(&node) {
            self.handle(above, Event::LinkDown(link));
        }
        self.handle(node, Event::Uplink(server(above), uplink::Event::Disconnected));
        self.handle(node, Event::Detach(server(above)));
    }

    /// What a node answers one below it that registers.
    fn registers(&mut self, node: usize, above: usize) -> ReplyStatus {
        // Each with an ID of its own: one that repeats another is answered as that was.
        self.next_link += 1;
        let header = HeaderFields { message_id: Some(MessageId(self.next_link.into())), ..draft::header() };
        let register = MessageDraft { major: Major::Register, minor: None, data: Some(&[draft::product("P")]) };
        let facts = Validated::new(write::message(Spelling::Double, &header, &[register]), &Limits::default()).unwrap();
        let intake = Box::new(Intake::of(&facts).unwrap());
        let link = self.links[above][&node];
        let done = self.handle(above, Event::Document { link, exchange: ExchangeId(1), intake });
        done.reply.expect("a reply").answer.leaves()[0].status.clone()
    }

    /// What a node tells a client that comes to it.
    fn path(&mut self, node: usize) -> Vec<Mark> {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let hello = Event::Hello { link, client: ClientGuid(7), resume: None, mark: None };
        let path = self.handle(node, hello).welcome.expect("a welcome").1;
        self.handle(node, Event::LinkDown(link));
        path
    }
}

// R-9.3-2: any tree, attached and detached at run time; what would close a cycle is refused on both sides.
#[test]
fn c9_3_ten_thousand_nodes_are_rearranged_and_never_in_a_circle() {
    let mut random = Random::new(1206);
    let (mut tree, mut model) = (Tree::new(), Model(vec![None; NODES]));
    for node in 1..NODES {
        let above = random.below(node as u64) as usize;
        assert_eq!(tree.attach(node, above), Ok(()));
        model.0[node] = Some(above);
    }
    let mut refused = 0;
    for _ in 0..MOVES {
        let node = 1 + random.below(NODES as u64 - 1) as usize;
        // Every other time somewhere below itself, if there is anything.
        let below: Vec<usize> = tree.links[node].keys().copied().collect();
        let inside = random.one_in(2) && !below.is_empty();
        let to =
            if inside { below[random.below(below.len() as u64) as usize] } else { random.below(NODES as u64) as usize };
        if model.is_under(to, node) {
            let why = tree.attach(node, to).expect_err("a circle");
            assert!(why.contains("cycle"), "{why}");
            assert_eq!(tree.registers(node, to), ReplyStatus::Failed);
            tree.detach(node, to);
            refused += 1;
        } else if let Some(above) = model.0[node].filter(|above| *above != to) {
            tree.detach(node, above);
            assert_eq!(tree.attach(node, to), Ok(()));
            assert_eq!(tree.registers(node, to), ReplyStatus::Succeeded);
            model.0[node] = Some(to);
        }
    }
    println!("{refused} of {MOVES} would have closed a circle");
    assert!(refused > 1000, "{refused}");
    for node in 0..NODES {
        assert_eq!(tree.path(node), model.path(node), "{node}");
    }
}
