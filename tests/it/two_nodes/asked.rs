//! Clause 9.6.2, server pull: a server that asks a whole agent. What there is of the server is its end of the link.

use std::fs;

use agent::view::View;
use schemas::core::Root;
use schemas::version::{Major, Minor, VersionInfo};
use tests::harness::stub::{self, Said, StubLink};
use tests::harness::{Stub, draft, within};
use tokio_util::sync::CancellationToken;

use super::agents::agent;
use super::{CLIENT, SERVER};

/// Agrees to the next thing that the agent says, in its own header: its messages.
async fn heard(above: &StubLink) -> Vec<Said> {
    let heard = above.heard().await;
    let Root::Message(core) = &heard.facts().document().root else { panic!("a reply") };
    let hop = (core.header.server_guid.as_ref(), core.header.client_guid.as_ref());
    assert_eq!((hop.0.unwrap().value, hop.1.unwrap().value), (SERVER, CLIENT), "in the agent's own header");
    let messages = heard.messages();
    heard.succeed(&[]).await;
    messages
}

/// The agent's one message, and the versions of product P in it.
fn list(messages: &[Said]) -> (Major, Option<Minor>, Vec<String>) {
    let [(major, minor, infos)] = messages else { panic!("{} messages", messages.len()) };
    let version = |info: &VersionInfo| info.info[0].container.version.to_string();
    (major.clone(), minor.clone(), infos.iter().map(version).collect())
}

/// An inventory of one asset.
fn inventory(version: &str) -> String {
    format!("[[asset]]\nname = \"P\"\nversion = \"{version}\"\n")
}

// R-9.6.2-2, R-8.1-1: the server asks and the client provides, by the messages of the other way: the inventory at once,
// its changes from then on, and an item that the server brings by itself.
#[tokio::test]
async fn c9_6_2_server_pull_is_answered_with_the_inventory_and_its_changes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Stub::bind(SERVER);
    let mut config = agent((server.addr(), SERVER), CLIENT, folder.path(), &inventory("1.0"));
    config.rescan_seconds = 1;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (config, stop) = (config.clone(), stop.clone());
        async move { agent::run::run(&config, stop).await }
    });
    let above = server.accept().await;
    assert_eq!(list(&heard(&above).await), (Major::Request, Some(Minor::Full), vec!["1.0".to_owned()]));

    let catalogue = |version: &str| (Major::Deliver, Some(Minor::Catalog), vec![version.to_owned()]);
    let answered = above.ask(draft::request(&[draft::product("P")])).await.succeeded();
    assert_eq!(list(&stub::messages(&answered.deliveries[0])), catalogue("1.0"));
    assert!(above.ask(draft::request(&[draft::product("Q")])).await.succeeded().deliveries.is_empty());

    above.ask(draft::register(&[draft::product("P")])).await.succeeded();
    fs::write(folder.path().join("assets.toml"), inventory("2.0")).unwrap();
    assert_eq!(heard(&above).await.len(), 2, "the End of the old version and the Register of the new one");
    assert_eq!(list(&heard(&above).await).0, Major::Request);
    assert_eq!(list(&heard(&above).await), catalogue("2.0"));

    above.ask(draft::deliver(&[draft::item("brought", "P")])).await.succeeded();
    let ids: Vec<String> = View::load(&config.state.directory).unwrap().items.into_iter().map(|item| item.id).collect();
    assert_eq!(ids, ["brought"], "answered when it is in the journal");
    stop.cancel();
    within("the agent to stop", running).await.unwrap().unwrap();
}
