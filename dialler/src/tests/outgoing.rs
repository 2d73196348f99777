//! What the owner asks, and how a link comes and goes.

use link::close::CloseCode;
use link::connection::Link;
use link::error::RecvError;
use link::exchange::Exchange;
use node::answer::{Answer, AnswerBody, Leaf};
use node::client::Draft;
use node::ids::{ExchangeId, Position};
use node::intake::{Body, Intake};
use schemas::core::ReplyStatus;
use schemas::guid::ClientGuid;
use schemas::names::Spelling;
use schemas::version::{Major, Minor, VersionInfo};

use super::rig::{HOP, Rig, reply, soon};
use crate::{Content, Outgoing, Said, Told, clock, documents};

fn asking(exchange: u64) -> Outgoing {
    let info = VersionInfo { product_name: Some(format!("product {exchange}").into()), ..VersionInfo::default() };
    let draft = Draft { major: Major::Request, minor: Some(Minor::Full), infos: vec![info] };
    Outgoing { exchange: ExchangeId(exchange), content: Content::Drafts(vec![draft]) }
}

/// The next exchange at the server, with its document read.
async fn next(down: &Link) -> (Exchange, Intake) {
    let exchange = soon(down.accept_exchange()).await.unwrap().document().await.unwrap();
    let (_, intake) = documents::read(exchange.document().body.clone()).await.unwrap();
    (exchange, intake.expect("a message"))
}

/// Answers one as it should be.
async fn answer(exchange: Exchange, intake: &Intake, statuses: &[ReplyStatus]) {
    let id = intake.part.hop.message_id.as_ref().expect("one").text.to_string();
    answer_to(exchange, statuses, &id).await;
}

async fn answer_to(mut exchange: Exchange, statuses: &[ReplyStatus], reply_id: &str) {
    exchange.reply(9, &[reply(statuses, reply_id)]).await.unwrap();
    exchange.end().await.unwrap();
}

/// The exchange that has come to its end next.
async fn ended(rig: &mut Rig) -> u64 {
    loop {
        match rig.said().await {
            Said::Replied(_, outcomes) => assert_eq!(outcomes, [(ReplyStatus::Succeeded, None)]),
            Said::Ended(exchange) => return exchange.0,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn four_exchanges_run_at_once_and_the_fifth_when_one_has_ended() {
    let mut rig = Rig::new().await;
    for exchange in 1..=5 {
        rig.live.asks.send(asking(exchange)).await.unwrap();
    }
    let mut running = Vec::new();
    for number in 1..=4 {
        running.push((number, next(&rig.down).await));
    }
    for (expected, (exchange, intake)) in running.into_iter().rev() {
        answer(exchange, &intake, &[ReplyStatus::Succeeded]).await;
        assert_eq!(ended(&mut rig).await, expected);
    }
    let (exchange, intake) = next(&rig.down).await;
    answer(exchange, &intake, &[ReplyStatus::Succeeded]).await;
    assert_eq!(ended(&mut rig).await, 5);
}

#[tokio::test]
async fn ready_made_parts_travel_in_one_bundle_and_each_has_its_outcome() {
    let mut rig = Rig::new().await;
    let parts: Vec<_> = ["a", "b"]
        .map(|name| documents::item(&[VersionInfo { product_name: Some(name.into()), ..VersionInfo::default() }]).1)
        .into();
    let content = Content::Parts(Spelling::Double, parts.clone());
    rig.live.asks.send(Outgoing { exchange: ExchangeId(1), content }).await.unwrap();
    let (exchange, intake) = next(&rig.down).await;
    assert_eq!((intake.part.hop.server, intake.part.hop.client), (Some(HOP.server), Some(HOP.client)));
    let Body::Parts(inner) = &intake.part.body else { panic!("a bundle") };
    assert_eq!(inner.len(), 2);
    // More replies than parts, and to other IDs than that of the bundle: a part may hold several messages.
    answer_to(exchange, &[ReplyStatus::Succeeded, ReplyStatus::Failed, ReplyStatus::Succeeded], "#h07").await;
    let Said::Named(ExchangeId(1), clients) = rig.said().await else { panic!("whom it names") };
    assert_eq!(clients, [Some(HOP.client); 3]);
    let Said::Replied(ExchangeId(1), outcomes) = rig.said().await else { panic!("a reply") };
    assert_eq!(outcomes[1], (ReplyStatus::Failed, Some("not today".to_owned())));
    assert_eq!(outcomes.len(), 3);
    assert!(matches!(rig.said().await, Said::Ended(ExchangeId(1))));
}

#[tokio::test]
async fn what_the_server_takes_not_is_told_and_the_link_goes_on() {
    let mut rig = Rig::taking(2_000).await;
    let info = VersionInfo { product_name: Some("x".repeat(2_000).into()), ..VersionInfo::default() };
    let draft = Draft { major: Major::Request, minor: None, infos: vec![info] };
    let content = Content::Drafts(vec![draft]);
    rig.live.asks.send(Outgoing { exchange: ExchangeId(1), content }).await.unwrap();
    assert!(matches!(rig.said().await, Said::TooLong(ExchangeId(1), _)));
    // All that the server sees of it is a stream that was given up.
    let given_up = soon(rig.down.accept_exchange()).await.unwrap().document().await;
    assert!(matches!(given_up, Err(RecvError::Reset(_))));
    rig.live.asks.send(asking(2)).await.unwrap();
    let (exchange, intake) = next(&rig.down).await;
    answer(exchange, &intake, &[ReplyStatus::Succeeded]).await;
    assert_eq!(ended(&mut rig).await, 2);
}

#[tokio::test]
async fn an_answer_to_something_else_costs_the_link() {
    let mut rig = Rig::new().await;
    rig.live.asks.send(asking(1)).await.unwrap();
    let (exchange, _) = next(&rig.down).await;
    answer_to(exchange, &[ReplyStatus::Succeeded], "#h07").await;
    assert_eq!(soon(rig.down.closed()).await.code, CloseCode::Internal);
    assert!(matches!(soon(rig.told.recv()).await, Some(Told::Down)));
}

#[tokio::test]
async fn the_owner_learns_how_the_server_stands_and_lets_go_of_the_link_by_dropping_it() {
    let rig = Rig::new().await;
    assert_eq!(rig.live.policy.as_deref(), Some(&["Request:Full".to_owned()][..]));
    assert_eq!((rig.live.start.incarnation, rig.live.start.everything()), (3, Position(7)));
    rig.stop.cancel();
    drop(rig.live);
    drop(rig.told);
    assert_eq!(soon(rig.down.closed()).await.code, CloseCode::Done);
    soon(rig.dialling).await.unwrap();
}

#[tokio::test]
async fn c9_3_a_reply_that_names_another_client_is_told_and_the_next_question_uses_its_name() {
    let mut rig = Rig::new().await;
    let name = ClientGuid(0xbeef);
    let answer_as = |status: ReplyStatus, reply_id: String| {
        let leaf = Leaf { status, ..Leaf::failed(Some(reply_id), "not today".to_owned()) };
        let answer = Answer { server: Some(HOP.server), client: Some(name), body: AnswerBody::Leaves(vec![leaf]) };
        answer.render(Spelling::Double, clock::message_id(), &clock::text(clock::now()))
    };
    let mut asked_as = Vec::new();
    for (number, status) in [(1, ReplyStatus::Failed), (2, ReplyStatus::Succeeded), (3, ReplyStatus::Succeeded)] {
        rig.live.asks.send(asking(number)).await.unwrap();
        let (mut exchange, intake) = next(&rig.down).await;
        asked_as.extend(intake.part.hop.client);
        let reply_id = intake.part.hop.message_id.as_ref().expect("one").text.to_string();
        exchange.reply(0, &[answer_as(status.clone(), reply_id)]).await.unwrap();
        exchange.end().await.unwrap();
        if number == 2 {
            let Said::Assigned(told) = rig.said().await else { panic!("the name, before the reply") };
            assert_eq!(told, name);
            rig.name.send_replace(told);
        }
        let Said::Replied(_, outcomes) = rig.said().await else { panic!("a reply") };
        assert_eq!(outcomes[0].0, status, "who refuses gives no name, and a known one is not told");
        assert!(matches!(rig.said().await, Said::Ended(_)));
    }
    assert_eq!(asked_as, [HOP.client, HOP.client, name]);
}
