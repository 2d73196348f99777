//! A local server alone: what it asks of an upstream, what it does with what comes, and what it answers when.

use std::collections::BTreeSet;
use std::time::Duration;

use schemas::class::Class;
use schemas::core::ReplyStatus;
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use schemas::mark::Mark;
use schemas::version::{Major, Minor, VersionInfo};
use topology::interest::Interest;
use topology::want::{Granularity, Want};

use super::bench::{
    Bench, DEVICE, OTHER, advisory, config, deliver, document, draft, register, request, runs, statuses,
};
use crate::client::{Draft, Via};
use crate::engine::{Action, Config, Event, ReplyTo};
use crate::ids::{ExchangeId, LinkId, Position, Push, Resume};
use crate::intake::Intake;
use crate::store::Recovered;
use crate::uplink::{self, Ask, Realm};

pub(super) const UPSTREAM: ServerGuid = ServerGuid(0xabc0);
const SELF_THERE: ClientGuid = ClientGuid(0xabc1);
const START: Resume = Resume::at(0x77, Position(0), None);

/// A push on the normal lane.
pub(super) fn lane(position: u64) -> Via {
    Via::Lane(Push::new(Class::Normal, Position(position)))
}

pub(super) fn upstream(realm: Realm, ask: Ask) -> uplink::Config {
    uplink::Config {
        server: UPSTREAM,
        client: SELF_THERE,
        realm,
        ask,
        granularity: Granularity::Product,
        registrants_min: 2,
        delay_max: Duration::ZERO,
        hold: Duration::from_secs(10),
    }
}

/// A local server with a bench around it.
pub(super) struct Local {
    pub(super) bench: Bench,
    config: Config,
}

impl Local {
    pub(super) fn new(uplink: uplink::Config) -> Self {
        Self::with(Config { upstreams: vec![uplink], ..config() })
    }

    pub(super) fn with(config: Config) -> Self {
        let kept = Recovered { incarnation: 0x1c, ..Recovered::default() };
        let mut local = Self { bench: Bench::with(config.clone(), kept), config };
        local.connected(false, START);
        local
    }

    pub(super) fn restart(self) -> Self {
        let mut bench = Bench::with(self.config.clone(), self.bench.kept);
        bench.now = self.bench.now;
        Self { bench, config: self.config }
    }

    pub(super) fn tell(&mut self, event: uplink::Event) {
        self.bench.handle(Event::Uplink(UPSTREAM, event));
        self.bench.settle();
    }

    pub(super) fn connected(&mut self, behind: bool, start: Resume) {
        self.tell(uplink::Event::Connected { behind, start, policy: None, path: vec![Mark::from_bytes([9; 16])] });
    }

    /// Exchanges opened since the last look.
    pub(super) fn opened(&mut self) -> Vec<(ExchangeId, Vec<Draft>)> {
        let mut opened = Vec::new();
        self.bench.actions.retain(|action| match action {
            Action::Uplink(_, uplink::Action::Open(exchange, drafts)) => {
                opened.push((*exchange, drafts.clone()));
                false
            }
            _ => true,
        });
        opened
    }

    /// The upstream takes whatever it is told of those below.
    pub(super) fn hears_reports(&mut self) {
        let is_report = |action: &mut Action| matches!(action, Action::Uplink(_, uplink::Action::Report(..)));
        loop {
            let reports: Vec<Action> = self.bench.actions.extract_if(.., is_report).collect();
            for report in &reports {
                let Action::Uplink(_, uplink::Action::Report(exchange, _, parts)) = report else { continue };
                self.replied(*exchange, &vec![ReplyStatus::Succeeded; parts.len()]);
                self.tell(uplink::Event::Ended(*exchange));
            }
            if reports.is_empty() {
                return;
            }
        }
    }

    /// The one exchange that was opened.
    pub(super) fn asked(&mut self) -> (ExchangeId, Draft) {
        let mut opened = self.opened();
        let (exchange, mut drafts) = opened.pop().expect("an exchange");
        assert!(opened.is_empty(), "one: {opened:?}");
        let draft = drafts.pop().expect("a message");
        assert!(drafts.is_empty(), "one: {drafts:?}");
        (exchange, draft)
    }

    pub(super) fn replied(&mut self, exchange: ExchangeId, statuses: &[ReplyStatus]) {
        let outcomes = statuses.iter().map(|status| (status.clone(), None)).collect();
        self.tell(uplink::Event::Replied { exchange, outcomes });
    }

    /// The upstream answers with these items and the end.
    pub(super) fn answers(&mut self, exchange: ExchangeId, items: &[VersionInfo]) {
        self.replied(exchange, &[ReplyStatus::Succeeded]);
        for (number, item) in items.iter().enumerate() {
            self.brings(
                Via::Exchange(exchange),
                &deliver(0xe000 + exchange.0 as u128 * 100 + number as u128, item.clone()),
            );
        }
        self.tell(uplink::Event::Ended(exchange));
    }

    pub(super) fn brings(&mut self, via: Via, document: &bytes::Bytes) {
        let facts = Validated::new(document.clone(), &Limits::default()).expect("a good document");
        let intake = Box::new(Intake::of(&facts).expect("a message"));
        self.tell(uplink::Event::Delivery { via, intake });
    }

    pub(super) fn answered_above(&self) -> Vec<Position> {
        let position = |action: &Action| match action {
            Action::Uplink(_, uplink::Action::Answer { push, .. }) => Some(push.position),
            _ => None,
        };
        self.bench.actions.iter().filter_map(position).collect()
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.bench.now = self.bench.now.after(time);
        self.bench.engine.handle_timeout(self.bench.now);
        self.bench.drain();
        self.bench.settle();
    }

    pub(super) fn connect(&mut self, client: ClientGuid) -> LinkId {
        self.bench.connect(client, None).0
    }

    pub(super) fn ask(&mut self, link: LinkId, document: &bytes::Bytes) -> ExchangeId {
        let exchange = self.bench.open(link, document);
        self.bench.settle();
        exchange
    }

    pub(super) fn reply(&self, exchange: ExchangeId) -> ReplyTo {
        self.bench.reply(exchange).expect("an answer")
    }

    pub(super) fn deny(&mut self, exchange: ExchangeId, statuses: &[ReplyStatus]) {
        self.replied(exchange, statuses);
        self.tell(uplink::Event::Ended(exchange));
    }
}

fn names(draft: &Draft) -> BTreeSet<Want> {
    draft.infos.iter().flat_map(|info| Want::of_interest(&Interest::from_version_info(info))).collect()
}

fn crate_want(name: &str) -> Want {
    Want::of_interest(&Interest::from_version_info(&runs(name, "1.0.0"))).pop_first().expect("a want")
}

fn entry(id: &str, revision: u64, name: &str) -> bytes::Bytes {
    let info = advisory(id, revision, name, "vers:cargo/<2.0.0", "");
    document(0xca00 + u128::from(revision), &[draft(Major::Deliver, Some(Minor::Catalog), &[info])])
}

fn item(id: &str, revision: u64, name: &str) -> VersionInfo {
    advisory(id, revision, name, "vers:cargo/<2.0.0", "")
}

#[test]
fn many_who_ask_for_the_same_are_one_request_and_each_is_answered() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let mut exchanges = Vec::new();
    for number in 0..100 {
        let link = local.connect(ClientGuid(0x1000 + number));
        exchanges.push((link, local.ask(link, &request(number + 1, &[runs("serde", "1.2.3")]))));
    }
    let (exchange, asked) = local.asked();
    assert_eq!((asked.major.clone(), asked.minor.clone()), (Major::Request, Some(Minor::Full)));
    assert_eq!(names(&asked), [crate_want("serde")].into());
    assert!(exchanges.iter().all(|(_, exchange)| local.bench.reply(*exchange).is_none()), "they wait");
    assert_eq!((local.bench.engine.totals().cache_misses, local.bench.engine.totals().coalesced), (100, 99));
    local.answers(exchange, &[item("A-1", 1, "serde")]);
    for (_, exchange) in &exchanges {
        let reply = local.reply(*exchange);
        assert_eq!(statuses(&reply), [ReplyStatus::Succeeded]);
        assert_eq!(local.bench.due(&reply).len(), 1, "what the upstream had is in the answer");
    }
    assert!(local.opened().is_empty());
    let late = local.connect(OTHER);
    let exchange = local.ask(late, &request(0x999, &[runs("serde", "1.0.0")]));
    assert_eq!(local.bench.due(&local.reply(exchange)).len(), 1, "from here");
    assert_eq!(local.bench.engine.totals().cache_hits, 1);
    assert!(local.opened().is_empty(), "a hit asks nothing of the upstream");
}

#[test]
fn who_waited_too_long_is_answered_with_what_is_here_and_gets_the_rest_later() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let link = local.connect(DEVICE);
    let exchange = local.ask(link, &request(1, &[runs("serde", "1.2.3")]));
    let (above, _) = local.asked();
    local.pass(Duration::from_secs(2));
    let reply = local.reply(exchange);
    assert_eq!(statuses(&reply), [ReplyStatus::Succeeded]);
    assert!(local.bench.due(&reply).is_empty());
    local.answers(above, &[item("A-1", 1, "serde")]);
    assert_eq!(local.bench.pushed(link).len(), 1);
}

#[test]
fn at_once_is_at_once() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let policy = crate::policy::Policy { combine: Duration::ZERO, ..super::bench::policy() };
    local.bench.handle(Event::Policy(policy));
    let link = local.connect(DEVICE);
    let exchange = local.ask(link, &request(1, &[runs("serde", "1.2.3")]));
    assert_eq!(statuses(&local.reply(exchange)), [ReplyStatus::Succeeded]);
    let (above, _) = local.asked();
    local.answers(above, &[item("A-1", 1, "serde")]);
    assert_eq!(local.bench.pushed(link).len(), 1);
}

#[test]
fn the_last_end_ends_it_above_after_the_hold() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let links: Vec<LinkId> = (0..3).map(|number| local.connect(ClientGuid(0x1000 + number))).collect();
    for (number, link) in links.iter().enumerate() {
        local.ask(*link, &register(1 + number as u128, &[runs("serde", "1.2.3")]));
    }
    let (above, _) = local.asked();
    local.answers(above, &[]);
    let end = |id: u128| document(id, &[draft(Major::Register, Some(Minor::End), &[runs("serde", "1.2.3")])]);
    local.ask(links[0], &end(10));
    local.ask(links[1], &end(11));
    local.pass(Duration::from_secs(20));
    assert!(local.opened().is_empty(), "one is left");
    local.ask(links[2], &end(12));
    local.pass(Duration::from_secs(5));
    assert!(local.opened().is_empty(), "not yet");
    local.pass(Duration::from_secs(6));
    let (above, ended) = local.asked();
    assert_eq!((ended.major.clone(), ended.minor.clone()), (Major::Register, Some(Minor::End)));
    assert_eq!(names(&ended), [crate_want("serde")].into());
    local.answers(above, &[]);
    local.ask(links[0], &register(20, &[runs("serde", "1.2.3")]));
    assert_eq!(local.asked().1.minor, Some(Minor::Full), "and is asked for again");
}

/// One that asked for something and holds it, nobody wanting it any more: the End is on its way.
fn ending() -> (Local, LinkId) {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let link = local.connect(DEVICE);
    local.ask(link, &register(1, &[runs("serde", "1.2.3")]));
    let (above, _) = local.asked();
    local.answers(above, &[]);
    local.ask(link, &document(2, &[draft(Major::Register, Some(Minor::End), &[runs("serde", "1.2.3")])]));
    local.pass(Duration::from_secs(11));
    assert_eq!(local.asked().1.minor, Some(Minor::End));
    (local, link)
}

#[test]
fn an_end_whose_answer_is_lost_is_said_again() {
    let (mut local, _) = ending();
    let resume = local.bench.engine.resume_above(UPSTREAM).expect("a position");
    local.tell(uplink::Event::Disconnected);
    local.connected(false, resume);
    local.pass(Duration::from_secs(11));
    assert_eq!(local.asked().1.minor, Some(Minor::End));
}

#[test]
fn what_may_have_been_ended_is_asked_for_again_when_it_is_wanted() {
    for crash in [false, true] {
        let (mut local, link) = ending();
        let resume = local.bench.engine.resume_above(UPSTREAM).expect("a position");
        local.tell(uplink::Event::Disconnected);
        local.ask(link, &register(3, &[runs("serde", "1.2.3")]));
        let mut local = if crash { local.restart() } else { local };
        local.connected(false, resume);
        let (_, asked) = local.asked();
        assert_eq!((asked.minor.clone(), names(&asked)), (Some(Minor::Full), [crate_want("serde")].into()));
    }
}

#[test]
fn nothing_is_said_above_before_it_is_durable_that_it_may_be() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let link = local.connect(DEVICE);
    local.bench.open(link, &register(1, &[runs("serde", "1.2.3")]));
    assert!(local.opened().is_empty(), "not stored yet");
    local.bench.settle();
    assert_eq!(local.asked().1.minor, Some(Minor::Full));
}

#[test]
fn a_request_that_is_refused_is_made_again_for_less_and_the_link_stays() {
    // More than the upstream takes of one client: it takes three at once.
    let names_of = |many: usize| (0..many).map(|number| runs(&format!("crate-{number}"), "1.2.3")).collect::<Vec<_>>();
    let mut local = Local::new(upstream(Realm::Foreign, Ask::Elements));
    let (list, _) = local.asked();
    let all: Vec<String> = (0..8).map(|number| format!("A-{number}")).collect();
    local.replied(list, &[ReplyStatus::Succeeded]);
    for (number, id) in all.iter().enumerate() {
        local.brings(Via::Exchange(list), &entry(id, 1, &format!("crate-{number}")));
    }
    local.tell(uplink::Event::Ended(list));
    let link = local.connect(DEVICE);
    local.ask(link, &register(1, &names_of(8)));
    let mut taken = BTreeSet::new();
    for _ in 0..64 {
        for (exchange, drafts) in local.opened() {
            let wants = names(&drafts[0]);
            if wants.len() > 3 {
                local.deny(exchange, &[ReplyStatus::Failed]);
            } else {
                taken.extend(wants);
                local.answers(exchange, &[]);
            }
        }
        local.pass(Duration::from_secs(1));
    }
    assert_eq!(taken.len(), 8, "all of it in the end");
    let hung_up = |action: &Action| matches!(action, Action::Uplink(_, uplink::Action::Hangup(_)));
    assert!(!local.bench.actions.iter().any(hung_up));
    let told = |action: &Action| matches!(action, Action::Uplink(_, uplink::Action::Refused(_)));
    assert!(local.bench.actions.iter().any(told), "the operator is told");
}

#[test]
fn one_that_is_refused_for_good_is_asked_for_ever_more_rarely() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let link = local.connect(DEVICE);
    local.ask(link, &register(1, &[runs("serde", "1.2.3")]));
    let mut asked = 0;
    for _ in 0..7200 {
        for (exchange, _) in local.opened() {
            asked += 1;
            local.deny(exchange, &[ReplyStatus::Failed]);
        }
        local.pass(Duration::from_secs(1));
    }
    assert!((10..16).contains(&asked), "{asked} times in two hours");
}

#[test]
fn an_upstream_that_pushes_on_while_it_owes_an_answer_is_given_up() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let link = local.connect(DEVICE);
    local.ask(link, &register(1, &[runs("serde", "1.2.3")]));
    drop(local.asked());
    let hung_up = |local: &Local| {
        let is_hangup = |action: &&Action| matches!(action, Action::Uplink(_, uplink::Action::Hangup(_)));
        local.bench.actions.iter().filter(is_hangup).count()
    };
    for number in 0..3 * 256 {
        local.brings(lane(number + 1), &deliver(u128::from(number), item("A-1", number + 1, "serde")));
    }
    assert_eq!(hung_up(&local), 0, "a window of each lane waits");
    local.brings(lane(769), &deliver(769, item("A-1", 769, "serde")));
    assert_eq!(hung_up(&local), 1);
}

#[test]
fn another_realm_hears_nothing_of_the_one_before_it() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let link = local.connect(DEVICE);
    local.ask(link, &register(1, &[runs("serde", "1.2.3")]));
    let (above, _) = local.asked();
    local.answers(above, &[]);
    local.ask(link, &document(2, &[draft(Major::Register, Some(Minor::End), &[runs("serde", "1.2.3")])]));
    local.config.upstreams = vec![upstream(Realm::Foreign, Ask::Names)];
    let mut local = local.restart();
    assert_eq!(local.bench.engine.resume_above(UPSTREAM), None);
    local.connected(true, START);
    let (exchange, all) = local.asked();
    assert_eq!((all.minor.clone(), names(&all)), (Some(Minor::End), BTreeSet::new()), "everything, without a name");
    local.answers(exchange, &[]);
    assert_eq!(local.asked().1.minor, Some(Minor::Catalog));
}

#[test]
fn a_push_is_answered_above_when_it_is_stored_and_a_restart_goes_on_behind_it() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let link = local.connect(DEVICE);
    local.ask(link, &register(1, &[runs("serde", "1.2.3")]));
    let (above, _) = local.asked();
    local.answers(above, &[]);
    let facts = Validated::new(deliver(5, item("A-1", 1, "serde")), &Limits::default()).expect("good");
    let intake = Box::new(Intake::of(&facts).expect("a message"));
    let event = uplink::Event::Delivery { via: lane(7), intake };
    local.bench.handle(Event::Uplink(UPSTREAM, event));
    assert!(local.answered_above().is_empty(), "not stored yet");
    local.bench.settle();
    assert_eq!(local.answered_above(), [Position(7)]);
    assert_eq!(local.bench.pushed(link).len(), 1);
    let resume = local.bench.engine.resume_above(UPSTREAM).expect("a position");
    assert_eq!((resume.incarnation, resume.places[Class::Normal].position), (0x77, Position(7)));

    let mut local = local.restart();
    assert_eq!(local.bench.engine.resume_above(UPSTREAM), Some(resume));
    local.connected(false, resume);
    assert!(local.opened().is_empty(), "it holds what it asked for");
    local.brings(lane(7), &deliver(5, item("A-1", 1, "serde")));
    assert_eq!(local.bench.engine.catalogue().len(), 1, "what comes again takes effect once");
}

#[test]
fn what_is_pushed_while_an_answer_is_under_way_comes_after_it() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let link = local.connect(DEVICE);
    local.ask(link, &register(1, &[runs("serde", "1.2.3"), runs("log", "1.0.0")]));
    let (above, _) = local.asked();
    local.replied(above, &[ReplyStatus::Succeeded]);
    local.brings(lane(9), &deliver(6, item("B-1", 1, "serde")));
    assert!(local.answered_above().is_empty());
    local.brings(Via::Exchange(above), &deliver(5, item("A-1", 1, "serde")));
    local.tell(uplink::Event::Ended(above));
    assert_eq!(local.answered_above(), [Position(9)]);
    let ids: Vec<String> = local
        .bench
        .engine
        .catalogue()
        .iter()
        .map(|(_, item)| item.record.subject.identity.clone().expect("an identity").id)
        .collect();
    assert_eq!(ids, ["A-1", "B-1"]);
}

#[test]
fn behind_asks_for_everything_anew() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let link = local.connect(DEVICE);
    local.ask(link, &register(1, &[runs("serde", "1.2.3")]));
    let (above, _) = local.asked();
    local.answers(above, &[]);
    local.tell(uplink::Event::Behind(Position(40)));
    assert_eq!(local.bench.engine.resume_above(UPSTREAM), None);
    let (clear, ended) = local.asked();
    assert_eq!((ended.minor, ended.infos.is_empty()), (Some(Minor::End), true), "what it has of this node ends");
    local.answers(clear, &[]);
    let (above, asked) = local.asked();
    assert_eq!(names(&asked), [crate_want("serde")].into());
    local.answers(above, &[]);
    assert!(local.bench.engine.resume_above(UPSTREAM).is_some());
}

#[test]
fn refused_in_full_the_list_is_asked_for_once_however_it_is_refused() {
    use ReplyStatus::{MajorNotSupported, MinorNotSupported};
    for refusal in [&[MajorNotSupported][..], &[MinorNotSupported], &[MajorNotSupported, MinorNotSupported]] {
        let mut local = Local::new(upstream(Realm::Foreign, Ask::Everything));
        let (above, asked) = local.asked();
        assert_eq!((asked.minor, asked.infos.is_empty()), (Some(Minor::Full), true));
        local.deny(above, refusal);
        let (above, asked) = local.asked();
        assert_eq!((asked.major, asked.minor), (Major::Request, Some(Minor::Catalog)));
        local.replied(above, &[ReplyStatus::Succeeded]);
        local.brings(Via::Exchange(above), &entry("A-1", 1, "serde"));
        local.tell(uplink::Event::Ended(above));
        assert!(local.opened().is_empty(), "nobody waits for it");

        let mut local = local.restart();
        local.connected(false, START);
        assert!(local.opened().is_empty(), "remembered");
        let link = local.connect(DEVICE);
        let exchange = local.ask(link, &request(1, &[runs("serde", "1.2.3")]));
        let (above, asked) = local.asked();
        assert_eq!((asked.major.clone(), asked.minor.clone()), (Major::Request, Some(Minor::Full)));
        let element = Want::Element { source: "Tests".into(), id: "A-1".into() };
        assert_eq!(names(&asked), [element].into(), "exactly one element");
        local.answers(above, &[item("A-1", 1, "serde")]);
        let due = local.bench.due(&local.reply(exchange));
        assert_eq!(due.len(), 1, "the content, and not the entry: {due:?}");
    }
}

#[test]
fn refused_in_every_form_it_stops_and_says_so() {
    let mut local = Local::new(upstream(Realm::Foreign, Ask::Everything));
    let (above, _) = local.asked();
    local.deny(above, &[ReplyStatus::MajorNotSupported]);
    let (above, _) = local.asked();
    local.deny(above, &[ReplyStatus::MajorNotSupported]);
    assert!(local.opened().is_empty(), "two requests in total");
    let halted = local.bench.engine.uplinks().next().expect("one").halted().map(str::to_owned);
    assert!(halted.is_some_and(|why| why.contains("Major Message Not Supported")));
    let link = local.connect(DEVICE);
    let exchange = local.ask(link, &request(1, &[runs("serde", "1.2.3")]));
    assert_eq!(statuses(&local.reply(exchange)), [ReplyStatus::Succeeded], "nobody waits for such an upstream");
}

#[test]
fn a_request_policy_saves_the_refused_request() {
    let uplink = upstream(Realm::Foreign, Ask::Everything);
    let kept = Recovered { incarnation: 0x1c, ..Recovered::default() };
    let config = Config { upstreams: vec![uplink], ..config() };
    let mut local = Local { bench: Bench::with(config.clone(), kept), config };
    let policy = Some(vec!["Request:Full+data".to_owned(), "Request:Catalog".to_owned()]);
    local.tell(uplink::Event::Connected { behind: false, start: START, policy, path: Vec::new() });
    assert_eq!(local.asked().1.minor, Some(Minor::Catalog));
}

#[test]
fn a_foreign_realm_sees_its_own_words_only() {
    let mut local = Local::new(upstream(Realm::Foreign, Ask::Names));
    let (above, asked) = local.asked();
    assert_eq!(asked.minor, Some(Minor::Catalog), "the list of everything, asked for by nobody");
    local.replied(above, &[ReplyStatus::Succeeded]);
    local.brings(Via::Exchange(above), &entry("A-1", 1, "serde_json"));
    local.tell(uplink::Event::Ended(above));
    let link = local.connect(DEVICE);
    // Another spelling of the same crate, and something that the upstream has never heard of.
    local.ask(link, &register(1, &[runs("Serde-JSON", "1.0.0"), runs("secret-project", "7.7.7")]));
    let (above, asked) = local.asked();
    let written = format!("{:?}", asked.infos);
    assert!(written.contains("serde_json") && !written.contains("Serde-JSON"), "{written}");
    assert!(!written.contains("secret") && !written.contains("1.0.0"), "{written}");
    local.answers(above, &[item("A-1", 1, "serde_json")]);
    assert_eq!(local.bench.pushed(link).len(), 1);
    // A new entry on another name, critical or not, is asked for as soon as it is announced: somebody runs it now.
    local.ask(link, &register(2, &[runs("log", "0.4.0")]));
    assert!(local.opened().is_empty());
    local.brings(lane(3), &entry("B-1", 2, "log"));
    assert_eq!(names(&local.asked().1), [crate_want("log")].into());
}

#[test]
fn new_names_of_a_foreign_realm_wait_and_go_together() {
    let uplink = uplink::Config { delay_max: Duration::from_secs(60), ..upstream(Realm::Foreign, Ask::Names) };
    let mut local = Local::new(uplink);
    let (above, _) = local.asked();
    local.replied(above, &[ReplyStatus::Succeeded]);
    for (number, name) in ["serde", "log", "rand"].into_iter().enumerate() {
        local.brings(Via::Exchange(above), &entry(&format!("A-{number}"), 1 + number as u64, name));
    }
    local.tell(uplink::Event::Ended(above));
    for (number, name) in ["serde", "log", "rand"].into_iter().enumerate() {
        let link = local.connect(ClientGuid(0x1000 + number as u128));
        let exchange = local.ask(link, &request(1 + number as u128, &[runs(name, "1.0.0")]));
        assert_eq!(statuses(&local.reply(exchange)), [ReplyStatus::Succeeded], "not made to wait for a minute");
    }
    assert!(local.opened().is_empty());
    local.pass(Duration::from_secs(60));
    assert_eq!(names(&local.asked().1).len(), 3, "together, by one Request");
}

#[test]
fn who_waits_for_a_list_makes_nobody_fetch_content() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let link = local.connect(DEVICE);
    let list = document(1, &[draft(Major::Request, Some(Minor::Catalog), &[])]);
    let exchange = local.ask(link, &list);
    let (above, asked) = local.asked();
    assert_eq!((asked.minor, asked.infos.is_empty()), (Some(Minor::Catalog), true));
    local.replied(above, &[ReplyStatus::Succeeded]);
    local.brings(Via::Exchange(above), &entry("A-1", 1, "serde"));
    local.tell(uplink::Event::Ended(above));
    assert_eq!(local.bench.due(&local.reply(exchange)).len(), 1, "the entry");
    assert!(local.opened().is_empty());
}

#[test]
fn an_announcement_retires_the_content_before_it() {
    let mut local = Local::new(upstream(Realm::Foreign, Ask::Elements));
    let (above, _) = local.asked();
    local.replied(above, &[ReplyStatus::Succeeded]);
    local.brings(Via::Exchange(above), &entry("A-1", 1, "serde"));
    local.tell(uplink::Event::Ended(above));
    let link = local.connect(DEVICE);
    local.ask(link, &request(1, &[runs("serde", "1.0.0")]));
    let (above, _) = local.asked();
    local.answers(above, &[item("A-1", 1, "serde")]);

    local.brings(lane(5), &entry("A-1", 2, "serde"));
    let late = local.connect(OTHER);
    let exchange = local.ask(late, &request(2, &[runs("serde", "1.0.0")]));
    let due = local.bench.reply(exchange).map(|reply| local.bench.due(&reply));
    assert!(due.is_none_or(|due| due.is_empty()), "what is outdated is not given out");
}

#[test]
fn with_a_cache_of_nothing_each_request_goes_up_and_items_pass_through() {
    let transit = Duration::from_secs(60);
    let mut local =
        Local::with(Config { items_max: 0, transit, upstreams: vec![upstream(Realm::Same, Ask::Names)], ..config() });
    let link = local.connect(DEVICE);
    let exchange = local.ask(link, &request(1, &[runs("serde", "1.2.3")]));
    let (above, _) = local.asked();
    local.answers(above, &[item("A-1", 1, "serde")]);
    assert_eq!(local.bench.due(&local.reply(exchange)).len(), 1);
    local.pass(Duration::from_secs(61));
    assert!(local.bench.engine.catalogue().is_empty());
    let late = local.connect(OTHER);
    let exchange = local.ask(late, &request(2, &[runs("serde", "1.2.3")]));
    let (above, asked) = local.asked();
    assert_eq!((asked.major, asked.minor), (Major::Request, None), "once: the subscription stands");
    local.answers(above, &[item("A-1", 1, "serde")]);
    assert_eq!(local.bench.due(&local.reply(exchange)).len(), 1);
}

#[test]
fn words_that_are_known_only_after_a_restart_fetch_again_what_was_trimmed() {
    let transit = Duration::from_secs(60);
    let upstreams = vec![upstream(Realm::Same, Ask::Elements)];
    let mut local = Local::with(Config { items_max: 0, transit, upstreams, ..config() });
    let (above, _) = local.asked();
    local.replied(above, &[ReplyStatus::Succeeded]);
    local.brings(Via::Exchange(above), &entry("A-1", 1, "serde"));
    local.tell(uplink::Event::Ended(above));
    let link = local.connect(DEVICE);
    local.ask(link, &request(1, &[runs("serde", "1.0.0")]));
    let (above, asked) = local.asked();
    let first = asked;
    local.answers(above, &[item("A-1", 1, "serde")]);
    local.pass(Duration::from_secs(61));
    assert!(local.bench.engine.catalogue().is_empty(), "it has passed through");

    let mut local = local.restart();
    let late = local.connect(OTHER);
    let exchange = local.ask(late, &request(2, &[runs("serde", "1.0.0")]));
    let due = local.bench.reply(exchange).map(|reply| local.bench.due(&reply).len());
    assert_eq!(due, Some(0), "nothing is known yet that could be waited for");
    local.connected(false, START);
    let (above, list) = local.asked();
    assert_eq!(list.minor, Some(Minor::Catalog), "nor is the list that says what there is");
    local.replied(above, &[ReplyStatus::Succeeded]);
    local.brings(Via::Exchange(above), &entry("A-1", 1, "serde"));
    local.tell(uplink::Event::Ended(above));
    let (_, again) = local.asked();
    assert_eq!((again.major, again.infos), (Major::Request, first.infos));
}

#[test]
fn while_the_uplink_is_cut_what_is_here_is_served() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let link = local.connect(DEVICE);
    local.ask(link, &request(1, &[runs("serde", "1.2.3")]));
    let (above, _) = local.asked();
    local.answers(above, &[item("A-1", 1, "serde")]);
    local.tell(uplink::Event::Disconnected);
    let late = local.connect(OTHER);
    let exchange = local.ask(late, &request(2, &[runs("serde", "1.2.3"), runs("log", "0.4.0")]));
    assert_eq!(local.bench.due(&local.reply(exchange)).len(), 1, "at once, from here");
    let resume = local.bench.engine.resume_above(UPSTREAM).expect("a position");
    local.connected(false, resume);
    assert_eq!(names(&local.asked().1), [crate_want("log")].into(), "and the rest when it is back");
}

#[test]
fn a_cycle_is_refused_on_both_sides() {
    let mark = Mark::from_bytes([5; 16]);
    let mut local = Local::with(Config { mark, upstreams: vec![upstream(Realm::Same, Ask::Names)], ..config() });
    // Below this node asks one that stands above it.
    let link = LinkId(900);
    local.bench.handle(Event::Hello { link, client: OTHER, resume: None, mark: Some(Mark::from_bytes([9; 16])) });
    local.bench.settle();
    let exchange = local.ask(link, &register(1, &[runs("serde", "1.2.3")]));
    let reply = local.reply(exchange);
    assert_eq!(statuses(&reply), [ReplyStatus::Failed]);
    assert!(reply.answer.leaves()[0].why.as_deref().is_some_and(|why| why.contains("cycle")));
    // The upstream has come to stand below this node.
    local.tell(uplink::Event::Path(vec![Mark::from_bytes([9; 16]), mark]));
    let hangup = local
        .bench
        .actions
        .iter()
        .any(|action| matches!(action, Action::Uplink(_, uplink::Action::Hangup(why)) if why.contains("cycle")));
    assert!(hangup);
}

#[test]
fn everything_in_full_is_refused_where_the_policy_says_so() {
    let (mut bench, _, device) = Bench::with_device();
    let policy = crate::policy::Policy { full_of_everything: false, ..super::bench::policy() };
    bench.handle(Event::Policy(policy));
    let reply = bench.send(device, &request(9, &[]));
    assert_eq!(statuses(&reply), [ReplyStatus::MinorNotSupported]);
    let reply = bench.send(device, &document(10, &[draft(Major::Request, Some(Minor::Catalog), &[])]));
    assert_eq!(statuses(&reply), [ReplyStatus::Succeeded]);
    let reply = bench.send(device, &request(11, &[runs("serde", "1.0.0")]));
    assert_eq!(statuses(&reply), [ReplyStatus::Succeeded], "with data");
}

#[test]
fn attached_and_detached_at_run_time() {
    let mut local = Local::with(config());
    let link = local.connect(DEVICE);
    local.ask(link, &register(1, &[runs("serde", "1.2.3")]));
    local.bench.handle(Event::Attach(upstream(Realm::Same, Ask::Names)));
    local.connected(false, START);
    let (above, asked) = local.asked();
    assert_eq!(names(&asked), [crate_want("serde")].into(), "what is below is asked for");
    local.answers(above, &[]);
    local.bench.handle(Event::Detach(UPSTREAM));
    local.hears_reports();
    let (above, asked) = local.asked();
    assert_eq!((asked.minor, asked.infos.is_empty()), (Some(Minor::End), true));
    local.answers(above, &[]);
    assert!(local.bench.actions.iter().any(|action| matches!(action, Action::Uplink(_, uplink::Action::Left))));
    assert_eq!(local.bench.engine.uplinks().count(), 0);
}
