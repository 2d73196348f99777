//! Clause 9.3: a server asks whoever is below it, over the client's own connection, and is answered.

use relay::config::Guid;
use schemas::guid::{ClientGuid, ServerGuid};
use serde_json::{Value, json};
use tests::harness::{TestAgent, TestClient, TestServer, draft};

use crate::two_nodes::agents::agent;

const TOP: ServerGuid = ServerGuid(0x7e_0001);
const PROVIDER: ClientGuid = ClientGuid(0x7e_00ff);
const LEAF: ClientGuid = ClientGuid(0x7e_00aa);
const ABSENT: ClientGuid = ClientGuid(0x7e_00bb);

/// The list of a device that runs one product.
const DEVICE: &str =
    "[[asset]]\nname = \"Device\"\nversion = \"4.1\"\n[[asset.component]]\nfile = \"lib.so\"\nversion = \"1.2\"\n";

async fn top() -> TestServer {
    TestServer::start(TOP, |config| {
        config.policy.providers = [Guid(PROVIDER)].into();
        config.limits.stale_hours = 0;
    })
    .await
}

/// What the operator of a server is answered when he asks a client.
async fn ask(server: &TestServer, client: ClientGuid, major: &str) -> (u16, Value) {
    let question = json!({ "client": client.to_string(), "major": major, "minor": null });
    server.control("POST /ask", &question.to_string()).await
}

/// The one reply, which must be to this question.
#[track_caller]
fn reply(answer: &Value) -> &Value {
    let [reply] = &answer["replies"].as_array().unwrap()[..] else { panic!("{answer}") };
    assert_eq!(reply["reply_id"], answer["message_id"], "R-10.1.6-3");
    reply
}

/// An agent of the device, in a folder of its own.
struct Agent {
    agent: TestAgent,
    _folder: tempfile::TempDir,
}

impl Agent {
    fn start(server: &TestServer, guid: ClientGuid) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = agent((server.addr(), server.guid()), guid, folder.path(), DEVICE);
        Self { agent: TestAgent::run(config), _folder: folder }
    }

    async fn stop(self) {
        self.agent.stop().await;
    }
}

// R-9.6.2-2, R-1-2: whoever runs a server sees what is below it, asks it, and gets what it runs.
#[tokio::test]
async fn c9_6_2_the_operator_asks_an_agent_what_it_runs() {
    let server = top().await;
    let leaf = Agent::start(&server, LEAF);
    server.snapshot_when(|snapshot| snapshot.registered == 1).await;
    let (status, inventory) = server.control("GET /inventory", "").await;
    assert_eq!(status, 200);
    let [client] = &inventory["clients"].as_array().unwrap()[..] else { panic!("{inventory}") };
    assert_eq!(client["client"], LEAF.to_string());
    assert_eq!(client["path"], json!([{ "server": TOP.to_string(), "client": LEAF.to_string() }]));
    assert_eq!((&client["connected"], &client["stale"]), (&true.into(), &false.into()));
    let asset = json!({
        "product": "Device",
        "version": "4.1",
        "everything": false,
        "components": [{ "name": "lib.so", "version": "1.2" }],
    });
    let mut registered = asset.clone();
    registered["mode"] = "full".into();
    assert_eq!(client["assets"], json!([registered]));

    let (status, answer) = ask(&server, LEAF, "request").await;
    assert_eq!((status, &reply(&answer)["status"]), (200, &"Succeeded".into()), "{answer}");
    let [delivered] = &answer["delivered"].as_array().unwrap()[..] else { panic!("{answer}") };
    assert_eq!(delivered["hop"], json!({ "server": TOP.to_string(), "client": LEAF.to_string() }));
    assert_eq!(delivered["messages"], json!([{ "major": "Deliver", "minor": "Catalog", "assets": [asset] }]));

    let (_, answer) = ask(&server, LEAF, "register").await;
    assert_eq!((&reply(&answer)["status"], &answer["delivered"]), (&"Succeeded".into(), &json!([])), "{answer}");
    leaf.stop().await;
}

// R-6-1: who is silent for too long is shown as stale, and counted.
#[tokio::test]
async fn c6_who_is_silent_is_shown_as_stale() {
    let server = top().await;
    let client = TestClient::connect(&server, LEAF).await;
    client.ask(draft::register(&[draft::product("Device")])).await.succeeded();
    assert_eq!(server.snapshot_when(|snapshot| snapshot.registered == 1).await.stale, 0);
    client.leave().await;
    server.snapshot_when(|snapshot| snapshot.stale == 1).await;
    let (_, inventory) = server.control("GET /inventory", "").await;
    assert_eq!(inventory["clients"][0]["stale"], true);
    let page = server.page("/metrics").await;
    assert!(page.contains("\ndistributary_stale_clients 1\n"), "{page}");
}

// R-3.1.11-1: each question ends: nobody there, unknown, gone in the middle, or no question at all.
#[tokio::test]
async fn c3_1_11_a_question_that_nobody_answers_fails() {
    let server = top().await;
    let (status, answer) = ask(&server, ABSENT, "request").await;
    assert_eq!(status, 502);
    assert!(answer["error"].as_str().unwrap().contains("known"), "{answer}");

    let client = TestClient::connect(&server, LEAF).await;
    client.ask(draft::register(&[draft::product("Device")])).await.succeeded();
    let leaves = async {
        let incoming = client.link().accept_exchange().await.unwrap();
        let asked = incoming.document().await.unwrap();
        drop(asked);
    };
    let ((status, answer), ()) = tokio::join!(ask(&server, LEAF, "request"), leaves);
    assert_eq!((status, answer["error"].as_str().unwrap().contains("broke off")), (502, true), "{answer}");
    client.leave().await;
    server.snapshot_when(|snapshot| snapshot.connected == 0).await;
    let (status, answer) = ask(&server, LEAF, "request").await;
    assert_eq!((status, answer["error"].as_str().unwrap().contains("connected")), (502, true), "{answer}");

    assert_eq!(server.control("POST /ask", "{}").await.0, 400);
    assert_eq!(ask(&server, LEAF, "deliver").await.0, 400);
}
