//! What goes up of those below: two local servers and a server, one engine each.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use schemas::core::ReplyStatus;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::names::Spelling;
use schemas::version::{Major, Minor};
use schemas::write::{self, HeaderFields, Kind};
use topology::interest::Interest;
use topology::subscriptions::Mode;
use topology::want::Granularity;

use super::bench::{Bench, DEVICE, OTHER, config, document, draft, register, runs, statuses};
use crate::engine::{Action, Config, Event, Route};
use crate::ids::{ExchangeId, LinkId, Position, Resume};
use crate::policy::Policy;
use crate::store::Recovered;
use crate::uplink::{self, Ask, Realm};

/// The top, the local server below it, and the one below that. Each has one GUID for both sides.
const GUIDS: [u128; 3] = [0xa0, 0xa1, 0xa2];
const START: Resume = Resume::at(0x1c, Position(0), None);

type Known = BTreeSet<(ClientGuid, usize, BTreeSet<(Mode, Interest)>)>;

/// A chain of engines, the top first.
struct Chain {
    benches: Vec<Bench>,
    configs: Vec<Config>,
    /// The link to the one above, as it is called there.
    links: Vec<Option<LinkId>>,
}

fn tier(at: usize, realm: Realm) -> Config {
    let upstream = |above: usize| uplink::Config {
        server: ServerGuid(GUIDS[above]),
        client: ClientGuid(GUIDS[at]),
        realm,
        ask: Ask::Names,
        granularity: Granularity::Product,
        registrants_min: 2,
        delay_max: Duration::ZERO,
        hold: Duration::from_secs(10),
    };
    Config {
        server: ServerGuid(GUIDS[at]),
        upstreams: at.checked_sub(1).map(upstream).into_iter().collect(),
        lease: Duration::from_secs(30 * 24 * 3600),
        ..config()
    }
}

fn start(config: &Config, kept: Recovered) -> Bench {
    let mut bench = Bench::with(config.clone(), kept);
    bench.handle(Event::Policy(servers()));
    bench
}

fn servers() -> Policy {
    Policy { local_servers: GUIDS.map(ClientGuid).into(), combine: Duration::ZERO, ..super::bench::policy() }
}

impl Chain {
    fn new(realms: [Realm; 2]) -> Self {
        let configs: Vec<Config> =
            [Realm::Same, realms[0], realms[1]].into_iter().enumerate().map(|(at, realm)| tier(at, realm)).collect();
        let kept = || Recovered { incarnation: 0x1c, ..Recovered::default() };
        let benches = configs.iter().map(|config| start(config, kept())).collect();
        Self { benches, configs, links: vec![None; 3] }
    }

    fn joined(realms: [Realm; 2]) -> Self {
        let mut chain = Self::new(realms);
        chain.join(1, false);
        chain.join(2, false);
        chain
    }

    /// The link to the one above comes up.
    fn join(&mut self, at: usize, behind: bool) {
        self.cut(at);
        self.links[at] = Some(self.benches[at - 1].connect(ClientGuid(GUIDS[at]), None).0);
        let event = uplink::Event::Connected { behind, start: START, policy: None, path: Vec::new() };
        self.tell(at, event);
        self.pump();
    }

    fn cut(&mut self, at: usize) {
        if let Some(link) = self.links[at].take() {
            self.benches[at - 1].handle(Event::LinkDown(link));
            self.benches[at - 1].settle();
            self.tell(at, uplink::Event::Disconnected);
        }
    }

    fn tell(&mut self, at: usize, event: uplink::Event) {
        self.benches[at].handle(Event::Uplink(ServerGuid(GUIDS[at - 1]), event));
        self.benches[at].settle();
    }

    fn restart(&mut self, at: usize) {
        if at > 0 {
            self.cut(at);
        }
        if at + 1 < self.links.len() {
            self.cut(at + 1);
        }
        let now = self.benches[at].now;
        let mut bench = start(&self.configs[at], self.benches[at].kept.clone());
        bench.now = now;
        bench.handle_time();
        self.benches[at] = bench;
    }

    /// Carries documents up and answers down until nobody says anything.
    fn pump(&mut self) {
        while (1..self.benches.len()).rev().any(|at| self.pass_on(at)) {}
    }

    fn pass_on(&mut self, at: usize) -> bool {
        let asked = self.asked(at);
        let said = !asked.is_empty();
        for (exchange, document, _) in asked {
            let Some(link) = self.links[at] else { continue };
            let reply = self.benches[at - 1].send(link, &document);
            let outcomes = statuses(&reply).into_iter().map(|status| (status, None)).collect();
            self.tell(at, uplink::Event::Replied { exchange, outcomes });
            self.tell(at, uplink::Event::Ended(exchange));
        }
        said
    }

    /// Documents that one says to the one above, and whether each is a report.
    fn asked(&mut self, at: usize) -> Vec<(ExchangeId, Bytes, bool)> {
        let header = HeaderFields {
            server_guid: Some(ServerGuid(GUIDS[at - 1])),
            client_guid: Some(ClientGuid(GUIDS[at])),
            ..HeaderFields::default()
        };
        let mut asked = Vec::new();
        for action in std::mem::take(&mut self.benches[at].actions) {
            match action {
                Action::Uplink(_, uplink::Action::Report(exchange, spelling, parts)) => {
                    let envelope = write::envelope(spelling, Kind::Message, &header);
                    asked.push((exchange, [&envelope.head[..], &parts.concat(), &envelope.tail].concat().into(), true));
                }
                Action::Uplink(_, uplink::Action::Open(exchange, drafts)) => {
                    let drafts: Vec<_> =
                        drafts.iter().map(|one| draft(one.major.clone(), one.minor.clone(), &one.infos)).collect();
                    asked.push((exchange, write::message(Spelling::Double, &header, &drafts), false));
                }
                action => self.benches[at].actions.push(action),
            }
        }
        asked
    }

    /// What the top and another one know of a client.
    fn known(&self, at: usize, client: ClientGuid) -> Option<BTreeSet<(Mode, Interest)>> {
        let listed =
            self.benches[at].engine.inventory(None, 1000).into_iter().find(|listed| listed.client == client)?;
        let subscriptions = listed.subscriptions.iter();
        Some(subscriptions.map(|subscription| (subscription.mode, subscription.interest.clone())).collect())
    }

    /// Clients that one knows by such ways, how far below the top each is, and what it wants. No local servers.
    fn known_at(&self, at: usize, by: impl Fn(&Route) -> bool, depth: usize) -> Known {
        let all = self.benches[at].engine.inventory(None, 1000).into_iter();
        let clients = all.filter(|listed| by(&listed.route) && !GUIDS.contains(&listed.client.0));
        let known = clients.filter_map(|listed| {
            let wants = self.known(at, listed.client)?;
            Some((listed.client, depth + listed.route.len(), wants))
        });
        known.collect()
    }

    fn pass(&mut self, time: Duration) {
        for bench in &mut self.benches {
            bench.now = bench.now.after(time);
            bench.handle_time();
        }
        self.pump();
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn end(id: u128, name: &str) -> Bytes {
    document(id, &[draft(Major::Register, Some(Minor::End), &[runs(name, "1.0.0")])])
}

#[test]
fn c10_1_1_what_is_registered_below_is_known_at_every_node_above() {
    let mut chain = Chain::joined([Realm::Same, Realm::Same]);
    let (device, _) = chain.benches[2].connect(DEVICE, None);
    chain.benches[2].send(device, &register(1, &[runs("serde", "1.0.0"), runs("log", "1.0.0")]));
    chain.pump();
    let way: Vec<_> = [(0, 1), (1, 2)].map(|(above, at)| (ServerGuid(GUIDS[above]), ClientGuid(GUIDS[at]))).into();
    let last = (ServerGuid(GUIDS[2]), DEVICE);
    assert_eq!(chain.benches[0].engine.route(DEVICE), Some([&way[..], &[last]].concat()));
    assert_eq!(chain.benches[1].engine.route(DEVICE), Some(vec![way[1], last]));
    assert_eq!(chain.known(0, DEVICE), chain.known(2, DEVICE));
    chain.benches[2].send(device, &end(2, "log"));
    chain.pump();
    assert_eq!(chain.known(0, DEVICE).expect("known").len(), 1);
    assert_eq!(chain.known(0, DEVICE), chain.known(2, DEVICE));
}

#[test]
fn c10_1_1_what_a_hundred_clients_said_goes_up_in_one_document_and_each_is_known_by_its_own() {
    let mut chain = Chain::new([Realm::Same, Realm::Same]);
    for number in 0..100 {
        let (link, _) = chain.benches[1].connect(client(1, number), None);
        let own = runs(&format!("crate-{number}"), "1.0.0");
        chain.benches[1].send(link, &register(1 + number, &[own]));
    }
    let (link, _) = chain.benches[0].connect(ClientGuid(GUIDS[1]), None);
    chain.links[1] = Some(link);
    chain.tell(1, uplink::Event::Connected { behind: false, start: START, policy: None, path: Vec::new() });
    let reports: Vec<Bytes> =
        chain.asked(1).into_iter().filter(|(.., is_report)| *is_report).map(|(_, bytes, _)| bytes).collect();
    let [report] = &reports[..] else { panic!("{} documents", reports.len()) };
    let reply = chain.benches[0].send(link, report);
    assert!(statuses(&reply).iter().all(|status| *status == ReplyStatus::Succeeded));
    for number in 0..100 {
        let own = Interest::from_version_info(&runs(&format!("crate-{number}"), "1.0.0"));
        assert_eq!(chain.known(0, client(1, number)), Some([(Mode::Full, own)].into()));
    }
}

#[test]
fn a_foreign_realm_is_told_of_nobody() {
    let mut chain = Chain::joined([Realm::Foreign, Realm::Same]);
    let (device, _) = chain.benches[2].connect(DEVICE, None);
    chain.benches[2].send(device, &register(1, &[runs("serde", "1.0.0")]));
    while chain.pass_on(2) {}
    assert!(chain.known(1, DEVICE).is_some(), "its own realm is");
    let asked = chain.asked(1);
    assert!(!asked.iter().any(|(_, _, is_report)| *is_report));
    assert!(asked.iter().all(|(_, document, _)| !text(document).contains(&DEVICE.to_string())));
    chain.pump();
    chain.join(1, true);
    chain.pass(Duration::from_secs(2 * 24 * 3600));
    assert_eq!(chain.known(0, DEVICE), None);
}

#[test]
fn what_was_said_goes_up_as_it_was_said() {
    let mut chain = Chain::joined([Realm::Same, Realm::Same]);
    let (device, _) = chain.benches[2].connect(DEVICE, None);
    let mut asset = runs("serde", "1.0.0");
    asset.info[0].container.author_comments = Some("seen by nobody but the realm".into());
    chain.benches[2].send(device, &register(1, &[asset]));
    while chain.pass_on(2) {}
    let reports: Vec<String> =
        chain.asked(1).iter().filter(|(.., is_report)| *is_report).map(|(_, bytes, _)| text(bytes)).collect();
    assert!(reports.iter().any(|report| report.contains("seen by nobody but the realm")), "{reports:?}");
}

#[test]
fn what_was_not_heard_is_told_on_the_next_link_and_after_a_restart() {
    let mut chain = Chain::joined([Realm::Same, Realm::Same]);
    let (device, _) = chain.benches[2].connect(DEVICE, None);
    chain.benches[2].send(device, &register(1, &[runs("serde", "1.0.0")]));
    assert!(chain.asked(2).iter().any(|(.., is_report)| *is_report), "lost on the way");
    chain.cut(2);
    chain.join(2, false);
    assert_eq!(chain.known(0, DEVICE), chain.known(2, DEVICE), "told on the next link");

    chain.benches[2].send(device, &register(2, &[runs("log", "1.0.0")]));
    chain.restart(2);
    chain.join(2, false);
    assert_eq!(chain.known(0, DEVICE).expect("known").len(), 2, "and after a restart");

    chain.restart(2);
    let (other, _) = chain.benches[2].connect(OTHER, None);
    chain.benches[2].send(other, &register(3, &[runs("log", "1.0.0")]));
    chain.links[2] = Some(chain.benches[1].connect(ClientGuid(GUIDS[2]), None).0);
    let resume = chain.benches[2].engine.resume_above(ServerGuid(GUIDS[1])).expect("a position");
    chain.tell(2, uplink::Event::Connected { behind: false, start: resume, policy: None, path: Vec::new() });
    let told: Vec<String> =
        chain.asked(2).iter().filter(|(.., is_report)| *is_report).map(|(_, bytes, _)| text(bytes)).collect();
    assert!(told.iter().all(|report| !report.contains(&DEVICE.to_string())), "what was heard is not told again");
    assert!(told.iter().any(|report| report.contains(&OTHER.to_string())));
}

#[test]
fn what_the_upstream_refused_is_told_again_when_it_may_have_changed_its_mind() {
    let mut chain = Chain::new([Realm::Same, Realm::Same]);
    chain.benches[0].handle(Event::Policy(super::bench::policy()));
    chain.join(1, false);
    let (device, _) = chain.benches[1].connect(DEVICE, None);
    chain.benches[1].send(device, &register(1, &[runs("serde", "1.0.0")]));
    chain.pump();
    assert_eq!(chain.known(0, DEVICE), None);
    let refused = |chain: &Chain| chain.benches[1].engine.uplinks().map(uplink::Uplink::refused_reports).sum::<usize>();
    assert_eq!(refused(&chain), 1);
    let local_servers = [ClientGuid(GUIDS[1])].into();
    chain.benches[0].handle(Event::Policy(Policy { local_servers, ..super::bench::policy() }));
    chain.pass(Duration::from_secs(2 * 24 * 3600));
    assert!(chain.known(0, DEVICE).is_some());
    assert_eq!(refused(&chain), 0);
}

#[test]
fn who_is_gone_is_gone_above_and_who_stays_stays() {
    let mut chain = Chain::joined([Realm::Same, Realm::Same]);
    let (device, _) = chain.benches[2].connect(DEVICE, None);
    let (other, _) = chain.benches[2].connect(OTHER, None);
    chain.benches[2].send(device, &register(1, &[runs("serde", "1.0.0")]));
    chain.benches[2].send(other, &register(2, &[runs("serde", "1.0.0")]));
    chain.benches[2].handle(Event::LinkDown(other));
    chain.benches[2].settle();
    chain.pump();
    assert!(chain.known(0, OTHER).is_some());
    for _ in 0..40 {
        chain.pass(Duration::from_secs(24 * 3600));
    }
    assert_eq!(chain.known(0, OTHER), None, "its lease is over");
    assert_eq!(chain.known(0, DEVICE).map(|known| known.len()), Some(1), "it was connected all the time");
}

#[test]
fn who_leaves_takes_all_below_it_along() {
    let mut chain = Chain::joined([Realm::Same, Realm::Same]);
    let (device, _) = chain.benches[2].connect(DEVICE, None);
    chain.benches[2].send(device, &register(1, &[runs("serde", "1.0.0")]));
    chain.pump();
    chain.benches[1].handle(Event::Detach(ServerGuid(GUIDS[0])));
    chain.benches[1].settle();
    chain.pump();
    assert_eq!(chain.known(0, DEVICE), None);
    assert_eq!(chain.benches[0].engine.route(DEVICE), None);
    let left = |action: &Action| matches!(action, Action::Uplink(_, uplink::Action::Left));
    assert!(chain.benches[1].actions.iter().any(left));
    let rows = &chain.benches[1].kept.rows;
    assert!(!rows.iter().any(|(table, ..)| *table == crate::store::Table::Uplinks), "and nothing is kept for it");
}

#[test]
fn what_the_upstream_takes_in_no_document_holds_nothing_up() {
    let mut chain = Chain::joined([Realm::Same, Realm::Same]);
    let (device, _) = chain.benches[2].connect(DEVICE, None);
    chain.benches[2].send(device, &register(1, &[runs("serde", "1.0.0")]));
    let (exchange, ..) = chain.asked(2).into_iter().find(|(.., is_report)| *is_report).expect("a report");
    chain.tell(2, uplink::Event::TooLong(exchange, "too long".into()));
    chain.benches[2].send(device, &register(2, &[runs("log", "1.0.0")]));
    chain.pump();
    assert_eq!(chain.known(1, DEVICE).map(|known| known.len()), Some(1), "the other is told when the link comes again");
    chain.join(2, false);
    assert_eq!(chain.known(1, DEVICE).map(|known| known.len()), Some(2));
}

#[test]
fn telling_holds_up_no_asking() {
    let mut chain = Chain::joined([Realm::Same, Realm::Same]);
    let (device, _) = chain.benches[2].connect(DEVICE, None);
    chain.benches[2].send(device, &register(1, &[runs("serde", "1.0.0")]));
    let (told, asked): (Vec<_>, Vec<_>) = chain.asked(2).into_iter().partition(|(.., is_report)| *is_report);
    assert_eq!((told.len(), asked.len()), (1, 1), "side by side");
    let (other, _) = chain.benches[2].connect(OTHER, None);
    chain.benches[2].send(other, &register(2, &[runs("log", "1.0.0")]));
    assert!(chain.asked(2).is_empty(), "one of each");
    chain.tell(2, uplink::Event::Replied { exchange: asked[0].0, outcomes: vec![(ReplyStatus::Succeeded, None)] });
    chain.tell(2, uplink::Event::Ended(asked[0].0));
    let next = chain.asked(2);
    assert_eq!(next.iter().map(|(.., is_report)| *is_report).collect::<Vec<_>>(), [false]);
}

#[derive(Clone, Debug)]
enum Step {
    Register(usize, u128, usize, bool),
    End(usize, u128, usize),
    Part(usize, u128),
    Rename(usize, u128, u128),
    EndAll(usize, u128),
    Cut(usize),
    Join(usize, bool),
    Lost(usize),
    Restart(usize),
    Pump,
    Later,
}

fn step() -> impl Strategy<Value = Step> {
    let (at, client, name) = (1..3_usize, 0..3_u128, 0..3_usize);
    prop_oneof![
        6 => (at.clone(), client.clone(), name.clone(), any::<bool>())
            .prop_map(|(at, client, name, list)| Step::Register(at, client, name, list)),
        2 => (at.clone(), client.clone(), name).prop_map(|(at, client, name)| Step::End(at, client, name)),
        1 => (at.clone(), client.clone()).prop_map(|(at, client)| Step::Part(at, client)),
        1 => (at.clone(), client.clone()).prop_map(|(at, client)| Step::EndAll(at, client)),
        1 => (at.clone(), client, 0..3_u128).prop_map(|(at, client, name)| Step::Rename(at, client, name)),
        2 => at.clone().prop_map(Step::Cut),
        2 => (at.clone(), any::<bool>()).prop_map(|(at, behind)| Step::Join(at, behind)),
        2 => at.clone().prop_map(Step::Lost),
        2 => (0..3_usize).prop_map(Step::Restart),
        4 => Just(Step::Pump),
        1 => Just(Step::Later),
    ]
}

/// Clients of one local server are not those of another.
fn client(at: usize, number: u128) -> ClientGuid {
    ClientGuid(0x1000 * at as u128 + number)
}

fn take(chain: &mut Chain, number: u128, step: &Step) {
    let names = ["serde", "log", "syn"];
    let mut say = |at: usize, who: u128, document: Bytes| {
        let (link, _) = chain.benches[at].connect(client(at, who), None);
        let reply = chain.benches[at].send(link, &document);
        assert_eq!(statuses(&reply), [ReplyStatus::Succeeded]);
    };
    match *step {
        Step::Register(at, who, name, list) => {
            let minor = list.then_some(Minor::Catalog);
            say(at, who, document(number, &[draft(Major::Register, minor, &[runs(names[name], "1.0.0")])]));
        }
        Step::End(at, who, name) => say(at, who, end(number, names[name])),
        Step::EndAll(at, who) => say(at, who, document(number, &[draft(Major::Register, Some(Minor::End), &[])])),
        Step::Part(at, who) => say(at, who, register(number, &[])),
        Step::Rename(at, who, name) => {
            // The last number gives the client its own GUID back.
            let name = if name == 2 { client(at, who) } else { ClientGuid(client(at, who).0 + 0x100 + name) };
            let policy = Policy { assign: [(client(at, who), name)].into(), ..servers() };
            chain.benches[at].handle(Event::Policy(policy));
            let (link, _) = chain.benches[at].connect(client(at, who), None);
            chain.benches[at].send(link, &register(number, &[runs(names[0], "2.0.0")]));
        }
        Step::Cut(at) => chain.cut(at),
        Step::Join(at, behind) => chain.join(at, behind),
        // What was said is lost, and nobody knows yet.
        Step::Lost(at) => drop(chain.asked(at)),
        Step::Restart(at) => chain.restart(at),
        Step::Pump => chain.pump(),
        Step::Later => chain.pass(Duration::from_secs(2 * 3600)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    /// Whatever is lost and whoever restarts: when the links stand, the top knows what each local server knows.
    #[test]
    fn the_top_knows_in_the_end_what_is_known_below(steps in proptest::collection::vec(step(), 1..40)) {
        let mut chain = Chain::joined([Realm::Same, Realm::Same]);
        for (number, step) in steps.iter().enumerate() {
            take(&mut chain, 1 + number as u128, step);
        }
        for at in 1..3 {
            chain.cut(at);
            chain.join(at, false);
        }
        chain.pump();
        let expected: BTreeSet<_> = (1..3).flat_map(|at| chain.known_at(at, |route| route.len() == 1, at)).collect();
        let known = chain.known_at(0, |route| route.len() > 1, 0);
        prop_assert!(known.is_subset(&expected), "{known:?} of {expected:?}");
        // Who wants nothing any more may be unknown above.
        let missing: Vec<_> = expected.difference(&known).filter(|(.., wants)| !wants.is_empty()).collect();
        prop_assert!(missing.is_empty(), "{missing:?}");
    }
}
