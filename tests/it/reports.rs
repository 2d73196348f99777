//! What goes up of those below is valid at every tier, says libxml2 and says Xerces-C.

use std::time::Duration;

use bytes::Bytes;
use node::engine::{Action, Config, Engine, Event};
use node::ids::{ExchangeId, LinkId, Position, Resume, Time};
use node::intake::Intake;
use node::policy::Policy;
use node::store::Recovered;
use node::uplink::{self, Ask, Realm};
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::version::{Major, Minor};
use schemas::write::{self, HeaderFields, Kind};
use tests::harness::draft;
use tests::validators::assert_valid;
use topology::want::Granularity;

/// The server above, the local server, the one below that, and a client of it.
const GUIDS: [u128; 3] = [0xa0, 0xa1, 0xa2];
const CLIENT: ClientGuid = ClientGuid(0xc1);
const LINK: LinkId = LinkId(1);

/// A local server whose store never fails.
struct Local {
    at: usize,
    engine: Engine,
    reports: Vec<Bytes>,
}

impl Local {
    fn new(at: usize) -> Self {
        let upstream = uplink::Config {
            server: ServerGuid(GUIDS[at - 1]),
            client: ClientGuid(GUIDS[at]),
            realm: Realm::Same,
            ask: Ask::Names,
            granularity: Granularity::Product,
            registrants_min: 1,
            delay_max: Duration::ZERO,
            hold: Duration::from_secs(10),
        };
        let server = ServerGuid(upstream.server.0);
        let config = Config { upstreams: vec![upstream], ..Config::new(ServerGuid(GUIDS[at])) };
        let local_servers = GUIDS.map(ClientGuid).into();
        let policy = Policy { local_servers, combine: Duration::ZERO, ..Policy::default() };
        let engine = Engine::recover(config, policy, Recovered::default(), Time(1_768_469_400_000)).unwrap();
        let mut local = Self { at, engine, reports: Vec::new() };
        let start = Resume::at(1, Position(0), None);
        let connected = uplink::Event::Connected { behind: false, start, policy: None, path: Vec::new() };
        local.handle(Event::Uplink(server, connected));
        local
    }

    fn handle(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            self.engine.handle(Time(1_768_469_400_000), event);
            while let Some(action) = self.engine.poll_action() {
                match action {
                    Action::Store(ticket, _) => events.insert(0, Event::Stored(ticket)),
                    Action::Uplink(server, uplink::Action::Report(exchange, spelling, parts)) => {
                        self.reports.push(self.in_envelope(spelling, &parts));
                        // Refused: so all that is known is told as well, when the link comes again.
                        events.insert(0, Event::Uplink(server, uplink::Event::TooLong(exchange, String::new())));
                    }
                    _ => {}
                }
            }
        }
    }

    /// As the shell does.
    fn in_envelope(&self, spelling: Spelling, parts: &[Bytes]) -> Bytes {
        let header = HeaderFields {
            server_guid: Some(ServerGuid(GUIDS[self.at - 1])),
            client_guid: Some(ClientGuid(GUIDS[self.at])),
            ..draft::header()
        };
        let envelope = write::envelope(spelling, Kind::Message, &header);
        [&envelope.head[..], &parts.concat(), &envelope.tail].concat().into()
    }

    /// What is told of a client that says these, in its own words and in this node's.
    fn told(mut self, client: ClientGuid, documents: &[Bytes]) -> Vec<Bytes> {
        self.handle(Event::Hello { link: LINK, client, resume: None, mark: None });
        for (document, exchange) in documents.iter().zip(1..) {
            let facts = Validated::new(document.clone(), &Limits::default()).unwrap();
            let intake = Box::new(Intake::of(&facts).unwrap());
            self.handle(Event::Document { link: LINK, exchange: ExchangeId(exchange), intake });
        }
        let server = ServerGuid(GUIDS[self.at - 1]);
        self.handle(Event::Uplink(server, uplink::Event::Disconnected));
        let start = Resume::at(2, Position(0), None);
        let connected = uplink::Event::Connected { behind: false, start, policy: None, path: Vec::new() };
        self.handle(Event::Uplink(server, connected));
        self.reports
    }
}

/// All that a client may say of itself, in one spelling or the other.
fn said(spelling: Spelling) -> Vec<Bytes> {
    let asset = |version| draft::asset("Editor & <more>", version, vec![draft::component("lib.so", "1")]);
    let documents = [
        draft::register(&[asset("1")]),
        draft::request_catalog(&[draft::product("Other")]),
        draft::message(Major::Register, Some(Minor::End), Some(&[asset("1")])),
        draft::request_full(&[asset("2")]),
        draft::register(&[]),
    ];
    let spelled = |document: Bytes| match spelling {
        Spelling::Double => document,
        Spelling::Single => String::from_utf8_lossy(&document).replace("itu.int//", "itu.int/").into_bytes().into(),
    };
    documents.map(spelled).into()
}

// R-10.1.1-6, R-9.3-4
#[test]
fn c10_1_1_what_is_told_of_those_below_is_valid_at_every_tier() {
    for spelling in [Spelling::Double, Spelling::Single] {
        let first = Local::new(2).told(CLIENT, &said(spelling));
        let second = Local::new(1).told(ClientGuid(GUIDS[2]), &first);
        assert!(first.len() >= 5 && second.len() >= 5, "{} and {}", first.len(), second.len());
        let hops = |document: &Bytes| {
            let text = String::from_utf8(document.to_vec()).unwrap();
            [(0, GUIDS[1]), (1, GUIDS[2]), (2, CLIENT.0)].into_iter().all(|(above, client)| {
                let (server, client) = (ServerGuid(GUIDS[above]), ClientGuid(client));
                text.contains(&format!("{server}</m:Server_GUID><m:Client_GUID>{client}</m:Client_GUID>"))
            })
        };
        assert!(second.iter().all(hops), "a header for each hop");
        // Documents of the other spelling are valid under its grammar, which is the published one renamed (N1).
        let renamed = first.into_iter().chain(second).map(|document| {
            let text = String::from_utf8(document.to_vec()).unwrap();
            let mixed = text.contains("itu.int//") && text.contains("itu.int/x");
            assert!(!mixed, "{text}");
            ("report".to_owned(), Bytes::from(text.replace("itu.int/xml", "itu.int//xml")))
        });
        assert_valid(&renamed.collect::<Vec<_>>());
    }
}
