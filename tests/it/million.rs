//! A million clients at one node: loaded, restarted, and each still reached.

use bytes::Bytes;
use node::engine::{Action, Config, Engine, Event};
use node::ids::{ExchangeId, LinkId, Time};
use node::intake::Intake;
use node::policy::Policy;
use node::records::{BelowRow, Registration, client_key};
use node::shard;
use node::store::{Recovered, Table, Write};
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use schemas::version::VersionInfo;
use tests::harness::draft;
use tests::harness::memory::Meter;
use topology::interest::Interest;
use topology::subscriptions::{self, Mode, Origin, Subscription};

const PROVIDER: ClientGuid = ClientGuid(0xf0);
const LOCAL: ClientGuid = ClientGuid(0xf1);
const NOW: Time = Time(1_700_000_000_000);

/// Clients at the node itself, and as many below a local server.
const HALF: u128 = 500_000;
/// Different components; each client has one.
const COMPONENTS: u128 = 50_000;
/// What a client may cost in memory, registration, subscription, its place in every index and the way to it.
const CLIENT_BYTES_MAX: usize = 1536;

fn direct(number: u128) -> ClientGuid {
    // Spread, so that no order helps.
    ClientGuid((1 << 100) | number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn below(number: u128) -> ClientGuid {
    ClientGuid(direct(number).0 | 1 << 101)
}

fn component(number: u128) -> String {
    format!("lib{}.so", number % COMPONENTS)
}

fn runs(number: u128) -> VersionInfo {
    draft::asset("Editor", "1", vec![draft::component(&component(number), "1")])
}

fn subscription(number: u128) -> Vec<u8> {
    let interest = Interest::from_version_info(&runs(number));
    subscriptions::encode(&[Subscription { interest, mode: Mode::Full, origin: Origin::Request, since: 0 }])
}

/// What a store holds of all but a few of them.
fn stored(from: u128) -> Recovered {
    let mut rows = Vec::new();
    for number in from..HALF {
        let registration = Registration { renewed: NOW.0, subscriptions: subscription(number) };
        rows.push((Table::Registrations, client_key(direct(number)), registration.encode()));
    }
    for number in 0..HALF {
        let path = vec![(0x5f, below(number).0)];
        let row = BelowRow { via: LOCAL.0, path, renewed: NOW.0, subscriptions: subscription(number) };
        rows.push((Table::Below, client_key(below(number)), row.encode()));
    }
    Recovered { incarnation: 0x1c, records: Vec::new(), lost: Vec::new(), rows }
}

/// An engine and the store that answers it at once.
struct Node {
    engine: Engine,
    kept: Vec<Write>,
    actions: Vec<Action>,
}

impl Node {
    fn recover(recovered: Recovered) -> Self {
        let policy = Policy { providers: [PROVIDER].into(), local_servers: [LOCAL].into(), ..Policy::default() };
        let engine = Engine::recover(Config::new(ServerGuid(0x5e)), policy, recovered, NOW).unwrap();
        Self { engine, kept: Vec::new(), actions: Vec::new() }
    }

    fn handle(&mut self, event: Event) {
        self.engine.handle(NOW, event);
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Store(ticket, writes) => {
                    self.kept.extend(writes);
                    self.engine.handle(NOW, Event::Stored(ticket));
                }
                action => self.actions.push(action),
            }
        }
    }

    fn connect(&mut self, link: u64, client: ClientGuid) {
        self.handle(Event::Hello { link: LinkId(link), client, resume: None, mark: None });
    }

    fn send(&mut self, link: u64, document: Bytes) {
        let facts = Validated::new(document, &Limits::default()).unwrap();
        let intake = Box::new(Intake::of(&facts).unwrap());
        self.handle(Event::Document { link: LinkId(link), exchange: ExchangeId(1), intake });
    }

    /// The links that the items of these actions go to.
    fn pushed_to(&mut self) -> Vec<u64> {
        let links = |action: Action| match action {
            Action::Shard(_, shard::Event::Item { links, .. }) => links,
            _ => Vec::new(),
        };
        self.actions.drain(..).flat_map(links).map(|(link, _)| link.0).collect()
    }
}

// P-5: what a client costs is bounded and said; after a restart nobody registers again and each is still found: an item
// goes to whom it concerns, and there is a way to each client below.
#[test]
fn p_5_a_million_clients_are_loaded_restarted_and_still_routed() {
    // A few come as clients do; what the store keeps of the others is what it would keep had they come so.
    const COMING: u128 = 1000;
    let mut node = Node::recover(stored(COMING));
    for number in 0..COMING {
        node.connect(number as u64 + 10, direct(number));
        node.send(number as u64 + 10, draft::request_full(&[runs(number)]));
    }
    assert_eq!(node.engine.registered(), HALF as usize);
    let written = std::mem::take(&mut node.kept);
    drop(node);

    let meter = Meter::start();
    let mut recovered = stored(COMING);
    for write in written {
        let Write::Put { table, key, value } = write else { panic!("{write:?}") };
        recovered.rows.push((table, key, value));
    }
    let mut node = Node::recover(recovered);
    // What was read is given back by now.
    let each = meter.held_bytes() / (2 * HALF as usize);
    println!("{each} bytes for each of {} clients", 2 * HALF);
    assert_eq!((node.engine.registered(), node.engine.subscriptions().len()), (HALF as usize, HALF as usize));
    let sample: Vec<u128> = (0..1000).map(|number| number * 499 % HALF).collect();
    for (link, number) in sample.iter().enumerate() {
        node.connect(link as u64 + 10, direct(*number));
        let route = node.engine.route(below(*number)).unwrap();
        assert_eq!(route.last().unwrap().1, below(*number));
    }
    node.connect(1, PROVIDER);
    node.actions.clear();
    for (link, number) in sample.iter().enumerate() {
        node.send(1, draft::deliver(&[draft::component_item(&format!("item-{number}"), &component(*number), "1")]));
        let concerned = |other: &&u128| *other % COMPONENTS == number % COMPONENTS;
        let wanted = sample.iter().filter(concerned).count();
        let links = node.pushed_to();
        assert!(links.len() == wanted && links.contains(&(link as u64 + 10)), "{links:?}");
    }
    assert!(each <= CLIENT_BYTES_MAX, "{each} bytes a client");
}
