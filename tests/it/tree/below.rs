//! Clause 9.3: who is below, by which way, and what it is called.

use relay::config::{Collisions, Guid, Upstream};
use schemas::core::ReplyStatus;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::names::Spelling;
use schemas::version::Major;
use schemas::write::{self, HeaderFields, MessageDraft};
use serde_json::{Value, json};
use tests::harness::{TestAgent, TestClient, TestServer, draft, within};

use super::{root, same_realm, synchronised};
use crate::two_nodes::agents::agent;

const LEAF: ClientGuid = ClientGuid(0x93_00aa);
const NAME: ClientGuid = ClientGuid(0x93_00bb);

fn list(version: &str) -> String {
    format!("[[asset]]\nname = \"Device\"\nversion = \"{version}\"\n")
}

/// A local server that the one above takes for one.
async fn local(above: &mut TestServer, guid: u128) -> TestServer {
    above.restart_with(|config| _ = config.policy.local_servers.insert(Guid(ClientGuid(guid)))).await;
    let upstream = Upstream::with(above.addr(), above.guid(), same_realm());
    TestServer::start(ServerGuid(guid), |config| config.upstream = vec![upstream]).await
}

/// The inventory of a server but for local servers, once it is as expected.
async fn inventory_when(server: &TestServer, what: &str, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let look = async {
        let mut every = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            every.tick().await;
            let (_, inventory) = server.control("GET /inventory", "").await;
            let all = inventory["clients"].as_array().unwrap().iter();
            // A local server asks for the name, in any version.
            let is_device =
                |client: &&Value| client["assets"][0]["product"] == "Device" && client["assets"][0]["version"] != "";
            let clients: Vec<Value> = all.filter(is_device).cloned().collect();
            if holds(&clients) {
                return clients;
            }
        }
    };
    within(what, look).await
}

async fn ask(server: &TestServer, client: ClientGuid) -> (u16, Value) {
    let question = json!({ "client": client.to_string(), "major": "request", "minor": null });
    server.control("POST /ask", &question.to_string()).await
}

// R-9.3-4, R-1-2: the root knows the leaf five tiers down, with the way to it, and asks it directly.
#[tokio::test]
async fn c9_3_the_root_knows_and_asks_a_leaf_five_tiers_down() {
    const TOP: u128 = 0x93_0001;
    let mut chain = vec![root(TOP).await];
    for guid in TOP + 1..TOP + 5 {
        let above = chain.last_mut().unwrap();
        let below = local(above, guid).await;
        chain.push(below);
    }
    let lowest = chain.last().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let leaf = TestAgent::run(agent((lowest.addr(), lowest.guid()), LEAF, folder.path(), &list("4.1")));
    let clients = inventory_when(&chain[0], "the leaf in the root's inventory", |clients| clients.len() == 1).await;
    let hop = |server: u128, client: u128| json!({ "server": ServerGuid(server).to_string(), "client": ClientGuid(client).to_string() });
    let mut way: Vec<Value> = (TOP..TOP + 4).map(|server| hop(server, server + 1)).collect();
    way.push(hop(TOP + 4, LEAF.0));
    assert_eq!((&clients[0]["client"], &clients[0]["path"]), (&json!(LEAF.to_string()), &json!(way)));
    let (status, answer) = ask(&chain[0], LEAF).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["replies"][0]["status"], "Succeeded", "{answer}");
    assert_eq!(answer["replies"][0]["reply_id"], answer["message_id"], "R-10.1.6-3");
    assert!(answer["delivered"].to_string().contains("Device"), "{answer}");
    leaf.stop().await;
}

// R-9.3-7, R-9.3-8: the reply gives another GUID; it is used from the next message on, and then the old one is gone.
#[tokio::test]
async fn c9_3_an_agent_takes_the_guid_that_its_server_gives_it() {
    let mut server =
        TestServer::start(ServerGuid(0x93_0011), |config| config.policy.assign = [(Guid(LEAF), Guid(NAME))].into())
            .await;
    let folder = tempfile::tempdir().unwrap();
    let config =
        |server: &TestServer, version| agent((server.addr(), server.guid()), LEAF, folder.path(), &list(version));
    let leaf = TestAgent::run(config(&server, "1"));
    let assigned =
        |lines: &[agent::journal::Line]| lines.iter().any(|line| line.event == agent::journal::Kind::Assigned);
    leaf.lines_when("the GUID in the journal", assigned).await;
    leaf.stop().await;
    server.restart_with(|config| config.policy.assign.clear()).await;
    let leaf = TestAgent::run(config(&server, "2"));
    let is_second = |clients: &[Value]| clients.len() == 1 && clients[0]["assets"][0]["version"] == "2";
    let clients = inventory_when(&server, "the new version", is_second).await;
    assert_eq!(clients[0]["client"], NAME.to_string());
    assert_eq!(ask(&server, NAME).await.0, 200, "and it is reached by it");
    leaf.stop().await;

    let client = TestClient::connect(&server, LEAF).await;
    for (name, status) in [(LEAF, ReplyStatus::Failed), (NAME, ReplyStatus::Succeeded)] {
        let header = HeaderFields { client_guid: Some(name), ..draft::header() };
        let presence = MessageDraft { major: Major::Register, minor: None, data: None };
        assert_eq!(client.ask(write::message(Spelling::Double, &header, &[presence])).await.statuses(), [status]);
    }
}

// R-9.3-16: two agents with one GUID below different local servers are two records, each with a name of its own.
#[tokio::test]
async fn c9_3_two_agents_of_one_guid_are_told_apart() {
    let mut top =
        TestServer::start(ServerGuid(0x93_0021), |config| config.policy.collisions = Collisions::Assign).await;
    let left = local(&mut top, 0x93_0022).await;
    let right = local(&mut top, 0x93_0023).await;
    // The first upstream's address changed with its restart.
    let left = {
        let mut left = left;
        let upstream = Upstream::with(top.addr(), top.guid(), same_realm());
        left.restart_with(|config| config.upstream = vec![upstream]).await;
        left
    };
    synchronised(&left, 1).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = TestAgent::run(agent((left.addr(), left.guid()), LEAF, folders[0].path(), &list("1")));
    inventory_when(&top, "the first", |clients| clients.len() == 1).await;
    let other = TestAgent::run(agent((right.addr(), right.guid()), LEAF, folders[1].path(), &list("2")));
    let clients = inventory_when(&top, "both, each by the name that it has taken", |clients| {
        let has_its_name = |client: &Value| client["path"][1]["client"] == client["client"];
        clients.len() == 2 && clients.iter().all(has_its_name)
    })
    .await;
    let version = |client: &Value| client["assets"][0]["version"].as_str().unwrap().to_owned();
    let mut versions: Vec<String> = clients.iter().map(version).collect();
    versions.sort();
    assert_eq!(versions, ["1", "2"]);
    let names: Vec<&str> = clients.iter().map(|client| client["client"].as_str().unwrap()).collect();
    assert!(names.contains(&LEAF.to_string().as_str()), "the first keeps its own: {names:?}");
    assert_ne!(names[0], names[1]);
    one.stop().await;
    other.stop().await;
}
